#include "cli/args.h"

#include "conf/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct args_spec args_specs[ARGS_COUNT] = {
#define ARGS_ROW(id, name, letter, takes, text) [id] = {name, letter, takes, text},
    ARGS_OPTIONS(ARGS_ROW)
#undef ARGS_ROW
};

#define NAME_MAX_SHOWN 40

/* ARGS_COUNT where there is none. name is size bytes long. */
static enum args_option find_long(const char *name, size_t size)
{
    enum args_option id = 0;
    while (id < ARGS_COUNT &&
           !(strlen(args_specs[id].name) == size && memcmp(args_specs[id].name, name, size) == 0))
        id++;
    return id;
}

static enum args_option find_short(char letter)
{
    enum args_option id = 0;
    while (id < ARGS_COUNT && args_specs[id].letter != letter)
        id++;
    return id;
}

static int unknown_option(const char *name, size_t size, struct err *e)
{
    char copy[NAME_MAX_SHOWN + 1];
    const char *names[ARGS_COUNT];

    for (int i = 0; i < ARGS_COUNT; i++)
        names[i] = args_specs[i].name;
    size = size < NAME_MAX_SHOWN ? size : NAME_MAX_SHOWN;
    memcpy(copy, name, size);
    copy[size] = '\0';
    const char *near = conf_nearest(copy, names, ARGS_COUNT);
    if (near)
        return err_set(e, ERR_BAD_REQUEST, "unknown option --%s; did you mean --%s?", copy, near);
    return err_set(e, ERR_BAD_REQUEST, "unknown option --%s", copy);
}

static int parse_integer(enum args_option id, const char *text, int64_t *out, struct err *e)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (text[0] == '\0' || isspace((unsigned char)text[0]) || *end != '\0' || errno != 0)
        return err_set(e, ERR_BAD_REQUEST, "--%s takes a whole number of 64 bits",
                       args_specs[id].name);
    *out = v;
    return 0;
}

static int set_duration(enum args_option id, const char *text, int64_t *ms, struct err *e)
{
    int rc = conf_parse_duration(text, ms, e);
    if (rc != 0) {
        err_prefix(e, "--%s", args_specs[id].name);
        return rc;
    }
    return 0;
}

static int set_option(struct args *a, enum args_option id, const char *text, struct err *e)
{
    a->given |= ARGS_BIT(id);
    switch (id) {
    case ARGS_SERVER: a->server = text; return 0;
    case ARGS_CA: a->ca = text; return 0;
    case ARGS_CERT: a->cert = text; return 0;
    case ARGS_KEY: a->key = text; return 0;
    case ARGS_USER: a->user = text; return 0;
    case ARGS_PASSWORD_FILE: a->password_file = text; return 0;
    case ARGS_FROM: a->from = text; return 0;
    case ARGS_TIMEOUT:
        if (set_duration(id, text, &a->timeout_ms, e) != 0)
            return ERR_BAD_REQUEST;
        if (a->timeout_ms < 1 || a->timeout_ms > 3600000)
            return err_set(e, ERR_BAD_REQUEST, "--timeout takes 1ms to 1h");
        return 0;
    case ARGS_STALE_WAIT: return set_duration(id, text, &a->stale_wait_ms, e);
    case ARGS_TTL: return set_duration(id, text, &a->ttl_ms, e);
    case ARGS_STALE_TTL: return set_duration(id, text, &a->stale_ttl_ms, e);
    case ARGS_VERSION_OF: return parse_integer(id, text, &a->value_version, e);
    case ARGS_MIN_VERSION: return parse_integer(id, text, &a->min_version, e);
    case ARGS_TAG: a->tags[a->tag_count++] = text; return 0;
    case ARGS_RATE:
        if (parse_integer(id, text, &a->rate, e) != 0)
            return ERR_BAD_REQUEST;
        if (a->rate < 1 || a->rate > ARGS_RATE_MAX)
            return err_set(e, ERR_BAD_REQUEST, "--rate takes 1 to %d", ARGS_RATE_MAX);
        return 0;
    default: return 0;
    }
}

/* The option that argv[*at] is; *at moves on to the text that it takes. */
static int parse_option(struct args *a, int argc, char **argv, int *at, struct err *e)
{
    const char *word = argv[*at];
    const char *name = word + 2, *text = NULL;
    enum args_option id;

    if (word[1] == '-') {
        size_t size = strcspn(name, "=");
        id = find_long(name, size);
        if (id == ARGS_COUNT)
            return unknown_option(name, size, e);
        if (name[size] == '=')
            text = name + size + 1;
    } else {
        id = find_short(word[1]);
        if (id == ARGS_COUNT)
            return err_set(e, ERR_BAD_REQUEST, "unknown option -%c",
                           isprint((unsigned char)word[1]) ? word[1] : '?');
        if (word[2] != '\0')
            text = word + 2;
    }
    const struct args_spec *spec = &args_specs[id];
    if (!spec->takes && text)
        return err_set(e, ERR_BAD_REQUEST, "--%s takes nothing after it%s", spec->name,
                       id == ARGS_VERSION ? "; the version of a value is --value-version N" : "");
    if (spec->takes && !text && *at + 1 == argc)
        return err_set(e, ERR_BAD_REQUEST, "--%s takes %s", spec->name, spec->takes);
    if (!text)
        text = spec->takes ? argv[++*at] : "";
    return set_option(a, id, text, e);
}

static bool is_word(const char *arg)
{
    return arg[0] != '-' || arg[1] == '\0' || isdigit((unsigned char)arg[1]);
}

int args_parse(struct args *a, int argc, char **argv, struct err *e)
{
    bool ended = false;

    *a = (struct args){0};
    a->words = calloc(2 * ((size_t)argc + 1), sizeof *a->words);
    if (!a->words)
        return err_set(e, ERR_NOMEM, "no memory");
    a->tags = a->words + argc + 1;
    for (int i = 1; i < argc; i++) {
        if (ended || is_word(argv[i])) {
            a->words[a->count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            ended = true;
        } else {
            int rc = parse_option(a, argc, argv, &i, e);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

void args_fini(struct args *a)
{
    free(a->words);
    *a = (struct args){0};
}
