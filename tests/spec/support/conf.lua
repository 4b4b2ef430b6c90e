--- rtcache.conf from Lua tables, in libconfig's syntax.

local M = {}

local FLOATS = {
  jitter = true, retry_budget = true, refresh_ahead = true, early_beta = true,
  auth_share_address = true, auth_share_network = true,
}

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

local value

local function group(t, indent)
  local lines = {}
  for _, name in ipairs(sorted_keys(t)) do
    lines[#lines + 1] = ("%s  %s = %s"):format(indent, name, value(t[name], indent .. "  ", name))
  end
  return "{\n" .. table.concat(lines, ";\n") .. "\n" .. indent .. "}"
end

local function quoted(s)
  return '"' .. s:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
end

function value(v, indent, name)
  if type(v) == "string" then return quoted(v) end
  if type(v) == "number" then return (FLOATS[name] and "%.6f" or "%d"):format(v) end
  if type(v) == "boolean" then return tostring(v) end
  if #v == 0 and next(v) ~= nil then return group(v, indent) end
  local items = {}
  for i, item in ipairs(v) do items[i] = value(item, indent, name) end
  return "(" .. table.concat(items, ", ") .. ")"
end

--- One option a line, loaders one after the other, so that errors can be told by their line.
---@param options table
---@return string
function M.text(options)
  local lines = {}
  for _, name in ipairs(sorted_keys(options)) do
    lines[#lines + 1] = ("%s = %s;\n"):format(name, value(options[name], "", name))
  end
  return table.concat(lines)
end

return M
