#include "cli/watch_sql.h"

#include "base/glob.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DOLLAR    "$rtcache$"
#define PREFIX    "rtcache_watch_"
#define NAME_MAX_ 63 /* bytes of an identifier of PostgreSQL */
#define PARTS_MAX 2

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

/* The table, or something called prefix and the table's name in its schema. */
static int put_name(struct buf *out, const struct name *name, const char *prefix)
{
    char last[sizeof PREFIX + NAME_MAX_ + 1];
    int rc = 0;
    if (name->parts == 2)
        rc = put_quoted(out, slice_str(name->text[0]), '"') | put_text(out, ".");
    snprintf(last, sizeof last, "%s%s", prefix, name->text[name->parts - 1]);
    if (prefix[0])
        last[NAME_MAX_] = '\0';
    return rc | put_quoted(out, slice_str(last), '"');
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
    if (strlen(template) >= sizeof p->room || strstr(template, DOLLAR))
        return bad_template(e, template, "is too long, or has " DOLLAR " in it");
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
            rc |= put_quoted(out, p->list[i].text, '\'');
            continue;
        }
        rc |= buf_printf(out, "%s.", row) | put_quoted(out, p->list[i].text, '"');
        rc |= put_text(out, "::text");
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
            if (text.data[k] == '*' || text.data[k] == '\\')
                rc |= put_text(&pattern, "\\");
            rc |= buf_append(&pattern, &text.data[k], 1);
        }
    }
    if (rc == 0)
        rc = glob_check(buf_slice(&pattern), e);
    if (rc == 0)
        rc = put_quoted(out, buf_slice(&pattern), '\'');
    else
        e->code = rc = ERR_BAD_REQUEST;
    buf_fini(&pattern);
    return rc;
}

/* ---- the SQL ---- */

struct parts {
    const struct watch_sql *w;
    struct name name;
    struct pieces key, tags[WATCH_SQL_TAGS];
    struct buf pattern, channel, table, function, version;
};

static int put_assign(struct buf *out, const struct parts *p, const char *var, const char *row)
{
    int rc = buf_printf(out, "    %s_key := ", var) | put_expression(out, &p->key, row);
    rc |= buf_printf(out, ";\n    tags := tags || ARRAY[");
    for (size_t i = 0; i < p->w->tag_count; i++) {
        rc |= put_text(out, i > 0 ? ", " : "");
        rc |= put_expression(out, &p->tags[i], row);
    }
    return rc | put_text(out, "]::text[];\n");
}

static int put_version(struct buf *out, const struct parts *p)
{
    if (!p->w->version)
        return 0;
    const char *column = p->version.data;
    return buf_printf(
        out,
        "    new_version := NEW.%s;\n"
        "    IF TG_OP = 'UPDATE' THEN\n"
        "      -- a change that leaves the version as it was is told without one\n"
        "      IF NEW.%s IS NOT DISTINCT FROM OLD.%s THEN new_version := NULL; END IF;\n"
        "    END IF;\n",
        column, column, column);
}

static int put_function(struct buf *out, const struct parts *p)
{
    int rc = buf_printf(out,
                        "CREATE OR REPLACE FUNCTION %s() RETURNS trigger\n"
                        "LANGUAGE plpgsql AS " DOLLAR "\n"
                        "DECLARE\n"
                        "  old_key text; new_key text; tags text[] := '{}'; new_version bigint;\n"
                        "  one record; payload text; tag text;\n"
                        "BEGIN\n"
                        "  IF TG_OP = 'TRUNCATE' THEN\n"
                        "    PERFORM pg_notify(%s, json_build_object('m', %s::text)::text);\n"
                        "    RETURN NULL;\n"
                        "  END IF;\n"
                        "  IF TG_OP IN ('UPDATE', 'DELETE') THEN\n",
                        p->function.data, p->channel.data, p->pattern.data);
    rc |= put_assign(out, p, "old", "OLD");
    rc |= put_text(out, "  END IF;\n  IF TG_OP IN ('INSERT', 'UPDATE') THEN\n");
    rc |= put_assign(out, p, "new", "NEW") | put_version(out, p);
    return rc |
           buf_printf(
               out,
               "  END IF;\n"
               "  tags := ARRAY(SELECT DISTINCT t FROM unnest(tags) AS t\n"
               "                WHERE octet_length(t) BETWEEN 1 AND %d);\n"
               "  -- the old key, where it is not the new one, was left by the row: without "
               "a version\n"
               "  FOR one IN SELECT new_key AS key, new_version AS version\n"
               "    UNION ALL SELECT old_key, NULL WHERE old_key IS DISTINCT FROM new_key LOOP\n"
               "    CONTINUE WHEN one.key IS NULL;\n"
               "    payload := json_strip_nulls(json_build_object('k', one.key, 'v', "
               "one.version,\n"
               "      't', CASE WHEN cardinality(tags) > 0 THEN to_json(tags) END))::text;\n"
               "    IF octet_length(payload) < 7900 AND cardinality(tags) <= 64 THEN\n"
               "      PERFORM pg_notify(%s, payload);\n"
               "      CONTINUE;\n"
               "    END IF;\n"
               "    -- too long for NOTIFY: all keys of the table, and each tag by itself\n"
               "    PERFORM pg_notify(%s, json_build_object('m', %s::text)::text);\n"
               "    FOREACH tag IN ARRAY tags LOOP\n"
               "      PERFORM pg_notify(%s, json_build_object('t', json_build_array(tag))::text);\n"
               "    END LOOP;\n"
               "  END LOOP;\n"
               "  RETURN NULL;\n"
               "END\n" DOLLAR ";\n\n",
               255, p->channel.data, p->channel.data, p->pattern.data, p->channel.data);
}

