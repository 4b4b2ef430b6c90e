-- Tables tested whole: each method by each right, with keys of one's own and of others, and what
-- subscribers hear of each method. Both are written by hand here: docs/protocol.md and the server are
-- two others that have to say the same.

local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local RIGHTS = { "read", "write", "invalidate", "admin" }

-- The pattern of the one key "x*"; as a pattern, that text is more than it.
local STAR = "x\\*"

-- Of each method: its right, arguments that whoever has keys = ["own:*", STAR] may give, and others.
local METHODS = {
  ping = { "none", { {} } },
  hello = { "none", { {} } },
  get = { "read", { { "own:1" }, { "x*" } }, { { "other:1" }, { "own" } } },
  get_entry = { "read", { { "own:1" } }, { { "other:1" } } },
  get_many = { "read", { { { "own:1", "own:2" } } }, { { { "own:1", "other:1" } }, { { "other:1", "own:1" } } } },
  peek = { "read", { { "own:1" } }, { { "other:1" } } },
  subscribe = { "read", { { { keys = { "own:1" }, patterns = "own:1*" } } },
    { { { keys = { "own:1", "other:1" } } }, { { patterns = { "own:*", "o*" } } }, { { patterns = "x*" } },
    { { tags = "t" } }, { { tags = "own:t" } } } },
  unsubscribe = { "read", { {}, { { keys = "other:1" } } } },
  set = { "write", { { "own:1", 1 } }, { { "other:1", 1 } } },
  put = { "write", { { "own:1", 1 } }, { { "other:1", 1 } } },
  delete = { "write", { { "own:1" } }, { { "other:1" } } },
  touch = { "write", { { "own:1", { ttl_ms = 1000 } } }, { { "other:1", { ttl_ms = 1000 } } } },
  invalidate = { "invalidate", { { "own:1" } }, { { "other:1" } } },
  invalidate_many = { "invalidate", { { { "own:1", "own:2" } } }, { { { "own:1", "other:1" } }, { { "other:1" } } } },
  invalidate_tag = { "invalidate", {}, { { "t" }, { "own:t" }, { { "own:t" } } } },
  invalidate_match = { "invalidate", { { "own:*" }, { "own:1*" }, { STAR } }, { { "*" }, { "other:*" }, { "o*" },
    { "x*" } } },
  expire = { "invalidate", { { "own:1" } }, { { "other:1" } } },
  expire_many = { "invalidate", { { { "own:1", "own:2" } } }, { { { "own:1", "other:1" } }, { { "other:1" } } } },
  expire_tag = { "invalidate", {}, { { "t" }, { "own:t" }, { { "own:t" } } } },
  expire_match = { "invalidate", { { "own:*" }, { "own:1*" }, { STAR } }, { { "*" }, { "other:*" }, { "o*" },
    { "x*" } } },
  refresh = { "invalidate", { { "own:1" } }, { { "other:1" }, { "other:1", { background = true } } } },
  stats = { "admin", { {} } },
  loaders = { "admin", { {} } },
  reload = { "admin", { {} } },
  snapshot = { "admin", { {} } },
  lift_floors = { "admin", { { { key = "own:1" } }, { { match = "own:*" } } },
    { { { key = "other:1" } }, { { match = "o*" } }, { { match = "x*" } }, { { all = true } } } },
}

-- What must not move by what is denied.
local MOVES = { "sets", "writes", "invalidations", "tag_invalidations", "glob_invalidations", "loads", "reloads",
  "subscribed", "floors_lifted" }

local SCRIPT = [[
local function find(key, ctx)
  ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
  return ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
end
return {
  load = function(key, ctx)
    local row = find(key, ctx)
    if row then return row.value, { version = row.version, tags = { "t" } } end
  end,
  save = function(key, value, ctx)
    if value == "fails" then error "it is not taken" end
    ctx.db:exec("INSERT INTO source (key, value, version) VALUES ($1, $2, 1) "
      .. "ON CONFLICT (key) DO UPDATE SET value = $2, version = version + 1", key, value)
    if value == "sent and failed" then error "it was undone" end
    local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
    return row and row.value, { version = row and row.version, tags = { "t" } }
  end,
  remove = function(key, ctx)
    ctx.db:exec("DELETE FROM source WHERE key = $1", key)
    return nil
  end,
}
]]

