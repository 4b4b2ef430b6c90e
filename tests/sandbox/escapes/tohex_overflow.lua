-- bit.tohex with the least width (Redis, CVE-2024-31449).
-- harmless: held
return {
  load = function(key, ctx)
    for _, n in ipairs { -2147483648, 2147483647, -1, 0, 255, 256, 1e300 } do
      if #bit.tohex(-1, n) > 256 then return "wrote much" end
    end
    return "held"
  end,
}
