/*
 * backend_pg_pure_fuzz: any text as SQL, which the grammar and our list of its nodes judge.
 * Run: ./dev fuzz backend_pg_pure
 */
#include "backend/postgres/pg_pure_catalog.h"
#include "wire/mp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *sql = malloc(size + 1);
    struct pg_pure_tree t;
    struct pg_pure_types none = {NULL, 0};
    struct err e;
    struct buf out;
    expect(sql != NULL);
    if (size > 0)
        memcpy(sql, data, size);
    sql[size] = '\0';
    err_clear(&e);
    buf_init(&out, 0);
    int rc = pg_pure_tree_init(&t, sql, &e);
    expect(rc == 0 || (rc == ERR_BAD_REQUEST && e.text[0] != '\0'));
    if (rc == 0) {
        expect(pg_pure_catalog_pack(&t, none, none, &out) == 0);
        expect(mp_check(buf_slice(&out), &e) == 0);
    }
    pg_pure_tree_fini(&t);
    buf_fini(&out);
    free(sql);
    return 0;
}
