-- `string.dump`, then edited bytecode, is arbitrary memory access (Redis, CVE-2015-4335).
-- refused: attempt to call field 'dump'
return {
  load = function(key, ctx)
    return string.dump(function() return 1 end)
  end,
}
