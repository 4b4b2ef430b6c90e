/*
 * cli_json_fuzz: JSON as the command line takes it, to MessagePack and back, which is the same
 * again; and any bytes as a value to print, which never carries a control character.
 * Run: ./dev fuzz cli_json
 */
#include "cli/json_in.h"
#include "wire/json_out.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void expect_printable(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        expect((c >= ' ' || c == '\n') && c != 0x7f);
    }
    expect(mp_utf8_valid(text));
}

static void text_and_back(struct slice in, enum json_out_style style)
{
    struct buf packed, text, again;
    struct err e;
    buf_init(&packed, 0);
    buf_init(&text, 0);
    buf_init(&again, 0);
    int rc = json_in_pack(&packed, in, &e);
    expect(rc == 0 || (rc == ERR_BAD_VALUE && e.text[0] != '\0' && packed.size == 0));
    if (rc == 0) {
        expect(mp_check(buf_slice(&packed), &e) == 0);
        expect(json_out_value(&text, buf_slice(&packed), style) == 0);
        expect_printable(buf_slice(&text));
        expect(json_in_pack(&again, buf_slice(&text), &e) == 0);
        expect(slice_eq(buf_slice(&packed), buf_slice(&again)));
    }
    buf_fini(&packed);
    buf_fini(&text);
    buf_fini(&again);
}

static void print(struct slice in, enum json_out_style style)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    int rc = json_out_value(&text, in, style);
    expect(rc == 0 || ((rc == ERR_PROTOCOL || rc == ERR_TOO_LARGE) && text.size == 0));
    expect_printable(buf_slice(&text));
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of((const char *)data, size);
    for (int style = JSON_OUT_COMPACT; style <= JSON_OUT_PRETTY; style++) {
        text_and_back(in, (enum json_out_style)style);
        print(in, (enum json_out_style)style);
    }
    return 0;
}
