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

static int deny(const struct rights_walk *w, const struct conf_user *u, struct slice text,
                struct err *e)
{
    char method[SHOW_KEY_TEXT], shown[SHOW_KEY_TEXT];
    return err_set(e, ERR_DENIED, "%s: the user \"%s\" has no right to the %s %s",
                   show_key(method, w->method), u->name, w->what, show_key(shown, text));
}

static int check_text(const struct rights_walk *w, const struct conf_user *u, struct slice text,
                      struct err *e)
{
    bool pattern = w->what[0] == 'p';
    if (w->what[0] == 't' || !(pattern ? rights_pattern(u, text) : rights_key(u, text)))
        return deny(w, u, text, e);
    return 0;
}

int rights_check_text(const struct conf_user *u, struct slice method, bool pattern,
                      struct slice text, struct err *e)
{
    const struct rights_walk w = {.method = method, .what = pattern ? "pattern" : "key"};
    return u ? check_text(&w, u, text, e) : 0;
}

/* One text, or an array of them. What no method takes is left to it. */
static void begin_texts(struct rights_walk *w, const char *what)
{
    struct mp_token t;
    struct mp_reader first = w->at;
    w->what = what;
    w->tokens = 2 * w->max_batch + 1000; /* params_tokens_max: above it the method refuses */
    if (mp_next(&first, &t) != MP_OK)
        return;
    w->texts = t.type == MP_ARRAY ? t.count : 1;
    if (t.type == MP_ARRAY)
        w->at = first;
    if (w->texts > w->max_batch)
        w->texts = w->names = 0;
}

static void begin_wishes(struct rights_walk *w)
{
    struct mp_token map;
    if (mp_next(&w->at, &map) == MP_OK && map.type == MP_MAP && map.count <= WISHES)
        w->names = map.count;
}

static void next_wish(struct rights_walk *w)
{
    struct mp_token name;
    w->names--;
    if (mp_next(&w->at, &name) != MP_OK || (name.type != MP_STR && name.type != MP_BIN)) {
        w->names = 0;
        return;
    }
    begin_texts(w, slice_eq_str(name.bytes, "tags")       ? "tag"
                   : slice_eq_str(name.bytes, "patterns") ? "pattern"
                                                          : "key");
}

void rights_begin(struct rights_walk *w, enum rights_names names, const struct rpc_msg *m,
                  size_t max_batch)
{
    *w = (struct rights_walk){
        .method = m->method, .at = mp_reader_of(m->params), .max_batch = max_batch};
    if (m->param_count == 0)
        return;
    switch (names) {
    case NAMES_NOTHING: break;
    case NAMES_KEY:
    case NAMES_KEYS: begin_texts(w, "key"); break;
    case NAMES_TAGS: begin_texts(w, "tag"); break;
    case NAMES_PATTERN: begin_texts(w, "pattern"); break;
    case NAMES_WISHES: begin_wishes(w); break;
    }
}

bool rights_step(struct rights_walk *w, const struct conf_user *u, int *rc, struct err *e)
{
    struct mp_reader one = w->at;
    struct mp_token t;
    *rc = 0;
    if (u->keys.count == 0 || (w->texts == 0 && w->names == 0))
        return false;
    if (w->texts == 0) {
        next_wish(w);
        return true;
    }
    w->texts--;
    if (mp_skip_some(&w->at, &w->tokens) != MP_OK)
        return false;
    if (mp_next(&one, &t) == MP_OK && (t.type == MP_STR || t.type == MP_BIN))
        *rc = check_text(w, u, t.bytes, e);
    return *rc == 0;
}

int rights_group(const struct conf_user *u, unsigned right, const struct rpc_msg *m, struct err *e)
{
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
    return 0;
}

int rights_check(const struct conf_user *u, unsigned right, enum rights_names names,
                 const struct rpc_msg *m, size_t max_batch, struct err *e)
{
    struct rights_walk w;
    int rc = rights_group(u, right, m, e);
    if (rc != 0 || right == RIGHT_ANYBODY)
        return rc;
    rights_begin(&w, names, m, max_batch);
    while (rights_step(&w, u, &rc, e)) {
    }
    return rc;
}
