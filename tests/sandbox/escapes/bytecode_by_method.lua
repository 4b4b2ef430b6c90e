-- The string library as a method of any string may have what the table has not.
-- refused: attempt to call method 'dump'
return {
  load = function(key, ctx)
    return (""):dump()
  end,
}
