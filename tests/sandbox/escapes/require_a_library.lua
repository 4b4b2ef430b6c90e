-- Libraries of LuaJIT that `require` finds in package.preload.
-- harmless: held
return {
  load = function(key, ctx)
    for _, name in ipairs {
      "ffi", "jit", "jit.opt", "jit.util", "jit.profile", "debug", "io", "os", "package", "table.new",
      "table.clear", "string.buffer", "_G", "string", "math", "coroutine",
    } do
      local ok, err = pcall(require, name)
      if ok or not err:find("there is no ", 1, true) then return name .. ": " .. tostring(err) end
    end
    -- LuaJIT's bit is there for all, and what one script makes of it is its own.
    if require "bit" ~= bit or getmetatable(bit) or next(bit, nil) == nil then return "bit" end
    for name, f in pairs(bit) do
      if type(name) ~= "string" or type(f) ~= "function" then return name end
    end
    return "held"
  end,
}
