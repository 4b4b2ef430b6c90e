#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static int fd; /* what is logged goes to a file in memory */

static int start(void **state)
{
    (void)state;
    fd = memfd_create("log", MFD_CLOEXEC);
    log_setup(fd, LOG_DEBUG);
    return fcntl(fd, F_SETFL, O_APPEND); /* without it threads may write over one another */
}

static int stop(void **state)
{
    (void)state;
    log_setup(STDERR_FILENO, LOG_INFO);
    return close(fd);
}

/* All that was logged since the last call; borrowed until the next. */
static char *logged(void)
{
    static char text[1 << 20];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_int_equal(ftruncate(fd, 0), 0);
    return text;
}

/* The next line of *text, cut out of it; NULL at the end. */
static char *next_line(char **text)
{
    char *line = *text;
    if (*line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    assert_non_null(end); /* no line without its end */
    *end = '\0';
    *text = end + 1;
    return line;
}

/* What stands after the time: "2026-01-31T12:00:00.123Z ". */
static const char *said(const char *line)
{
    static const char shape[] = "0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        bool fits = shape[i] == '0' ? line[i] >= '0' && line[i] <= '9' : line[i] == shape[i];
        if (!fits)
            fail_msg("no time stands before '%s'", line);
    }
    return line + sizeof shape - 1;
}

static void logged_is(const char *want)
{
    char *text = logged();
    char *line = next_line(&text);
    assert_non_null(line);
    assert_string_equal(said(line), want);
    assert_null(next_line(&text));
}

static void a_line_has_its_level_its_event_and_its_pairs(void **state)
{
    (void)state;
    log_warn("pg.disconnected", "backend=%s retry_ms=%d", "main", 250);
    logged_is("warn  pg.disconnected backend=main retry_ms=250");
    log_info("server.ready", "%s", "");
    logged_is("info  server.ready ");
    log_debug("loop.turn", "n=%d", 1);
    logged_is("debug loop.turn n=1");
    const char *none = "";
    struct log_site site = {0};
    log_write(&site, LOG_ERROR, "server.failed", none, 0);
    logged_is("error server.failed");
}

static void its_time_is_that_of_the_wall_in_utc(void **state)
{
    (void)state;
    struct tm utc = {0};
    int ms;
    int64_t before = clock_wall_ms();
    log_info("a.b", "n=%d", 1);
    int64_t after = clock_wall_ms();
    const char *rest = strptime(logged(), "%Y-%m-%dT%H:%M:%S", &utc);
    assert_non_null(rest);
    assert_int_equal(sscanf(rest, ".%3dZ ", &ms), 1);
    int64_t said_ms = (int64_t)timegm(&utc) * 1000 + ms;
    assert_true(before <= said_ms && said_ms <= after);
}

static void what_is_below_the_level_stays_out(void **state)
{
    (void)state;
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
        assert_int_equal(log_level_parse(names[least]), least);
        log_setup(fd, (enum log_level)least);
        assert_int_equal(log_level_now(), least);
        log_debug("level.debug", "n=%d", 0);
        log_info("level.info", "n=%d", 1);
        log_warn("level.warn", "n=%d", 2);
        log_error("level.error", "n=%d", 3);
        char *text = logged(), *line;
        int seen = least;
        for (; (line = next_line(&text)); seen++)
            assert_memory_equal(said(line), names[seen], strlen(names[seen]));
        assert_int_equal(seen, 4);
    }
    log_setup(fd, LOG_DEBUG);
    assert_int_equal(log_level_parse("Info"), -1);
    assert_int_equal(log_level_parse("warning"), -1);
    assert_int_equal(log_level_parse(""), -1);
}

static void a_text_is_quoted_and_escaped(void **state)
{
    (void)state;
    assert_string_equal(log_q("plain"), "\"plain\"");
    assert_string_equal(log_q("two words"), "\"two words\"");
    assert_string_equal(log_q(""), "\"\"");
    assert_string_equal(log_q(NULL), "\"\"");
    assert_string_equal(log_q("say \"no\" \\ yes"), "\"say \\\"no\\\" \\\\ yes\"");
    assert_string_equal(log_q("a\nb\tc\x1b[1m\x7f"), "\"a\\x0ab\\x09c\\x1b[1m\\x7f\"");
    assert_string_equal(log_q("h\xc3\xa9\xe2\x82\xac"), "\"h\xc3\xa9\xe2\x82\xac\"");
    assert_string_equal(log_q("\xff\xc3"), "\"\\xff\\xc3\"");
    log_info("a.b", "why=%s", log_q("it said\n\"no\""));
    logged_is("info  a.b why=\"it said\\x0a\\\"no\\\"\"");
}

