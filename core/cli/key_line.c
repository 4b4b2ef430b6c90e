#include "cli/key_line.h"

#include "cli/json_in.h"
#include "wire/json_out.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <string.h>

#define BIN    "{\"$bin\""
#define OF_ONE "line 1, " /* what JSON's reader says of it */

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* The column of the first control character, from 1; 0: there is none. */
static size_t find_control(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (is_control((unsigned char)s.data[i]))
            return i + 1;
    return 0;
}

static bool has_c1(struct slice s)
{
    for (size_t i = 0; i + 1 < s.size; i++)
        if ((unsigned char)s.data[i] == 0xc2 && (unsigned char)s.data[i + 1] < 0xa0)
            return true;
    return false;
}

static bool is_plain(struct slice key)
{
    return key.size > 0 && key.data[0] != '"' && key.data[0] != '{' && find_control(key) == 0 &&
           mp_utf8_valid(key) && !has_c1(key);
}

static int write_json(struct buf *out, struct slice key)
{
    struct buf packed;
    buf_init(&packed, 0);
    int rc = mpw_text(&packed, key);
    if (rc == 0)
        rc = json_out_value(out, buf_slice(&packed), JSON_OUT_COMPACT);
    buf_fini(&packed);
    return rc;
}

int key_line_write(struct buf *out, struct slice key)
{
    size_t before = out->size;
    int rc = is_plain(key) ? buf_append(out, key.data, key.size) : write_json(out, key);
    if (rc == 0)
        rc = buf_append(out, "\n", 1);
    if (rc != 0)
        out->size = before;
    return rc;
}

static int read_json(struct buf *key, struct slice line, struct err *e)
{
    struct buf packed;
    struct mp_token t;
    buf_init(&packed, 0);
    int rc = json_in_pack(&packed, line, e);
    if (rc == ERR_BAD_VALUE && strncmp(e->text, OF_ONE, sizeof OF_ONE - 1) == 0)
        memmove(e->text, e->text + sizeof OF_ONE - 1, strlen(e->text) + 1 - (sizeof OF_ONE - 1));
    struct mp_reader r = mp_reader_of(buf_slice(&packed));
    if (rc == 0 && (mp_next(&r, &t) != MP_OK || (t.type != MP_STR && t.type != MP_BIN)))
        rc = err_set(e, ERR_BAD_VALUE, "{\"$bin\": \"base64\"} stands alone for a key of bytes");
    else if (rc == 0 && t.bytes.size == 0)
        rc = err_set(e, ERR_BAD_VALUE, "a key has a byte at least");
    else if (rc == 0 && buf_append(key, t.bytes.data, t.bytes.size) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory for a key");
    buf_fini(&packed);
    return rc;
}

int key_line_read(struct buf *key, struct slice line, struct err *e)
{
    size_t bin = sizeof BIN - 1, column;
    if (line.size > 0 && line.data[0] == '"')
        return read_json(key, line, e);
    if (line.size >= bin && memcmp(line.data, BIN, bin) == 0)
        return read_json(key, line, e);
    column = find_control(line);
    if (column > 0)
        return err_set(e, ERR_BAD_VALUE,
                       "column %zu: a control character (0x%02x); such a key is written as a JSON "
                       "string",
                       column, (unsigned)(unsigned char)line.data[column - 1]);
    return buf_append(key, line.data, line.size) == 0
               ? 0
               : err_set(e, ERR_NOMEM, "no memory for a key");
}
