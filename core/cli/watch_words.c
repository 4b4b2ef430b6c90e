#include "cli/watch_words.h"

#include <string.h>

static const char **place_of(struct watch_sql *w, const char *name, size_t size)
{
    const struct {
        const char *name;
        const char **at;
    } places[] = {{"--key", &w->key},
                  {"--version", &w->version},
                  {"--channel", &w->channel},
                  {"--log", &w->log}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strlen(places[i].name) == size && memcmp(places[i].name, name, size) == 0)
            return places[i].at;
    if (size == 5 && memcmp(name, "--tag", 5) == 0 && w->tag_count < WATCH_SQL_TAGS)
        return &w->tags[w->tag_count++];
    return NULL;
}

static bool take_action(struct watch_sql *w, const char *word)
{
    if (strcmp(word, "--drop") == 0)
        w->action = WATCH_DROP;
    else if (strcmp(word, "--list") == 0)
        w->action = WATCH_LIST;
    else
        return false;
    return true;
}

static int take_option(struct watch_sql *w, char **argv, int argc, int *i, struct err *e)
{
    const char *equals = strchr(argv[*i], '=');
    size_t size = equals ? (size_t)(equals - argv[*i]) : strlen(argv[*i]);
    const char **at = place_of(w, argv[*i], size);
    if (!at)
        return err_set(e, ERR_BAD_REQUEST,
                       "watch-sql takes --key, --version, --tag (up to %d), --channel, --log, "
                       "--drop and --list, not %.60s",
                       WATCH_SQL_TAGS, argv[*i]);
    if (*at)
        return err_set(e, ERR_BAD_REQUEST, "%.*s stands twice; each key is a watch of its own: %s",
                       (int)size, argv[*i], "run watch-sql once for each");
    bool last = *i + 1 == argc || strncmp(argv[*i + 1], "--", 2) == 0;
    if (at == &w->log && !equals && last) {
        w->log = "rtcache_log";
        return 0;
    }
    if (!equals && *i + 1 == argc)
        return err_set(e, ERR_BAD_REQUEST, "%s needs a value", argv[*i]);
    *at = equals ? equals + 1 : argv[++*i];
    return 0;
}

/* What the action needs, and what has no use with it. */
static int check_words(const struct watch_sql *w, struct err *e)
{
    bool more = w->version || w->tag_count > 0;
    if (w->action == WATCH_LIST && (w->table || w->key || more || w->channel || w->log))
        return err_set(e, ERR_BAD_REQUEST, "watch-sql --list stands alone");
    if (w->action == WATCH_DROP && !w->table)
        return err_set(e, ERR_BAD_REQUEST, "watch-sql takes TABLE --drop");
    if (w->action == WATCH_DROP && (w->channel || w->log) && !w->key)
        return err_set(e, ERR_BAD_REQUEST, "%s with --drop needs the --key too",
                       w->channel ? "--channel" : "--log");
    if (w->action == WATCH_INSTALL && (!w->table || !w->key))
        return err_set(e, ERR_BAD_REQUEST, "watch-sql takes TABLE --key 'user:{id}'");
    return 0;
}

int watch_words_parse(struct watch_sql *w, int argc, char **argv, struct err *e)
{
    *w = (struct watch_sql){.action = WATCH_INSTALL};
    int rc = 0;
    for (int i = 1; i < argc && rc == 0; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            if (!take_action(w, argv[i]))
                rc = take_option(w, argv, argc, &i, e);
        } else if (w->table) {
            rc = err_set(e, ERR_BAD_REQUEST, "\"%.60s\" is one word too many", argv[i]);
        } else {
            w->table = argv[i];
        }
    }
    if (rc == 0)
        rc = check_words(w, e);
    if (!w->channel)
        w->channel = "rtcache";
    return rc;
}
