-- A loader without a script: one query, whose first row is the value. Trusted; gets the primitives
-- of api.lua, returns a function that makes the loader of one configured query.
local api = ...

local WIDTH = 256 -- what `all` takes
local unpack, pcall, concat, sort, pairs = unpack, pcall, table.concat, table.sort, pairs

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

-- parameters: so many of the captures are the query's.
return function(sql, version, parameters)
  local function query(match, ctx)
    local row = ctx.db:packed_row(sql, unpack(match, 1, parameters))
    if row and version then
      local number = row[version]
      return row, { version = number == nil and no_column(row, version) or number }
    end
    return row, nil
  end

  local function load(_, ctx)
    return query(ctx.match, ctx)
  end

  -- The queries go out together, and PostgreSQL gets them in one pipeline. One that fails fails
  -- its key.
  local function load_many(keys, ctx)
    local values, options = {}, {}
    for first = 1, #keys, WIDTH do
      local calls = {}
      for i = first, math.min(first + WIDTH - 1, #keys) do
        calls[#calls + 1] = function()
          local ok, row, more = pcall(query, ctx.match[i], ctx)
          if ok then
            values[keys[i]], options[keys[i]] = row, row and more
          else
            options[keys[i]] = { error = row }
          end
        end
      end
      api.all(calls)
    end
    return values, options
  end

  return load, load_many
end
