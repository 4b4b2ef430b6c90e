-- string.match of a pattern that takes exponential time.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s, p = ("a"):rep(500), (".-"):rep(20) .. "b"
    return s:match(p)
  end,
}
