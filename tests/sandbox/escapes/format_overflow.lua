-- Formats whose width would pass a buffer in C.
-- harmless: held
return {
  load = function(key, ctx)
    for _, fmt in ipairs { "%99999d", "%.99999f", "%-1000s", "%100.3d", "%n", "%", "%l", "%1$d", "%*d" } do
      local ok, err = pcall(string.format, fmt, 1, 2)
      if ok then return fmt .. " gave " .. #err .. " bytes" end
    end
    return #string.format("%99.99f", 1e308) < 1000 and "held"
  end,
}
