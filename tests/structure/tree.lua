--- The project's text files, read once: lines as they are, and C without comments and strings.

local M = {}

---@class structure.File
---@field path string @from the root
---@field lines string[]
---@field code string[] @C and headers: comments, strings and characters blanked, lines kept
---@field includes { name: string, line: integer, ours: boolean }[] @ours: in quotes

---@class structure.Tree
---@field list structure.File[]
---@field by_path table<string, structure.File>

local function keep_newlines(s) return (s:gsub("[^\n]", " ")) end

--- C text with comments and literals blanked; the number of lines stays.
---@param text string
---@return string
function M.strip(text)
  local out, at = {}, 1
  while true do
    local from, _, what = text:find("([/\"'])", at)
    if not from then break end
    local to = from
    if what ~= "/" then
      to = from + 1
      while to < #text and text:sub(to, to) ~= what do
        to = to + (text:sub(to, to) == "\\" and 2 or 1)
      end
    elseif text:sub(from, from + 1) == "/*" then
      to = select(2, text:find("*/", from + 2, true)) or #text
    elseif text:sub(from, from + 1) == "//" then
      to = (text:find("\n", from, true) or #text + 1) - 1
    else
      what = nil
    end
    out[#out + 1] = text:sub(at, from - 1)
    out[#out + 1] = what and keep_newlines(text:sub(from, to)) or text:sub(from, to)
    at = to + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

local function split(text)
  local lines = {}
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch "([^\n]*)\n" do
    lines[#lines + 1] = line
  end
  return lines
end

---@param path string
---@param text string
---@return structure.File
function M.file(path, text)
  local file = { path = path, lines = split(text), code = {}, includes = {} }
  if path:match "%.[ch]$" then
    file.code = split(M.strip(text))
    for number, line in ipairs(file.lines) do
      local quote, name = line:match '^%s*#%s*include%s*(["<])([^">]+)[">]'
      if name then
        file.includes[#file.includes + 1] = { name = name, line = number, ours = quote == '"' }
      end
    end
  end
  return file
end

---@param files table<string, string> @text by path
---@return structure.Tree
function M.of(files)
  local self = { list = {}, by_path = {} }
  for path, text in pairs(files) do
    self.by_path[path] = M.file(path, text)
    self.list[#self.list + 1] = self.by_path[path]
  end
  table.sort(self.list, function(a, b) return a.path < b.path end)
  return self
end

--- Reads the sources under a root; what is not text of ours (corpora, node_modules) is left out.
---@return structure.Tree
function M.read(root)
  local files = {}
  local find = io.popen("cd '" .. root .. "' && find dev .ci CMakeLists.txt core lua scripts tests bench cmake"
    .. " \\( -name node_modules -o -name corpus \\) -prune -o -type f -print 2>/dev/null")
  for path in find:lines() do
    local f = assert(io.open(root .. "/" .. path))
    files[path] = f:read "*a"
    f:close()
  end
  find:close()
  return M.of(files)
end

return M
