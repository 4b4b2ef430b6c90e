-- string.format of a width past its bound.
-- stopped: invalid option
return {
  load = function(key, ctx)
    return string.format("%99999d", 1)
  end,
}
