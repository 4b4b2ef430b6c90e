--- A server that is stopped, or killed, and comes back in its folder, with its state.

local files = require "spec.support.files"
local wait = require "spec.support.wait"

local M = {}

--- The file that a stop, or `snapshot`, leaves behind.
function M.snapshot(server) return server.folder .. "/state/snapshot" end

-- Then the same folder again: `between` runs while nobody is there; `options`, all of them, hold
-- from then on.
local function again(server, between, options)
  if between then between() end
  if options then server:write_conf(options) end
  server:launch()
  return server:connect()
end

--- Stops it as an operator would. A new client of the one that comes back.
function M.clean(server, between, options)
  server:close_clients()
  server:signal "TERM"
  local status = server.process:wait(wait.PATIENCE)
  server.process:finish()
  if status ~= 0 then error(("it ended with %s; its log:\n%s"):format(status, server:log()), 2) end
  return again(server, between, options)
end

--- Kills it.
function M.crash(server, between, options)
  server:close_clients()
  server:kill()
  return again(server, between, options)
end

--- What the last start brought back.
function M.numbers(cache)
  local stats, err = cache:stats()
  if not stats then error(tostring(err), 2) end
  return stats.restart
end

--- Writes a file anew with one byte changed, or cut at a size.
function M.flip(path, at)
  local bytes = assert(files.read(path))
  local b = bytes:byte(at + 1)
  files.write(path, bytes:sub(1, at) .. string.char((b + 1) % 256) .. bytes:sub(at + 2))
end

function M.cut(path, size) files.write(path, assert(files.read(path)):sub(1, size)) end

return M
