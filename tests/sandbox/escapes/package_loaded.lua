-- `package.loaded` has every library by name.
-- refused: attempt to index global 'package'
return {
  load = function(key, ctx)
    return package.loaded.io
  end,
}
