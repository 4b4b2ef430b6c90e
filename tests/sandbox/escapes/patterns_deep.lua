-- Captures and optional items nested beyond the matcher's depth.
-- harmless: held
return {
  load = function(key, ctx)
    local deep = { ("("):rep(33), ("a?"):rep(5000), ("(a"):rep(32) .. (")"):rep(32), ("a*"):rep(3000) .. "b" }
    for _, p in ipairs(deep) do pcall(string.find, ("a"):rep(300), p) end
    return "held"
  end,
}
