/*
 * wire_json_fuzz: JSON text to MessagePack and back, which is the same again; and any bytes as
 * MessagePack to JSON. Run: ./dev fuzz wire_json
 */
#include "wire/json.h"
#include "wire/mp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void text_and_back(struct slice in)
{
    struct buf packed, text, again;
    struct err e;
    buf_init(&packed, 1 << 16);
    buf_init(&text, 1 << 20);
    buf_init(&again, 1 << 20);
    int rc = json_to_mp(in, &packed, &e);
    expect(rc == 0 || rc == ERR_BACKEND || rc == ERR_TOO_LARGE);
    expect(rc == 0 || e.text[0] != '\0');
    if (rc == 0) {
        expect(mp_check(buf_slice(&packed), &e) == 0);
        expect(json_from_mp(buf_slice(&packed), &text, &e) == 0);
        expect(json_to_mp(buf_slice(&text), &again, &e) == 0);
        expect(slice_eq(buf_slice(&packed), buf_slice(&again)));
    }
    buf_fini(&packed);
    buf_fini(&text);
    buf_fini(&again);
}

static void packed_to_text(struct slice in)
{
    struct buf text, packed;
    struct err e;
    if (mp_check(in, &e) != 0)
        return;
    buf_init(&text, 1 << 16);
    buf_init(&packed, 1 << 20);
    int rc = json_from_mp(in, &text, &e);
    expect(rc == 0 || rc == ERR_BAD_VALUE || rc == ERR_TOO_LARGE);
    expect(rc == 0 || e.text[0] != '\0');
    /* jansson takes no NUL in the name of a member. */
    if (rc == 0 && json_to_mp(buf_slice(&text), &packed, &e) != 0)
        expect(memmem(text.data, text.size, "\\u0000", 6) != NULL);
    buf_fini(&text);
    buf_fini(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of((const char *)data, size);
    text_and_back(in);
    packed_to_text(in);
    return 0;
}
