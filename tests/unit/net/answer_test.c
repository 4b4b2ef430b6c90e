/* An answer goes out whole, or its connection ends: wherever in it the room ends. */
#include "net/net_client.h"

static const char CONF[] = "listen = \"127.0.0.1:0\"\n"
                           "defaults = { jitter = 0.0, ttl = \"90s\", stale_ttl = \"10s\" }\n";

static struct net_world *w;
static struct client a;

static int open_one(void **state)
{
    (void)state;
    w = net_new(CONF);
    client_open(w, &a);
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

/* c has to be cut, without a byte of what did not fit; it is another one then. */
static void is_cut(struct client *c, const char *reason)
{
    char line[100];
    hears_next(w, c, "closed");
    snprintf(line, sizeof line, " reason=\"%s\"\n", reason);
    const char *log = net_logged(w); /* of so many lines the first ones are written */
    assert_true(*log == '\0' || strstr(log, line));
    c->conn = NULL;
    client_close(w, c);
    client_open(w, c);
}

/* The bytes that the answer to a call has. */
static size_t size_of_answer(const char *call)
{
    uint32_t id;
    uint64_t before = net_count(w, M_BYTES_OUT);
    client_send(w, &a, call);
    (void)client_next(w, &a, &id);
    return net_count(w, M_BYTES_OUT) - before;
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
        "expire_many [[\"none\"]]",
        "invalidate_many [[\"none\"]]",
        "subscribe [{\"keys\": \"none\"}]",
        "hello []",
    };
    hears(w, &a, "set [\"k\", [1, \"two\"], {\"version\": 70000, \"tags\": [\"t\", \"uuuu\"]}]",
          "true");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        size_t size = size_of_answer(calls[i]);
        assert_true(size >= 5);
        for (size_t room = 1; room < size; room++) {
            have_room(room);
            client_send(w, &a, calls[i]);
            is_cut(&a, "no room for its answers");
            assert_int_equal(a.in.size, 0);
        }
        have_room(size);
        assert_int_equal(size_of_answer(calls[i]), size);
        have_room(100000);
    }
}

/* A client that has asked for maps: the error is one, and it is whole. */
static void an_error_that_is_a_map_is_whole_too(void **state)
{
    (void)state;
    size_t size = 0;
    for (size_t room = 1; room != size; room++) {
        uint32_t id;
        have_room(100000);
        client_send(w, &a, "hello [{\"errors\": \"map\"}]");
        (void)client_next(w, &a, &id);
        if (size == 0)
            size = size_of_answer("get [\"\"]");
        have_room(room);
        client_send(w, &a, "get [\"\"]");
        is_cut(&a, "no room for its answers");
    }
    have_room(100000);
}

static void the_answer_to_a_reload_is_whole(void **state)
{
    (void)state;
    for (size_t room = 1, size = 38; room <= size; room++) {
        client_send(w, &a, "reload []");
        while (!w->reload)
            net_wait(w);
        struct io_reload *r = w->reload;
        w->reload = NULL;
        r->generation = 70000;
        r->message.recv = r->answered;
        have_room(room);
        mailbox_send(r->answer_to, &r->message);
        if (room < size)
            is_cut(&a, "no room for its answers");
        else
            hears_next(w, &a, "{\"generation\":70000,\"loaders\":0,\"changed\":false}");
        assert_int_equal(w->io->tickets, 0);
    }
}

static void a_notification_is_whole(void **state)
{
    (void)state;
    struct client b;
    client_open(w, &b);
    for (size_t room = 8, size = 56; room <= size; room++) {
        have_room(100000);
        hears(w, &b, "subscribe [{\"keys\": \"key\"}]", "1");
        hears(w, &a, "invalidate [\"key\"]", "false");
        hears_next(w, &b, "-> [{\"key\":\"key\",\"cause\":\"invalidate\"}]");
        (void)net_logged(w);
        have_room(room);
        hears(w, &a, "invalidate [\"key\", {\"version\": 70000}]", "false");
        if (room < size)
            is_cut(&b, "no room for its notifications");
        else
            hears_next(w, &b, "-> [{\"key\":\"key\",\"cause\":\"invalidate\",\"version\":70000}]");
        net_settle(w);
    }
    client_close(w, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, open_one, close_one)
        ONE(an_answer_that_finds_no_room_is_not_begun),
        ONE(an_error_that_is_a_map_is_whole_too),
        ONE(the_answer_to_a_reload_is_whole),
        ONE(a_notification_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
