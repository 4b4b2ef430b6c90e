-- Patterns that end in the middle of an item.
-- harmless: held
return {
  load = function(key, ctx)
    for _, p in ipairs { "%", "[", "[^", "[%", "[a-", "%b", "%bx", "%f", "%f[", "(", "((", "%1", "(%1)", "%9" } do
      local ok, err = pcall(string.find, "abc", p)
      if ok then return p .. " gave " .. tostring(err) end
    end
    return not pcall(string.gsub, "abc", "b", "%9") and "held" or "escaped"
  end,
}
