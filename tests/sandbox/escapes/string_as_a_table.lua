-- Writing a field of a string.
-- refused: attempt to index local 's'
return {
  load = function(key, ctx)
    local s = "x"
    s.upper = print
    return s
  end,
}
