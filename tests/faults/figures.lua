--- Figures of a fault beside their bounds, and how much of a fault is enough: little in `./dev test`, all of
--- it in `./dev soak faults` (FAULTS_LONG=1).

local M = {}

M.is_long = os.getenv "FAULTS_LONG" ~= nil

---@generic T
---@param short T
---@param long T
---@return T
function M.pick(short, long) return M.is_long and long or short end

--- Prints a figure; bounds of time are not asserted, for the machine is shared.
---@param what string
---@param value number
---@param unit string
---@param bound string
function M.print(what, value, unit, bound)
  io.write(("\nfigure: %-58s %10.2f %-6s bound %s\n"):format(what, value, unit, bound))
end

return M
