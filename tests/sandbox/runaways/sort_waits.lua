-- A comparator that waits for the database.
-- stopped: cannot wait here
return {
  load = function(key, ctx)
    table.sort({ 1, 2, 3 }, function() return ctx.db:value "SELECT 1" end)
  end,
}
