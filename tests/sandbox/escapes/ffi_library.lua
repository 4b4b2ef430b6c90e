-- `ffi.C.system` by the global.
-- refused: attempt to index global 'ffi'
return {
  load = function(key, ctx)
    return ffi.C.system "id"
  end,
}
