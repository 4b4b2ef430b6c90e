-- `setmetatable` on what has a protected metatable.
-- refused: protected
return {
  load = function(key, ctx)
    return setmetatable(ctx, {})
  end,
}
