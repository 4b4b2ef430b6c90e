/* An answer goes out whole, or its connection ends: wherever in it the room ends. */
#include "net/net_client.h"

static const char CONF[] = "listen = \"127.0.0.1:0\"\n"
                           "defaults = { jitter = 0.0, ttl = \"90s\", stale_ttl = \"10s\" }\n";

static struct net_world *w;
static struct client a;
static const char *reason; /* for which a connection is cut that has no room */

static int open_one(void **state)
{
    (void)state;
    w = net_new(CONF);
    client_open(w, &a);
    reason = "no room for its answers";
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    client_close(w, &a);
    net_free(w);
    return 0;
}

/* What is answered next has room for so many bytes. */
static void have_room(size_t bytes)
{
    struct buf *spare = &w->io->spare;
    buf_fini(spare);
    buf_init(spare, bytes);
    assert_int_equal(buf_append(spare, "", 1), 0);
    buf_clear(spare);
}

/* What c hears with so little room: nothing, and it is cut and another one then; or the message,
 * whole, but for times in it. */
static bool hears_whole(struct client *c, const char *whole)
{
    uint32_t id;
    char line[100];
    const char *is = client_next(w, c, &id);
    if (strcmp(is, "closed") != 0) {
        size_t size = strlen(whole), end = size < 8 ? size : 8;
        if (strncmp(is, whole, end) != 0 || strcmp(is + strlen(is) - end, whole + size - end) != 0)
            fail_msg("%s, and not %s", is, whole);
        return true;
    }
    assert_int_equal(c->in.size, 0);
    snprintf(line, sizeof line, " reason=\"%s\"\n", reason);
    const char *log = net_logged(w); /* of so many lines the first ones are written */
    assert_true(*log == '\0' || strstr(log, line));
    c->conn = NULL;
    client_close(w, c);
    client_open(w, c);
    return false;
}

#define ROOM_MOST 2000

/* With more and more room for it. before: a call that each connection begins with, or NULL. */
static void is_whole_or_not_begun(const char *before, const char *call)
{
    uint32_t id;
    size_t room = 0;
    bool heard = false;
    if (before)
        hears(w, &a, before, NULL);
    client_send(w, &a, call);
    char *whole = strdup(client_next(w, &a, &id));
    uint64_t bytes = 0;
    while (!heard && ++room < ROOM_MOST) {
        have_room(ROOM_MOST);
        if (before)
            hears(w, &a, before, NULL);
        have_room(room);
        bytes = net_count(w, M_BYTES_OUT);
        client_send(w, &a, call);
        heard = hears_whole(&a, whole);
    }
    free(whole);
    assert_true(heard);
    bytes = net_count(w, M_BYTES_OUT) - bytes;
    assert_in_range(room, bytes, bytes + RPC_REPLY_HEAD);
    have_room(ROOM_MOST);
}

static void an_answer_that_finds_no_room_is_not_begun(void **state)
{
    (void)state;
    static const char *const calls[] = {
        "ping []",
        "get [\"k\"]",
        "get_entry [\"k\"]",
        "peek [\"k\"]",
        "peek [\"none\"]",
        "get [\"\"]",
        "get_many [[\"k\", \"k\"]]",
        "expire_many [[\"none\"]]",
        "invalidate_many [[\"none\"]]",
        "subscribe [{\"keys\": \"none\"}]",
        "hello []",
    };
    hears(w, &a,
          "set [\"k\", [1, \"two\"], {\"ttl_ms\": 0, \"version\": 70000, \"tags\": [\"t\", "
          "\"uuuu\"]}]",
          "true");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        is_whole_or_not_begun(NULL, calls[i]);
    is_whole_or_not_begun("hello [{\"errors\": \"map\"}]", "get [\"\"]");
}

static void the_answer_to_a_reload_is_whole(void **state)
{
    (void)state;
    size_t room = 0;
    bool heard = false;
    while (!heard && ++room < ROOM_MOST) {
        client_send(w, &a, "reload []");
        while (!w->reload)
            net_wait(w);
        struct io_reload *r = w->reload;
        w->reload = NULL;
        r->generation = 70000;
        r->message.recv = r->answered;
        have_room(room);
        mailbox_send(r->answer_to, &r->message);
        heard = hears_whole(&a, "{\"generation\":70000,\"loaders\":0,\"changed\":false}");
        assert_int_equal(w->io->tickets, 0);
    }
    assert_in_range(room, 30, 60);
}

static void a_notification_is_whole(void **state)
{
    (void)state;
    struct client b;
    size_t room = 7; /* for the answer of who changes it */
    bool heard = false;
    reason = "no room for its notifications";
    client_open(w, &b);
    while (!heard && ++room < ROOM_MOST) {
        have_room(ROOM_MOST);
        hears(w, &b, "subscribe [{\"keys\": \"key\"}]", "1");
        (void)net_logged(w);
        have_room(room);
        hears(w, &a, "invalidate [\"key\", {\"version\": 70000}]", "false");
        heard =
            hears_whole(&b, "-> [{\"key\":\"key\",\"cause\":\"invalidate\",\"version\":70000}]");
        net_settle(w);
    }
    assert_in_range(room, 40, 70);
    client_close(w, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, open_one, close_one)
        ONE(an_answer_that_finds_no_room_is_not_begun),
        ONE(the_answer_to_a_reload_is_whole),
        ONE(a_notification_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
