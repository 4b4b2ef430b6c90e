/* Included before every file that clang-tidy reads: what its analyzer cannot see from one file alone.
 * err_set returns the code that it was given. */
#include "base/err.h"

#define err_set(e, code, ...) (err_set(e, code, __VA_ARGS__), (code))
