-- `io.popen` and files.
-- refused: attempt to index global 'io'
return {
  load = function(key, ctx)
    return io.popen("id"):read "*a"
  end,
}
