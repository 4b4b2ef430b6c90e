#include "net/rights.h"

#include "base/show.h"

unsigned rights_at_once(const struct conf_user *u)
{
    if (!u)
        return RIGHT_ANYBODY;
    return RIGHT_ANYBODY | (u->keys.count == 0 ? u->rights : u->rights & RIGHT_ADMIN);
}

bool rights_key(const struct conf_user *u, struct slice key)
{
    if (u->keys.count == 0)
        return true;
    for (size_t i = 0; i < u->keys.count; i++)
        if (glob_matches(&u->globs[i], key, NULL))
            return true;
    return false;
}

bool rights_pattern(const struct conf_user *u, struct slice pattern)
{
    char room[GLOB_MAX];
    struct glob p;
    if (u->keys.count == 0 || glob_check(pattern, NULL) != 0)
        return true; /* what is no pattern is refused by its method */
    glob_compile(&p, pattern, room);
    for (size_t i = 0; i < u->keys.count; i++)
        if (glob_covers(&u->globs[i], &p))
            return true;
    return false;
}

/* ---- requests ---- */

#define WISHES 3 /* names that the map of subscribe has at most, each of them once */

struct asked {
    const struct conf_user *user;
    const struct rpc_msg *msg;
    size_t max_batch;
    struct err *e;
};

static int deny(const struct asked *a, const char *what, struct slice text)
{
    char method[SHOW_KEY_TEXT], shown[SHOW_KEY_TEXT];
    return err_set(a->e, ERR_DENIED, "%s: the user \"%s\" has no right to the %s %s",
                   show_key(method, a->msg->method), a->user->name, what, show_key(shown, text));
}

static int check_text(const struct asked *a, const char *what, struct slice text)
{
    bool pattern = what[0] == 'p';
    if (what[0] == 't' || !(pattern ? rights_pattern(a->user, text) : rights_key(a->user, text)))
        return deny(a, what, text);
    return 0;
}

/* One text, or an array of them. */
static int check_texts(const struct asked *a, struct mp_reader *at, const char *what)
{
    struct mp_token t;
    uint32_t count = 1;
    size_t tokens = 2 * a->max_batch + 1000; /* params_tokens_max: above it the method refuses */
    int rc = 0;
    struct mp_reader first = *at;
    if (mp_next(&first, &t) != MP_OK)
        return 0;
    if (t.type == MP_ARRAY) {
        count = t.count;
        *at = first;
    }
    for (uint32_t i = 0; i < count && count <= a->max_batch && rc == 0; i++) {
        struct mp_reader one = *at;
        if (mp_skip_some(at, &tokens) != MP_OK)
            return 0;
        if (mp_next(&one, &t) == MP_OK && (t.type == MP_STR || t.type == MP_BIN))
            rc = check_text(a, what, t.bytes);
    }
    return rc;
}

static int check_wishes(const struct asked *a, struct mp_reader *at)
{
    struct mp_token map, name;
    int rc = 0;
    if (mp_next(at, &map) != MP_OK || map.type != MP_MAP || map.count > WISHES)
        return 0;
    for (uint32_t i = 0; i < map.count && rc == 0; i++) {
        if (mp_next(at, &name) != MP_OK || (name.type != MP_STR && name.type != MP_BIN))
            return 0;
        rc = check_texts(a, at,
                         slice_eq_str(name.bytes, "tags")       ? "tag"
                         : slice_eq_str(name.bytes, "patterns") ? "pattern"
                                                                : "key");
    }
    return rc;
}

static int check_names(const struct asked *a, enum rights_names names)
{
    struct mp_reader at = mp_reader_of(a->msg->params);
    if (a->user->keys.count == 0 || a->msg->param_count == 0)
        return 0;
    switch (names) {
    case NAMES_NOTHING: return 0;
    case NAMES_KEY:
    case NAMES_KEYS: return check_texts(a, &at, "key");
    case NAMES_TAGS: return check_texts(a, &at, "tag");
    case NAMES_PATTERN: return check_texts(a, &at, "pattern");
    case NAMES_WISHES: return check_wishes(a, &at);
    }
    return 0;
}

int rights_check(const struct conf_user *u, unsigned right, enum rights_names names,
                 const struct rpc_msg *m, size_t max_batch, struct err *e)
{
    const struct asked a = {.user = u, .msg = m, .max_batch = max_batch, .e = e};
    char method[SHOW_KEY_TEXT];
    show_key(method, m->method);
    if (right == RIGHT_ANYBODY)
        return 0;
    if (!u)
        return err_set(e, ERR_UNAUTHENTICATED, "%s: authenticate first: auth [name, password]",
                       method);
    if (!(u->rights & right))
        return err_set(e, ERR_DENIED, "%s: the user \"%s\" has no right \"%s\"", method, u->name,
                       conf_right_name(right));
    return check_names(&a, names);
}
