--- A server that is told to end ends well, whatever is under way: it drains, or with a second signal
--- it does not, and either way its exit code is 0 and nothing is touched that has gone.

local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local socket = require "socket"
local wait = require "spec.support.wait"

local SCRIPT = [[
return {
  load = function(key, ctx)
    if key:match "sleep" then rtcache.sleep(60) end
    return key, { tags = { "t" } }
  end,
  save = function(_, value) rtcache.sleep(60) return value end,
}
]]
local QUERY = [[
return {
  load = function(_, ctx) return ctx.db:value "SELECT 1 AS one" end,
  save = function(_, _, ctx) ctx.db:exec "SELECT 1" end,
}
]]
local SLOW = SCRIPT .. "-- %d\n" -- and what comes in front of it takes a while
local DEAR = "$argon2id$v=19$m=65536,t=4,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

-- A database that takes connections and never says a word.
local function mute_database()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  return listener, ("host=127.0.0.1 port=%d dbname=x user=x sslmode=disable"):format(port)
end

-- What is under way, by name: a function that brings it about.
local STEPS = {
  ["nothing"] = function() end,
  ["a reload that compiles scripts"] = function(server)
    server:write_script("main.lua", "for _ = 1, 3e7 do end\n" .. SLOW:format(1))
    server:signal "HUP"
    server:wait_log "reload.begin"
  end,
  ["a reload that is refused, another behind it, and clients who asked for them"] = function(server)
    server:write_script("main.lua", "for _ = 1, 3e7 do end error 'no'\n")
    local a, b = server:connect(), server:connect()
    a:send "reload"
    server:wait_log "reload.begin"
    b:send "reload"
    server:signal "HUP"
  end,
  ["reloads one after the other"] = function(server)
    for i = 1, 20 do
      server:write_script("main.lua", SLOW:format(i))
      server:signal "HUP"
    end
    server:wait_log "reload.done"
  end,
  ["loads, with and without somebody who waits"] = function(server)
    for i = 1, 20 do
      local c = server:connect()
      c:send("get", "k:sleep" .. i)
      c:send("get_many", { "k:sleep1", "k:sleepy" .. i, "k:" .. i })
      c:send("refresh", "k:sleep" .. i, { background = true })
      if i % 3 == 0 then c:close() end
    end
    wait.until_true("they are begun, and some wait for their turn", function()
      local l = server:loader "k:*"
      return l.in_flight > 0 and l.in_flight + l.queued >= 20
    end)
  end,
  ["writes, queued and begun"] = function(server)
    local c = server:connect()
    for i = 1, 40 do c:send("put", "k:" .. i % 7, i) end
    wait.until_true("one is begun", function() return assert(c:stats()).counters.writes > 0 end)
  end,
  ["connecting to a database, for loads, writes and a feed"] = function(server)
    local c = server:connect()
    for i = 1, 20 do
      c:send("get", "q:" .. i)
      c:send("put", "q:" .. i, i)
    end
    server.mute:settimeout(wait.PATIENCE)
    assert(server.mute:accept())
  end,
  ["subscriptions, and news on their way to them"] = function(server)
    for _ = 1, 10 do
      local c = server:connect()
      assert(c:subscribe { patterns = "k:*", keys = "k:1", tags = "t" })
    end
    local c = server:connect()
    for i = 1, 2000 do c:send("invalidate", "k:" .. i % 3) end
    for _ = 1, 50 do c:send("invalidate_match", "k:*") end
    c:send "ping"
  end,
  ["handshakes of TLS, begun and half done"] = function(server)
    server.open = {}
    for i = 1, 10 do
      local s = assert(socket.connect("127.0.0.1", server.tls_port))
      if i % 2 == 0 then assert(s:send "\22\3\1\2\0\1\0\1\252\3\3") end
      server.open[i] = s
    end
    server:connect():ping()
  end,
  ["authentication, verified and waiting"] = function(server)
    for i = 1, 10 do server:connect({ tcp = true }):send("auth", "app", "guess " .. i) end
    server:connect():ping()
  end,
  ["half of a request, and answers that nobody reads"] = function(server)
    local big = server:connect()
    assert(big:set("k:big", ("x"):rep(500000)))
    for _ = 1, 20 do big:send("get", "k:big") end
    assert(server:connect():write "\148\0\1\163ge")
    server:connect():ping()
  end,
}

local ENDS = {
  ["SIGTERM"] = { "TERM" },
  ["two signals"] = { "TERM", "TERM" },
  ["many signals, reloads among them"] = { "HUP", "INT", "HUP", "TERM", "HUP", "TERM", "INT" },
}

describe("a server ends well", function()
  local certificates
  setup(function()
    certificates = Certificates.make()
    certificates:issue("server", "DNS:localhost,IP:127.0.0.1")
  end)
  teardown(function() certificates:remove() end)

  local function start()
    local listener, url = mute_database()
    local server = Server.start {
      tls = { certificate = certificates:path "server.pem", key = certificates:path "server.key" },
      options = {
        drain_timeout = "100ms", script_cpu = "30s", loader_threads = 2, io_threads = 2, auth_delay = "0s",
        users = {
          { name = "app", password_hash = DEAR, rights = { "read" } },
          { name = "ops", unix_user = "root", rights = { "read", "write", "invalidate", "admin" } },
        },
      },
      backends = { mute = { driver = "postgres", url = url, feed = "changes" } },
      scripts = { ["main.lua"] = SCRIPT, ["query.lua"] = QUERY },
      loaders = {
        { pattern = "k:*", script = "main.lua", wait_timeout = "60s", load_timeout = "60s", write_timeout = "60s" },
        { pattern = "q:*", script = "query.lua", backend = "mute", wait_timeout = "60s", write_timeout = "60s" },
      },
    }
    server.mute = listener
    return server
  end

  for what, bring in pairs(STEPS) do
    for how, signals in pairs(ENDS) do
      it(("on %s during: %s"):format(how, what), function()
        local server = start()
        bring(server)
        for _, name in ipairs(signals) do
          if server.process:wait(0) then break end
          server:signal(name)
        end
        assert.equal(0, server.process:wait(wait.PATIENCE), server:log())
        server:stop()
        server.mute:close()
        for _, s in ipairs(server.open or {}) do s:close() end
      end)
    end
  end
end)
