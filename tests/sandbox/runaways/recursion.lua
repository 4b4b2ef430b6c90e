-- Recursion without end.
-- stopped: stack overflow
return {
  load = function(key, ctx)
    local function f() return 1 + f() end
    return f()
  end,
}
