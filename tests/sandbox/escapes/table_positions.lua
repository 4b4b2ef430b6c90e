-- Positions of table functions outside of the table.
-- harmless: held
return {
  load = function(key, ctx)
    local t = { 1, 2, 3 }
    for _, at in ipairs { -2147483648, 0, -1, 1e15, 0 / 0 } do
      pcall(table.remove, t, at)
    end
    pcall(table.insert, t, -5, 0)
    pcall(table.concat, t, ",", -2147483648, 2147483647)
    return "held"
  end,
}
