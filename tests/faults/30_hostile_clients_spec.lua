-- One client that means harm: whatever it does, what all clients together hold stays under client_memory, others'
-- hits go on, and what it held is given back once it has left. The attacks are in hostile/attacks.lua.

local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local arena = require "faults.hostile.arena"
local attacks = require "faults.hostile.attacks"
local figures = require "faults.figures"
local sizes = require "faults.hostile.sizes"

local RUNS = tonumber(os.getenv "HOSTILE_RUNS") or figures.pick(1, 9)
local MOST_WAIT = 0.05 -- seconds, the median of the worst of the long form's runs
local MOST_LEFT = 1
local ONLY = os.getenv "HOSTILE_ONLY" -- the attacks whose name has this

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

local function check(attack, size, certificates)
  local worst, held, resident, left, shed = {}, 0, 0, {}, 0
  for run = 1, RUNS do
    local out = arena.run(attack, size, certificates)
    assert.truthy(out.held <= out.limit, ("%d bytes held, where the limit is %d"):format(out.held, out.limit))
    worst[run], left[run] = out.waits[#out.waits], out.left
    held, shed = math.max(held, out.held / out.limit), math.max(shed, out.shed)
    resident = math.max(resident, out.resident)
  end
  local wait, gone = median(worst), median(left)
  figures.print(("%s, %s"):format(attack.name, size), held * 100, "%", ("100 of client_memory; %d shed"):format(shed))
  local most = sizes[size].resident
  figures.print("  resident", resident / 1048576, "MiB", most and ("%.1f"):format(most / 1048576) or "none here")
  if most and not Server.is_sanitized() then
    assert.truthy(resident <= most, ("%d bytes are resident, where the sum is %d"):format(resident, most))
  end
  figures.print("  longest hit meanwhile", wait * 1000, "ms", "50, in the long form")
  figures.print("  until nothing of it was held", gone * 1000, "ms", "1000, in the long form")
  if figures.is_long and not Server.is_sanitized() then
    assert.truthy(wait <= MOST_WAIT, ("a hit waited %.0f ms"):format(wait * 1000))
    assert.truthy(gone <= MOST_LEFT, ("it was held for %.0f ms after it had left"):format(gone * 1000))
  end
end

describe("a hostile client", function()
  local certificates

  setup(function()
    certificates = Certificates.make()
    certificates:issue("server", "DNS:localhost,IP:127.0.0.1")
  end)
  teardown(function() certificates:remove() end)

  for _, size in ipairs { "small", "middle", "default" } do
    for _, attack in ipairs(attacks.list) do
      local chosen = not ONLY or attack.name:find(ONLY, 1, true)
      if chosen and (size ~= "default" or figures.is_long or attack.short) then
        local name = ("with %s, at limits that are %s"):format(attack.name, size)
        it(name, function() check(attack, size, certificates) end)
      end
    end
  end
end)
