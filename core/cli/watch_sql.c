#include "cli/watch_sql.h"

#include "base/glob.h"
#include "embed_watch.h"
#include "embed_watch_drop.h"
#include "embed_watch_list.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DOLLAR        "$rtcache" /* begins the tags of dollar quoting in the SQL */
#define PREFIX        "rtcache_watch_"
#define NAME_MAX_     63 /* bytes of an identifier of PostgreSQL */
#define PARTS_MAX     2
#define SEQUENCE_NAME "rtcache_missed" /* backend/postgres/pg_listen.c looks for it */

/* ---- quoting ---- */

static int put_quoted(struct buf *out, struct slice text, char quote)
{
    int rc = buf_append(out, &quote, 1);
    for (size_t i = 0; i < text.size && rc == 0; i++) {
        rc = buf_append(out, &text.data[i], 1);
        if (rc == 0 && text.data[i] == quote)
            rc = buf_append(out, &quote, 1);
    }
    return rc == 0 ? buf_append(out, &quote, 1) : rc;
}

static int put_text(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

/* A string that means the same whatever standard_conforming_strings is. */
static int put_literal(struct buf *out, struct slice text)
{
    bool escaped = memchr(text.data, '\\', text.size) != NULL;
    int rc = put_text(out, escaped ? "E'" : "'");
    for (size_t i = 0; i < text.size && rc == 0; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\')
            rc = buf_append(out, &text.data[i], 1);
        if (rc == 0)
            rc = buf_append(out, &text.data[i], 1);
    }
    return rc == 0 ? put_text(out, "'") : rc;
}

/* A word of a command line. */
static int put_word(struct buf *out, const char *option, const char *word)
{
    int rc = put_text(out, option) | put_text(out, "'");
    for (; *word && rc == 0; word++)
        rc = *word == '\'' ? put_text(out, "'\\''") : buf_append(out, word, 1);
    return rc == 0 ? put_text(out, "'") : rc;
}

/* ---- the table's name ---- */

struct name {
    char text[PARTS_MAX][NAME_MAX_ + 1];
    int parts;
};

/* One part of a name, quoted or not; at the dot or the end afterwards. */
static int take_part(const char **at, char *out, struct err *e)
{
    const char *p = *at;
    size_t n = 0;
    bool quoted = *p == '"', closed = !quoted;
    if (quoted)
        p++;
    for (; *p && (quoted ? !closed : *p != '.'); p++) {
        if (quoted && *p == '"' && p[1] != '"') {
            closed = true;
            continue;
        }
        p += quoted && *p == '"';
        if (n == NAME_MAX_)
            return err_set(e, ERR_BAD_REQUEST, "a name in \"%s\" has more than %d bytes", *at,
                           NAME_MAX_);
        out[n++] = quoted ? *p : (char)tolower((unsigned char)*p);
    }
    out[n] = '\0';
    if (n == 0 || !closed || (*p && *p != '.'))
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" is no table's name", *at);
    *at = p;
    return 0;
}

static int read_name(struct name *name, const char *text, struct err *e)
{
    const char *at = text;
    name->parts = 0;
    for (;;) {
        if (name->parts == PARTS_MAX)
            return err_set(e, ERR_BAD_REQUEST, "\"%s\" is not NAME or SCHEMA.NAME", text);
        int rc = take_part(&at, name->text[name->parts++], e);
        if (rc != 0 || *at == '\0')
            return rc;
        at++;
    }
}

/* Something of this name in the table's schema. */
static int put_beside(struct buf *out, const struct name *table, const char *name)
{
    int rc = 0;
    if (table->parts == 2)
        rc = put_quoted(out, slice_str(table->text[0]), '"') | put_text(out, ".");
    return rc | put_quoted(out, slice_str(name), '"');
}

