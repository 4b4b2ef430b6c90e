-- A loop at the bottom of a hundred coroutines.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local function f(n) if n == 0 then while true do end end return coroutine.wrap(f)(n - 1) end
    return f(20)
  end,
}
