--- Other configurations and scripts, made from the plain ones: some that have to be taken, and some that have to
--- be refused.

local M = {}

local function copy(v)
  if type(v) ~= "table" then return v end
  local out = {}
  for k, item in pairs(v) do out[k] = copy(item) end
  return out
end

local DURATIONS = { "0s", "1ms", "50ms", "700ms", "5s", "1h" }

local NAMED = 4 -- users before the last, who is the operator

-- Whom another change left.
local function any_user(r, o) return r:int(math.min(NAMED, #o.options.users - 1)) end
local function loader(r, o) return r:pick(o.loaders) end
local function postgres(r, o) return o.backends[r:pick { "shop", "wild", "replica" }] end

-- Each changes a part. "harsh": it lets the server end connections that do nothing wrong.
local changes = {
  memory = function(r, o) o.options.memory = r:pick { "2mb", "3mb", "4mb", "8mb", "16mb" } end,
  ttl = function(r, o) loader(r, o).ttl = r:pick(DURATIONS) end,
  stale_ttl = function(r, o) loader(r, o).stale_ttl = r:pick(DURATIONS) end,
  load_timeout = function(r, o) loader(r, o).load_timeout = r:pick { "1ms", "20ms", "300ms", "2s" } end,
  wait_timeout = function(r, o) loader(r, o).wait_timeout = r:pick { "1ms", "20ms", "300ms", "2s" } end,
  batch = function(r, o)
    local l = loader(r, o)
    l.batch_max, l.batch_window = r:skewed(200), r:pick { "0us", "100us", "20ms" }
  end,
  bounds = function(r, o)
    local l = loader(r, o)
    l.max_loads, l.max_queue, l.max_waiters = r:skewed(50), r:skewed(100) - 1, r:skewed(50)
    l.max_writes, l.max_write_queue = r:skewed(10), r:skewed(20) - 1
  end,
  breaker = function(r, o)
    local l = loader(r, o)
    l.breaker_failures, l.breaker_open = r:skewed(10) - 1, r:pick { "10ms", "200ms", "2s" }
  end,
  prefetch = function(r, o)
    local l = loader(r, o)
    l.refresh_ahead, l.prefetch_max_concurrent, l.prefetch_max_queue = r:share(), r:skewed(20), r:skewed(20) - 1
  end,
  jit = function(r, o)
    local l = loader(r, o)
    -- script_cpu ends no loop of machine code, as docs/security.md says, and trouble.lua has some
    if l.script and l.script ~= "trouble.lua" then l.jit = true end
  end,
  write = function(r, o) loader(r, o).write = r:pick { "through", "invalidate", "none" } end,
  pool = function(r, o) postgres(r, o).pool = r:skewed(12) end,
  pipeline = function(r, o) postgres(r, o).pipeline = r:skewed(100) end,
  group = function(r, o) postgres(r, o).group = r:skewed(50) end,
  prepared = function(r, o) postgres(r, o).prepared = false end,
  statements = function(r, o) postgres(r, o).statements = r:skewed(10) end,
  ages = function(r, o)
    local b = postgres(r, o)
    b.connection_age, b.statement_age = r:pick { "1ms", "300ms", "5s" }, r:pick { "100ms", "1s" }
  end,
  max_result = function(r, o) postgres(r, o).max_result = r:pick { "1kb", "10kb", "200kb" } end,
  capacity = function(r, o)
    local b = postgres(r, o)
    b.max_loads, b.min_loads, b.max_queue = 40, r:skewed(20), r:skewed(30)
  end,
  feed = function(r, o)
    local b = o.backends[r:pick { "shop", "wild" }]
    b.feed = r:pick { false, "elsewhere", "changes" } or nil
    if not b.feed then b.feed_heartbeat, b.feed_grace = nil, nil end
  end,
  sqlite = function(r, o) o.backends.main.pool, o.backends.main.statements = r:skewed(6), r:skewed(6) end,
  primary = function(_, o) o.backends.replica.primary = nil end,
  fewer_loaders = function(r, o) table.remove(o.loaders, r:int(#o.loaders)) end,
  other_pattern = function(r, o)
    local l = loader(r, o)
    -- of a row that is the value itself nobody could tell then whose it is
    if l.script then l.pattern = l.pattern:gsub("{id:int}", "1{id:int}") end
  end,
  order = function(r, o)
    local at = r:int(#o.loaders)
    table.insert(o.loaders, table.remove(o.loaders, at))
  end,
  script = function(r, o)
    local name = r:pick { "row.lua", "row_sqlite.lua", "trouble.lua", "junk.lua" }
    o.scripts[name] = o.scripts[name] .. ("-- %d\n"):format(r:int(1000000))
  end,
  slow_script = function(_, o) o.scripts["junk.lua"] = "for _ = 1, 1e6 do end\n" .. o.scripts["junk.lua"] end,
  script_memory = function(r, o) o.options.script_memory = r:pick { "4mb", "8mb", "64mb" } end,
  script_cpu = function(r, o) o.options.script_cpu = r:pick { "20ms", "50ms", "1s" } end,
  script_calls = function(r, o) o.options.script_calls = r:skewed(100) end,
  errors = function(_, o) o.options.errors = "full" end,
  log_level = function(r, o) o.options.log_level = r:pick { "debug", "error" } end,
  max_parked = function(r, o)
    o.options.max_parked = r:skewed(100)
    o.options.max_batch = r:int(o.options.max_parked)
  end,
  max_subscriptions = function(r, o) o.options.max_subscriptions = r:skewed(20) - 1 end,
  max_value = function(r, o) o.options.max_value = r:pick { "100", "10kb" } end,
  max_key = function(r, o) o.options.max_key = r:pick { 5, 8, 200 } end,
  floor_ttl = function(r, o) o.options.floor_ttl = r:pick { "2s", "1min" } end,
  auth_queue = function(r, o) o.options.max_auth_queue, o.options.auth_cache = r:skewed(20), r:pick { "0s", "1s" } end,
  certificate = function(_, o) o.tls.certificate, o.tls.key = "other.pem", "other.key" end,
  tls_version = function(_, o) o.tls.min_version = "1.3" end,
  handshakes = function(r, o) o.tls.max_handshakes, o.tls.handshake_timeout = r:int(4), "1s" end,
  -- harsh ones; what is watched is taken over at some time of its own
  watch = function(_, o) o.options.watch = true return "harsh" end,
  max_connections = function(r, o) o.options.max_connections = r:int(20) return "harsh" end,
  max_output = function(_, o) o.options.max_output, o.options.max_value = "128kb", "32kb" return "harsh" end,
  client_memory = function(_, o)
    o.options.client_memory, o.options.max_frame = "1mb", "128kb"
    o.options.max_output, o.options.max_value = "256kb", "64kb"
    return "harsh"
  end,
  output_timeout = function(_, o) o.options.output_timeout = "1s" return "harsh" end,
  idle_timeout = function(_, o) o.options.idle_timeout = "1s" return "harsh" end,
  frame_rate = function(_, o) o.options.frame_rate, o.options.frame_grace = "1mb", "100ms" return "harsh" end,
  max_frame = function(_, o) o.options.max_frame, o.options.max_value = "64kb", "32kb" return "harsh" end,
  auth_timeout = function(_, o) o.options.auth_timeout, o.options.max_auth_failures = "1s", 1 return "harsh" end,
  users_fewer = function(r, o) table.remove(o.options.users, any_user(r, o)) return "harsh" end,
  users_rights = function(r, o) o.options.users[any_user(r, o)].rights = { "read" } return "harsh" end,
  users_keys = function(r, o) o.options.users[any_user(r, o)].keys = { "row:{id:int}", "j:*" } return "harsh" end,
}

local names = {}
for name in pairs(changes) do names[#names + 1] = name end
table.sort(names)

--- A configuration that is right, with some changes.
---@return support.ServerOptions
---@return string what
---@return boolean harsh
function M.good(r, plain)
  local o, list, harsh = copy(plain), {}, false
  for i = 1, r:int(4) do
    list[i] = r:pick(names)
    harsh = changes[list[i]](r, o) == "harsh" or harsh
  end
  return o, table.concat(list, ", "), harsh
end

-- What the options become for a restart beside that: what a reload cannot change.
function M.restarted(r, o)
  o.options.io_threads, o.options.loader_threads = r:int(3), r:int(3)
  o.options.shards = r:pick { 1, 2, 4, 8 }
  o.options.floors, o.options.tag_slots, o.options.max_globs = r:skewed(2000), 2 ^ r:int(10), r:skewed(64)
  o.options.max_notices, o.options.failed_keys = r:skewed(3000), r:skewed(200)
end

local broken = {
  { "an unknown option", function(o) o.options.memroy = "4mb" end },
  { "a value that is none", function(o) o.options.memory = "much" end },
  { "an option that needs a restart", function(o) o.options.max_globs = 1 + (o.options.max_globs or 64) % 100 end },
  { "a script that is not there", function(o) o.loaders[1].script, o.loaders[1].sql = "nowhere.lua", nil end },
  { "a backend that is not there", function(o) o.loaders[2].backend = "nowhere" end },
  { "two equal patterns", function(o) o.loaders[#o.loaders + 1] = o.loaders[1] end },
  { "a pattern that is none", function(o) o.loaders[1].pattern = "row:{id:int}{n:int}" end },
  { "a certificate that is not there", function(o) o.tls.certificate = "nowhere.pem" end },
  { "a key of another certificate", function(o) o.tls.key = "other.key" end },
  { "a script with a syntax error", function(o) o.scripts["row.lua"] = "return {" end },
  { "a script that fails", function(o) o.scripts["junk.lua"] = "error 'no'" end },
  { "a script that does not end", function(o) o.scripts["junk.lua"] = "while true do end" end },
  { "a script that fills the memory", function(o)
    o.scripts["junk.lua"] = "local t = {} while true do t[#t + 1] = {} end"
  end },
  { "a script without load", function(o) o.scripts["junk.lua"] = "return {}" end },
  { "sql that is none of ours", function(o) o.loaders[3].sql = "SELECT 1; SELECT 2 WHERE $nothing" end },
}

--- A configuration that is wrong.
function M.broken(r, plain)
  local o, which = copy(plain), r:pick(broken)
  which[2](o)
  return o, which[1]
end

--- A text that is no configuration at all.
function M.noise(r)
  return r:pick { "", "}", r:bytes(300), "listen = ", "@include \"rtcache.conf\"\n", "memory = 4" }
end

return M