/* FNV-1a, so that what is called by it is found again. */
static uint64_t mix(uint64_t hash, const char *text)
{
    for (size_t i = 0, size = strlen(text) + 1; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash;
}

/* As long as a name may be, and another one for each table, key and channel. */
static int put_function(struct buf *out, const struct name *table, uint64_t id)
{
    char name[NAME_MAX_ + 1];
    const char *last = table->text[table->parts - 1];
    size_t most = NAME_MAX_ - strlen(PREFIX) - 1 - 16, size = strlen(last);
    if (size > most)
        for (size = most; size > 0 && ((unsigned char)last[size] & 0xc0) == 0x80;)
            size--;
    snprintf(name, sizeof name, PREFIX "%.*s_%016" PRIx64, (int)size, last, mix(id, last));
    return put_beside(out, table, name);
}

/* ---- templates ---- */

/* A template as pieces: literal text and columns in turn. */
struct piece {
    struct slice text;
    bool column;
};

struct pieces {
    struct piece list[2 * GLOB_STARS_MAX + 1];
    size_t count, columns;
    char room[512]; /* of the literals, their braces undoubled */
};

static int bad_template(struct err *e, const char *template, const char *why)
{
    return err_set(e, ERR_BAD_REQUEST, "the template '%.200s' %s", template, why);
}

static int take_column(struct pieces *p, const char *template, const char **at, struct err *e)
{
    const char *end = strchr(*at, '}');
    if (!end || end == *at + 1)
        return bad_template(e, template, "has a { without a column's name and a }; {{ is a brace");
    if (p->columns == GLOB_STARS_MAX)
        return bad_template(e, template, "has more than 8 columns");
    p->list[p->count++] =
        (struct piece){slice_of(*at + 1, (size_t)(end - *at - 1)), .column = true};
    p->columns++;
    *at = end + 1;
    return 0;
}

static int read_template(struct pieces *p, const char *template, struct err *e)
{
    size_t used = 0;
    *p = (struct pieces){.count = 0};
    if (strlen(template) >= sizeof p->room || strstr(template, DOLLAR) || strpbrk(template, "\n\r"))
        return bad_template(e, template, "is too long, or has " DOLLAR " or a line end in it");
    for (const char *at = template; *at;) {
        size_t start = used;
        for (; *at && !(*at == '{' && at[1] != '{'); at++) {
            if (*at == '}' && at[1] != '}')
                return bad_template(e, template, "has a } without its {; }} is a brace");
            at += *at == '{' || *at == '}';
            p->room[used++] = *at;
        }
        if (used > start)
            p->list[p->count++] = (struct piece){slice_of(p->room + start, used - start), false};
        int rc = *at ? take_column(p, template, &at, e) : 0;
        if (rc != 0)
            return rc;
    }
    if (p->columns == 0)
        return bad_template(e, template, "has no {column}");
    return 0;
}

/* NULL where a column is. */
static int put_expression(struct buf *out, const struct pieces *p, const char *row)
{
    int rc = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (i > 0)
            rc |= put_text(out, " || ");
        if (!p->list[i].column) {
            rc |= put_literal(out, p->list[i].text);
            continue;
        }
        rc |= buf_printf(out, "%s.", row) | put_quoted(out, p->list[i].text, '"');
        rc |= put_text(out, "::text");
    }
    return rc;
}

static int put_columns(struct buf *out, const struct pieces *p)
{
    int rc = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (!p->list[i].column)
            continue;
        rc |= put_text(out, out->size > 0 ? ", " : "");
        rc |= put_literal(out, p->list[i].text);
    }
    return rc;
}

/* The pattern of all keys of the template, as a literal. */
static int put_pattern(struct buf *out, const struct pieces *p, struct err *e)
{
    struct buf pattern;
    buf_init(&pattern, 0);
    int rc = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct slice text = p->list[i].text;
        if (p->list[i].column)
            rc |= put_text(&pattern, "*");
        for (size_t k = 0; !p->list[i].column && k < text.size; k++) {
            if (glob_is_special(text.data[k]))
                rc |= put_text(&pattern, "\\");
            rc |= buf_append(&pattern, &text.data[k], 1);
        }
    }
    if (rc == 0 && glob_check(buf_slice(&pattern), e) != 0)
        e->code = rc = ERR_BAD_REQUEST;
    else if (rc != 0 || put_literal(out, buf_slice(&pattern)) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory");
    buf_fini(&pattern);
    return rc;
}

/* ---- the SQL ---- */

