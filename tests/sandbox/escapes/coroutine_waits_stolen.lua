-- The word by which a waiting coroutine is known, taken by resuming one.
-- harmless: held
return {
  load = function(key, ctx)
    local co = coroutine.create(function() return (ctx.db:value "SELECT 7") end)
    local got = { coroutine.resume(co) }
    return #got == 2 and got[1] == true and got[2] == 7 and "held" or "escaped"
  end,
}
