/* What is heard of the files of a configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/folder.h"
#include "conf/loaded.h"
#include "server/watch.h"

#include <errno.h>
#include <fcntl.h>

/* The loop counts what keeps it running: the timer that waits until files are quiet, and no other
 * watcher. */
struct world {
    struct ev_loop *loop;
    struct watch *watch;
    struct conf *conf;
    int changes; /* told so far */
};

static void on_change(void *arg)
{
    struct world *w = arg;
    w->changes++;
}

/* Whether what happened on disk since the last call begins, or has ended, such a wait. */
static bool hears(struct world *w)
{
    int before = w->changes;
    return ev_run(w->loop, EVRUN_NOWAIT) || w->changes != before;
}

/* Until all that was heard is told. */
static void quiet(struct world *w)
{
    ev_run(w->loop, 0);
    while (hears(w))
        ev_run(w->loop, 0);
}

static void make_folder(const char *name)
{
    assert_true(mkdir(in_folder(name), 0755) == 0 || errno == EEXIST);
}

#define HASH /* of "other" */                                                                      \
    "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$"                                        \
    "LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct err e;
    make_folder("scripts");
    make_folder("scripts/more");
    make_folder("beside");
    write_file("scripts/a.lua", "x");
    write_file("scripts/more/b.lua", "x");
    write_file("beside/word", HASH);
    w->conf = load("users = ({ name = \"u\"; password_file = \"beside/word\";\n"
                   "           rights = [ \"read\" ] })\n");
    w->loop = ev_loop_new(0);
    assert_int_equal(watch_new(&w->watch, w->loop, on_change, w, &e), 0);
    ev_unref(w->loop); /* the watcher of the descriptor */
    watch_set(w->watch, w->conf);
    quiet(w);
    assert_int_equal(w->changes, 1); /* for what may have changed before */
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    ev_ref(w->loop);
    watch_free(w->watch);
    conf_unref(w->conf);
    ev_loop_destroy(w->loop);
    free(w);
    return 0;
}

static void touch(const char *name)
{
    write_file(name, "y");
}

static void drop(const char *name)
{
    assert_int_equal(remove(in_folder(name)), 0);
}

static void expect(struct world *w, bool heard, const char *what, const char *name)
{
    if (hears(w) != heard)
        fail_msg("%s of %s is %sheard", what, name, heard ? "not " : "");
    int before = w->changes;
    quiet(w);
    assert_true(w->changes - before <= 1);
}

/* The folders are watched anew before each telling, which must not be heard as a change. */
static void a_change_is_told_once(void **state)
{
    struct world *w = *state;
    for (int i = 2; i < 5; i++) {
        touch("scripts/a.lua");
        touch("rtcache.conf");
        assert_true(hears(w));
        ev_run(w->loop, 0);
        assert_int_equal(w->changes, i);
        assert_false(hears(w));
    }
}

static void what_the_configuration_is_made_of_is_heard(void **state)
{
    static const char *const names[] = {"rtcache.conf", "beside/word", "scripts/a.lua",
                                        "scripts/more/b.lua"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        touch(names[i]);
        expect(w, true, "the writing", names[i]);
        char other[64];
        snprintf(other, sizeof other, "%s.away", names[i]);
        assert_int_equal(rename(in_folder(names[i]), in_folder(other)), 0);
        expect(w, true, "the leaving", names[i]);
        assert_int_equal(rename(in_folder(other), in_folder(names[i])), 0);
        expect(w, true, "the coming", names[i]);
        drop(names[i]);
        expect(w, true, "the end", names[i]);
        touch(names[i]);
        expect(w, true, "the beginning", names[i]);
    }
    make_folder("scripts/new");
    expect(w, true, "the beginning", "scripts/new");
    touch("scripts/new/c.lua");
    expect(w, true, "the beginning", "scripts/new/c.lua");
    drop("scripts/new/c.lua");
    drop("scripts/new");
    expect(w, true, "the end", "scripts/new");
}

static void nothing_else_is_heard(void **state)
{
    static const char *const names[] = {"other", "beside/other", "scripts/notes.txt",
                                        "scripts/more/notes.txt", "other.lua"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        touch(names[i]);
        expect(w, false, "the beginning", names[i]);
        touch(names[i]);
        expect(w, false, "the writing", names[i]);
        drop(names[i]);
        expect(w, false, "the end", names[i]);
    }
    assert_int_equal(w->changes, 1);
}

