-- Rows of `people`, one by one and many at once, read and written; every value tells its key. The setup puts a
-- condition for many ids in the place of MANY, which differs between databases.
local function known(key, row)
  return { key = key, id = row.id, name = row.name, row = row },
    { version = row.version, tags = { "team:" .. tostring(row.team) } }
end

return {
  load = function(key, ctx)
    local row = ctx.db:row("SELECT * FROM people WHERE id = $1", ctx.match.id)
    if not row then return nil end
    if ctx.version and ctx.version == row.version then return rtcache.unchanged end
    return known(key, row)
  end,
  load_many = function(keys, ctx)
    local values, options, by_id = {}, {}, {}
    for i, key in ipairs(keys) do by_id[tostring(ctx.match[i].id)] = key end
    for _, row in ipairs(ctx.db:rows("SELECT * FROM people WHERE id MANY", ctx.ids)) do
      local key = by_id[tostring(row.id)]
      if key then values[key], options[key] = known(key, row) end
    end
    return values, options
  end,
  save = function(key, value, ctx)
    local row = ctx.db:row("UPDATE people SET name = $2, version = version + 1 WHERE id = $1 RETURNING *",
      ctx.match.id, type(value) == "table" and tostring(value.name) or "?")
    if not row then return nil, { code = "NO_CREDIT", message = "there is no such row" } end
    return known(key, row)
  end,
  remove = function(_, ctx)
    ctx.db:exec("UPDATE people SET version = version + 1 WHERE id = $1", ctx.match.id)
  end,
}
