local ffi = require "ffi"
local Server = require "spec.support.server"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

ffi.cdef [[
int posix_openpt(int flags);
int grantpt(int fd);
int unlockpt(int fd);
char *ptsname(int fd);
]]
local O_RDWR, O_NOCTTY = 2, 256

-- A cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

describe("the command line tool", function()
  local server, far, near

  setup(function()
    server = Server.start {
      options = { auth_delay = "0s", users = { { name = "app", password_hash = OTHER, rights = { "read" } } } },
      scripts = { ["one.lua"] = "return { load = function(key) return key end }" },
      loaders = { { pattern = "*", script = "one.lua" } },
    }
    far = ffi.C.posix_openpt(O_RDWR + O_NOCTTY)
    assert(far >= 0 and ffi.C.grantpt(far) == 0 and ffi.C.unlockpt(far) == 0)
    near = ffi.string(ffi.C.ptsname(far))
  end)
  teardown(function()
    ffi.C.close(far)
    server:stop()
  end)

  local function told() return files.read(server.folder .. "/told") or "" end

  -- Its standard input is that file; what it says of itself goes to the file `told`.
  local function start(input, ...)
    files.write(server.folder .. "/told", "")
    return process.spawn({ "sh", "-c", 'input=$1; shift; exec "$@" <"$input"', "sh", input, Server.tool, "--server",
      "unix:" .. server.socket_path, ... }, { stderr = server.folder .. "/told" })
  end

  local function is_unseen()
    local pipe = assert(io.popen("stty -F " .. near .. " -a"))
    local text = pipe:read "*a"
    pipe:close()
    return text:find(" -echo ", 1, true) ~= nil
  end

  local function type_in(line)
    wait.until_true("it asks", function() return told():find("password: ", 1, true) and is_unseen() end)
    assert.equal(#line, tonumber(ffi.C.write(far, line, #line)))
  end

  local function ended(p)
    local text = p:read_all(wait.PATIENCE)
    local status = p:wait(wait.PATIENCE)
    p:finish()
    return status, text
  end

  it("asks at a terminal for the password of a user who has named none", function()
    local p = start(near, "--user", "app", "get", "k")
    type_in "other\n"
    local status, text = ended(p)
    assert.equal(0, status, told())
    assert.truthy(text:find("k", 1, true))
    assert.is_false(is_unseen())
  end)

  it("is refused with one that is wrong", function()
    local p = start(near, "--user", "app", "get", "k")
    type_in "wrong\n"
    assert.not_equal(0, (ended(p)))
    assert.truthy(told():find("AUTH_FAILED", 1, true), told())
  end)

  it("asks nobody where its input is none", function()
    local status = ended(start("/dev/null", "--user", "app", "get", "k"))
    assert.equal(2, status, told())
    assert.truthy(told():find("there is no password; name --password-file FILE", 1, true))
    assert.is_nil(told():find("password: ", 1, true))
  end)

  it("asks nobody at a terminal either where the password is named", function()
    files.write(server.folder .. "/password", "other\n")
    local path = server.folder .. "/password"
    local status, text = ended(start(near, "--user", "app", "--password-file", path, "get", "k"))
    assert.equal(0, status, told())
    assert.truthy(text:find("k", 1, true))
    assert.equal("", told())
  end)
end)
