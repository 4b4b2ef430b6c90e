-- A module whose main part was stopped in the middle counts as loading for ever.
-- refused: stopped after
return {
  load = function(key, ctx)
    return require "spinning"
  end,
}
