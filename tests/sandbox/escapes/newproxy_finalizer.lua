-- `newproxy` makes an object whose __gc runs wherever the collector happens to.
-- refused: attempt to call global 'newproxy'
return {
  load = function(key, ctx)
    getmetatable(newproxy(true)).__gc = function() while true do end end
  end,
}
