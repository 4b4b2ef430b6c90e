-- A query with a result of half a gigabyte.
-- stopped: (max_result)
return {
  load = function(key, ctx)
    return #ctx.db:rows [[WITH RECURSIVE n(i, s) AS (SELECT 1, hex(zeroblob(50000))
      UNION ALL SELECT i + 1, s FROM n LIMIT 5000) SELECT * FROM n]]
  end,
}
