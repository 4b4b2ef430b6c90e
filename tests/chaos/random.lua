--- Chance from a seed: the same numbers for the same seed and stream, whatever else has drawn meanwhile.

local bit = require "bit"

---@class chaos.Random
local Random = {}
Random.__index = Random

local M = {}

local function next32(self)
  local x = self.state
  x = bit.bxor(x, bit.lshift(x, 13))
  x = bit.bxor(x, bit.rshift(x, 17))
  x = bit.bxor(x, bit.lshift(x, 5))
  self.state = x
  return x % 4294967296
end

--- 1 to n.
function Random:int(n) return next32(self) % n + 1 end

--- from to to, both included.
function Random:between(from, to) return from + next32(self) % (to - from + 1) end

--- 0 to below 1.
function Random:share() return next32(self) / 4294967296 end

--- True in that share of the cases.
function Random:chance(share) return self:share() < share end

function Random:pick(list) return list[self:int(#list)] end

--- A number up to n, the small ones more often: each order of magnitude as often as the next.
function Random:skewed(n) return math.floor(math.exp(self:share() * math.log(n + 1))) end

function Random:bytes(n)
  local parts = {}
  for i = 1, n do parts[i] = string.char(next32(self) % 256) end
  return table.concat(parts)
end

--- A name of a list of {name, weight}, as often as its weight says.
function Random:weighted(list)
  local sum = 0
  for _, item in ipairs(list) do sum = sum + item[2] end
  local at = self:share() * sum
  for _, item in ipairs(list) do
    at = at - item[2]
    if at < 0 then return item[1] end
  end
  return list[#list][1]
end

---@param seed integer
---@param stream? integer @those of one seed are independent of each other
---@return chaos.Random
function M.new(seed, stream)
  local self = setmetatable({}, Random)
  self.state = bit.bxor(bit.tobit(seed * 40503 + 2531011), bit.tobit((stream or 0) * 69069 + 1013904223))
  if self.state == 0 then self.state = 1 end
  for _ = 1, 8 do next32(self) end
  return self
end

return M
