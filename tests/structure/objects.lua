--- What the linker sees of core/: which object defines which names, and which it takes from others.

local M = {}

---@class structure.Object
---@field stem string @"store/heap": its source's path below core/, without its ending
---@field defines string[]
---@field takes string[]

-- What nm says of a name that the object has; "U", "w" and "v" are names that it takes.
local DEFINES = { A = true, B = true, C = true, D = true, G = true, R = true, S = true, T = true, V = true, W = true }

--- Reads what `nm -A -P` printed: "PATH: NAME KIND ...", where PATH is an object below a folder
--- CMakeFiles/TARGET.dir/core/. Names that only the object itself sees are left out.
---@param text string
---@return table<string, structure.Object> @by stem
function M.parse(text)
  local objects = {}
  for line in text:gmatch "[^\n]+" do
    local stem, name, kind = line:match "%.dir/core/(%S+)%.c%.o: (%S+) (%a)"
    if stem then
      local object = objects[stem]
      if not object then
        object = { stem = stem, defines = {}, takes = {} }
        objects[stem] = object
      end
      if DEFINES[kind] then
        object.defines[#object.defines + 1] = name
      elseif kind == "U" then
        object.takes[#object.takes + 1] = name
      end
    end
  end
  return objects
end

--- The objects of the sources that there are; of a build that is not whole, or is older than a
--- source's name, no more than a problem is told.
---@param build string @a build's folder
---@param tree structure.Tree
---@return table<string, structure.Object>
---@return string[] problems
function M.read(build, tree)
  local nm = io.popen(("find '%s'/CMakeFiles/*.dir/core -name '*.c.o' -print0 2>/dev/null"
    .. " | xargs -0 -r nm -A -P 2>&1"):format(build))
  local text = nm:read "*a"
  nm:close()
  local objects, problems = M.parse(text), {}
  for stem, object in pairs(objects) do
    if not tree.by_path["core/" .. stem .. ".c"] then
      objects[stem] = nil -- left behind by a source that is gone
    elseif object.defines[1] == "__gnu_lto_slim" then
      objects[stem] = nil -- holds nothing that nm can read
    end
  end
  for _, file in ipairs(tree.list) do
    local stem = file.path:match "^core/(.+)%.c$"
    if stem and not objects[stem] then
      problems[#problems + 1] = ("%s:1: no names can be read from its object in %s: build that first, with code in "
        .. "its objects"):format(file.path, build)
    end
  end
  return objects, problems
end

return M
