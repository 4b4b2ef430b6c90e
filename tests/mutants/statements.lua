--- The statements of a C function, found by their words: what a mutant may negate or leave out.
---
--- visit.condition(first, last)  the words of a condition, without its brackets
--- visit.when(first, last, body) the same, of an `if` that has no `else`, and the first word of its body
--- visit.statement(first, last)  a statement that is no declaration, its semicolon included
--- visit.declaration(first, last)

local M = {}

local TYPES = {}
for word in ([[struct union enum const static unsigned signed int char short long float double void bool
  volatile register typedef extern _Atomic]]):gmatch "%S+" do TYPES[word] = true end

local JUMPS = { ["return"] = true, ["break"] = true, ["continue"] = true, ["goto"] = true }

---@class mutants.Parser
---@field list table[]
---@field other table<integer, integer>
---@field visit table<string, fun(first: integer, last: integer)>
local Parser = {}
Parser.__index = Parser

function Parser:is(i, text) return self.list[i] ~= nil and self.list[i].text == text end

-- A type and a name, or a type, stars and a name; clang-format leaves no blank behind such a star.
function Parser:is_declaration(i)
  local t, n = self.list[i], self.list[i + 1]
  if t.kind ~= "name" or JUMPS[t.text] then return false end
  if TYPES[t.text] then return true end
  if not n then return false end
  return n.kind == "name" or n.text == "*" and not n.spaced
end

-- The place of the semicolon that ends what begins at i; of the block's end where there is none,
-- as behind a macro.
function Parser:semicolon(i)
  while not self:is(i, ";") do
    local other = self.other[i]
    if other and other < i then return i end
    i = (other or i) + 1
  end
  return i
end

function Parser:parts_of_for(open)
  local first = self:semicolon(open + 1)
  local second = self:semicolon(first + 1)
  if self:is_declaration(open + 1) then self.visit.declaration(open + 1, first) end
  if second > first + 1 then self.visit.condition(first + 1, second - 1) end
end

function Parser:branch(i)
  local open = i + 1
  local close = self.other[open]
  local behind = self:statement(close + 1)
  self.visit.condition(open + 1, close - 1)
  if self:is(behind, "else") then return self:statement(behind + 1) end
  self.visit.when(open + 1, close - 1, self:is(close + 1, "{") and close + 2 or close + 1)
  return behind
end

function Parser:loop(i)
  local open = i + 1
  local close = self.other[open]
  if self:is(i, "for") then
    self:parts_of_for(open)
  elseif self:is(i, "while") then
    self.visit.condition(open + 1, close - 1)
  end
  return self:statement(close + 1)
end

-- `do BODY while (CONDITION);`
function Parser:do_loop(i)
  local open = self:statement(i + 1) + 1
  self.visit.condition(open + 1, self.other[open] - 1)
  return self.other[open] + 2
end

function Parser:plain(i)
  local semicolon = self:semicolon(i)
  if not self:is(semicolon, ";") then return semicolon end
  if semicolon > i then
    self.visit[self:is_declaration(i) and "declaration" or "statement"](i, semicolon)
  end
  return semicolon + 1
end

function Parser:block(open)
  local close, i = self.other[open], open + 1
  while i < close do i = self:statement(i) end
  return close + 1
end

local STARTS = {
  ["if"] = "branch", ["for"] = "loop", ["while"] = "loop", ["switch"] = "loop", ["do"] = "do_loop",
  ["{"] = "block",
}

-- The place behind `case X:`, `default:` or `name:`; nil: it is none of them.
function Parser:behind_label(i)
  if self:is(i, "case") then
    while not self:is(i, ":") do i = i + 1 end
    return i + 1
  end
  if self.list[i].kind == "name" and self:is(i + 1, ":") then return i + 2 end
end

-- The place behind the statement that begins at i.
function Parser:statement(i)
  local behind = self:behind_label(i)
  while behind do
    i = behind
    behind = self.list[i] and self:behind_label(i)
  end
  local start = STARTS[self.list[i].text]
  if start then return self[start](self, i) end
  -- A macro that is a loop: `list_each(...) {`
  if self.list[i].kind == "name" and self:is(i + 1, "(") and self:is(self.other[i + 1] + 1, "{") then
    return self:block(self.other[i + 1] + 1)
  end
  return self:plain(i)
end

--- Visits the statements of the body whose bracket is at `open`.
function M.walk(list, other, open, visit)
  setmetatable({ list = list, other = other, visit = visit }, Parser):block(open)
end

--- Where functions and tables of a file begin and end: { kind = "function" or "table", open, close,
--- name (the word before the parameters), is_void }.
function M.places(list, other)
  local found, i = {}, 1
  while list[i] do
    local t = list[i]
    if t.text == "{" then
      local before = list[i - 1]
      if before and before.text == ")" then
        local parameters = other[i - 1]
        found[#found + 1] = {
          kind = "function", open = i, close = other[i], name = list[parameters - 1].text,
          is_void = parameters > 2 and list[parameters - 2].text == "void",
        }
      elseif before and before.text == "=" then
        found[#found + 1] = { kind = "table", open = i, close = other[i] }
      end
      i = other[i] + 1
    elseif other[i] and other[i] > i then
      i = other[i] + 1
    else
      i = i + 1
    end
  end
  return found
end

return M
