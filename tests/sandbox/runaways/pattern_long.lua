-- A pattern that is long itself, over a long text.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s, p = ("a"):rep(1e6), ("a*"):rep(150) .. "b"
    while true do s:find(p) end
  end,
}
