/*
 * auth_fuzz: any bytes as a request, asked of users with and without patterns. A user with all
 * rights and keys is never denied, nobody is never allowed, and an auth's texts lie in the input.
 * Run: ./dev fuzz auth
 */
#include "net/auth.h"
#include "net/params.h"
#include "net/rights_walk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rpc_limits limits = {.max_frame = 2048};

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void ask_rights(const struct rpc_msg *m)
{
    const char *patterns[] = {"user:*", "a*b*"};
    char rooms[2][GLOB_MAX];
    struct glob globs[2];
    for (int i = 0; i < 2; i++)
        glob_compile(&globs[i], slice_str(patterns[i]), rooms[i]);
    struct conf_user all = {.name = "all", .rights = RIGHTS_ALL};
    struct conf_user some = {.name = "some", .rights = RIGHTS_ALL, .globs = globs};
    some.keys.list = patterns;
    some.keys.count = 2;
    for (enum rights_names names = NAMES_NOTHING; names <= NAMES_WISHES; names++) {
        struct err e;
        expect(rights_check(&all, RIGHT_READ, names, m, 10000, &e) == 0);
        expect(rights_check(NULL, RIGHT_READ, names, m, 10000, &e) == ERR_UNAUTHENTICATED);
        int rc = rights_check(&some, RIGHT_READ, names, m, 10000, &e);
        expect(rc == 0 || rc == ERR_DENIED);
    }
}

static void ask_auth(const struct rpc_msg *m)
{
    const struct conf conf = {0};
    struct slice name = {0}, password = {0};
    struct params p;
    struct err e;
    params_init(&p, "auth", m, &conf);
    if (auth_params(&p, &name, &password, &e) != 0)
        return;
    expect(name.size >= 1 && name.size <= CONF_NAME_MAX);
    expect(password.size >= 1 && password.size <= AUTH_PASSWORD_MAX);
    expect(name.data >= m->params.data && name.data + name.size <= password.data);
    expect(password.data + password.size <= m->params.data + m->params.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_scan scan = {0};
    struct rpc_msg m;
    struct err e;
    size_t used = 0;
    if (rpc_next(&scan, slice_of(data, size), &limits, &m, &used, &e) != RPC_MESSAGE)
        return 0;
    ask_rights(&m);
    ask_auth(&m);
    return 0;
}
