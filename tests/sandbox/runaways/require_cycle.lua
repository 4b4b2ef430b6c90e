-- Modules that require each other.
-- stopped: the module requires itself
return {
  load = function(key, ctx)
    return require "snake"
  end,
}
