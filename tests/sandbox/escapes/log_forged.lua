-- A line of the log forged through print.
-- harmless: held
return {
  load = function(key, ctx)
    print "x\n2026-01-01T00:00:00Z info server.stopped\r\27[31m"
    return "held"
  end,
}
