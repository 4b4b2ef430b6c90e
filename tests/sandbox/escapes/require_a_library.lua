-- Libraries of LuaJIT that `require` finds in package.preload.
-- harmless: held
return {
  load = function(key, ctx)
    for _, name in ipairs {
      "ffi", "jit", "jit.opt", "jit.util", "jit.profile", "debug", "io", "os", "package", "table.new",
      "table.clear", "string.buffer", "_G", "string", "math", "bit", "coroutine",
    } do
      local ok, err = pcall(require, name)
      if ok or not err:find("there is no ", 1, true) then return name .. ": " .. tostring(err) end
    end
    return "held"
  end,
}
