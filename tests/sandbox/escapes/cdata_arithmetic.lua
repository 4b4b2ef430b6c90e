-- Integer arithmetic that traps in C: division by zero, and of the least number by -1.
-- harmless: held
return {
  load = function(key, ctx)
    local least = -9223372036854775807LL - 1
    local _ = { 1LL / 0LL, 1LL % 0LL, 1ULL / 0ULL, 1ULL % 0ULL, least / -1LL, least % -1LL, least * -1LL, -least }
    _ = { 2LL ^ 63LL, 2ULL ^ 18446744073709551615ULL, (-1LL) ^ least }
    return "held"
  end,
}
