--- Waiting for a condition, with a bound.

local socket = require "socket"

local M = {}

--- Seconds that anything may take on a busy machine before a test fails.
M.PATIENCE = tonumber(os.getenv "SPEC_PATIENCE") or 30

--- Polls until condition() is true and returns its result; an error that says what was awaited
--- after the bound.
---@param what string
---@param condition fun(): any
---@param bound? number @seconds
function M.until_true(what, condition, bound)
  local deadline = socket.gettime() + (bound or M.PATIENCE)
  local pause = 0.001
  while true do
    local result = condition()
    if result then return result end
    if socket.gettime() > deadline then error("waited in vain: " .. what, 2) end
    socket.sleep(pause)
    pause = math.min(pause * 1.5, 0.05)
  end
end

function M.now() return socket.gettime() end

return M
