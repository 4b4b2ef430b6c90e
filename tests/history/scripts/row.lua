-- The loader of a history run. A value is "CLASS:ID VERSION TEAM BODY"; the class "u" tells the server
-- no version. One save in three says nothing of tags. One load in two hundred fails, as does one batch and
-- one key of a batch; half of the loads that find what is stored say so.

local SELECT = "SELECT body, team, deleted, version FROM %s_rows WHERE id = $1"
local SELECT_MANY = "SELECT id, body, team, deleted, version FROM %s_rows WHERE id = ANY($1)"
local SAVE = "INSERT INTO %s_rows (id, body, team, deleted) VALUES ($1, $2, $3, false) "
  .. "ON CONFLICT (id) DO UPDATE SET body = excluded.body, team = excluded.team, deleted = false "
  .. "RETURNING body, team, deleted, version"
local REMOVE = "INSERT INTO %s_rows (id, body, team, deleted) VALUES ($1, '', 0, true) "
  .. "ON CONFLICT (id) DO UPDATE SET deleted = true RETURNING version"

local function class_of(ctx) return ctx.pattern:sub(1, 1) end

local function value_of(key, class, row)
  local text = ("%s %d %d %s"):format(key, row.version, row.team, row.body)
  return text, { version = class ~= "u" and row.version or nil, tags = { "t:" .. row.team } }
end

local function found(key, class, row, stored)
  if not row or row.deleted then return nil end
  if math.random(2) == 1 and stored and row.version == tonumber(stored:match "^%S+ (%d+)") then
    return rtcache.unchanged
  end
  return value_of(key, class, row)
end

local function by_id(rows)
  local all = {}
  for _, row in ipairs(rows) do all[row.id] = row end
  return all
end

return {
  load = function(key, ctx)
    if math.random(200) == 1 then return nil, "it fails now and then" end
    local class = class_of(ctx)
    local row = ctx.db:row(SELECT:format(class), tonumber(ctx.match[1]))
    return found(key, class, row, ctx.value)
  end,
  load_many = function(keys, ctx)
    local class, ids, values, options = class_of(ctx), {}, {}, {}
    for i = 1, #keys do ids[i] = tonumber(ctx.match[i][1]) end
    if math.random(200) == 1 then return nil, "a batch fails now and then" end
    if math.random(200) == 1 then error(rtcache.poison(keys[math.random(#keys)])) end
    if math.random(200) == 1 then error(rtcache.poison()) end
    local rows = by_id(ctx.db:rows(SELECT_MANY:format(class), ids))
    for i, key in ipairs(keys) do
      values[key], options[key] = found(key, class, rows[ids[i]], ctx.values[key])
      if math.random(200) == 1 then options[key] = { error = "a key fails now and then" } end
    end
    return values, options
  end,
  save = function(key, value, ctx)
    local class = class_of(ctx)
    local team, body = value:match "^(%d+) (.*)$"
    -- always to the primary: a replica takes no writes
    local row = rtcache.backend("main"):row(SAVE:format(class), tonumber(ctx.match[1]), body, tonumber(team))
    local saved, options = value_of(key, class, row)
    if math.random(3) == 1 then options.tags = nil end
    return saved, options
  end,
  remove = function(_, ctx)
    local class = class_of(ctx)
    local row = rtcache.backend("main"):row(REMOVE:format(class), tonumber(ctx.match[1]))
    return true, { version = class ~= "u" and row.version or nil }
  end,
}
