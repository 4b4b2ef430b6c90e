--- A PostgreSQL of a benchmark's own, which is gone afterwards whatever happens.

local postgres = require "spec.support.postgres"

local M = {}

-- The tests' clusters have less than PostgreSQL's default, too little for the tables of a benchmark.
local SETTINGS = "shared_buffers = 256MB\n"

--- An error of body is told, and ends the program with exit code 1.
---@param body fun(cluster: support.Cluster)
function M.with(body)
  local cluster = postgres.start(SETTINGS)
  local ok, err = pcall(body, cluster)
  cluster:stop()
  if ok then return end
  io.stderr:write("bench: ", tostring(err), "\n")
  os.exit(1)
end

return M
