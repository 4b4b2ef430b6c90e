-- Queries without end.
-- stopped: stopped after 100 calls of backends (script_calls)
return {
  load = function(key, ctx)
    while true do ctx.db:value 'SELECT 1' end
  end,
}
