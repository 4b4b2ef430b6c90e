-- Formats and times that strftime does not expect.
-- harmless: held
return {
  load = function(key, ctx)
    for _, fmt in ipairs { "%", "%E", "%O", "%Ez", ("%c"):rep(200), "*t", "!*t", "!%", "%\0", "*t%" } do
      for _, at in ipairs { 0, -1, 2 ^ 31, 2 ^ 55, -2 ^ 55, 1e300, 0 / 0 } do pcall(os.date, fmt, at) end
    end
    pcall(os.time, { year = 1e300, month = -1e300, day = 0 / 0 })
    pcall(os.time, { year = 2 ^ 31, month = 2 ^ 31, day = 2 ^ 31 })
    return "held"
  end,
}
