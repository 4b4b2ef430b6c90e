-- `next` with a key that is not in the table, and tables changed while they are walked.
-- harmless: held
return {
  load = function(key, ctx)
    if pcall(next, {}, "x") then return "went on" end
    local t = {}
    for i = 1, 100 do t[i] = i; t["k" .. i] = i end
    local steps = 0
    pcall(function()
      for k in pairs(t) do
        t[k] = nil
        t["new" .. steps] = 1
        steps = steps + 1
        if steps > 10000 then break end
      end
    end)
    return "held"
  end,
}
