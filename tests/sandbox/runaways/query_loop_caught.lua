-- Queries without end, caught.
-- stopped: stopped after 100 calls of backends (script_calls)
return {
  load = function(key, ctx)
    while true do pcall(ctx.db.value, ctx.db, 'SELECT 1') end
  end,
}
