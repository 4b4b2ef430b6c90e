-- Replacing what a trusted function would call (a game's launcher checked names with a global ipairs).
-- refused: require takes a module's name
return {
  load = function(key, ctx)
    string.find = function() return 1 end
    string.sub = function() return "" end
    type = function() return "string" end
    ipairs = function() return function() end end
    pcall = function(_, ...) return true, ... end
    return require "../../etc/passwd"
  end,
}
