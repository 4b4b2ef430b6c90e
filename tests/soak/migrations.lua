-- Changes of a schema back and forth under readers, and what each reader may be told meanwhile.
--
-- A probe is a key, and what is right under it in each of the states that its table, view or function can be
-- in. (A number past its column's type is an error, or an absence where the type was wider until now.) A change
-- from one state to the next has happened at some moment between being sent to the database and being answered.
-- An answer is right where it is that of a state that may have held at some moment between the request and the
-- answer, or, where the change is one that raises no error, up to `age` seconds before.

local client = require "rtcache.client"
local msgpack = require "rtcache.msgpack"
local wait = require "spec.support.wait"

local M = {}

-- Nothing is kept for longer than a millisecond.
local SLACK = 0.05

M.SCHEMA = [[
  CREATE EXTENSION IF NOT EXISTS citext;
  CREATE TABLE num (id int PRIMARY KEY, name text);
  INSERT INTO num VALUES (5, 'five');
  CREATE TABLE ev (at date PRIMARY KEY, name text);
  INSERT INTO ev VALUES ('2024-01-02', 'day');
  CREATE TABLE mail (email text PRIMARY KEY, id int);
  INSERT INTO mail VALUES ('bob', 1);
  CREATE TABLE sw (id int, a int);
  INSERT INTO sw VALUES (1, 2);
  CREATE TABLE sw_other (b text, z bool, id int);
  INSERT INTO sw_other VALUES ('x', true, 1);
  CREATE TABLE base (id int, n int);
  INSERT INTO base VALUES (1, 10);
  CREATE VIEW v AS SELECT id, n FROM base;
  CREATE FUNCTION told(k int) RETURNS TABLE (x int) LANGUAGE sql AS 'SELECT k';
  CREATE FUNCTION price(k numeric) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE TABLE cols (id int PRIMARY KEY, x int);
  INSERT INTO cols VALUES (1, 7);
  CREATE TABLE noted (id int PRIMARY KEY, n int);
  INSERT INTO noted VALUES (1, 0);
]]

M.SCRIPTS = {
  ["num.lua"] = [[return { load = function(_, ctx)
    return ctx.db:row("SELECT name FROM num WHERE id = $1", ctx.match[1]) end }]],
  ["nums.lua"] = [[return { load_many = function(_, ctx)
    return ctx:answer(ctx.db:packed_rows("SELECT id::text AS id, name FROM num WHERE id = ANY($1)", ctx.ids), "id")
    end }]],
  ["noted.lua"] = [[return {
    load = function(_, ctx) return ctx.db:row("SELECT n FROM noted WHERE id = $1", ctx.match[1]) end,
    save = function(_, value, ctx)
      return ctx.db:row("UPDATE noted SET n = $2 WHERE id = $1 RETURNING n", ctx.match[1], value)
    end }]],
}

M.LOADERS = {
  { pattern = "num:*", script = "num.lua", backend = "main" },
  { pattern = "nums:*", script = "nums.lua", backend = "main" },
  { pattern = "noted:*", script = "noted.lua", backend = "main", write = "invalidate" },
  { pattern = "snum:*", backend = "main", sql = "SELECT name FROM num WHERE id = $1" },
  { pattern = "ev:*", backend = "main", sql = "SELECT name FROM ev WHERE at = $1" },
  { pattern = "mail:*", backend = "main", sql = "SELECT id FROM mail WHERE email = $1" },
  { pattern = "sw:*", backend = "main", sql = "SELECT * FROM sw WHERE id = $1" },
  { pattern = "v:*", backend = "main", sql = "SELECT * FROM v WHERE id = $1" },
  { pattern = "told:*", backend = "main", sql = "SELECT * FROM told($1)" },
  { pattern = "price:*", backend = "main", sql = "SELECT price(7) AS price, $1 AS k" },
  { pattern = "cols:*", backend = "main", sql = "SELECT * FROM cols WHERE id = $1" },
}

-- From state i to the next; after the last comes the first.
local BIG = "99999999999"
M.CHANGES = {
  {
    "ALTER TABLE num ALTER id TYPE bigint; INSERT INTO num VALUES (" .. BIG .. ", 'big')",
    "ALTER TABLE num ALTER id TYPE text",
    "ALTER TABLE num ALTER id TYPE numeric USING id::numeric",
    "DELETE FROM num WHERE id > 5; ALTER TABLE num ALTER id TYPE int",
    probes = {
      { "num:5", "{name=five}", "{name=five}", "{name=five}", "{name=five}" },
      { "snum:5", "{name=five}", "{name=five}", "{name=five}", "{name=five}" },
      { "nums:5", "{id=5,name=five}", "{id=5,name=five}", "{id=5,name=five}", "{id=5,name=five}" },
      { "num:" .. BIG, "22003|nil", "{name=big}", "{name=big}", "{name=big}" },
      { "snum:" .. BIG, "22003|nil", "{name=big}", "{name=big}", "{name=big}" },
    },
  },
  {
    "ALTER TABLE ev ALTER at TYPE timestamp", "ALTER TABLE ev ALTER at TYPE date",
    probes = {
      { "ev:2024-01-02 17:30", "{name=day}", "nil" },
      { "ev:2024-01-02 00:00", "{name=day}", "{name=day}" },
    },
  },
  {
    "ALTER TABLE mail ALTER email TYPE citext", "ALTER TABLE mail ALTER email TYPE text",
    silent = true, probes = { { "mail:Bob", "nil", "{id=1}" }, { "mail:bob", "{id=1}", "{id=1}" } },
  },
  {
    "ALTER TABLE sw RENAME TO sw_was; ALTER TABLE sw_other RENAME TO sw; ALTER TABLE sw_was RENAME TO sw_other",
    "ALTER TABLE sw RENAME TO sw_was; ALTER TABLE sw_other RENAME TO sw; ALTER TABLE sw_was RENAME TO sw_other",
    probes = { { "sw:1", "{a=2,id=1}", "{b=x,id=1,z=true}" } },
  },
  {
    "CREATE OR REPLACE VIEW v AS SELECT id, n + 1 AS n, 'more' AS more FROM base",
    "DROP VIEW v; CREATE VIEW v AS SELECT n || '!' AS n, id FROM base",
    "DROP VIEW v; CREATE VIEW v AS SELECT id, n FROM base",
    probes = { { "v:1", "{id=1,n=10}", "{id=1,more=more,n=11}", "{id=1,n=10!}" } },
  },
  {
    "CREATE OR REPLACE FUNCTION told(k int) RETURNS TABLE (x int) LANGUAGE sql AS 'SELECT k + 1'",
    "DROP FUNCTION told; CREATE FUNCTION told(k text) RETURNS TABLE (y text, z int) LANGUAGE sql AS 'SELECT k, 3'",
    "DROP FUNCTION told; CREATE FUNCTION told(k int) RETURNS TABLE (x int) LANGUAGE sql AS 'SELECT k'",
    probes = { { "told:4", "{x=4}", "{x=5}", "{y=4,z=3}" } },
  },
  {
    "CREATE FUNCTION price(k int) RETURNS int LANGUAGE sql AS 'SELECT 2'", "DROP FUNCTION price(int)",
    silent = true, probes = { { "price:a", "{k=a,price=1}", "{k=a,price=2}" } },
  },
  {
    "ALTER TABLE cols DROP x", "ALTER TABLE cols ADD x text DEFAULT 'seven'",
    "ALTER TABLE cols DROP x; ALTER TABLE cols ADD x int DEFAULT 7",
    probes = { { "cols:1", "{id=1,x=7}", "{id=1}", "{id=1,x=seven}" } },
  },
  {
    "ALTER TABLE noted ALTER n TYPE text", "UPDATE noted SET n = 0; ALTER TABLE noted ALTER n TYPE int USING n::int",
    writes = { "noted:1", "007", "{n=7}", "{n=007}" }, probes = {},
  },
}

local function show(v)
  if type(v) ~= "table" then return tostring(v) end
  local parts = {}
  for name, item in pairs(v) do parts[#parts + 1] = name .. "=" .. tostring(item) end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

-- What a client was told, in the words of the probes.
local function told(value, err)
  if value == client.null then value = nil end
  if err == nil or err == client.null then return show(value) end
  local message = type(err) == "table" and (err.message or tostring(err)) or tostring(err)
  return message:match "%f[%w](22003)%f[%W]" or "error " .. message
end

---@class soak.Migrations
local Migrations = {}
Migrations.__index = Migrations

--- caches: clients by the name of their server. age: of the servers' statements, in seconds.
function M.new(db, caches, age)
  local self = setmetatable({ db = db, caches = caches, age = age, made = 0, checked = 0, wrong = {} }, Migrations)
  self.history = {}
  for i in ipairs(M.CHANGES) do self.history[i] = { { state = 1, from = -math.huge } } end
  return self
end

function Migrations:begin(i)
  local change, history = M.CHANGES[i], self.history[i]
  local last = history[#history]
  self.made = self.made + 1
  self.change, self.marker = i, "-- made " .. self.made
  history[#history + 1] = { state = last.state % #change + 1, from = wait.now() }
  self.db.psql:write(("BEGIN; %s; COMMIT;\n\\echo '%s'\n"):format(change[last.state], self.marker))
end

-- Whether the change that was begun has been made.
function Migrations:is_over(patience)
  local line = self.db.psql:line(patience)
  if not line then return false end
  if line ~= self.marker then error("a change was refused: " .. line) end
  local history = self.history[self.change]
  history[#history - 1].to = wait.now()
  if #history > 50 then table.remove(history, 1) end
  return true
end

local function check(self, i, right, name, key, answer, from, to)
  local change, seen = M.CHANGES[i], {}
  local since = from - SLACK - (change.silent and self.age or 0)
  self.checked = self.checked + 1
  for _, h in ipairs(self.history[i]) do
    if h.from <= to and (not h.to or h.to >= since) then
      if ("|" .. right[h.state] .. "|"):find("|" .. answer .. "|", 1, true) then return end
      seen[#seen + 1] = right[h.state]
    end
  end
  local last = self.history[i][#self.history[i]].from
  local text = "%s of %s: %s, and not %s (asked %.3f s after the last change began, told %.3f s later)"
  self.wrong[#self.wrong + 1] =
    text:format(key, name, answer, table.concat(seen, " or "), from - last, to - from)
end

local function tail(list, first)
  local rest = {}
  for i = first, #list do rest[#rest + 1] = list[i] end
  return rest
end

local function each_probe(f)
  for i, change in ipairs(M.CHANGES) do
    for _, probe in ipairs(change.probes) do f(i, probe[1], tail(probe, 2)) end
  end
end

-- Every key by itself, from all servers, all at once.
function Migrations:ask_singly()
  local sent = {}
  for name, cache in pairs(self.caches) do
    each_probe(function(i, key, right)
      sent[#sent + 1] = { i = i, key = key, right = right, name = name, from = wait.now(), id = cache:send("get", key) }
    end)
  end
  for _, s in ipairs(sent) do
    local answer = told(self.caches[s.name]:receive(s.id))
    check(self, s.i, s.right, s.name, s.key, answer, s.from, wait.now())
  end
end

-- All keys of a server in one request.
function Migrations:ask_together()
  local keys, probes = msgpack.array {}, {}
  each_probe(function(i, key, right)
    keys[#keys + 1], probes[#probes + 1] = key, { i = i, right = right }
  end)
  local from, ids = wait.now(), {}
  for name, cache in pairs(self.caches) do ids[name] = cache:send("get_many", keys) end
  for name, id in pairs(ids) do
    local list, err = self.caches[name]:receive(id)
    local to = wait.now()
    for n, key in ipairs(keys) do
      local item = list and list[n] or { error = err }
      check(self, probes[n].i, probes[n].right, name, key, told(item.value, item.error), from, to)
    end
  end
end

function Migrations:write()
  for i, change in ipairs(M.CHANGES) do
    local w = change.writes
    for name, cache in pairs(w and self.caches or {}) do
      local from = wait.now()
      local _, err = cache:put(w[1], w[2])
      local value = not err and self.db_reader:value("SELECT row_to_json(noted)->>'n' FROM noted")
      local answer = err and told(nil, err) or "{n=" .. tostring(value) .. "}"
      check(self, i, tail(w, 3), name, "put " .. w[1], answer, from, wait.now())
    end
  end
end

--- Changes one thing after the other, in a random order, and asks meanwhile and afterwards, for so long.
function Migrations:run(seconds)
  local ends = wait.now() + seconds
  while wait.now() < ends do
    self:begin(math.random(#M.CHANGES))
    repeat
      self:ask_singly()
      self:ask_together()
    until self:is_over(0)
    self:write()
    self:ask_singly()
  end
end

return M
