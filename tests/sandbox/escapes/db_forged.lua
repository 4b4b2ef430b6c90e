-- A method of a backend called on something else.
-- refused: is a method of a backend
return {
  load = function(key, ctx)
    return ctx.db.row({ index = 0 }, "SELECT 1")
  end,
}
