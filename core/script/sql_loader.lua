-- A loader without a script: one query, whose first row is the value. Trusted; gets the primitives
-- of api.lua, returns a function that makes the loader of one configured query.
local api, internal, hidden = ...

local WIDTH = 256 -- what `all` takes
local REST = 64   -- batches that go key by key after SQL that PostgreSQL refused in one query
local unpack, pcall, concat, sort, pairs = unpack, pcall, table.concat, table.sort, pairs
local type, error, floor = type, error, math.floor
local types, batch_types, batch_rows = hidden.types, hidden.batch_types, hidden.batch_rows
local cut_first = internal.cut_first
local placed, captures = internal.placed, internal.captures

local function no_column(row, version)
  local names = {}
  for name in pairs(api.unpack(row)) do
    names[#names + 1] = name
  end
  sort(names)
  error({
    code = "SCRIPT_ERROR",
    message = ("\"version\": the query has no column \"%s\"; it has %s"):format(version, concat(names, ", ")),
    retryable = false,
  }, 0)
end

-- What a version column may be, exactly: other values are named with their type.
local function version_of(column, value)
  local kind = type(value)
  if kind == "cdata" or (kind == "number" and value == floor(value) and value > -2 ^ 53 and value < 2 ^ 53) then
    return value
  end
  local what = "is a " .. kind
  if value == api.null then
    what = "is NULL (rtcache.null)"
  elseif kind == "string" then
    what = ("is a string, \"%s\" (a numeric column comes as text)"):format(value:sub(1, 32))
  elseif kind == "number" then
    what = ("is a float: %.17g"):format(value)
  end
  error({
    code = "SCRIPT_ERROR",
    message = ("the version, column \"%s\", %s, not an integer"):format(column, what),
    retryable = false,
  }, 0)
end

-- A beginning for names that the SQL, its columns and the version's do not have.
local function free_prefix(sql, columns, version)
  local taken = concat({ sql, version or "", unpack(columns) }, "\n"):lower()
  local prefix = "rtcache"
  while taken:find(prefix, 1, true) do
    prefix = prefix .. "_"
  end
  return prefix
end

-- The SQL as a subquery, for every element of the parameters' arrays, which are of these types. One
-- row of each is the value, so no more is asked for.
local function wrap(pieces, names, prefix)
  local k, q = prefix .. "_k", prefix .. "_q"
  local arrays, columns, inner = {}, {}, {}
  for i = 1, #names do
    arrays[i] = ("pg_catalog.unnest($%d::%s[])"):format(i, names[i])
    columns[i] = prefix .. "_p" .. i
  end
  for i, piece in ipairs(pieces) do
    inner[i] = i % 2 == 1 and piece or ("(%s.%s_p%d)"):format(k, prefix, piece)
  end
  return ("SELECT %s.%s_i, %s.* FROM ROWS FROM (%s) WITH ORDINALITY AS %s(%s, %s_i), "
    .. "LATERAL (SELECT * FROM (%s\n) AS %s_r LIMIT 1) AS %s"):format(
    k, prefix, q, concat(arrays, ", "), k, concat(columns, ", "), prefix, concat(inner), prefix, q)
end

-- The query for a whole batch; false where there is none: a parameter's type would lose a part of the
-- text that a key is, if it were that of an older table (a date the time of day), a parameter is an
-- array (unnest would take it apart), or a column that PostgreSQL names would be named otherwise.
local function make(db, described, sql, pieces, version)
  if not described[3] then
    return false
  end
  local names = {}
  local rows = db:rows("SELECT pg_catalog.format_type(t, -1) AS name "
    .. "FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[])) WITH ORDINALITY AS k(t, i) ORDER BY i", described[1])
  for i, row in ipairs(rows) do
    if row.name:sub(-2) == "[]" then
      return false
    end
    names[i] = row.name
  end
  local wrapped = wrap(pieces, names, free_prefix(sql, described[2], version))
  local columns = batch_types(db, wrapped)[2]
  for i, name in ipairs(described[2]) do
    if columns[i + 1] ~= name then
      return false
    end
  end
  return wrapped
end

local function fingerprint(described)
  return concat(described[1], ",") .. "|" .. concat(described[2], "\0")
end

-- parameters: so many of the captures are the query's. pieces: the SQL, cut at its parameters.
-- integers: the names of the stars, by number, that are integers.
return function(version, parameters, pieces, integers)
  local numbered = {}
  for i, piece in ipairs(pieces) do
    numbered[i] = i % 2 == 1 and piece or "$" .. piece
  end
  local sql = concat(numbered)

  -- An integer is one for the database too: in SQLite 7 and '7' are equal only beside a column.
  local function arguments(match)
    if not next(integers) then
      return unpack(match, 1, parameters)
    end
    local list = {}
    for i = 1, parameters do
      list[i] = match[integers[i] or i]
    end
    return unpack(list, 1, parameters)
  end

  local function answer(row)
    if row and version then
      local number = row[version]
      return row, { version = version_of(version, number == nil and no_column(row, version) or number) }
    end
    return row, nil
  end

  local function query(match, ctx)
    return answer(ctx.db:packed_row(sql, arguments(match)))
  end

  local function load(_, ctx)
    return query(ctx.match, ctx)
  end

  local function keep(values, options, key, ok, row, more)
    if ok then
      values[key], options[key] = row, row and more
    else
      options[key] = { error = row }
    end
  end

  -- The queries go out together, and PostgreSQL gets them in one pipeline. One that fails fails
  -- its key.
  local function one_by_one(keys, ctx, first, last, values, options)
    local calls = {}
    for i = first, last do
      calls[#calls + 1] = function()
        keep(values, options, keys[i], pcall(query, ctx.match[i], ctx))
      end
    end
    api.all(calls)
  end

  local wrapped     -- the query of a batch; nil: not made yet; false: there is none
  local known       -- the description that it was made of; false: the backend has none
  local rest = 0

  -- The backend answers from what it knows of the SQL, which is never old: so the types in the query
  -- of a batch follow those of the tables as fast as any query's do, and so does whether there may be
  -- one: the keys in it share a statement, which only what reads plain tables alone cannot tell.
  local function look(db)
    if known == false then
      return nil
    end
    local described = types(db, sql)
    local now = described and fingerprint(described)
    if now ~= known then
      known, wrapped, rest = now or false, nil, 0
    end
    return described
  end

  local function ask(ctx, first, last)
    local described = look(ctx.db)
    if not described or not described[4] then
      return nil
    elseif rest > 0 then
      rest = rest - 1
      return nil
    end
    if wrapped == nil then
      local of = known
      local made = make(ctx.db, described, sql, pieces, version)
      if known ~= of then -- another batch has seen newer types meanwhile
        return nil
      end
      wrapped = made
    end
    if not wrapped then
      return nil
    end
    local arrays = {}
    for p = 1, parameters do
      local all = captures(ctx, p)
      arrays[p] = #all <= WIDTH and all or api.array { unpack(all, first, last) }
    end
    return batch_rows(ctx.db, wrapped, unpack(arrays, 1, parameters))
  end

  -- The rows of a batch. Nothing where its keys are to be asked for one by one: there may be one
  -- that spoils the query for all. An error that no single key can be blamed for is thrown on.
  local function batch(ctx, first, last)
    if parameters == 0 or first == last then
      return nil
    end
    local ok, rows = pcall(ask, ctx, first, last)
    if ok then
      return rows
    end
    local code = type(rows) == "table" and rows.code
    if code ~= "BACKEND_ERROR" and code ~= "TOO_LARGE" and code ~= "BAD_VALUE" then
      error(rows, 0)
    end
    local state = rows.message:sub(1, 2)
    if state == "42" or state == "0A" then -- the SQL, not a value
      wrapped, rest = nil, REST
    end
    return nil
  end

  -- Whether the rows are the answer as they are: those of all keys, with the version's column.
  local function is_whole(keys, rows)
    return #keys <= WIDTH and (not version or #rows == 0 or rows[1][version] ~= nil)
  end

  local function load_many(keys, ctx)
    local values, options = {}, {}
    for first = 1, #keys, WIDTH do
      local last = math.min(first + WIDTH - 1, #keys)
      local rows = batch(ctx, first, last)
      if rows and is_whole(keys, rows) then
        return placed(ctx, rows, version)
      elseif rows then
        for i = 1, #rows do
          local n, row = cut_first(rows, i)
          keep(values, options, keys[first + n - 1], pcall(answer, row))
        end
      else
        one_by_one(keys, ctx, first, last, values, options)
      end
    end
    return values, options
  end

  return load, load_many
end
