-- Coroutines whose body is a builtin, `pcall(pcall, ...)` and the like.
-- harmless: held
return {
  load = function(key, ctx)
    for _, body in ipairs { pcall, error, coroutine.wrap, coroutine.create, next, require, rtcache.all } do
      local co = coroutine.create(body)
      coroutine.resume(co, body, body, body)
      coroutine.resume(co)
    end
    return pcall(pcall, pcall, pcall, error) and "held"
  end,
}
