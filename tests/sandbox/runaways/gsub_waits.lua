-- A callback of gsub that waits for the database.
-- stopped: cannot wait here
return {
  load = function(key, ctx)
    return (("a"):gsub("a", function() return ctx.db:value "SELECT 1" end))
  end,
}
