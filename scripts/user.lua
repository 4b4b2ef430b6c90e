-- user:{id:int} -> {id, name, email, team_id, settings, version}
--
-- The row is the value: columns keep their types, `settings` (JSON) comes decoded, a NULL is
-- rtcache.null. The row's version goes beside it, so that an older row can never replace a newer one.
-- Packed rows go on to the cache as they are: only the fields that are read here are decoded.

local SELECT = "SELECT id, name, email, team_id, settings, version FROM users WHERE "

local function options_of(row)
  -- Tags name what else the value depends on.
  local team = row.team_id
  return { version = row.version, tags = team ~= rtcache.null and { "team:" .. team } or nil }
end

local function load(_, ctx)
  local row = ctx.db:packed_row(SELECT .. "id = $1", ctx.match.id)
  if not row then
    return nil -- there is no such user: a negative entry
  end
  return row, options_of(row)
end

-- Misses that arrive together are one query; a key that is left out of `values` is absent.
local function load_many(keys, ctx)
  local ids, values, options = {}, {}, {}
  for i = 1, #keys do
    ids[i] = ctx.match[i].id
  end
  -- An array of SQLite; with PostgreSQL: "id = ANY($1)".
  local rows = ctx.db:packed_rows(SELECT .. "id IN (SELECT value FROM json_each($1))", ids)
  for i = 1, #rows do
    local row = rows[i]
    local key = ("user:%d"):format(row.id)
    values[key], options[key] = row, options_of(row)
  end
  return values, options
end

-- A statement that met no row is no error of the database: it is looked at here, or the client would
-- hear that something was written. A client that tells the version it has seen changes that one alone.
local function why_not(id, ctx)
  if ctx.db:value("SELECT 1 FROM users WHERE id = CAST($1 AS BIGINT)", id) then
    return nil, { code = "VERSION_CONFLICT", message = "somebody has changed this user since" }
  end
  return nil, { code = "NOT_FOUND", message = "there is no such user" }
end

-- put("user:7", { name = ..., email = ... })
local function save(_, value, ctx)
  local id = ctx.match[1]
  if type(value) ~= "table" or type(value.name) ~= "string" or type(value.email) ~= "string" then
    return nil, { code = "BAD_REQUEST", message = "a user is a map with the texts name and email" }
  end
  local changed = ctx.db:exec("UPDATE users SET name = $2, email = $3 "
    .. "WHERE id = CAST($1 AS BIGINT) AND version = COALESCE(CAST($4 AS BIGINT), version)",
    id, value.name, value.email, ctx.version)
  if changed == 0 then
    return why_not(id, ctx)
  end
  -- Triggers gave the row its next version: it is read again.
  local row = ctx.db:packed_row(SELECT .. "id = CAST($1 AS BIGINT)", id)
  if row then
    return row, options_of(row)
  end
end

local function remove(_, ctx)
  local id = ctx.match[1]
  local gone = ctx.db:exec("DELETE FROM users "
    .. "WHERE id = CAST($1 AS BIGINT) AND version = COALESCE(CAST($2 AS BIGINT), version)", id, ctx.version)
  if gone == 0 then
    return why_not(id, ctx)
  end
end

return { load = load, load_many = load_many, save = save, remove = remove }
