--- What Lua's own types cannot say: nil inside a table, array against map, bin against str.

local M = {}

--- Stands for nil where Lua cannot hold one.
M.null = setmetatable({}, { __tostring = function() return "null" end })

local ARRAY, MAP, BIN, FLOAT = {}, {}, {}, {}
M.ARRAY, M.MAP, M.BIN, M.FLOAT = ARRAY, MAP, BIN, FLOAT

BIN.__eq = function(a, b) return a.bytes == b.bytes end
BIN.__tostring = function(b) return b.bytes end

---@param t table @packs as an array, its size is #t or `n`
function M.array(t) return setmetatable(t, ARRAY) end

---@param t table @packs as a map, also when it is empty
function M.map(t) return setmetatable(t, MAP) end

---@param s string @packs as bin instead of str
function M.bin(s) return setmetatable({ bytes = s }, BIN) end

---@param x number @packs as a float 64, also when it is whole
function M.float(x) return setmetatable({ x = x }, FLOAT) end

function M.is_bin(v) return getmetatable(v) == BIN end

return M
