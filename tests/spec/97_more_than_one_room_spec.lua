-- What the server makes room for in steps, with more than the first step holds.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local wait = require "spec.support.wait"

describe("more than the first room holds", function()
  it("is watched: each of many files of passwords", function()
    local COUNT = 150 -- names are watched; the first room is for 64
    local users, given = {}, {}
    local hash = "$argon2id$v=19$m=8192,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" .. ("A"):rep(43)
    for i = 1, COUNT do
      local path = "secrets/" .. i
      users[i] = { name = "user" .. i, password_file = path, rights = { "read" } }
      given[path] = hash .. "\n"
    end
    users[COUNT + 1] = { name = "root", unix_user = "root", rights = { "admin" } }
    local server = Server.start { options = { watch = true, users = users }, files = given }
    for _, i in ipairs { 1, 64, 65, 128, COUNT } do
      local before = #server:log()
      files.replace(server.folder .. "/secrets/" .. i, "no hash\n")
      wait.until_true("the reload is refused for " .. i, function()
        return server:log():sub(before + 1):find("reload.refused", 1, true)
      end)
      files.replace(server.folder .. "/secrets/" .. i, (given["secrets/" .. i]:gsub("AA", "BB")))
      wait.until_true("the reload is done after " .. i, function()
        return server:log():sub(before + 1):find("reload.done", 1, true)
      end)
    end
    server:stop()
  end)

  it("is loaded by one query for each room: the keys of a large batch", function()
    local COUNT = 700 -- a query takes 256 keys
    local server, source = Source.postgres {
      -- One thread and one batch: what an I/O thread sends in slices waits for the rest.
      options = { defaults = { batch_max = 1000, batch_window = "300ms" }, loader_threads = 1 },
      loaders = {
        { pattern = "plain:*", sql = "SELECT id, name FROM items WHERE id = $1" },
        { pattern = "versioned:*", sql = "SELECT id, name, version FROM items WHERE id = $1", version = "version" },
        { pattern = "wide:*", sql = "SELECT " .. (function()
          local columns = {}
          for i = 1, 40 do columns[i] = "id AS c" .. i end
          return table.concat(columns, ", ")
        end)() .. " FROM items WHERE id = $1" },
      },
    }
    source.db:exec [[
      CREATE TABLE items (id bigint PRIMARY KEY, name text, version bigint);
      INSERT INTO items SELECT n, repeat('x', n % 300), n + 7 FROM generate_series(1, 700) n WHERE n % 10 <> 0;
    ]]
    local cache = server:connect()
    -- The backend's queries so far; the loader's thread counts on its own time.
    local function queries(runs)
      local stats
      wait.until_true("the numbers of so many runs", function()
        stats = expect.value(cache:stats())
        local main = stats.backends.main
        return stats.scripts.runs == runs and main.in_flight + main.queued == 0
      end)
      return stats.backends.main.queries
    end
    local before = 0
    for run, prefix in ipairs { "plain:", "versioned:", "wide:" } do
      local keys = {}
      for i = 1, COUNT do keys[i] = prefix .. i end
      for i, item in ipairs(expect.value(cache:get_many(keys))) do
        assert.is_nil(item.error)
        if i % 10 == 0 then
          assert.is_nil(item.value, keys[i])
        elseif prefix == "wide:" then
          for c = 1, 40 do assert.equal(i, item.value["c" .. c]) end
        else
          assert.equal(i, item.value.id)
          assert.equal(("x"):rep(i % 300), item.value.name)
        end
      end
      local so_far = queries(run)
      assert.equal(3 + 3, so_far - before, prefix) -- the types, and what makes the query; the rows of each room
      before = so_far
      if prefix == "versioned:" then
        for _, i in ipairs { 1, 256, 257, 512, 513, 699 } do
          assert.equal(i + 7, expect.value(cache:get_entry(keys[i])).version)
        end
      end
    end
    source:close()
    server:stop()
  end)
end)
