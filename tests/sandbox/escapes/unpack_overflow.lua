-- A range of unpack whose size wraps around (Redis, CVE-2025-46817).
-- harmless: held
return {
  load = function(key, ctx)
    for _, r in ipairs {
      { -2147483648, 2147483647 }, { 0, 2147483647 }, { -2, 2147483647 }, { 1, 1e9 }, { 1, 4294967297 * 3 },
      { 2147483647, -2147483648 },
    } do
      local ok, err = pcall(function() return select("#", unpack({ 1, 2, 3 }, r[1], r[2])) end)
      if ok and err > 8000 or not ok and not err:find("too many results", 1, true) then return tostring(err) end
    end
    return "held"
  end,
}