describe("every method", function()
  local server, source, cache

  local function call(c, method, arguments) return c:receive(c:send(method, unpack(arguments))) end

  setup(function()
    local users = { { name = "ops", unix_user = "root", rights = RIGHTS } }
    local function user(name, rights, keys)
      users[#users + 1] = { name = name, password_hash = OTHER, rights = rights, keys = keys }
    end
    for i, right in ipairs(RIGHTS) do
      local rest = {}
      for j, other in ipairs(RIGHTS) do
        if j ~= i then rest[#rest + 1] = other end
      end
      user("only-" .. right, { right })
      user("but-" .. right, rest)
      user("own-" .. right, { right }, { "own:*", STAR })
    end
    user("all-own", RIGHTS, { "own:*", STAR })
    server, source = Source.sqlite {
      options = { users = users, auth_delay = "0s", auth_timeout = "1h", state = "state" },
      scripts = { ["writer.lua"] = SCRIPT },
      loaders = { { pattern = "*", script = "writer.lua", ttl = "1h", stale_ttl = "1h" } },
    }
    for _, key in ipairs { "own:1", "own:2", "other:1", "k" } do source:put(key, "from the source", { version = 1 }) end
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  local function enter(name)
    local c = server:connect { tcp = true }
    expect.value(c:auth(name, "other"))
    return c
  end

  local function moved()
    local counters, out = expect.value(cache:stats()).counters, {}
    for _, name in ipairs(MOVES) do out[name] = counters[name] end
    return out, counters.denied
  end

  it("is in the table", function()
    local listed, has = { auth = true }, {}
    for name in pairs(METHODS) do listed[name] = true end
    for _, name in ipairs(expect.value(cache:hello()).methods) do has[name] = true end
    assert.same(listed, has)
  end)

  -- Whether each of the arguments is denied, with this in the message, and nothing is done by it.
  local function denied(c, method, forms, says)
    for _, arguments in ipairs(forms or {}) do
      local before, count = moved()
      local value, err = call(c, method, arguments)
      expect.error("DENIED", says, value, err)
      local after, now = moved()
      assert.same(before, after, method)
      assert.equal(count + 1, now)
    end
  end
  local function allowed(c, method, forms)
    for _, arguments in ipairs(forms or {}) do
      local _, err = call(c, method, arguments)
      assert.is_nil(err, method)
    end
    -- A refresh is answered before its load begins, which is then counted.
    wait.until_true("nothing is under way", function()
      return expect.value(cache:stats()).flights.loading == 0
    end)
  end

  for method, row in pairs(METHODS) do
    local right, own, others = row[1], row[2], row[3]
    it(method .. " is for who has the right, and for the keys that are his", function()
      local nobody = server:connect { tcp = true }
      for _, forms in ipairs { own, others or {} } do
        for _, arguments in ipairs(forms) do
          local _, err = call(nobody, method, arguments)
          assert.equal(right ~= "none" and "UNAUTHENTICATED" or nil, err and err.code)
        end
      end
      for _, one in ipairs(RIGHTS) do
        local mine = right == one or right == "none"
        local check = mine and allowed or denied
        local says = ('no right "%s"'):format(right)
        check(enter("only-" .. one), method, own, says)
        check(enter("only-" .. one), method, others, says)
        if right == one then
          denied(enter("but-" .. one), method, own, says)
          denied(enter("but-" .. one), method, others, says)
        end
        check(enter("own-" .. one), method, own, says)
        denied(enter("own-" .. one), method, others, mine and "has no right to the " or says)
      end
      allowed(enter "all-own", method, own)
      denied(enter "all-own", method, others, "has no right to the ")
    end)
  end

  -- What subscribers to the key "k", to the tag "t" and to another key hear of a method.
  local function of_key(cause, version)
    return { key = "k", cause = cause, version = version }, nil, nil
  end
  local function of_tag(cause)
    local it_is = { tag = "t", cause = cause }
    return it_is, it_is, it_is
  end
  local function of_pattern(cause)
    local it_is = { pattern = "k*", cause = cause }
    return it_is, it_is, nil
  end
  for _, row in ipairs {
    { "get", { "k" } }, { "get_entry", { "k" } }, { "get_many", { { "k" } } }, { "peek", { "k" } },
    { "refresh", { "k" } }, { "touch", { "k" } }, { "ping", {} }, { "hello", {} }, { "stats", {} }, { "loaders", {} },
    { "reload", {} }, { "snapshot", {} }, { "subscribe", { { keys = "k" } } }, { "unsubscribe", {} },
    { "set", { "k", 1 }, of_key "set" }, { "set", { "k", 1, { version = 50 } }, of_key("set", 50) },
    { "set", { "k", 1, { version = 0 } } }, -- VERSION_CONFLICT
    { "put", { "k", "new" }, of_key("put", 2) }, -- write-through, with the row's version
    { "put", { "k", "sent and failed" }, of_key "put" }, { "put", { "k", "fails" } },
    { "delete", { "k" }, of_key "delete" },
    { "invalidate", { "k" }, of_key "invalidate" }, { "invalidate", { "never" } },
    { "invalidate", { "k", { version = 60 } }, of_key("invalidate", 60) },
    { "invalidate_many", { { "a", "k" } }, of_key "invalidate" },
    { "invalidate_many", { { "k" }, { version = 61 } }, of_key("invalidate", 61) },
    { "expire", { "k" }, of_key "expire" }, { "expire_many", { { "a", "k" } }, of_key "expire" },
    { "invalidate_tag", { "t" }, of_tag "invalidate" }, { "expire_tag", { { "t" } }, of_tag "expire" },
    { "invalidate_match", { "k*" }, of_pattern "invalidate" }, { "expire_match", { "k*" }, of_pattern "expire" },
    { "lift_floors", { { key = "k" } }, of_key "invalidate" },
    { "lift_floors", { { match = "k*" } }, of_pattern "invalidate" },
  } do
    local method, arguments = row[1], row[2]
    it(("%s: subscribers hear what is true of it, %s"):format(method, row[3] and row[3].cause or "nothing"), function()
      expect.value(cache:lift_floors { all = true })
      source:put("k", "from the source", { version = 1 })
      expect.value(cache:get "k")
      local near = {}
      for i, what in ipairs { { keys = "k" }, { tags = "t" }, { keys = "other" }, { patterns = "k*" } } do
        near[i] = server:connect()
        expect.value(near[i]:subscribe(what))
        expect.value(near[i]:subscribe { keys = "the end" })
      end
      local wanted = { row[3], row[4], row[5], row[3] }
      call(cache, method, arguments)
      expect.value(cache:expire "the end" ~= nil)
      for i, c in ipairs(near) do
        local heard = {}
        repeat heard[#heard + 1] = select(2, c:notification())[1] until heard[#heard].key == "the end"
        assert.same({ wanted[i] or heard[#heard], wanted[i] and heard[#heard] }, heard, "subscriber " .. i)
      end
    end)
  end
end)
