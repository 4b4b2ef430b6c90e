--- What the clients of a soak do, one step at a time; every answer is checked. A step gets the state of
--- the soak: `server`, `cache` (a connection that stays), `crowd` (some more), `db`, `down`.

local M = {}

M.ROWS = 2000

--- Of loads on a database that is away: whoever waits hears one of these.
M.OF_THE_DATABASE = {
  BACKEND_DOWN = true, BACKEND_ERROR = true, LOAD_TIMEOUT = true, TIMEOUT = true, OVERLOADED = true,
  BREAKER_OPEN = true,
}

local function expect(ok, what, err)
  if not ok then error(what .. ": " .. tostring(err), 0) end
end

local function check_row(id, value, err)
  expect(not err, "get of row " .. id, err)
  if id > M.ROWS then
    expect(value == nil, "row " .. id .. " is absent and was found")
  else
    expect(value and value.name == "row " .. id, "row " .. id .. " came with another's value")
  end
end

-- Of PostgreSQL, which is restarted under it; the count of errors.
local function check_pg(state, id, value, err)
  if not err then return check_row(id, value) end
  expect(M.OF_THE_DATABASE[err.code], "get of pg:" .. id, err)
  state.errors = state.errors + 1
end

local steps = {}

function steps.get(state)
  local id = math.random(M.ROWS + 100)
  check_row(id, state.cache:get("row:" .. id))
end

function steps.get_pg(state)
  local id = math.random(M.ROWS + 100)
  check_pg(state, id, state.cache:get("pg:" .. id))
end

function steps.many(state)
  local keys, ids = {}, {}
  for i = 1, 50 do
    ids[i] = math.random(M.ROWS)
    keys[i] = "row:" .. ids[i]
  end
  local answers, err = state.cache:get_many(keys)
  expect(answers, "get_many", err)
  for i, answer in ipairs(answers) do check_row(ids[i], answer.value, answer.error) end
end

--- Many requests in the air at once, of all kinds of loaders.
function steps.pipeline(state)
  local asked = {}
  for _, c in ipairs(state.crowd) do
    for _ = 1, 25 do
      local id, kind = math.random(M.ROWS + 100), math.random(2) == 1 and "pg:" or "row:"
      asked[#asked + 1] = { c, c:send("get", kind .. id), kind, id }
    end
  end
  for _, a in ipairs(asked) do
    local value, err = a[1]:receive(a[2], 60)
    if a[3] == "pg:" then
      check_pg(state, a[4], value, err)
    else
      check_row(a[4], value, err)
    end
  end
end

local FILLER_TAGS = 1000

--- Far more than the memory holds, so that entries are evicted all the time and the store stays full.
function steps.set(state)
  local key = "filler:" .. math.random(1000000)
  local text = key .. ("."):rep(math.random(4000))
  local _, err = state.cache:set(key, text, {
    ttl_ms = 24 * 3600 * 1000, tags = { "filler:" .. math.random(FILLER_TAGS) },
  })
  expect(not err, "set", err)
  local back, get_err = state.cache:peek(key)
  expect(not get_err and (back == nil or back.value == text), "peek after set", get_err)
end

function steps.invalidate(state)
  local _, err = state.cache:invalidate("row:" .. math.random(M.ROWS))
  expect(not err, "invalidate", err)
end

function steps.invalidate_tag(state)
  local _, err = state.cache:invalidate_tag("filler:" .. math.random(FILLER_TAGS))
  expect(not err, "invalidate_tag", err)
end

--- The database tells of it, through the feed.
function steps.change(state)
  if state.down then return end
  state.db:exec("UPDATE people SET version = version + 1 WHERE id = " .. math.random(M.ROWS))
end

function steps.refresh(state)
  local id = math.random(M.ROWS)
  local entry, err = state.cache:refresh("row:" .. id)
  expect(entry, "refresh", err)
  check_row(id, entry.value)
end

local function briefly(state, act)
  local c = state.server:connect()
  act(c)
  c:close()
  table.remove(state.server.clients)
end

--- Asks and leaves without reading the answer.
function steps.leave(state)
  briefly(state, function(c)
    for _ = 1, 20 do expect(c:send("get", "row:" .. math.random(M.ROWS)), "send") end
  end)
end

function steps.subscribe(state)
  briefly(state, function(c) expect(c:subscribe { patterns = { "row:*" } }, "subscribe") end)
end

function steps.garbage(state)
  briefly(state, function(c) c:write(("\193garbage"):rep(math.random(100))) end)
end

local WEIGHTS = {
  get = 60, get_pg = 40, many = 10, pipeline = 2, set = 40, invalidate = 10, invalidate_tag = 1, change = 2,
  refresh = 5, leave = 1, subscribe = 1, garbage = 1,
}

local function shuffled_plan()
  local plan = {}
  for name, count in pairs(WEIGHTS) do
    for _ = 1, count do plan[#plan + 1] = name end
  end
  for i = #plan, 2, -1 do
    local j = math.random(i)
    plan[i], plan[j] = plan[j], plan[i]
  end
  return plan
end

--- Every step as often as its weight says, in any order.
function M.round(state)
  for _, name in ipairs(shuffled_plan()) do
    steps[name](state)
    state.done = state.done + 1
  end
end

M.expect = expect

return M