static int put_triggers(struct buf *out, const struct parts *p)
{
    const char *table = p->table.data, *function = p->function.data;
    return buf_printf(out,
                      "DROP TRIGGER IF EXISTS rtcache_watch ON %s;\n"
                      "CREATE TRIGGER rtcache_watch AFTER INSERT OR UPDATE OR DELETE ON %s\n"
                      "  FOR EACH ROW EXECUTE FUNCTION %s();\n"
                      "DROP TRIGGER IF EXISTS rtcache_watch_truncate ON %s;\n"
                      "CREATE TRIGGER rtcache_watch_truncate AFTER TRUNCATE ON %s\n"
                      "  FOR EACH STATEMENT EXECUTE FUNCTION %s();\n"
                      "COMMIT;\n",
                      table, table, function, table, table, function);
}

static int put_head(struct buf *out, const struct parts *p)
{
    return buf_printf(out,
                      "-- rtcache watch-sql: %s tells channel %s of every change, in the same "
                      "transaction.\n"
                      "-- The backend in rtcache.conf listens with: feed = %s\n"
                      "-- May be run again. To remove it:\n"
                      "--   DROP TRIGGER rtcache_watch ON %s;\n"
                      "--   DROP TRIGGER rtcache_watch_truncate ON %s;\n"
                      "--   DROP FUNCTION %s();\n"
                      "BEGIN;\n",
                      p->table.data, p->channel.data, p->w->channel, p->table.data, p->table.data,
                      p->function.data);
}

static int terminated(struct buf *b)
{
    return buf_append(b, "", 1);
}

static int prepare(struct parts *p, struct err *e)
{
    const struct watch_sql *w = p->w;
    int rc = read_name(&p->name, w->table, e);
    if (rc == 0)
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
    if (rc == 0)
        rc = put_pattern(&p->pattern, &p->key, e);
    if (rc != 0)
        return rc;
    rc = terminated(&p->pattern);
    rc |= put_quoted(&p->channel, slice_str(w->channel), '\'') | terminated(&p->channel);
    rc |= put_name(&p->table, &p->name, "") | terminated(&p->table);
    rc |= put_name(&p->function, &p->name, PREFIX) | terminated(&p->function);
    rc |= put_quoted(&p->version, slice_str(words[1]), '"') | terminated(&p->version);
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory");
}

int watch_sql_write(struct buf *out, const struct watch_sql *w, struct err *e)
{
    struct parts p = {.w = w};
    struct buf *const bufs[] = {&p.pattern, &p.channel, &p.table, &p.function, &p.version};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        buf_init(bufs[i], 0);
    int rc = prepare(&p, e);
    if (rc == 0 && (put_head(out, &p) | put_function(out, &p) | put_triggers(out, &p)) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        buf_fini(bufs[i]);
    return rc;
}

/* ---- the words ---- */

static const char **place_of(struct watch_sql *w, const char *name, size_t size)
{
    const struct {
        const char *name;
        const char **at;
    } places[] = {{"--key", &w->key}, {"--version", &w->version}, {"--channel", &w->channel}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strlen(places[i].name) == size && memcmp(places[i].name, name, size) == 0)
            return places[i].at;
    if (size == 5 && memcmp(name, "--tag", 5) == 0 && w->tag_count < WATCH_SQL_TAGS)
        return &w->tags[w->tag_count++];
    return NULL;
}

int watch_sql_parse(struct watch_sql *w, int argc, char **argv, struct err *e)
{
    *w = (struct watch_sql){.channel = "rtcache"};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (w->table)
                return err_set(e, ERR_BAD_REQUEST, "\"%.60s\" is one word too many", argv[i]);
            w->table = argv[i];
            continue;
        }
        const char *equals = strchr(argv[i], '=');
        size_t size = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        const char **at = place_of(w, argv[i], size);
        if (!at)
            return err_set(e, ERR_BAD_REQUEST,
                           "watch-sql takes --key, --version, --tag (up to %d) and --channel, not "
                           "%.60s",
                           WATCH_SQL_TAGS, argv[i]);
        if (!equals && i + 1 == argc)
            return err_set(e, ERR_BAD_REQUEST, "%s needs a value", argv[i]);
        *at = equals ? equals + 1 : argv[++i];
    }
    if (!w->table || !w->key)
        return err_set(e, ERR_BAD_REQUEST, "watch-sql takes TABLE --key 'user:{id}'");
    return 0;
}
