/* The keys of a snapshot without one of the allocations that they ask for: all, or the first of
 * them and that there was no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/snapshot_keys.h"
#include "state/state_folder.h"
#include "state/state_writer.h"

#include "faulty.h"

#define KEYS 300
#define ROOM 65536

static char printed[ROOM], whole[ROOM], buffer[ROOM];
static struct snapshot_keys file;

static void write_file(void)
{
    struct err e;
    struct state_dir *d = state_opened();
    struct state_writer *w;
    struct buf body;
    buf_init(&body, 0);
    for (int i = 0; i < KEYS; i++) {
        char key[200];
        snprintf(key, sizeof key, "%0100d", i);
        struct record r = {.key = slice_str(key), .fresh_left_ms = 1000};
        r.value = slice_of("\x01", 1);
        r.frequency = (uint8_t)(i % 4);
        assert_int_equal(record_pack(&body, &r), 0);
    }
    assert_int_equal(state_writer_new(&w, d, "snapshot", &e), 0);
    assert_int_equal(state_writer_block(w, BLOCK_ENTRIES, buf_slice(&body), KEYS, &e), 0);
    file.bytes = state_writer_bytes(w);
    assert_int_equal(state_writer_finish(w, &e), 0);
    state_dir_close(d);
    buf_fini(&body);
    snprintf(file.folder, sizeof file.folder, "%s", state_folder);
    snprintf(file.name, sizeof file.name, "snapshot");
}

static void without_memory_it_says_so_behind_the_first_keys(void **state)
{
    (void)state;
    struct err e;
    int64_t nth = 0;
    int rc = 0;
    bool failed = true;
    write_file();
    for (; failed; nth++) {
        memset(printed, 0, sizeof printed);
        FILE *out = fmemopen(printed, ROOM, "w");
        assert_int_equal(setvbuf(out, buffer, _IOFBF, ROOM), 0);
        err_clear(&e);
        if (nth == 0)
            rc = snapshot_keys_write(&file, out, &e);
        else
            failed = FAULTY_WITHOUT(nth, 0, rc = snapshot_keys_write(&file, out, &e));
        fclose(out);
        if (nth == 0)
            memcpy(whole, printed, ROOM);
        assert_int_equal(rc, nth > 0 && failed ? ERR_NOMEM : 0);
        assert_true(rc == 0 || strstr(e.text, "memory"));
        assert_memory_equal(printed, whole, strlen(printed));
    }
    assert_true(nth > 3);
    assert_int_equal(strlen(printed), KEYS * 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_memory_it_says_so_behind_the_first_keys,
                                        state_folder_make, state_folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
