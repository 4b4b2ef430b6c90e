-- `dofile` runs any file, outside of the environment.
-- refused: attempt to call global 'dofile'
return {
  load = function(key, ctx)
    return dofile "/etc/passwd"
  end,
}
