/* The ways to files, through links, and the fingerprint of what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/folder.h"
#include "server/watch_files.h"

#include "base/list.h"

#include <fcntl.h>

/* ---- ways ---- */

struct steps {
    char text[8192]; /* "folder>name ", and "!" behind the last name of the path */
    size_t count;
};

static void on_step(const char *at, const char *name, bool last, void *arg)
{
    struct steps *s = arg;
    char one[512];
    size_t own = strlen(folder);
    bool inside = strncmp(at, folder, own) == 0;
    s->count++;
    if (!inside || (at[own] != '\0' && at[own] != '/'))
        return; /* on the way to the test's own folder */
    snprintf(one, sizeof one, "%s>%s%s ", at + own, name, last ? "!" : "");
    if (strlen(s->text) + strlen(one) < sizeof s->text)
        strcat(s->text, one);
}

static void assert_way(const char *path, const char *want)
{
    struct steps s = {.count = 0};
    watch_way(in_folder(path), on_step, &s);
    if (strcmp(s.text, want) != 0)
        fail_msg("the way to %s is\n%s\nand not\n%s", path, s.text, want);
}

static void make_link(const char *target, const char *name)
{
    unlink(in_folder(name));
    assert_int_equal(symlink(target, in_folder(name)), 0);
}

static void make_folder(const char *name)
{
    mkdir(in_folder(name), 0755);
}

static void a_way_has_each_folder_as_a_step(void **state)
{
    (void)state;
    make_folder("a");
    make_folder("a/b");
    write_file("a/b/file", "x");
    assert_way("a/b/file", ">a /a>b /a/b>file! ");
    assert_way("a//b/./file", ">a /a>b /a/b>file! ");
    assert_way("a/b/../b/file", ">a /a>b /a>b /a/b>file! ");
    assert_way("a/gone/file", ">a /a>gone ");
    assert_way("gone", ">gone! ");
}

static void a_link_stands_for_the_way_that_it_names(void **state)
{
    (void)state;
    make_folder("releases");
    make_folder("releases/7");
    write_file("releases/7/k.lua", "x");
    make_link("releases/7", "current");
    assert_way("current/k.lua", ">current >releases /releases>7 /releases/7>k.lua! ");
    make_link(in_folder("releases/7"), "whole");
    assert_way("whole/k.lua", ">whole >releases /releases>7 /releases/7>k.lua! ");
    make_link("../releases/7/k.lua", "a/link");
    assert_way("a/link", ">a /a>link! >a >releases /releases>7 /releases/7>k.lua! ");
    make_link("current", "again");
    assert_way("again/k.lua", ">again >current >releases /releases>7 /releases/7>k.lua! ");
    make_link("nowhere", "dangling");
    assert_way("dangling", ">dangling! >nowhere! ");
}

static void links_that_lead_nowhere_come_to_an_end(void **state)
{
    (void)state;
    struct steps s = {.count = 0};
    make_link("circle", "circle");
    watch_way(in_folder("circle"), on_step, &s);
    size_t found = 0;
    for (const char *at = s.text; (at = strstr(at, ">circle! ")); at++)
        found++;
    assert_int_equal(found, WATCH_LINKS_MAX + 1);
}

/* As many links as the kernel itself follows are followed to their end. */
static void a_chain_is_followed_as_far_as_the_kernel_goes(void **state)
{
    (void)state;
    char name[32], target[32];
    write_file("link0", "x");
    for (int i = 1; i <= WATCH_LINKS_MAX + 1; i++) {
        snprintf(name, sizeof name, "link%d", i);
        snprintf(target, sizeof target, "link%d", i - 1);
        make_link(target, name);
        struct stat st;
        bool opens = stat(in_folder(name), &st) == 0;
        struct steps s = {.count = 0};
        watch_way(in_folder(name), on_step, &s);
        if ((strstr(s.text, ">link0! ") != NULL) != opens)
            fail_msg("%d links: %s", i, s.text);
    }
}

/* ---- fingerprints ---- */

/* A copy of the path of a name in the folder, for a test's whole time. */
static const char *path_of(const char *name)
{
    static char rooms[16][PATH_MAX];
    static unsigned turn;
    char *room = rooms[turn++ % 16];
    snprintf(room, sizeof rooms[0], "%s", in_folder(name));
    return room;
}

