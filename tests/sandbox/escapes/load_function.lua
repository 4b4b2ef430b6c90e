-- `load` with a function that hands out bytecode piece by piece.
-- refused: attempt to call global 'load'
return {
  load = function(key, ctx)
    return load(function() return "\27LJ\2" end)
  end,
}