static void a_long_text_is_cut_between_two_characters(void **state)
{
    (void)state;
    static const char *const parts[] = {"\xe2\x82\xac", "\x01", "\"", "x"};
    static const size_t widths[] = {3, 4, 2, 1};
    for (size_t p = 0; p < 4; p++) {
        char text[3001] = "";
        for (size_t n = 0; n + 3 < sizeof text; n += strlen(parts[p]))
            strcpy(text + n, parts[p]);
        const char *q = log_q(text);
        size_t size = strlen(q) - 2;
        assert_in_range(size, ERR_TEXT_MAX, ERR_TEXT_MAX + 64);
        assert_int_equal(size % widths[p], 0);
        assert_memory_equal(q + 1 + size - widths[p], q + 1, widths[p]);
        assert_string_equal(q + 1 + size, "\"");
    }
}

static void of_a_long_key_stand_32_bytes_and_its_size(void **state)
{
    (void)state;
    char key[4096];
    memset(key, 'k', sizeof key);
    assert_string_equal(log_key(slice_str("user:42")), "\"user:42\"");
    assert_string_equal(log_key(slice_of("a\0\"b", 4)), "\"a\\x00\\\"b\"");
    assert_string_equal(log_key(slice_of(key, 32)), "\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"");
    assert_string_equal(log_key(slice_of(key, 4096)),
                        "\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\"(4096)");
    memcpy(key + 30, "\xe2\x82\xac", 3);
    assert_string_equal(log_key(slice_of(key, 33)), "\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\"(33)");
    memset(key, '\0', sizeof key);
    assert_int_equal(strlen(log_key(slice_of(key, 4096))), 1 + 4 * 32 + strlen("...\"(4096)"));
}

static void eight_texts_fit_into_one_line(void **state)
{
    (void)state;
    log_info("a.b", "%s %s %s %s %s %s %s %s", log_q("1"), log_q("2"), log_q("3"),
             log_key(slice_str("4")), log_q("5"), log_q("6"), log_q("7"), log_q("8"));
    logged_is("info  a.b \"1\" \"2\" \"3\" \"4\" \"5\" \"6\" \"7\" \"8\"");
}

static void a_long_line_is_cut_and_stays_one_line(void **state)
{
    (void)state;
    static char text[5000];
    for (size_t pad = 0; pad < 3; pad++) {
        memset(text, '.', pad);
        for (size_t n = pad; n + 4 < sizeof text; n += 3)
            strcpy(text + n, "\xe2\x82\xac");
        log_info("a.b", "text=%s", text);
        char *all = logged();
        char *line = next_line(&all);
        assert_null(next_line(&all));
        assert_in_range(strlen(line) + 1, LINE_MAX_BYTES - 2, LINE_MAX_BYTES);
        const char *cut = said(line) + strlen("info  a.b text=") + pad;
        assert_int_equal(strlen(cut) % 3, 0);
        assert_memory_equal(cut + strlen(cut) - 3, "\xe2\x82\xac", 3);
    }
    /* One that just fits has all of it. */
    memset(text, 'x', sizeof text);
    size_t room = LINE_MAX_BYTES - strlen("2026-01-31T12:00:00.123Z info  a.b text=\n");
    log_info("a.b", "text=%.*s", (int)room, text);
    assert_int_equal(strlen(logged()), LINE_MAX_BYTES);
}

static void an_event_that_fills_the_line_is_cut_too(void **state)
{
    (void)state;
    char event[3 * LINE_MAX_BYTES];
    for (size_t size = LINE_MAX_BYTES - 40; size < sizeof event; size += size < 2100 ? 1 : 999) {
        struct log_site site = {.swallowed = 7};
        memset(event, 'e', size);
        event[size] = '\0';
        log_write(&site, LOG_INFO, event, "n=%d", 1);
        char *text = logged();
        assert_non_null(next_line(&text));
        assert_null(next_line(&text));
        assert_true(strlen(text) == 0);
    }
}

/* How many of the lines of text are of one second at the most; *swallowed: what they own up to. */
static int count_lines(char *text, int *most, unsigned *swallowed)
{
    int lines = 0, in_second = 0;
    char second[20] = "", *line;
    *most = 0;
    *swallowed = 0;
    for (; (line = next_line(&text)); lines++) {
        const char *note = strstr(said(line), "info  a.b suppressed=");
        in_second = memcmp(second, line, 19) == 0 ? in_second + 1 : 1;
        memcpy(second, line, 19);
        *most = in_second > *most ? in_second : *most;
        if (note)
            *swallowed += (unsigned)atoi(strchr(note, '=') + 1);
    }
    return lines;
}

static void a_call_site_writes_so_many_lines_a_second_and_owns_up_to_the_rest(void **state)
{
    (void)state;
    struct log_site site = {0};
    int calls = 0, most;
    unsigned swallowed;
    while (atomic_load(&site.swallowed) < 100) {
        log_write(&site, LOG_INFO, "a.b", "n=%d", calls);
        calls++;
    }
    atomic_store(&site.second, 1); /* the next line is in another second */
    log_write(&site, LOG_INFO, "a.b", "n=%d", calls);
    calls++;
    char *text = logged();
    assert_non_null(strstr(text, " suppressed="));
    int lines = count_lines(text, &most, &swallowed);
    assert_int_equal(lines + (int)swallowed, calls);
    assert_in_range(most, LOG_BURST, LOG_BURST + 1); /* one more for the second we made */
    log_write(&site, LOG_INFO, "a.b", "n=%d", 0);
    assert_null(strstr(logged(), "suppressed"));
}

static void a_level_that_is_off_uses_up_no_lines(void **state)
{
    (void)state;
    struct log_site site = {0};
    log_setup(fd, LOG_WARN);
    for (int i = 0; i < 10 * LOG_BURST; i++)
        log_write(&site, LOG_INFO, "a.b", "n=%d", i);
    log_setup(fd, LOG_DEBUG);
    log_write(&site, LOG_INFO, "a.b", "n=%d", 1);
    logged_is("info  a.b n=1");
}

static void each_call_site_counts_for_itself(void **state)
{
    (void)state;
    for (int i = 0; i < 10 * LOG_BURST; i++)
        log_info("site.one", "n=%d", i);
    log_info("site.two", "n=%d", 1);
    assert_non_null(strstr(logged(), "info  site.two n=1\n"));
}

static void *write_lines(void *arg)
{
    struct log_site site = {0};
    for (int i = 0; i < LOG_BURST; i++)
        log_write(&site, LOG_INFO, "a.b", "thread=%d text=%s", *(int *)arg, log_q("two words"));
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int numbers[THREADS], count[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *text = logged(), *line;
    while ((line = next_line(&text))) {
        int number, end = 0;
        sscanf(said(line), "info  a.b thread=%d text=\"two words\"%n", &number, &end);
        assert_int_equal(said(line)[end], '\0');
        assert_true(end > 0);
        count[number]++;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(count[i], LOG_BURST);
}

static void a_log_that_cannot_be_written_harms_nobody(void **state)
{
    (void)state;
    log_setup(-1, LOG_DEBUG);
    log_error("a.b", "n=%d", 1);
    log_setup(fd, LOG_DEBUG);
    log_info("a.b", "n=%d", 2);
    logged_is("info  a.b n=2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_its_level_its_event_and_its_pairs),
        cmocka_unit_test(its_time_is_that_of_the_wall_in_utc),
        cmocka_unit_test(what_is_below_the_level_stays_out),
        cmocka_unit_test(a_text_is_quoted_and_escaped),
        cmocka_unit_test(a_long_text_is_cut_between_two_characters),
        cmocka_unit_test(of_a_long_key_stand_32_bytes_and_its_size),
        cmocka_unit_test(eight_texts_fit_into_one_line),
        cmocka_unit_test(a_long_line_is_cut_and_stays_one_line),
        cmocka_unit_test(an_event_that_fills_the_line_is_cut_too),
        cmocka_unit_test(a_call_site_writes_so_many_lines_a_second_and_owns_up_to_the_rest),
        cmocka_unit_test(a_level_that_is_off_uses_up_no_lines),
        cmocka_unit_test(each_call_site_counts_for_itself),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
        cmocka_unit_test(a_log_that_cannot_be_written_harms_nobody),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
