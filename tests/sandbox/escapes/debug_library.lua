-- `debug.getregistry` has everything.
-- refused: attempt to index global 'debug'
return {
  load = function(key, ctx)
    return debug.getregistry()
  end,
}
