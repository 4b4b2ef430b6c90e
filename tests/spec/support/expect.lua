--- Assertions on what a call of the client returned: value, err.

local M = {}

local function show(v)
  if type(v) ~= "table" or getmetatable(v) and getmetatable(v).__tostring then return tostring(v) end
  local parts = {}
  for k, item in pairs(v) do parts[#parts + 1] = tostring(k) .. "=" .. tostring(item) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- An error with this code, and a message with each of these texts in it.
---@param code string
---@param texts string|string[]
---@return rtcache.Error
function M.error(code, texts, value, err)
  if err == nil then error("expected " .. code .. ", got the value " .. show(value), 2) end
  if err.code ~= code then error("expected " .. code .. ", got " .. tostring(err), 2) end
  for _, text in ipairs(type(texts) == "table" and texts or { texts }) do
    if not err.message:find(text, 1, true) then
      error(("expected %q in the message of: %s"):format(text, tostring(err)), 2)
    end
  end
  return err
end

--- nil, and no error.
function M.absent(value, err)
  if err ~= nil then error("expected nil, got the error " .. tostring(err), 2) end
  if value ~= nil then error("expected nil, got " .. show(value), 2) end
end

--- A value, which is returned; an error is a failure that shows it.
function M.value(value, err)
  if err ~= nil then error("expected a value, got the error " .. tostring(err), 2) end
  if value == nil then error("expected a value, got nil", 2) end
  return value
end

--- That the answer's status is this one; the entry is returned.
function M.status(status, entry, err)
  if err ~= nil then error("expected " .. status .. ", got the error " .. tostring(err), 2) end
  if type(entry) ~= "table" or entry.status ~= status then
    error("expected " .. status .. ", got " .. show(entry), 2)
  end
  return entry
end

--- That a request has no answer yet. What the server has sent so far is read first.
function M.waits(cache, id)
  M.value(cache:ping())
  if cache.answers[id] then error("expected no answer yet, got " .. show(cache.answers[id]), 2) end
end

return M
