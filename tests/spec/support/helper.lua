--- Run by busted before the first spec file: what a run needs once.

local busted = require "busted"
local postgres = require "spec.support.postgres"

busted.subscribe({ "suite", "end" }, function()
  postgres.stop_shared()
  return nil, true
end)
