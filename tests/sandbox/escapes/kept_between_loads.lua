-- Globals of a script, and what it requires, are its own: nothing of them reaches another.
-- harmless: held
return {
  load = function(key, ctx)
    shared_by_accident = (shared_by_accident or 0) + 1
    local count = require "counter"
    count.n = count.n + 1
    return count.n == shared_by_accident and "held" or "escaped"
  end,
}
