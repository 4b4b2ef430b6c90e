--- All small mistakes that can be put into a C source, one change each, by kind:
---
---   operator   one operator of two operands, of assignment or of counting is another, or a `!` is gone
---   constant   a number is one more, one less or 0; true is false
---   condition  the condition of an if, a loop or a `for` is negated
---   deletion   a statement is never reached, the body of an `if` neither, or a function returns at once
---   arguments  two arguments of a call that stand beside one another have changed places
---
--- A mutant: { kind, file, at, last (the bytes that are replaced), to, line, run_at (lines that are
--- run where it matters, if not that line), is_loose (it belongs to no statement), macro (its name), is_same
--- (it changes nothing, by what the function is) }.
--- No mutant changes the number of lines.

local statements = require "mutants.statements"
local tokens = require "mutants.tokens"

local M = {}

M.KINDS = { "operator", "constant", "condition", "deletion", "arguments" }

local OTHERS = {
  ["<"] = { "<=", ">=" }, ["<="] = { "<", ">" }, [">"] = { ">=", "<=" }, [">="] = { ">", "<" },
  ["=="] = { "!=" }, ["!="] = { "==" }, ["&&"] = { "||" }, ["||"] = { "&&" },
  ["+"] = { "-" }, ["-"] = { "+" }, ["*"] = { "/" }, ["/"] = { "*" }, ["%"] = { "/" },
  ["<<"] = { ">>" }, [">>"] = { "<<" }, ["&"] = { "|" }, ["|"] = { "&" }, ["^"] = { "|" },
  ["+="] = { "-=", "=" }, ["-="] = { "+=", "=" }, ["*="] = { "/=" }, ["/="] = { "*=" },
  ["|="] = { "&=", "=" }, ["&="] = { "|=", "=" }, ["^="] = { "=" }, ["<<="] = { ">>=" }, [">>="] = { "<<=" },
}
local COUNTS = { ["++"] = "--", ["--"] = "++" }

local WORDS = {} -- what stands before brackets and is no function
for word in ("if while for switch return sizeof else do case goto defined _Static_assert"):gmatch "%S+" do
  WORDS[word] = true
end

local SAME = {} -- functions that say the same of two in either order, the sign of "less" aside
for word in ("calloc slice_eq memcmp strcmp strncmp strcasecmp strncasecmp sodium_memcmp"):gmatch "%S+" do
  SAME[word] = true
end

---@class mutants.Source
---@field text string
---@field list table[]
---@field other table<integer, integer>
---@field found table[]
---@field is_size table<integer, boolean>
local Source = {}
Source.__index = Source