/* What stands for @NAME@ in the texts that are embedded. */
#define PLACES(X)                                                                                  \
    X(WORDS)                                                                                       \
    X(WORDS_TEXT)                                                                                  \
    X(TABLE)                                                                                       \
    X(TABLE_TEXT)                                                                                  \
    X(FUNCTION)                                                                                    \
    X(FUNCTION_TEXT)                                                                               \
    X(SEQUENCE)                                                                                    \
    X(SEQUENCE_TEXT)                                                                               \
    X(ID)                                                                                          \
    X(CHANNEL)                                                                                     \
    X(CHANNEL_NAME)                                                                                \
    X(PATTERN)                                                                                     \
    X(EVERYTHING)                                                                                  \
    X(COLUMNS)                                                                                     \
    X(VERSION_NAME)                                                                                \
    X(TAG_COUNT)                                                                                   \
    X(KEY_OLD)                                                                                     \
    X(KEY_NEW)                                                                                     \
    X(KEY_ROW)                                                                                     \
    X(VERSION_OLD)                                                                                 \
    X(VERSION_NEW)                                                                                 \
    X(VERSION_ROW)                                                                                 \
    X(TAGS_OLD)                                                                                    \
    X(TAGS_NEW)                                                                                    \
    X(TAGS_ROW)

#define PLACE(name) name,
enum place { PLACES(PLACE) PLACE_COUNT };
#undef PLACE

struct parts {
    const struct watch_sql *w;
    struct name name;
    struct pieces key, tags[WATCH_SQL_TAGS];
    struct buf at[PLACE_COUNT];
};

/* Fills the texts of one row: OLD or NEW of a trigger for rows, or r of all that a statement
 * changed. */
static int put_row(struct parts *p, const char *row, enum place key, enum place version,
                   enum place tags)
{
    const struct watch_sql *w = p->w;
    bool all = key == KEY_ROW;
    int rc = put_expression(&p->at[key], &p->key, row);
    if (w->version)
        rc |= buf_printf(&p->at[version], "%s.", row) |
              put_quoted(&p->at[version], slice_str(w->version), '"') |
              put_text(&p->at[version], "::bigint");
    else
        rc |= put_text(&p->at[version], "NULL::bigint");
    if (all && w->tag_count == 0)
        rc |= put_text(&p->at[tags], "NULL::text[]");
    for (size_t i = 0; i < w->tag_count; i++) {
        rc |= put_text(&p->at[tags], i == 0 ? "" : all ? " || " : ", ");
        rc |= put_text(&p->at[tags], all ? "array_agg(" : "");
        rc |= put_expression(&p->at[tags], &p->tags[i], row);
        rc |= put_text(&p->at[tags], all ? ")" : "");
    }
    return rc;
}

static int put_words(struct buf *out, const struct watch_sql *w)
{
    int rc = put_word(out, "rtcache watch-sql ", w->table);
    if (w->key)
        rc |= put_word(out, " --key ", w->key);
    if (w->version)
        rc |= put_word(out, " --version ", w->version);
    for (size_t i = 0; i < w->tag_count; i++)
        rc |= put_word(out, " --tag ", w->tags[i]);
    rc |= put_word(out, " --channel ", w->channel);
    return rc | put_text(out, w->action == WATCH_DROP ? " --drop" : "");
}

static int put_watched(struct parts *p)
{
    const struct watch_sql *w = p->w;
    struct buf *at = p->at;
    const char *table = p->name.text[p->name.parts - 1], *version = w->version ? w->version : "";
    uint64_t id = mix(mix(0xcbf29ce484222325u, w->key ? w->key : ""), w->channel);
    int rc = put_words(&at[WORDS], w) | put_literal(&at[WORDS_TEXT], buf_slice(&at[WORDS]));
    rc |= put_beside(&at[TABLE], &p->name, table);
    rc |= put_literal(&at[TABLE_TEXT], buf_slice(&at[TABLE]));
    rc |= put_beside(&at[SEQUENCE], &p->name, SEQUENCE_NAME);
    rc |= put_literal(&at[SEQUENCE_TEXT], buf_slice(&at[SEQUENCE]));
    rc |= put_function(&at[FUNCTION], &p->name, id);
    rc |= put_literal(&at[FUNCTION_TEXT], buf_slice(&at[FUNCTION]));
    if (w->key) /* else every watch of the table */
        rc |= buf_printf(&at[ID], "%016" PRIx64, id);
    rc |= put_literal(&at[CHANNEL], slice_str(w->channel));
    rc |= put_text(&at[CHANNEL_NAME], w->channel);
    rc |= put_literal(&at[VERSION_NAME], slice_str(version));
    rc |= buf_printf(&at[TAG_COUNT], "%zu", w->tag_count);
    return rc;
}

