-- A wait inside of a callback of C, where no coroutine can yield.
-- refused: cannot wait here
return {
  load = function(key, ctx)
    return (("a"):gsub("a", function() return ctx.db:value "SELECT 'b'" end))
  end,
}