function Source:add(kind, at, last, to)
  self.found[#self.found + 1] = {
    kind = kind, file = self.file, at = at, last = last, to = to, line = self.line_of(at),
  }
  return self.found[#self.found]
end

function Source:words(first, last)
  return self.text:sub(self.list[first].at, self.list[last].last)
end

function Source:operators(first, last)
  for i = first, last do
    local t = self.list[i]
    if t.kind == "op" and not self.is_size[i] then
      for _, to in ipairs(t.spaced and OTHERS[t.text] or {}) do self:add("operator", t.at, t.last, to) end
      if COUNTS[t.text] then self:add("operator", t.at, t.last, COUNTS[t.text]) end
      if t.text == "!" then self:add("operator", t.at, t.last, "") end
    end
  end
end

-- What may stand for a number or a truth.
local function other_values(t)
  if t.kind == "name" then
    if t.text == "true" then return { "false" } end
    if t.text == "false" then return { "true" } end
    return {}
  end
  if t.kind ~= "number" then return {} end
  local n = tonumber((t.text:gsub("[uUlL]+$", "")))
  if n == 0 then return { "1" } end
  if n == 1 then return { "0", "2" } end
  return { ("(%s + 1)"):format(t.text), ("(%s - 1)"):format(t.text), "0" }
end

function Source:constants(first, last)
  for i = first, last do
    if not self.is_size[i] then
      for _, to in ipairs(other_values(self.list[i])) do
        self:add("constant", self.list[i].at, self.list[i].last, to)
      end
    end
  end
end

-- Marks what stands in the brackets of arrays that are declared, `char text[64]`: another size changes
-- nothing that can be seen.
function Source:sizes(first, last)
  for i = first, last do
    if self.list[i].text == "=" then return end
    if self.list[i].text == "[" then
      for k = i, self.other[i] do self.is_size[k] = true end
    end
  end
end

-- Lines of the file in which a name stands as a word.
function Source:lines_with(name)
  local lines = {}
  for _, t in ipairs(self.list) do
    if t.text == name then lines[#lines + 1] = self.line_of(t.at) end
  end
  return lines
end

-- The numbers of `#define NAME 10 /* ... */`, whose line is run where NAME is used.
function Source:macros(directives)
  for _, d in ipairs(directives) do
    local name, from = self.text:sub(d.at, d.last):match "^#%s*define%s+([%w_]+)[ \t]+()"
    if name then
      for _, t in ipairs((tokens.read(self.text, d.at + from - 1, d.last))) do
        for _, to in ipairs(other_values(t)) do
          local m = self:add("constant", t.at, t.last, to)
          m.run_at, m.is_loose, m.macro = self:lines_with(name), true, name
        end
      end
    end
  end
end

-- Deletes what stands from first to last; the compiler still sees it, and warns of nothing unused.
function Source:statement(first, last)
  local words = self:words(first, last)
  if words:find "^%(void%)[%w_]+;$" or words:find "^assert%f[%W]" then return end
  self:add("deletion", self.list[first].at, self.list[last].last, "while (false) " .. words)
end

function Source:visitor()
  return {
    condition = function(first, last)
      self:add("condition", self.list[first].at, self.list[last].last, "!(" .. self:words(first, last) .. ")")
    end,
    when = function(first, last, body)
      local m = self:add("deletion", self.list[first].at, self.list[last].last,
        "(" .. self:words(first, last) .. ") && false")
      m.run_at = { self.line_of(self.list[body].at) }
    end,
    statement = function(first, last) self:statement(first, last) end,
    declaration = function(first, last) self:sizes(first, last) end,
  }
end

-- The arguments between the brackets at open and close: { { first, last }, ... }.
function Source:arguments_of(open, close)
  local list, first, i = {}, open + 1, open + 1
  while i < close do
    if self.list[i].text == "," then
      list[#list + 1] = { first, i - 1 }
      first = i + 1
    end
    i = self.other[i] and self.other[i] > i and self.other[i] + 1 or i + 1
  end
  if close > first then list[#list + 1] = { first, close - 1 } end
  return list
end

function Source:kind_of(argument)
  local t = self.list[argument[1]]
  return argument[1] == argument[2] and t.kind ~= "name" and t.kind or "expression"
end

-- Those whose first two arguments may always change places.
local ALIKE = { calloc = true, slice_eq = true, least = true, options_equal = true }

-- Whether the call at i does the same where its nth argument and the next one change places: comparisons
-- where only equality is asked for, and the two sizes that Lua is told of a table ahead of its use.
function Source:is_symmetric(i, n)
  local name = self.list[i].text
  if name == "lua_createtable" then return n == 2 end
  if n ~= 1 or not (SAME[name] or ALIKE[name]) then return false end
  local behind, before = self.list[self.other[i + 1] + 1], self.list[i - 1]
  return ALIKE[name] == true or before.text == "!"
    or behind ~= nil and (behind.text == "==" or behind.text == "!=")
end

function Source:calls(first, last)
  for i = first, last - 1 do
    local t = self.list[i]
    if t.kind == "name" and not WORDS[t.text] and self.list[i + 1].text == "(" then
      local arguments = self:arguments_of(i + 1, self.other[i + 1])
      for n = 1, #arguments - 1 do
        local a, b = arguments[n], arguments[n + 1]
        local one, two = self:words(a[1], a[2]), self:words(b[1], b[2])
        if one ~= two and self:kind_of(a) == self:kind_of(b) then
          local between = self.text:sub(self.list[a[2]].last + 1, self.list[b[1]].at - 1)
          local m = self:add("arguments", self.list[a[1]].at, self.list[b[2]].last, two .. between .. one)
          m.is_same = self:is_symmetric(i, n)
        end
      end
    end
  end
end

function Source:function_at(place)
  statements.walk(self.list, self.other, place.open, self:visitor())
  self:operators(place.open, place.close)
  self:constants(place.open, place.close)
  self:calls(place.open, place.close)
  if place.is_void then
    local t = self.list[place.open]
    self:add("deletion", t.at, t.last, "{ return;")
  end
end

function Source:table_at(place)
  local before = #self.found
  self:constants(place.open, place.close)
  for i = before + 1, #self.found do self.found[i].is_loose = true end
end

--- Every mutant of a source.
---@param file string  its name
---@param text string
---@return table[]
function M.of(file, text)
  local list, directives = tokens.read(text)
  local source = setmetatable({
    file = file, text = text, list = list, other = tokens.pairs_of(list), line_of = tokens.lines_of(text),
    found = {}, is_size = {},
  }, Source)
  source:macros(directives)
  for _, place in ipairs(statements.places(list, source.other)) do
    if place.kind == "function" then source:function_at(place) else source:table_at(place) end
  end
  return source.found
end

--- The text with the mutant in it.
function M.apply(text, m) return text:sub(1, m.at - 1) .. m.to .. text:sub(m.last + 1) end

-- The lines of text that stand from byte at to byte last, in one line without the blanks around.
local function lines_at(text, at, last)
  while at > 1 and text:sub(at - 1, at - 1) ~= "\n" do at = at - 1 end
  local eol = text:find("\n", last, true) or #text + 1
  return (text:sub(at, eol - 1):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

--- What stood there and what stands there now: whole lines.
---@return string from, string to
function M.shown(text, m)
  return lines_at(text, m.at, m.last), lines_at(M.apply(text, m), m.at, m.at + math.max(#m.to, 1) - 1)
end

return M
