/*
 * load_cost: so many loads through bind/ alone, for callgrind to count (bench/cost.lua).
 *
 *   load_cost row|packed_row|load_many LOADS DIRECTORY
 *
 * Shape: the backend answers each query from a buffer that is made once, with rows of five columns,
 * before the script waits for it: what is counted is the coroutine, the script, decode and pack.
 */
#include "backend/sqlite/sqlite.h"
#include "base/clock.h"
#include "bind/runtime.h"
#include "wire/mpw.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS 100 /* of one load_many */

static const char script[] =
    "return {\n"
    "  load = function(key, ctx)\n"
    "    local row = ctx.db:METHOD('SELECT * FROM users WHERE id = $1', ctx.match[1])\n"
    "    return row\n"
    "  end,\n"
    "  load_many = function(keys, ctx)\n"
    "    local ids = {}\n"
    "    for i = 1, #keys do ids[i] = ctx.match[i][1] end\n"
    "    local rows = ctx.db:rows('SELECT * FROM users WHERE id = ANY($1)', ids)\n"
    "    local values = {}\n"
    "    for i = 1, #rows do values[keys[i]] = rows[i] end\n"
    "    return values\n"
    "  end,\n"
    "}\n";

struct mirror {
    struct backend head;
    struct buf row, rows;
    struct list queries;
};

static void die(const char *what)
{
    fprintf(stderr, "load_cost: %s\n", what);
    exit(1);
}

static void mirror_submit(struct backend *b, struct call *q)
{
    struct mirror *m = container_of(b, struct mirror, head);
    q->code = 0;
    q->found = true;
    err_clear(&q->err);
    buf_init(&q->result, 0);
    list_push_back(&m->queries, &q->link);
}

static void mirror_cancel(struct backend *b, struct call *q)
{
    (void)b;
    list_remove(&q->link);
}

static void mirror_free(struct backend *b)
{
    (void)b;
}

static void mirror_answer(struct mirror *m)
{
    struct list *link;
    while ((link = list_pop_front(&m->queries)) != NULL) {
        struct call *q = container_of(link, struct call, link);
        struct slice answer = buf_slice(q->shape == CALL_ROWS ? &m->rows : &m->row);
        if (mpw_raw(&q->result, answer) != 0)
            die("no memory");
        q->done(q);
    }
}

static int put_row(struct buf *b)
{
    int rc = mpw_map(b, 5);
    rc |= mpw_str(b, slice_str("id")) | mpw_int(b, 42);
    rc |= mpw_str(b, slice_str("name")) | mpw_str(b, slice_str("Ada Lovelace"));
    rc |= mpw_str(b, slice_str("email")) | mpw_str(b, slice_str("ada@example.org"));
    rc |= mpw_str(b, slice_str("age")) | mpw_int(b, 36);
    rc |= mpw_str(b, slice_str("active")) | mpw_bool(b, true);
    return rc;
}

static void mirror_init(struct mirror *m)
{
    static const struct backend_ops ops = {
        .submit = mirror_submit, .cancel = mirror_cancel, .free = mirror_free};
    *m = (struct mirror){.head = {.ops = &ops, .name = "main", .refs = 1}};
    list_init(&m->queries);
    buf_init(&m->row, 0);
    buf_init(&m->rows, 0);
    int rc = put_row(&m->row) | mpw_array(&m->rows, KEYS);
    for (int i = 0; i < KEYS; i++)
        rc |= put_row(&m->rows);
    if (rc != 0)
        die("no memory");
}

static void on_done(struct run *r, struct run_result *result, void *arg)
{
    (void)r;
    if (result->outcome != RUN_FOUND && result->outcome != RUN_DONE)
        die(result->err.text);
    ++*(long *)arg;
}

static int add_script(struct runtime *rt, const char *dir, const char *method, struct err *e)
{
    char path[512];
    int index;
    const char *hole = strstr(script, "METHOD");
    snprintf(path, sizeof path, "%s/cost.lua", dir);
    FILE *f = fopen(path, "w");
    if (!f)
        die("the directory cannot be written");
    fprintf(f, "%.*s%s%s", (int)(hole - script), script, method, hole + strlen("METHOD"));
    if (fclose(f) != 0)
        die("the directory cannot be written");
    if (runtime_add_script(rt, "cost.lua", &index, e) != 0)
        die(e->text);
    return index;
}

static void load(struct runtime *rt, struct mirror *m, struct run_request *q)
{
    static const struct slice captures[] = {{"42", 2}};
    static char names[KEYS][16];
    static struct run_key keys[KEYS];
    struct run *run;
    struct err e;
    if (q->what == RUN_LOAD_MANY && !q->keys) {
        for (int i = 0; i < KEYS; i++) {
            int size = snprintf(names[i], sizeof names[i], "user:%d", i);
            keys[i] = (struct run_key){
                .key = slice_of(names[i], (size_t)size), .captures = captures, .capture_count = 1};
        }
        q->keys = keys;
        q->key_count = KEYS;
    }
    q->key = slice_str("user:42");
    q->captures = captures;
    q->capture_count = 1;
    q->deadline_ms = clock_ms() + 1000;
    if (run_start(&run, rt, q, &e) != 0)
        die(e.text);
    mirror_answer(m);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        die("load_cost row|packed_row|load_many LOADS DIRECTORY");
    bool many = strcmp(argv[1], "load_many") == 0;
    long loads = strtol(argv[2], NULL, 10), done = 0;
    struct mirror m;
    mirror_init(&m);
    struct backend *backends[] = {&m.head};
    const struct conf_backend conf = {.name = "main", .driver = &sqlite_driver.conf};
    struct runtime_options o = {.loop = ev_loop_new(EVFLAG_AUTO),
                                .scripts_dir = argv[3],
                                .lua_dir = argv[3],
                                .memory_max = 64 << 20,
                                .run_cpu_ms = 2000,
                                .value_max = 1 << 20,
                                .backends = backends,
                                .backend_confs = &conf,
                                .backend_count = 1};
    struct runtime *rt;
    struct err e;
    if (runtime_new(&rt, &o, &e) != 0)
        die(e.text);
    struct run_request q = {.what = many ? RUN_LOAD_MANY : RUN_LOAD,
                            .script = add_script(rt, argv[3], many ? "row" : argv[1], &e),
                            .pattern = "user:*",
                            .attempt = 1,
                            .done = on_done,
                            .arg = &done};
    for (long i = 0; i < loads; i++)
        load(rt, &m, &q);
    if (done != loads)
        die("a load did not end");
    runtime_unref(rt);
    ev_loop_destroy(o.loop);
    buf_fini(&m.row);
    buf_fini(&m.rows);
    return 0;
}
