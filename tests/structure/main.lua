-- Prints what is wrong as "file:line: what" and fails, or says how much was looked at.

local calls = require "calls"
local objects = require "objects"
local rules = require "rules"
local tree = require "tree"

if arg[1] == "--self-test" then
  local passed, failed = require("self_test").run()
  print(("%d passed, %d failed"):format(passed, failed))
  os.exit(failed == 0 and 0 or 1)
end

local files = tree.read "."
local problems, warnings = rules.check(files)
local built, unbuilt = objects.read(arg[1] or "build", files)
for _, text in ipairs(unbuilt) do problems[#problems + 1] = text end
if #unbuilt == 0 then
  for _, text in ipairs(calls.check(files, built, rules.floors, require "circles")) do
    problems[#problems + 1] = text
  end
end
for _, text in ipairs(warnings) do print("warning: " .. text) end
for _, text in ipairs(problems) do print(text) end
if #problems > 0 then
  print(("%d problems in %d files"):format(#problems, #files.list))
  os.exit(1)
end
print(("%d files are as they should be"):format(#files.list))
