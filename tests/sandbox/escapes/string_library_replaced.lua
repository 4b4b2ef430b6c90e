-- The string library changed for every other script.
-- harmless: held
return {
  load = function(key, ctx)
    string.upper = function() return "mine" end
    string.format = nil
    rawset(string, "rep", nil)
    return ("x"):upper() == "X" and "held" or "escaped"
  end,
}
