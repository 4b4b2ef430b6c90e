-- ./dev bench tier [--rows 100000] [--rounds 5] [--save]: what rows of the tier cost beside rows of the source by their
-- primary key, in PostgreSQL and in SQLite. Entries of a memory that is far too small are asked for again, 64 and 1000
-- in a request: from the source, and from the tier. And how many rows a second are written.

local Server = require "spec.support.server"
local Sqlite = require "spec.support.sqlite"
local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local report = require "report"
local socket = require "socket"
local wait = require "spec.support.wait"

local options = report.options(arg, { rows = 100000, rounds = 5 })

-- Autovacuum keeps the table's statistics, as anywhere.
local SETTINGS = "autovacuum = on\nshared_buffers = 256MB\n"

local SCRIPT = [[
return {
  load_many = function(_, ctx)
    local rows = ctx.db:packed_rows("SELECT id, name, body, version FROM item WHERE id %s", %s)
    return ctx:answer(rows, "id", "version")
  end,
}]]

local WAYS = {
  postgres = SCRIPT:format("= ANY($1)", "ctx.ids"),
  sqlite = SCRIPT:format("IN (SELECT value FROM json_each($1))", "ctx.ids"),
}

local function sql_of(kind)
  local status, text = process.run { Server.tool, "tier-sql", kind == "sqlite" and "--sqlite" or nil }
  if status ~= 0 then error(text) end
  return text
end

local function open(kind)
  local fill = "INSERT INTO item %s"
  local make = "CREATE TABLE item (id bigint PRIMARY KEY, name text, body text, version bigint);"
  if kind == "sqlite" then
    local folder = process.temporary_folder()
    local db = Sqlite.open(folder .. "/bench.db", "")
    db:exec(make .. sql_of(kind) .. fill:format(("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
      .. "WHERE i < %d) SELECT i, 'item ' || i, hex(randomblob(40)), 7 FROM n"):format(options.rows)))
    return db, { driver = "sqlite", path = folder .. "/bench.db", pool = 2 }, function()
      db:close()
      files.remove(folder)
    end
  end
  local cluster = postgres.start(SETTINGS)
  local db = cluster:database()
  db:exec(make .. sql_of(kind) .. fill:format(("SELECT i, 'item ' || i, md5(i::text) || md5((i + 1)::text) || "
    .. "md5((i + 2)::text), 7 FROM generate_series(1, %d) AS i"):format(options.rows)))
  db:exec "ANALYZE item"
  return db, { driver = "postgres", url = db.url, pool = 4 }, function()
    db:close()
    cluster:stop()
  end
end

local function keys_from(prefix, from, count)
  local keys = {}
  for i = 1, count do keys[i] = prefix .. (from + i - 2) % options.rows + 1 end
  return keys
end

-- All rows once, `each` in a request; keys a second.
local function read(cache, prefix, each)
  local from = socket.gettime()
  for at = 1, options.rows, each do assert(cache:get_many(keys_from(prefix, at, each))) end
  return options.rows / (socket.gettime() - from)
end

local function tier_of(cache) return assert(cache:stats()).tier end

-- What the loads of all rows leave to be written, from the first request to the last row.
local function write(cache)
  local before, from = tier_of(cache).writes, socket.gettime()
  for at = 1, options.rows, 1000 do assert(cache:get_many(keys_from("dear:", at, 1000))) end
  wait.until_true("all is written", function() return tier_of(cache).writes - before >= options.rows end)
  return options.rows / (socket.gettime() - from)
end

local function measure(kind)
  local db, backend, close = open(kind)
  local function loader(pattern, tier)
    return { pattern = pattern, script = "item.lua", backend = "main", ttl = "1h", batch_max = 1000, tier = tier,
             tier_min_load = "0ms" }
  end
  local server = Server.start {
    options = { memory = "1mb", shards = 1, tier = { backend = "tier", timeout = "10s", queue = "256mb" } },
    backends = { main = backend, tier = backend },
    scripts = { ["item.lua"] = WAYS[kind] },
    loaders = { loader("plain:*", false), loader("dear:*", true) },
  }
  local cache = server:connect()
  local seen = { write = {} }
  seen.write[1] = write(cache)
  if kind == "postgres" then db:exec "ANALYZE cache_entry" end
  local hits = tier_of(cache).hits
  for _, each in ipairs { 64, 1000 } do
    seen["plain" .. each], seen["dear" .. each] = {}, {}
    for round = 1, options.rounds do
      seen["plain" .. each][round] = read(cache, "plain:", each)
      seen["dear" .. each][round] = read(cache, "dear:", each)
    end
  end
  local share = (tier_of(cache).hits - hits) / (2 * options.rounds * options.rows)
  if share < 0.8 then error(("only %.2f of the reads came from the tier"):format(share)) end
  for _ = 2, options.rounds do
    assert(cache:invalidate_match "*") -- so that all is loaded again
    seen.write[#seen.write + 1] = write(cache)
  end
  server:stop()
  close()
  return seen
end

local rows = {}
for _, kind in ipairs { "postgres", "sqlite" } do
  local seen = measure(kind)
  local function rate(name) return report.whole(report.median(seen[name])) end
  rows[#rows + 1] = { kind, rate "plain64", rate "dear64", rate "plain1000", rate "dear1000", rate "write" }
end
local text = "## Rows of the tier\n\n"
  .. ("%s rows of about 100 bytes, in a memory that holds a twentieth of them, by `get_many` on one connection; a\n"
    .. "second, medians of %d rounds. Beside them the loads of the same rows by their primary key. %s.\n\n"):format(
    report.whole(options.rows), options.rounds, report.machine())
  .. report.table({ "database", "source, 64 in a request", "tier, 64", "source, 1000", "tier, 1000", "rows written" },
    rows)
io.write(text)
if options.save then report.save("tier", text) end
