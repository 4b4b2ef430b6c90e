-- The stack grows while the collector runs (Lua, CVE-2020-15888).
-- harmless: held
return {
  load = function(key, ctx)
    local function grow(n, ...) if n == 0 then return select("#", ...) end return (grow(n - 1, {}, ...)) end
    for _ = 1, 50 do coroutine.wrap(grow)(200) end
    return "held"
  end,
}
