-- What leads to a file can change without the file: links, folders that are moved, links of links.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local function script(value) return ("return { load = function() return %q end }"):format(value) end

describe("a change of a file behind a link", function()
  local server, cache

  local function run(...)
    local status, text = process.run { ... }
    assert.equal(0, status, text)
  end

  local function folder(name)
    files.make_folder(server.folder .. "/" .. name)
    return server.folder .. "/" .. name
  end

  local function link(target, name) run("ln", "-s", target, server.folder .. "/" .. name) end

  -- As deployments do: a new link takes the old one's name in one step.
  local function switch(target, name)
    link(target, name .. ".new")
    run("mv", "-T", server.folder .. "/" .. name .. ".new", server.folder .. "/" .. name)
  end

  local function options(scripts)
    return {
      options = { watch = true, scripts = scripts },
      loaders = { { pattern = "k:*", script = "k.lua", ttl = "1ms" } },
    }
  end

  local function prepare(scripts) server = Server.prepare(options(scripts)) end

  -- A folder with a script that answers `value`.
  local function release(name, value) files.write(folder(name) .. "/k.lua", script(value)) end

  -- It answers `value` at first.
  local function start(value)
    server:launch()
    cache = server:connect()
    assert.equal(value, expect.value(cache:get "k:1"))
  end

  local function await(value)
    wait.until_true("the answer " .. value, function() return cache:get "k:1" == value end)
  end

  after_each(function() server:stop() end)

  it("is seen where the folder of scripts is a link to a release", function()
    prepare "current"
    for _, n in ipairs { "1", "2", "3" } do release("r" .. n, n) end
    link("r1", "current")
    start "1"
    switch("r2", "current")
    await "2"
    switch("r3", "current") -- the link is watched again where it led to before, too
    await "3"
    switch("r1", "current")
    await "1"
    files.replace(server.folder .. "/r1/k.lua", script "1, edited")
    await "1, edited"
  end)

  it("is seen where links are in the middle of the way", function()
    prepare "app/current/scripts"
    folder "app"
    for _, n in ipairs { "1", "2" } do
      folder("r" .. n)
      release("r" .. n .. "/scripts", n)
    end
    link("../r1", "app/current")
    start "1"
    switch("../r2", "app/current")
    await "2"
  end)

  it("is seen where a script is a link, edited at its place and switched", function()
    prepare "scripts"
    release("shared", "1")
    files.write(folder "other" .. "/any name", script "elsewhere")
    link("../shared/k.lua", "scripts/k.lua")
    start "1"
    files.write(server.folder .. "/shared/k.lua", script "2")
    await "2"
    files.replace(server.folder .. "/shared/k.lua", script "3")
    await "3"
    switch("../other/any name", "scripts/k.lua")
    await "elsewhere"
    files.write(server.folder .. "/other/any name", script "elsewhere, edited")
    await "elsewhere, edited"
  end)

  -- Kubernetes: k.lua -> ..data/k.lua, ..data -> ..2026_11_01; an update switches ..data.
  it("is seen in a ConfigMap", function()
    prepare "config"
    folder "config"
    for _, n in ipairs { "1", "2", "3" } do release("config/..2026_" .. n, n) end
    link("..2026_1", "config/..data")
    link("..data/k.lua", "config/k.lua")
    start "1"
    switch("..2026_2", "config/..data")
    await "2"
    run("rm", "-r", server.folder .. "/config/..2026_1")
    switch("..2026_3", "config/..data")
    await "3"
  end)

  it("is seen where the folder is moved away and another one takes its name", function()
    prepare "a/scripts"
    folder "a"
    folder "b"
    release("a/scripts", "1")
    release("b/scripts", "2")
    start "1"
    run("mv", server.folder .. "/a", server.folder .. "/old")
    run("mv", server.folder .. "/b", server.folder .. "/a")
    await "2"
    files.write(server.folder .. "/a/scripts/k.lua", script "3")
    await "3"
  end)

  it("is seen where rtcache.conf is a link", function()
    prepare "scripts"
    files.write(server.folder .. "/scripts/k.lua", script "old")
    files.write(server.folder .. "/scripts/new.lua", script "new")
    local text = files.read(server.conf)
    folder "v1"
    folder "v2"
    local function absolute(t) return (t:gsub('scripts = "scripts"', 'scripts = "' .. server.folder .. '/scripts"')) end
    files.write(server.folder .. "/v1/rtcache.conf", absolute(text))
    files.write(server.folder .. "/v2/rtcache.conf", (absolute(text):gsub("k%.lua", "new.lua")))
    os.remove(server.conf)
    link("v1", "v")
    link("v/rtcache.conf", "rtcache.conf")
    start "old"
    switch("v2", "v")
    await "new"
  end)

  it("is not taken for one where the bytes are the same", function()
    prepare "current"
    for _, n in ipairs { "1", "2" } do release("r" .. n, "same") end
    release("r3", "other")
    link("r1", "current")
    start "same"
    switch("r2", "current")
    local deadline = wait.now() + 0.5 -- a change is looked at after a tenth of a second
    while wait.now() < deadline do assert.equal("same", expect.value(cache:get "k:1")) end
    switch("r3", "current")
    await "other"
    local _, begun = server:log():gsub("reload%.begin", "")
    assert.equal(1, begun)
  end)
end)
