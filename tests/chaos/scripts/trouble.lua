-- What scripts do wrong, and what is hard to bear: `t:WHAT:N`.
local kept = {}
local kinds = {}

function kinds.sleep(_, _, n) rtcache.sleep(n / 2000) return n end
function kinds.late() rtcache.sleep(3) return 1 end
function kinds.fail() return nil, "it failed" end
function kinds.throw() error { code = "LOAD_FAILED", message = "thrown", retryable = true } end
function kinds.word() return nil, { code = "NO_CREDIT", message = "a word of its own" } end
function kinds.down() return nil, { code = "BACKEND_DOWN", message = "away" } end
function kinds.spin(_, _, n) if n % 4 == 0 then while true do end end return n end
function kinds.bomb(_, _, n)
  local t = {}
  if n % 4 == 0 then while true do t[#t + 1] = { n, t } end end
  return n
end
function kinds.rep(_, _, n) return #("x"):rep(1e8 + n) end
function kinds.deep(_, _, n)
  local t = {}
  for _ = 1, n do t = { t } end
  return t
end
function kinds.huge(_, _, n) return ("h"):rep(8000 * n) end
function kinds.absent() return rtcache.absent, { ttl = "100ms", tags = { "t1" } } end
function kinds.nocache(key) return key, { cache = false } end
function kinds.unchanged(_, ctx) if ctx.value ~= nil then return rtcache.unchanged end return 1 end
function kinds.all(_, ctx, n)
  return rtcache.all {
    function() rtcache.sleep(0.01) return 1 end,
    function() return ctx.db:value("SELECT pg_sleep($1::float8)", n / 10000) end,
    function() return rtcache.backend("wild"):value("SELECT count(*) FROM people") end,
    function() if n % 5 == 0 then error "one of them" end return 2 end,
  }
end
function kinds.both(_, _, n)
  local ok, row = pcall(function() return rtcache.backend("wild"):row("SELECT * FROM people WHERE id = $1", n) end)
  local other = rtcache.backend("main"):rows("SELECT * FROM people WHERE id < $1", n)
  return { ok, ok and row or tostring(row), #other }
end
function kinds.log(key, _, n) for _ = 1, n do rtcache.log("warn", "%s %d", key, n) end return n end
function kinds.json(_, _, n) return rtcache.json.decode(rtcache.json.encode { n, { a = "b" }, rtcache.null }) end
function kinds.bad() return function() end end
function kinds.options(_, _, n) return n, { ttl = "never", tags = n, version = {} } end
function kinds.hoard(_, _, n)
  kept[#kept + 1] = ("k"):rep(20000) .. n
  return #kept
end
function kinds.tags(key, _, n)
  local tags = {}
  for i = 1, n % 64 do tags[i] = "t" .. i end
  return key, { tags = tags, version = n, ttl = "300ms", stale_ttl = "1s" }
end
function kinds.queries(_, ctx, n)
  for i = 1, n do ctx.db:value("SELECT $1::int + 1", i) end
  return n
end
function kinds.wrong(_, ctx, n)
  if n % 3 == 0 then return ctx.db:rows "SELECT * FROM nowhere" end
  if n % 3 == 1 then return ctx.db:value("SELECT 1 / ($1::int - $1::int)", n) end
  return ctx.db:rows("SELECT repeat('r', 100000) FROM generate_series(1, $1::int)", n * 10)
end
function kinds.transaction(_, ctx, n)
  local moment = ctx.db:value "SELECT now()::text"
  ctx.db:value("SELECT pg_sleep($1::float8)", (n % 3) / 100)
  return moment
end

return {
  load = function(key, ctx)
    local run = kinds[ctx.match[1]]
    if not run then return nil end
    return run(key, ctx, tonumber(ctx.match[2]) or 0)
  end,
  save = function(key, value, ctx)
    local n = tonumber(ctx.match[2]) or 0
    if n % 3 == 0 then rtcache.sleep(n / 1000) end
    if n % 5 == 0 then return nil, { code = "VERSION_CONFLICT", message = "somebody else" } end
    ctx.db:value("SELECT pg_sleep($1::float8)", n / 20000)
    return { key = key, value = value }, { version = n, tags = { "t1" } }
  end,
  remove = function(_, ctx) ctx.db:value "SELECT 1" end,
}
