/*
 * backend_pg_value_fuzz: a byte that names a type, and what a server of PostgreSQL might send as a
 * value of it. Run: ./dev fuzz backend_pg_value
 */
#include "backend/postgres/pg_value.h"
#include "wire/mp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* The types that are known, and the arrays of each. */
static const Oid types[] = {
    16,   17,   18,   19,   20,   21,   23,   25,   26,   114,  700,   701,  1042,
    1043, 3802, 1000, 1001, 1002, 1003, 1005, 1007, 199,  1009, 1014,  1015, 1016,
    1021, 1022, 1028, 1231, 1115, 1185, 2951, 3807, 1700, 869,  99999,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    Oid type = types[data[0] % (sizeof types / sizeof *types)];
    char *text = malloc(size); /* of its own, so that a byte too far is seen */
    expect(text != NULL);
    if (size > 1)
        memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    struct buf out;
    struct err e;
    err_clear(&e);
    buf_init(&out, 1 << 16);
    expect(buf_append(&out, "\x92\x01", 2) == 0);
    int rc = pg_value_pack(type, slice_of(text, size - 1), &out, &e);
    expect(rc == 0 || rc == ERR_TOO_LARGE || (rc == ERR_BACKEND && e.text[0] != '\0'));
    if (rc != 0)
        expect(out.size == 2);
    else if (!pg_value_nests(type))
        expect(mp_check(buf_slice(&out), &e) == 0);
    else
        (void)(mp_check(buf_slice(&out), &e) == 0); /* may be nested too deep, which others see */
    buf_fini(&out);
    free(text);
    return 0;
}
