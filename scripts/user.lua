-- user:<id> -> {id, name, email, team_id, settings, version}
--
-- The row is the value: columns keep their types, `settings` (JSON) comes decoded, a NULL is
-- rtcache.null. The row's version goes beside it, so that an older row can never replace a newer one.

local COLUMNS = "id, name, email, team_id, settings, version"

local function load(_, ctx)
  -- Only the plain decimal form is an id, or "user:7" and "user:007" would be two entries of one row.
  local id = ctx.match[1]
  if not id:find "^[1-9]%d*$" or #id > 18 then
    return nil -- there is no such user: a negative entry
  end

  local row = ctx.db:row("SELECT " .. COLUMNS .. " FROM users WHERE id = CAST($1 AS BIGINT)", id)
  if not row then
    return nil
  end

  -- Tags name what else the value depends on.
  local tags
  if row.team_id ~= rtcache.null then
    tags = { "team:" .. row.team_id }
  end
  return row, { version = row.version, tags = tags }
end

return { load = load }
