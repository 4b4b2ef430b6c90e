-- The generator is shared: who seeds it foretells the others' numbers.
-- refused: math.randomseed: the generator
return {
  load = function(key, ctx)
    math.randomseed(1)
    return math.random()
  end,
}
