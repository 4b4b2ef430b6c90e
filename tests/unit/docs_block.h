/*
 * docs_block: a part of a documentation page that is made from a table in the code.
 *
 * The part stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. Tests run in the
 * repository's root; with RTCACHE_WRITE_DOCS=1 in the environment the page is written anew instead
 * of compared.
 */
#ifndef RTCACHE_TESTS_DOCS_BLOCK_H
#define RTCACHE_TESTS_DOCS_BLOCK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"

static void docs_read(const char *path, struct buf *page)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (;;) {
        char *room = buf_room(page, 4096);
        assert_non_null(room);
        size_t n = fread(room, 1, 4096, f);
        if (n == 0)
            break;
        page->size += n;
    }
    fclose(f);
    assert_int_equal(buf_append(page, "", 1), 0); /* for strstr */
    page->size--;
}

static void docs_rewrite(const char *path, const struct buf *page, size_t begin, size_t end,
                         const struct buf *block)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(page->data, 1, begin, f), begin);
    assert_int_equal(fwrite(block->data, 1, block->size, f), block->size);
    assert_int_equal(fwrite(page->data + end, 1, page->size - end, f), page->size - end);
    assert_int_equal(fclose(f), 0);
}

/* Fails where the page's part differs from block. */
static void docs_block_check(const char *path, const char *name, const struct buf *block)
{
    struct buf page;
    char mark[96];
    buf_init(&page, 0);
    docs_read(path, &page);
    snprintf(mark, sizeof mark, "<!-- %s:begin -->\n", name);
    const char *begin = strstr(page.data, mark);
    assert_non_null(begin);
    begin += strlen(mark);
    snprintf(mark, sizeof mark, "<!-- %s:end -->", name);
    const char *end = strstr(begin, mark);
    assert_non_null(end);
    if (getenv("RTCACHE_WRITE_DOCS"))
        docs_rewrite(path, &page, (size_t)(begin - page.data), (size_t)(end - page.data), block);
    else if (!slice_eq(slice_of(begin, (size_t)(end - begin)), buf_slice(block)))
        fail_msg("%s: the part \"%s\" is not what the code says: run this test once with "
                 "RTCACHE_WRITE_DOCS=1",
                 path, name);
    buf_fini(&page);
}

#endif
