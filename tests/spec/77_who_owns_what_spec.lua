-- Files that the server makes and others meet: its Unix socket and its log. Some of it can be shown
-- by root alone, and is skipped without.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local ffi = require "ffi"
local files = require "spec.support.files"
local lfs = require "lfs"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

ffi.cdef "int chown(const char *path, unsigned owner, unsigned group); int chmod(const char *path, unsigned mode);"

-- Numbers of a user and of groups that need not exist.
local STRANGER, GROUP, OTHER = 64001, 64002, 64003
local NOBODY = 65534

local function only_root(name, test)
  it(name, function()
    if not process.is_root then return pending "only root can become another user" end
    test()
  end)
end

-- The folder lets others pass.
local function prepare(o)
  local server = Server.prepare(o)
  ffi.C.chmod(server.folder, tonumber("711", 8))
  return server
end

-- What the command line tool says to the socket, run as a user with one group: "pong", or what went wrong.
local function ping_as(server, uid, gid)
  local tool = server.folder .. "/tool"
  if not lfs.attributes(tool, "mode") then
    files.write(tool, files.read(Server.tool))
    ffi.C.chmod(tool, tonumber("755", 8))
  end
  local _, text = process.run { "setpriv", "--reuid", tostring(uid), "--regid", tostring(gid), "--clear-groups",
    tool, "-s", "unix:" .. server.socket_path, "ping" }
  return (text:gsub('^"(.*)"%s+$', "%1"))
end

local function check(o)
  local server = prepare(o)
  local status, text = process.run(server:command "--check")
  text = text:gsub(server.conf:gsub("%p", "%%%0"), "CONF")
  server:remove()
  return status, text
end

-- What the start says when it fails.
local function refused(server)
  local ok, err = pcall(server.launch, server)
  server:remove()
  assert.is_false(ok)
  return err
end

