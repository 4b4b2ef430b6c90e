-- A complex literal is a cdata with elements: indexes far outside stay inside.
-- harmless: held
return {
  load = function(key, ctx)
    local v = 12i
    for _, i in ipairs { 0, 1, 2, 1000, -1, 2 ^ 31, 1e300 } do
      local ok, x = pcall(function() return v[i] end)
      if ok and x ~= 0 and x ~= 12 then return "read " .. tostring(x) end
    end
    return not pcall(function() v[0] = 1 end) and not pcall(function() v.re = 1 end) and "held" or "escaped"
  end,
}