static void only_scripts_and_what_the_configuration_names_count(void **state)
{
    (void)state;
    static const char *const counted[] = {
        "scripts/a.lua", "scripts/more/b.lua",
        "lua/c.lua",     "rtcache.conf",
        "more.conf",     "cert.pem",
        "key.pem",       "ca.pem",
        "one.pw",        "two.pw",
    };
    static const char *const others[] = {"scripts/notes.txt", "scripts/.lua", "scripts/.d.lua",
                                         "scripts/e.lua.swp", "three.pw"};
    assert_true(watch_is_script("a.lua"));
    assert_false(watch_is_script(".lua") || watch_is_script("lua") || watch_is_script("a.lua~"));
    make_folder("scripts");
    make_folder("scripts/more");
    make_folder("lua");
    const char *const files[] = {path_of("rtcache.conf"), path_of("more.conf")};
    struct conf_user users[] = {{.password_file = path_of("one.pw")},
                                {.password_file = NULL},
                                {.password_file = path_of("two.pw")}};
    struct conf conf = {
        .files = files,
        .file_count = 2,
        .tls = {.certificate = path_of("cert.pem"),
                .key = path_of("key.pem"),
                .client_ca = path_of("ca.pem")},
        .users = users,
        .user_count = 3,
        .scripts_dir = path_of("scripts"),
        .lua_dir = path_of("lua"),
    };
    uint64_t before = watch_fingerprint(&conf);
    assert_int_equal(watch_fingerprint(&conf), before);
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        write_file(counted[i], "one");
        uint64_t one = watch_fingerprint(&conf);
        write_file(counted[i], "two");
        uint64_t two = watch_fingerprint(&conf);
        if (one == before || two == one)
            fail_msg("%s is not seen", counted[i]);
        write_file(counted[i], "one");
        before = watch_fingerprint(&conf);
        assert_int_equal(before, one);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        write_file(others[i], "x");
        if (watch_fingerprint(&conf) != before)
            fail_msg("%s is seen", others[i]);
    }
    assert_int_equal(unlink(in_folder("scripts/more/b.lua")), 0);
    assert_true(watch_fingerprint(&conf) != before);
}

struct walk {
    struct watch_visitor visitor;
    int folders, files;
};

static void count_folder(struct watch_visitor *v, const char *path)
{
    (void)path;
    container_of(v, struct walk, visitor)->folders++;
}

static void count_file(struct watch_visitor *v, const char *path)
{
    (void)path;
    container_of(v, struct walk, visitor)->files++;
}

static struct walk walk(const char *scripts)
{
    struct walk w = {.visitor = {.on_folder = count_folder, .on_file = count_file}};
    struct conf conf = {.scripts_dir = scripts, .lua_dir = "/nowhere"};
    watch_files_walk(&w.visitor, &conf);
    return w;
}

/* A script in each of more folders than are gone into. */
static void folders_are_walked_so_deep(void **state)
{
    (void)state;
    char name[64] = "deep", file[80];
    for (int depth = 0; depth <= WATCH_DEPTH_MAX + 2; depth++) {
        make_folder(name);
        snprintf(file, sizeof file, "%s/a.lua", name);
        write_file(file, "x");
        strcat(name, "/d");
    }
    struct walk w = walk(path_of("deep"));
    assert_int_equal(w.folders, WATCH_DEPTH_MAX + 1);
    assert_int_equal(w.files, WATCH_DEPTH_MAX + 1);
}

static void scripts_are_visited_up_to_so_many(void **state)
{
    (void)state;
    char name[64];
    make_folder("many");
    for (int i = 0; i < WATCH_FILES_MAX; i++) {
        snprintf(name, sizeof name, "many/%d.lua", i);
        assert_int_equal(close(creat(in_folder(name), 0600)), 0);
    }
    const char *many = path_of("many");
    assert_int_equal(walk(many).files, WATCH_FILES_MAX);
    write_file("many/more.lua", "x");
    assert_int_equal(walk(many).files, WATCH_FILES_MAX);
}

static void a_name_may_be_as_long_as_any(void **state)
{
    (void)state;
    char name[NAME_MAX + 1], want[NAME_MAX + 8];
    memset(name, 'n', sizeof name);
    name[NAME_MAX] = '\0';
    write_file(name, "x");
    snprintf(want, sizeof want, ">%s! ", name);
    assert_way(name, want);
}

/* A file is seen to its end, whatever its size. */
static void large_files_are_read_to_their_end(void **state)
{
    (void)state;
    static char text[40 * 1024];
    memset(text, 'x', sizeof text - 1);
    const char *const files[] = {path_of("large.conf")};
    struct conf conf = {
        .files = files, .file_count = 1, .scripts_dir = "/nowhere", .lua_dir = "/nowhere"};
    write_file("large.conf", text);
    uint64_t before = watch_fingerprint(&conf);
    for (size_t at = 0; at < sizeof text - 1; at += sizeof text / 5) {
        text[at] = 'y';
        write_file("large.conf", text);
        if (watch_fingerprint(&conf) == before)
            fail_msg("byte %zu is not seen", at);
        text[at] = 'x';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_way_has_each_folder_as_a_step),
        cmocka_unit_test(a_link_stands_for_the_way_that_it_names),
        cmocka_unit_test(links_that_lead_nowhere_come_to_an_end),
        cmocka_unit_test(a_chain_is_followed_as_far_as_the_kernel_goes),
        cmocka_unit_test(only_scripts_and_what_the_configuration_names_count),
        cmocka_unit_test(folders_are_walked_so_deep),
        cmocka_unit_test(scripts_are_visited_up_to_so_many),
        cmocka_unit_test(a_name_may_be_as_long_as_any),
        cmocka_unit_test(large_files_are_read_to_their_end),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
