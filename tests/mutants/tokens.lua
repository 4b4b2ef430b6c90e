--- The words of a C source, as far as mutants need them: comments and directives are left out, but for
--- the values of `#define NAME ...`.
---
---   kind   "name", "number", "text" (a string or a character), "op"
---   text   as it stands
---   at     the byte it begins at; last: the byte it ends at
---   spaced whether white space stands on both sides, as it does around operators of two operands

local M = {}

-- Longest first.
local OPERATORS = {
  "<<=", ">>=", "...",
  "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||",
  "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "##",
}

local function operator_at(text, at)
  for _, op in ipairs(OPERATORS) do
    if text:sub(at, at + #op - 1) == op then return op end
  end
  return text:sub(at, at)
end

-- The byte behind a string or a character that begins at `at`.
local function skip_quoted(text, at)
  local quote = text:sub(at, at)
  local i = at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "\\" then
      i = i + 2
    elseif c == quote or c == "\n" then
      return i + 1
    else
      i = i + 1
    end
  end
  return i
end

-- The byte behind a directive, the lines that it is continued on included.
local function skip_directive(text, at)
  local i = at
  while true do
    local eol = text:find("\n", i, true)
    if not eol then return #text + 1 end
    if text:sub(eol - 1, eol - 1) ~= "\\" then return eol end
    i = eol + 1
  end
end

local function is_blank(text, at)
  local c = text:sub(at, at)
  return c == "" or c:find "^%s$" ~= nil
end

-- One token at `at`, which is no white space, no comment and no directive.
local function token_at(text, at)
  local c = text:sub(at, at)
  if c:find "[%a_]" then return "name", text:match("^[%w_]+", at) end
  if c:find "%d" or text:find("^%.%d", at) then
    local number = text:match("^0[xX][%x]+[uUlL]*", at) or text:match("^[%d.]+[eE][+-]?%d+[fFlL]*", at)
      or text:match("^[%d.]+[uUlLfF]*", at)
    return "number", number
  end
  if c == '"' or c == "'" then return "text", text:sub(at, skip_quoted(text, at) - 1) end
  return "op", operator_at(text, at)
end

-- Whether only white space stands before `at` in its line.
local function begins_line(text, at)
  local i = at - 1
  while i > 0 and text:sub(i, i):find "[ \t]" do i = i - 1 end
  return i == 0 or text:sub(i, i) == "\n"
end

--- Tokens of text from byte `first` to `last`.
---@return table[] tokens
---@return table[] directives  { at =, last = } of each
function M.read(text, first, last)
  local list, directives = {}, {}
  local at = first or 1
  last = last or #text
  while at <= last do
    local c = text:sub(at, at)
    if c:find "%s" or c == "\\" then
      at = at + 1
    elseif text:sub(at, at + 1) == "/*" then
      local _, e = text:find("*/", at + 2, true)
      at = (e or #text) + 1
    elseif text:sub(at, at + 1) == "//" then
      at = (text:find("\n", at, true) or #text) + 1
    elseif c == "#" and begins_line(text, at) then
      local behind = skip_directive(text, at)
      directives[#directives + 1] = { at = at, last = behind - 1 }
      at = behind
    else
      local kind, word = token_at(text, at)
      local e = at + #word - 1
      list[#list + 1] = {
        kind = kind, text = word, at = at, last = e,
        spaced = is_blank(text, at - 1) and is_blank(text, e + 1),
      }
      at = e + 1
    end
  end
  return list, directives
end

local CLOSES = { ["("] = ")", ["["] = "]", ["{"] = "}" }

--- For each bracket's place in the list, the place of the one that belongs to it.
---@param list table[]
---@return table<integer, integer>
function M.pairs_of(list)
  local other, open = {}, {}
  for i, t in ipairs(list) do
    if t.kind == "op" then
      if CLOSES[t.text] then
        open[#open + 1] = i
      elseif t.text == ")" or t.text == "]" or t.text == "}" then
        local o = table.remove(open)
        if not o or CLOSES[list[o].text] ~= t.text then error("brackets that do not belong together", 0) end
        other[o], other[i] = i, o
      end
    end
  end
  if #open > 0 then error("a bracket stays open", 0) end
  return other
end

--- The line that a byte stands in.
---@return fun(at: integer): integer
function M.lines_of(text)
  local starts = { 1 }
  for eol in text:gmatch "()\n" do starts[#starts + 1] = eol + 1 end
  return function(at)
    local low, high = 1, #starts
    while low < high do
      local mid = math.floor((low + high + 1) / 2)
      if starts[mid] <= at then low = mid else high = mid - 1 end
    end
    return low
  end
end

return M
