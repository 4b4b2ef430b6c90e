#include "net/rights_walk.h"

#define WISHES 3 /* names that the map of subscribe has at most, each of them once */

/* One text, or an array of them. What no method takes is left to it. */
static void begin_texts(struct rights_walk *w, enum rights_of what)
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
    begin_texts(w, slice_eq_str(name.bytes, "tags")       ? RIGHTS_OF_TAG
                   : slice_eq_str(name.bytes, "patterns") ? RIGHTS_OF_PATTERN
                                                          : RIGHTS_OF_KEY);
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
    case NAMES_KEYS: begin_texts(w, RIGHTS_OF_KEY); break;
    case NAMES_TAGS: begin_texts(w, RIGHTS_OF_TAG); break;
    case NAMES_PATTERN: begin_texts(w, RIGHTS_OF_PATTERN); break;
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
        *rc = rights_text(u, w->method, w->what, t.bytes, e);
    return *rc == 0;
}

int rights_check(const struct conf_user *u, unsigned right, enum rights_names names,
                 const struct rpc_msg *m, size_t max_batch, struct err *e)
{
    struct rights_walk w;
    int rc = rights_group(u, right, m->method, e);
    if (rc != 0 || right == RIGHT_ANYBODY)
        return rc;
    rights_begin(&w, names, m, max_batch);
    while (rights_step(&w, u, &rc, e)) {
    }
    return rc;
}