static int put_keys(struct parts *p)
{
    const struct watch_sql *w = p->w;
    struct buf *at = p->at;
    int rc =
        buf_printf(&at[EVERYTHING], "ARRAY[json_build_object('m', %.*s::text)::text%s]",
                   SLICE_ARG(buf_slice(&at[PATTERN])), w->tag_count > 0 ? ", '{\"t\":\"*\"}'" : "");
    rc |= put_columns(&at[COLUMNS], &p->key);
    for (size_t i = 0; i < w->tag_count; i++)
        rc |= put_columns(&at[COLUMNS], &p->tags[i]);
    if (w->version)
        rc |= put_text(&at[COLUMNS], ", ") | put_literal(&at[COLUMNS], slice_str(w->version));
    rc |= put_row(p, "OLD", KEY_OLD, VERSION_OLD, TAGS_OLD);
    rc |= put_row(p, "NEW", KEY_NEW, VERSION_NEW, TAGS_NEW);
    return rc | put_row(p, "r", KEY_ROW, VERSION_ROW, TAGS_ROW);
}

static int prepare(struct parts *p, struct err *e)
{
    const struct watch_sql *w = p->w;
    int rc = read_name(&p->name, w->table, e);
    if (rc == 0 && w->key)
        rc = read_template(&p->key, w->key, e);
    for (size_t i = 0; i < w->tag_count && rc == 0; i++)
        rc = read_template(&p->tags[i], w->tags[i], e);
    const char *const words[] = {w->table, w->version ? w->version : "", w->channel};
    for (size_t i = 0; i < 3 && rc == 0; i++)
        if (strstr(words[i], DOLLAR) || strpbrk(words[i], "\n\r"))
            rc = err_set(e, ERR_BAD_REQUEST, "\"%.100s\" has a line end or " DOLLAR " in it",
                         words[i]);
    if (rc == 0 && (w->channel[0] == '\0' || strlen(w->channel) > NAME_MAX_))
        rc = err_set(e, ERR_BAD_REQUEST, "a channel has 1 to %d bytes", NAME_MAX_);
    if (rc == 0 && w->key)
        rc = put_pattern(&p->at[PATTERN], &p->key, e);
    if (rc != 0)
        return rc;
    rc = put_watched(p);
    if (w->key)
        rc |= put_keys(p);
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory");
}

/* text with what stands for each @NAME@. A name that is none stays, which no test lets pass. */
static int put_sql(struct buf *out, const struct parts *p, const char *text)
{
#define PLACE(name) #name,
    static const char *const names[] = {PLACES(PLACE)};
#undef PLACE
    int rc = 0;
    for (const char *next; rc == 0 && (next = strchr(text, '@')); text = next) {
        rc = buf_append(out, text, (size_t)(next - text));
        const char *end = strchr(++next, '@');
        for (size_t i = 0; end && i < PLACE_COUNT; i++)
            if (slice_eq_str(slice_of(next, (size_t)(end - next)), names[i])) {
                rc |= buf_append(out, p->at[i].data, p->at[i].size);
                next = end + 1;
                break;
            }
    }
    return rc == 0 ? put_text(out, text) : rc;
}

int watch_sql_write(struct buf *out, const struct watch_sql *w, struct err *e)
{
    if (w->action == WATCH_LIST)
        return put_text(out, embed_watch_list) == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory");
    struct parts p = {.w = w};
    for (size_t i = 0; i < PLACE_COUNT; i++)
        buf_init(&p.at[i], 0);
    int rc = prepare(&p, e);
    if (rc == 0 && put_sql(out, &p, w->action == WATCH_DROP ? embed_watch_drop : embed_watch) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < PLACE_COUNT; i++)
        buf_fini(&p.at[i]);
    return rc;
}