/* Each step of the way to a file. */
static void a_folder_that_is_moved_is_heard(void **state)
{
    struct world *w = *state;
    assert_int_equal(rename(in_folder("beside"), in_folder("moved")), 0);
    expect(w, true, "the leaving", "beside");
    touch("moved/word");
    expect(w, false, "the writing", "moved/word");
    assert_int_equal(rename(in_folder("moved"), in_folder("beside")), 0);
    expect(w, true, "the coming", "beside");
    touch("beside/word");
    expect(w, true, "the writing", "beside/word");
}

static void a_script_that_is_a_link_is_heard_at_its_target(void **state)
{
    struct world *w = *state;
    touch("beside/linked.lua");
    assert_int_equal(symlink("../beside/linked.lua", in_folder("scripts/link.lua")), 0);
    expect(w, true, "the beginning", "scripts/link.lua");
    touch("beside/linked.lua");
    expect(w, true, "the writing", "beside/linked.lua");
    drop("scripts/link.lua");
    expect(w, true, "the end", "scripts/link.lua");
    touch("beside/linked.lua");
    expect(w, false, "the writing", "beside/linked.lua");
}

static void a_folder_that_is_a_link_is_heard_at_its_way(void **state)
{
    struct world *w = *state;
    make_folder("beside/linked");
    touch("beside/linked/d.lua");
    assert_int_equal(symlink("../beside/linked", in_folder("scripts/link")), 0);
    touch("scripts/a.lua");
    expect(w, true, "the writing", "scripts/a.lua");
    touch("beside/linked/d.lua");
    expect(w, true, "the writing", "beside/linked/d.lua");
    drop("scripts/link");
    expect(w, true, "the end", "scripts/link");
    drop("beside/linked/d.lua");
    drop("beside/linked");
}

static void the_folders_of_scripts_are_heard_themselves(void **state)
{
    struct world *w = *state;
    assert_int_equal(rename(in_folder("scripts"), in_folder("away")), 0);
    expect(w, true, "the leaving", "scripts");
    assert_int_equal(rename(in_folder("away"), in_folder("scripts")), 0);
    expect(w, true, "the coming", "scripts");
    make_folder("lua");
    expect(w, true, "the beginning", "lua");
    touch("lua/c.lua");
    expect(w, true, "the beginning", "lua/c.lua");
    drop("lua/c.lua");
    drop("lua");
    expect(w, true, "the end", "lua");
}

/* What is watched no longer takes no place. */
static void a_configuration_that_comes_again_is_watched_as_the_first(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < WATCH_DIRS_MAX; i++)
        watch_set(w->watch, w->conf);
    quiet(w);
    touch("scripts/more/b.lua");
    expect(w, true, "the writing", "scripts/more/b.lua");
}

/* More than the kernel keeps: what was lost may have been a script. */
static void events_that_were_lost_are_a_change(void **state)
{
    static const char *const names[] = {"beside/x", "beside/y"};
    struct world *w = *state;
    int most = 0;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &most), 1);
    fclose(f);
    for (int i = 0; i < most + 1; i++)
        close(open(in_folder(names[i % 2]), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    expect(w, true, "a loss", "events");
}

static void another_configuration_has_other_files(void **state)
{
    struct world *w = *state;
    struct conf *before = w->conf;
    make_folder("elsewhere");
    w->conf = load("lua = \"elsewhere\"\n");
    watch_set(w->watch, w->conf);
    conf_unref(before);
    quiet(w);
    assert_int_equal(w->changes, 2);
    touch("beside/word");
    expect(w, false, "the writing", "beside/word");
    touch("elsewhere/c.lua");
    expect(w, true, "the beginning", "elsewhere/c.lua");
}

static void one_that_is_not_to_be_watched_is_not_told(void **state)
{
    struct world *w = *state;
    struct conf *before = w->conf;
    w->conf = load("watch = false\n");
    touch("scripts/a.lua");
    assert_true(hears(w));
    watch_set(w->watch, w->conf);
    conf_unref(before);
    assert_false(hears(w));
    touch("scripts/a.lua");
    touch("rtcache.conf");
    assert_false(hears(w));
    assert_int_equal(w->changes, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_change_is_told_once),
        CASE(what_the_configuration_is_made_of_is_heard),
        CASE(nothing_else_is_heard),
        CASE(a_folder_that_is_moved_is_heard),
        CASE(a_script_that_is_a_link_is_heard_at_its_target),
        CASE(a_folder_that_is_a_link_is_heard_at_its_way),
        CASE(the_folders_of_scripts_are_heard_themselves),
        CASE(a_configuration_that_comes_again_is_watched_as_the_first),
        CASE(events_that_were_lost_are_a_change),
        CASE(another_configuration_has_other_files),
        CASE(one_that_is_not_to_be_watched_is_not_told),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
