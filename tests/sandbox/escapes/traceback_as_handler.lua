-- `debug.traceback` as a handler.
-- refused: attempt to index global 'debug'
return {
  load = function(key, ctx)
    return xpcall(error, debug.traceback)
  end,
}
