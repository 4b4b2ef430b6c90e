-- `coroutine.running` hands out the coroutine that the runtime resumes.
-- harmless: held
return {
  load = function(key, ctx)
    if coroutine.running() ~= nil then return "escaped" end
    local inner = coroutine.wrap(function() return coroutine.running() end)()
    return type(inner) == "thread" and coroutine.status(inner) == "dead" and "held" or "escaped"
  end,
}
