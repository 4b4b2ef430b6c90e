-- A module whose main part never ends.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    return require "spinning"
  end,
}