describe("the file of a Unix socket", function()
  local server
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  local function start(options)
    server = prepare { options = options }
    server:launch()
    return lfs.attributes(server.socket_path)
  end

  it("lets in whom unix_mode says, whatever the umask is", function()
    assert.equal("rw-rw----", start({ unix_mode = "0660" }).permissions)
    assert.equal("pong", server:connect():ping())
    server:stop()
    assert.equal("rw-------", start({ unix_mode = "600" }).permissions)
    server:stop()
    assert.equal("rw-rw-rw-", start({ unix_mode = "0666", open_to_all = true }).permissions)
  end)

  only_root("is open to a group, and to no other", function()
    local file = start { unix_mode = "0660", unix_group = tostring(GROUP) }
    assert.same({ 0, GROUP, "rw-rw----" }, { file.uid, file.gid, file.permissions })
    assert.equal("pong", ping_as(server, STRANGER, GROUP))
    assert.truthy(ping_as(server, STRANGER, OTHER):find("Permission denied", 1, true))
    assert.equal("pong", server:connect():ping())
  end)

  only_root("is the owner's and root's alone as long as nothing is written", function()
    start {}
    assert.truthy(ping_as(server, STRANGER, 0):find("Permission denied", 1, true))
  end)

  only_root("belongs to the user that the server becomes, and to the group that is named", function()
    local file = start { user = "nobody", unix_mode = "0660", unix_group = tostring(GROUP) }
    assert.same({ NOBODY, GROUP }, { file.uid, file.gid })
    assert.equal("pong", ping_as(server, NOBODY, OTHER))
    assert.equal("pong", ping_as(server, STRANGER, GROUP))
    assert.truthy(ping_as(server, STRANGER, OTHER):find("Permission denied", 1, true))
    server:stop()
    file = start { user = "nobody", unix_mode = "0600" }
    assert.equal(NOBODY, file.uid)
  end)

  it("keeps its permissions until a restart", function()
    start { unix_mode = "0660" }
    server:write_conf { options = { unix_mode = "0600" } }
    expect.error("CONFIG", "unix_mode cannot change without a restart", server:connect():reload())
    server:write_conf { options = { unix_mode = "0660", unix_group = "no-such-group" } }
    expect.error("RELOAD_FAILED", 'the system has no group "no-such-group"', server:connect():reload())
    assert.equal("rw-rw----", lfs.attributes(server.socket_path).permissions)
    assert.equal("pong", server:connect():ping())
  end)

  it("is checked before the start, and at it, with its line", function()
    local problems = {
      [{ unix_mode = "0668" }] = '"unix_mode" is "0668"; it takes three octal digits',
      [{ unix_mode = "0662" }] = '"unix_mode" (0662) lets everybody on this machine in',
      [{ unix_mode = "0660", unix_group = "no-such-group" }] = 'the system has no group "no-such-group"',
    }
    for options, says in pairs(problems) do
      local status, text = check { options = options }
      assert.equal(1, status)
      assert.truthy(text:match "^CONF:%d+: " and text:find(says, 1, true), text)
      local err = refused(prepare { options = options })
      assert.truthy(err:match "/rtcache%.conf:%d+: " and err:find(says, 1, true), err)
    end
    assert.equal(0, (check { options = { unix_mode = "0660" } }))
  end)

  it("is given to no group that the server's user is not in", function()
    local o = { options = { unix_mode = "0660", unix_group = tostring(GROUP) } }
    local one = prepare(o)
    ffi.C.chown(one.folder, STRANGER, STRANGER) -- without root it is the own one already
    local command = one:command()
    if process.is_root then
      local binary = one.folder .. "/rtcached"
      files.write(binary, files.read(command[1]))
      ffi.C.chmod(binary, tonumber("755", 8))
      command[1] = binary
      local as = { "setpriv", "--reuid", tostring(STRANGER), "--regid", tostring(STRANGER), "--clear-groups" }
      for i = #as, 1, -1 do table.insert(command, 1, as[i]) end
    end
    local says = ('/rtcache.conf:%%d+: "unix_group": the user that the server runs as is not in the group "%d"')
      :format(GROUP)
    local status, text = process.run(command)
    assert.equal(1, status)
    assert.truthy(text:match(says), text)
    command[#command + 1] = "--check"
    status, text = process.run(command)
    assert.equal(1, status)
    assert.truthy(text:match(says), text)
    one:remove()
  end)
end)

describe("the log's file", function()
  -- A server whose log is in a folder of its own, which belongs to the user with that number.
  local function with_log(owner, options)
    local o = { options = { user = "nobody", unix_mode = "0600" } }
    for name, v in pairs(options or {}) do o.options[name] = v end
    local server = prepare(o)
    local folder = server.folder .. "/log"
    files.make_folder(folder)
    ffi.C.chown(folder, owner, owner)
    o.options.log_file = folder .. "/rtcache.log"
    server:write_conf(o)
    return server, o.options.log_file
  end

  local function await(log, event)
    wait.until_true(event .. " in the log", function() return (files.read(log) or ""):find(event, 1, true) end)
  end

  only_root("belongs to the user that the server becomes, from the start and after a rotation", function()
    local server, log = with_log(NOBODY)
    server:launch()
    assert.equal(NOBODY, lfs.attributes(log, "uid"))
    await(log, "server.ready")
    for round = 1, 2 do
      assert(os.rename(log, log .. "." .. round))
      server:signal "HUP"
      await(log, "reload.done")
      assert.equal(NOBODY, lfs.attributes(log, "uid"))
    end
    server:stop()
  end)

  only_root("is refused where that user could not make it again, by the check too", function()
    local server, log = with_log(0)
    local says = ('log_file: %s: Permission denied (as "nobody", which the server becomes)'):format(log)
    local status, text = process.run(server:command "--check")
    assert.equal(1, status)
    assert.truthy(text:find(says, 1, true), text)
    assert.is_nil(lfs.attributes(log, "mode"))
    local err = refused(server)
    assert.truthy(err:find(says, 1, true), err)
  end)

  only_root("is taken as it is where that user may write it", function()
    local server, log = with_log(0)
    files.write(log, "a line of before\n")
    ffi.C.chown(log, 0, NOBODY)
    ffi.C.chmod(log, tonumber("660", 8))
    server:launch()
    assert.equal(0, lfs.attributes(log, "uid"))
    await(log, "server.ready")
    assert.truthy(files.read(log):match "^a line of before\n")
    server:stop()
  end)
end)
