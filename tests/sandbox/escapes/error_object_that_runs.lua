-- An error whose __tostring runs when the bounds are lifted.
-- refused: an error table without a message
return {
  load = function(key, ctx)
    error(setmetatable({}, {
      __tostring = function() while true do end end,
      __index = function() while true do end end,
    }))
  end,
}
