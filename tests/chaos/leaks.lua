--- What libpq loses by itself (tests/lsan.supp) has a bound: a spoiled piece of what the database says can cost the
--- results of the transactions in it, and no more. A result that the server forgets would be lost by every query.

local account = require "chaos.account"
local setup = require "chaos.setup"

local M = {}

-- As many as one piece of the proxy can hold of a group's answers.
local RESULTS_OF_A_PIECE = 20

local function spoiled(world)
  local sum = 0
  for name, n in pairs(setup.read_proxies(world)) do
    if name:match "^proxy postgres%.down_" then sum = sum + n end
  end
  return sum
end

--- A life begins.
function M.begin(world) world.spoiled_before = spoiled(world) end

--- It has ended; log: its standard error.
function M.check(world, log)
  local lost = tonumber(log:match "Suppressions used:.-(%d+)%s+%d+%s+PQmakeEmptyPGresult") or 0
  if lost == 0 then return end
  -- the proxies tell once a second
  local pieces = spoiled(world) - world.spoiled_before + 5
  account.count("libpq.lost", lost)
  account.note("libpq lost %d results, of %d spoiled pieces", lost, pieces)
  if lost > RESULTS_OF_A_PIECE * pieces then
    account.finding("%d results of PostgreSQL were lost, where %d pieces were spoiled", lost, pieces)
  end
end

return M
