--- Files of a test: written from strings, read back, removed.

local lfs = require "lfs"

local M = {}

function M.write(path, text)
  local folder = path:match "^(.*)/[^/]*$"
  if folder and not lfs.attributes(folder, "mode") then
    M.make_folder(folder)
  end
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

--- In one step, as editors and deployments do: readers see the old file or the new one.
function M.replace(path, text)
  M.write(path .. ".new", text)
  assert(os.rename(path .. ".new", path))
end

---@return string|nil
function M.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read "*a"
  f:close()
  return text
end

function M.make_folder(path)
  local parent = path:match "^(.+)/[^/]+$"
  if parent and not lfs.attributes(parent, "mode") then M.make_folder(parent) end
  assert(lfs.mkdir(path))
end

--- A folder and all in it.
function M.remove(path)
  if lfs.symlinkattributes(path, "mode") ~= "directory" then return os.remove(path) end
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then M.remove(path .. "/" .. name) end
  end
  return lfs.rmdir(path)
end

return M
