#include "base/rng.h"

#include <stdlib.h>
#include <sys/random.h>

uint64_t rng_os(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        abort();
    return seed;
}
