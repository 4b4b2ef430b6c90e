-- `loadfile` reads any file as code.
-- refused: attempt to call global 'loadfile'
return {
  load = function(key, ctx)
    return loadfile "/etc/passwd"
  end,
}
