-- A module on disk that is bytecode.
-- refused: this is bytecode; a script is text
return {
  load = function(key, ctx)
    return require "bytecode"
  end,
}
