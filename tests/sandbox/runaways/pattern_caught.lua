-- Such a pattern in a loop of pcall.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s, p = ("a"):rep(500), (".-"):rep(20) .. "b"
    while true do pcall(string.find, s, p) end
  end,
}
