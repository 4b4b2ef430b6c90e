#include "cli/watch_sql.h"

#include "base/glob.h"
#include "base/sql_name.h"
#include "embed_watch.h"
#include "embed_watch_drop.h"
#include "embed_watch_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DOLLAR        "$rtcache" /* begins the tags of dollar quoting in the SQL */
#define PREFIX        "rtcache_watch_"
#define SEQUENCE_NAME "rtcache_missed" /* backend/postgres/pg_listen.c looks for it */

/* Lines of watch.sql around what is for one kind of watch alone. */
#define BLOCK_NOTIFY "@IF_NOTIFY@\n"
#define BLOCK_LOG    "@IF_LOG@\n"
#define BLOCK_END    "@END@\n"

/* ---- quoting ---- */

static int put_text(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

/* A word of a command line. */
static int put_word(struct buf *out, const char *option, const char *word)
{
    int rc = put_text(out, option) | put_text(out, "'");
    for (; *word && rc == 0; word++)
        rc = *word == '\'' ? put_text(out, "'\\''") : buf_append(out, word, 1);
    return rc == 0 ? put_text(out, "'") : rc;
}

/* ---- names ---- */

/* FNV-1a, so that what is called by it is found again. */
static uint64_t mix(uint64_t hash, const char *text)
{
    for (size_t i = 0, size = strlen(text) + 1; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash;
}

/* As long as a name may be, and another one for each table, key and channel. */
static int put_function(struct buf *out, const struct sql_name *table, uint64_t id)
{
    char name[SQL_NAME_MAX + 1];
    const char *last = table->text[table->parts - 1];
    size_t most = SQL_NAME_MAX - strlen(PREFIX) - 1 - 16, size = strlen(last);
    if (size > most)
        for (size = most; size > 0 && ((unsigned char)last[size] & 0xc0) == 0x80;)
            size--;
    snprintf(name, sizeof name, PREFIX "%.*s_%016" PRIx64, (int)size, last, mix(id, last));
    return sql_name_put_beside(out, table, name);
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
            rc |= sql_put_literal(out, p->list[i].text);
            continue;
        }
        rc |= buf_printf(out, "%s.", row) | sql_put_quoted(out, p->list[i].text, '"');
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
        rc |= sql_put_literal(out, p->list[i].text);
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
    else if (rc != 0 || sql_put_literal(out, buf_slice(&pattern)) != 0)
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
    X(LOG)                                                                                         \
    X(LOG_TEXT)                                                                                    \
    X(LOG_CONF)                                                                                    \
    X(LOG_META)                                                                                    \
    X(LOG_META_TEXT)                                                                               \
    X(LOG_PURGE)                                                                                   \
    X(LOG_CHANGED)                                                                                 \
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
    X(TAGS_ROW)                                                                                    \
    X(TAGS_EACH)                                                                                   \
    X(ONE_ROW)

#define PLACE(name) name,
enum place { PLACES(PLACE) PLACE_COUNT };
#undef PLACE

struct parts {
    const struct watch_sql *w;
    struct sql_name name, log;
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
              sql_put_quoted(&p->at[version], slice_str(w->version), '"') |
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

/* The tags of each row r, as an array. */
static int put_tags_each(struct parts *p)
{
    struct buf *out = &p->at[TAGS_EACH];
    int rc = put_text(out, p->w->tag_count > 0 ? "ARRAY[" : "'{}'::text[]");
    for (size_t i = 0; i < p->w->tag_count; i++)
        rc |= put_text(out, i > 0 ? ", " : "") | put_expression(out, &p->tags[i], "r");
    return p->w->tag_count > 0 ? rc | put_text(out, "]::text[]") : rc;
}

/* The beginning of a query over x, two rows at most: the event of the one that there is, if it has
 * one key before and after, and is short enough to be told of as it is; and whether there is none.
 * It has the log locked, and its columns and rights checked, without a row written. */
static int put_one_row(struct parts *p)
{
    struct buf *out = &p->at[ONE_ROW];
    bool tags = p->w->tag_count > 0;
    return buf_printf(
        out,
        "WITH tried AS (INSERT INTO \"rtcache: the log\" (channel, e)"
        " SELECT %.*s, '{}'::jsonb WHERE false)\n"
        "        SELECT CASE WHEN count(*) = 1 THEN (array_agg(CASE"
        " WHEN x.was = x.k AND octet_length(x.k) BETWEEN 1 AND 1000"
        " AND getdatabaseencoding() = 'UTF8'%s\n"
        "          THEN jsonb_strip_nulls(jsonb_build_object('k', x.k, 'v', x.v%s)) END))[1] END,\n"
        "          count(*) = 0 INTO event, nothing FROM (",
        SLICE_ARG(buf_slice(&p->at[CHANNEL])),
        tags ? " AND octet_length(array_to_string(x.t, '')) <= 255" : "",
        tags ? ", 't', CASE WHEN x.t <> '{}' THEN to_jsonb(x.t) END" : "");
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
    if (w->log)
        rc |= put_word(out, " --log ", w->log);
    return rc | put_text(out, w->action == WATCH_DROP ? " --drop" : "");
}

static int put_watched(struct parts *p)
{
    const struct watch_sql *w = p->w;
    struct buf *at = p->at;
    const char *table = p->name.text[p->name.parts - 1], *version = w->version ? w->version : "";
    uint64_t id = mix(mix(0xcbf29ce484222325u, w->key ? w->key : ""), w->channel);
    if (w->log)
        id = mix(id, w->log);
    int rc = put_words(&at[WORDS], w) | sql_put_literal(&at[WORDS_TEXT], buf_slice(&at[WORDS]));
    rc |= sql_name_put_beside(&at[TABLE], &p->name, table);
    rc |= sql_put_literal(&at[TABLE_TEXT], buf_slice(&at[TABLE]));
    rc |= sql_name_put_beside(&at[SEQUENCE], &p->name, SEQUENCE_NAME);
    rc |= sql_put_literal(&at[SEQUENCE_TEXT], buf_slice(&at[SEQUENCE]));
    rc |= put_function(&at[FUNCTION], &p->name, id);
    rc |= sql_put_literal(&at[FUNCTION_TEXT], buf_slice(&at[FUNCTION]));
    if (w->key) /* else every watch of the table */
        rc |= buf_printf(&at[ID], "%016" PRIx64, id);
    rc |= sql_put_literal(&at[CHANNEL], slice_str(w->channel));
    rc |= put_text(&at[CHANNEL_NAME], w->channel);
    rc |= sql_put_literal(&at[VERSION_NAME], slice_str(version));
    rc |= buf_printf(&at[TAG_COUNT], "%zu", w->tag_count);
    return rc;
}

/* Something whose name is the log's and a word more, beside it. */
static int put_log_part(struct parts *p, enum place at, const char *more)
{
    char name[SQL_NAME_MAX + 1];
    snprintf(name, sizeof name, "%s%s", p->log.text[p->log.parts - 1], more);
    return sql_name_put_beside(&p->at[at], &p->log, name);
}

static int put_log(struct parts *p)
{
    struct buf *at = p->at;
    int rc = put_text(&at[LOG_CONF], p->w->log);
    rc |= put_log_part(p, LOG, "") | sql_put_literal(&at[LOG_TEXT], buf_slice(&at[LOG]));
    rc |= put_log_part(p, LOG_META, "_meta");
    rc |= sql_put_literal(&at[LOG_META_TEXT], buf_slice(&at[LOG_META]));
    rc |= put_log_part(p, LOG_PURGE, "_purge");
    rc |= put_text(&at[LOG_PURGE], "(keep interval, most integer)");
    rc |= put_log_part(p, LOG_CHANGED, "_changed") | put_text(&at[LOG_CHANGED], "()");
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
        rc |= put_text(&at[COLUMNS], ", ") | sql_put_literal(&at[COLUMNS], slice_str(w->version));
    rc |= put_row(p, "OLD", KEY_OLD, VERSION_OLD, TAGS_OLD);
    rc |= put_row(p, "NEW", KEY_NEW, VERSION_NEW, TAGS_NEW);
    rc |= put_row(p, "r", KEY_ROW, VERSION_ROW, TAGS_ROW);
    return rc | put_tags_each(p) | put_one_row(p);
}

static int prepare(struct parts *p, struct err *e)
{
    const struct watch_sql *w = p->w;
    int rc = sql_name_read(&p->name, w->table, e);
    if (rc == 0 && w->key)
        rc = read_template(&p->key, w->key, e);
    for (size_t i = 0; i < w->tag_count && rc == 0; i++)
        rc = read_template(&p->tags[i], w->tags[i], e);
    if (rc == 0 && w->log)
        rc = sql_name_read(&p->log, w->log, e);
    if (rc == 0 && w->log && strlen(p->log.text[p->log.parts - 1]) > WATCH_SQL_LOG)
        rc = err_set(e, ERR_BAD_REQUEST, "the name of a log has at most %d bytes", WATCH_SQL_LOG);
    const char *const words[] = {w->table, w->version ? w->version : "", w->channel,
                                 w->log ? w->log : ""};
    for (size_t i = 0; i < 4 && rc == 0; i++)
        if (strstr(words[i], DOLLAR) || strpbrk(words[i], "\n\r"))
            rc = err_set(e, ERR_BAD_REQUEST, "\"%.100s\" has a line end or " DOLLAR " in it",
                         words[i]);
    if (rc == 0 && (w->channel[0] == '\0' || strlen(w->channel) > SQL_NAME_MAX))
        rc = err_set(e, ERR_BAD_REQUEST, "a channel has 1 to %d bytes", SQL_NAME_MAX);
    if (rc == 0 && w->key)
        rc = put_pattern(&p->at[PATTERN], &p->key, e);
    if (rc != 0)
        return rc;
    rc = put_watched(p);
    if (w->key)
        rc |= put_keys(p);
    if (w->log)
        rc |= put_log(p);
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory");
}

/* What stands for the name in a text; NULL: it is none. */
static const struct buf *find_place(const struct parts *p, struct slice name)
{
#define PLACE(name) #name,
    static const char *const names[] = {PLACES(PLACE)};
#undef PLACE
    for (size_t i = 0; i < PLACE_COUNT; i++)
        if (slice_eq_str(name, names[i]))
            return &p->at[i];
    return NULL;
}

/* Of text, which stands behind a line @IF_...@, what follows its line @END@. */
static const char *skip_block(const char *text)
{
    const char *end = strstr(text, BLOCK_END);
    return end ? end + strlen(BLOCK_END) : text + strlen(text);
}

/* text with what stands for each @NAME@, and of the blocks those that are for this kind of watch. A
 * name that is none stays, which no test lets pass. */
static int put_sql(struct buf *out, const struct parts *p, const char *text)
{
    const char *const others = p->w->log ? BLOCK_NOTIFY : BLOCK_LOG;
    const char *const marks[] = {BLOCK_NOTIFY, BLOCK_LOG, BLOCK_END};
    int rc = 0;
    for (const char *next; rc == 0 && (next = strchr(text, '@')); text = next) {
        rc = buf_append(out, text, (size_t)(next - text));
        const char *mark = NULL;
        for (size_t i = 0; i < 3 && !mark; i++)
            if (strncmp(next, marks[i], strlen(marks[i])) == 0)
                mark = marks[i];
        if (mark) {
            next = mark == others ? skip_block(next) : next + strlen(mark);
            continue;
        }
        const char *end = strchr(++next, '@');
        const struct buf *at = end ? find_place(p, slice_of(next, (size_t)(end - next))) : NULL;
        if (at) {
            rc |= buf_append(out, at->data, at->size);
            next = end + 1;
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
