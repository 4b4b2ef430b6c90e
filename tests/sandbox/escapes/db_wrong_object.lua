-- A method of a backend called on another userdata of the runtime.
-- refused: is a method of a backend
return {
  load = function(key, ctx)
    return ctx.db.row(rtcache.null, "SELECT 1")
  end,
}
