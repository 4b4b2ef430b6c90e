-- `getfenv` of a level of the stack reaches the caller's globals.
-- refused: attempt to call global 'getfenv'
return {
  load = function(key, ctx)
    return getfenv(2).os
  end,
}
