-- Positions of string functions at the ends of the integers.
-- harmless: held
return {
  load = function(key, ctx)
    for _, a in ipairs { -2147483648, 2147483647, -1e300, 1e300, 0 / 0, -0.5 } do
      for _, b in ipairs { -2147483648, 2147483647, 1e300, 0 / 0 } do
        local _ = ("abc"):sub(a, b)
        pcall(string.byte, "abc", a, b)
        pcall(string.find, "abc", "b", a)
        pcall(string.gmatch("abc", "b"), a, b)
        pcall(table.concat, { "a" }, "", a, b)
        pcall(select, a, b)
        pcall(string.char, a, b)
      end
    end
    return "held"
  end,
}
