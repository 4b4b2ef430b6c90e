#include "cli/command.h"

#include "conf/conf.h"

#include <stdio.h>
#include <string.h>

#define TLS (ARGS_BIT(ARGS_TLS) | ARGS_BIT(ARGS_CA) | ARGS_BIT(ARGS_CERT) | ARGS_BIT(ARGS_KEY))
#define OF_ALL                                                                                     \
    (TLS | ARGS_BIT(ARGS_USER) | ARGS_BIT(ARGS_PASSWORD_FILE) | ARGS_BIT(ARGS_SERVER) |            \
     ARGS_BIT(ARGS_TIMEOUT) | ARGS_BIT(ARGS_JSON) | ARGS_BIT(ARGS_PRETTY) | ARGS_BIT(ARGS_HELP))
#define RAW   ARGS_BIT(ARGS_RAW)
#define WAIT  (ARGS_BIT(ARGS_STALE_WAIT) | ARGS_BIT(ARGS_MIN_VERSION))
#define TIMES (ARGS_BIT(ARGS_TTL) | ARGS_BIT(ARGS_STALE_TTL))
#define TAGS  (ARGS_BIT(ARGS_TAG) | ARGS_BIT(ARGS_NO_TAGS))

static const struct command commands[] = {
    {"get", "KEY...", 1, -1, RAW | WAIT | ARGS_BIT(ARGS_PARTIAL), COMMAND_VALUE, "get",
     "the value of a key",
     "Loads it where it is not there. Several keys: one value a line, in their order.\n"
     "With --partial what is not there yet is null, its load begins, and standard error says so.\n"
     "Exit code 1: there is no such thing (null is printed)."},
    {"entry", "KEY", 1, 1, WAIT, COMMAND_ENTRY, "get_entry",
     "the value of a key and what is known about it",
     "Loads it where it is not there; says status, version, age, ttl and load time.\n"
     "Exit code 1: there is no such thing."},
    {"peek", "KEY", 1, 1, 0, COMMAND_ENTRY, "peek", "what is stored under a key, without a load",
     "Exit code 1: nothing is stored (null is printed), or that there is no such thing."},
    {"set", "KEY VALUE", 2, 2, RAW | TIMES | TAGS | ARGS_BIT(ARGS_VERSION_OF), COMMAND_PLAIN, "set",
     "store a value in the cache alone",
     "VALUE is JSON; with --raw it is text, kept as a string; - reads standard input.\n"
     "{\"$bin\": \"base64\"} and {\"$ext\": [type, \"base64\"]} stand for binary and ext.\n"
     "Without --tag and --no-tags nobody knows its tags, and every tag's invalidation drops it."},
    {"invalidate", "KEY...", 1, -1, ARGS_BIT(ARGS_VERSION_OF) | ARGS_BIT(ARGS_DELETED),
     COMMAND_FOUND, "invalidate", "drop entries: never served again",
     "With --value-version: only what is older, which also stays out for floor_ttl.\n"
     "Prints for each key, in their order, whether there was an entry.\n"
     "Exit code 1: there was none for some key."},
    {"put", "KEY VALUE", 2, 2, RAW | ARGS_BIT(ARGS_VERSION_OF), COMMAND_PLAIN, "put",
     "write a value to the source, through the script's save",
     "VALUE as for set. With --value-version: the version that you have seen, which the script "
     "may\n"
     "ask for. Prints the version that the source gave it, and whether it is in the cache now."},
    {"delete", "KEY", 1, 1, ARGS_BIT(ARGS_VERSION_OF), COMMAND_PLAIN, "delete",
     "delete from the source, through the script's remove", NULL},
    {"invalidate-tag", "TAG...", 1, -1, 0, COMMAND_FOUND, "invalidate_tag",
     "drop all that carries a tag", NULL},
    {"invalidate-match", "PATTERN...", 1, -1, 0, COMMAND_FOUND, "invalidate_match",
     "drop all keys that match", "Quote the pattern: invalidate-match 'user:*'."},
    {"expire-tag", "TAG...", 1, -1, 0, COMMAND_FOUND, "expire_tag",
     "serve all that carries a tag as stale from now on", NULL},
    {"expire-match", "PATTERN...", 1, -1, 0, COMMAND_FOUND, "expire_match",
     "serve all keys that match as stale from now on", NULL},
    {"expire", "KEY...", 1, -1, 0, COMMAND_FOUND, "expire",
     "serve entries as stale from now on, while they are loaded again",
     "Prints for each key, in their order, whether there was an entry.\n"
     "Exit code 1: there was none for some key."},
    {"refresh", "KEY...", 1, -1, ARGS_BIT(ARGS_BACKGROUND) | ARGS_BIT(ARGS_MIN_VERSION),
     COMMAND_ENTRY, "refresh", "load a key now, whatever is stored",
     "Several keys are loaded side by side; one answer a line, in their order.\n"
     "Exit code 1: the source has no such thing."},
    {"warm", "FILE", 1, 1, ARGS_BIT(ARGS_RATE), COMMAND_PLAIN, "get_entry",
     "load the keys of a list, slowly, in their order",
     "FILE has a key a line, the most wanted first; - is standard input. A key with control\n"
     "characters, or that begins with \" or {, stands as JSON, one of bytes as {\"$bin\": "
     "\"base64\"}.\n"
     "Where the server has enough to do it goes on more slowly. Standard error tells how far it "
     "is\n"
     "and why keys fail; the end is one line: how many were loaded, were there already, are "
     "absent\n"
     "and have failed.\n"
     "Exit code 2: a line is no key, and what stands before it is done; 3: some keys have failed, "
     "or\n"
     "the server goes down."},
    {"snapshot", "", 0, 0, ARGS_BIT(ARGS_KEYS), COMMAND_PLAIN, "snapshot",
     "write what is in the cache to the server's folder of state, now",
     "Prints the file, how many entries and bytes, and how long it took; a large cache may want a\n"
     "longer --timeout.\n"
     "With --keys it prints the keys of that file in place of this, one a line, as warm reads "
     "them:\n"
     "  rtcache snapshot --keys | rtcache -s other:7411 warm -\n"
     "The file must be readable here: on the server's machine, by its user or root.\n"
     "Exit code 3: the server has no such folder; 4: the file cannot be read, or is damaged, and "
     "the\n"
     "keys before the damage are printed."},
    {"touch", "KEY...", 1, -1, TIMES, COMMAND_FOUND, "touch", "start the time of an entry again",
     "Prints for each key, in their order, whether there was an entry.\n"
     "Exit code 1: there was none for some key."},
    {"watch-sql", "TABLE --key TEMPLATE", 0, -1, 0, COMMAND_PLAIN, NULL,
     "SQL by which a table tells of its changes",
     "Prints it; no server is asked. For example:\n"
     "  rtcache watch-sql users --key 'user:{id}' --version version | psql shop\n"
     "  --key TEMPLATE       the key: {column} stands for its text, {{ and }} for braces\n"
     "  --version COLUMN     grows with every change; without it an entry always goes\n"
     "  --tag TEMPLATE       what else depends on the row; may be given 16 times\n"
     "  --channel NAME       as the backend's feed in rtcache.conf (rtcache)\n"
     "  --log [NAME]         into a table, which the backend's feed_log names (rtcache_log)\n"
     "Each key of a table is a watch of its own; the same one again replaces itself.\n"
     "  rtcache watch-sql users --key 'user:{id}' --drop | psql shop     removes it\n"
     "  rtcache watch-sql users --drop | psql shop                       and all of the table\n"
     "  rtcache watch-sql --list | psql shop                             what there is"},
    {"tier-sql", "[TABLE]", 0, -1, 0, COMMAND_PLAIN, NULL,
     "SQL of the table in which entries are kept beside the memory",
     "Prints it; no server is asked. TABLE is cache_entry, or NAME or SCHEMA.NAME. For example:\n"
     "  rtcache tier-sql | psql shop\n"
     "  --sqlite             for SQLite: rtcache tier-sql --sqlite | sqlite3 tier.db"},
    {"passwd", "", 0, 0, ARGS_BIT(ARGS_FROM), COMMAND_PLAIN, NULL,
     "the hash of a password, for users in rtcache.conf",
     "Asks for it twice without showing it; from a pipe it reads the first line; no server is "
     "asked.\n"
     "Prints an argon2id hash: { name = \"app\", password_hash = \"HERE\", rights = [ \"read\" ] "
     "}."},
    {"loaders", "", 0, 0, 0, COMMAND_LOADERS, "loaders", "the loaders and what they do now",
     "A table on a terminal; --json or --pretty show every field."},
    {"stats", "[GROUP]", 0, 1, 0, COMMAND_STATS, "stats", "the server's counters",
     "Lines of name and number on a terminal, JSON otherwise. GROUP: those of one group alone, "
     "such "
     "as\n"
     "store or restart. Exit code 1: the server has no such group."},
    {"reload", "", 0, 0, 0, COMMAND_PLAIN, "reload", "read configuration and scripts anew",
     "If anything is wrong nothing changes, and the error says where."},
    {"lift-floors", "WHAT [NAME]", 1, 2, 0, COMMAND_FOUND, "lift_floors",
     "forget the versions that invalidations named",
     "WHAT [NAME] is key KEY, match PATTERN, or all. For where versions begin anew, as after\n"
     "TRUNCATE or a restored backup; the entries of these keys are dropped as well:\n"
     "  rtcache lift-floors match 'user:*'\n"
     "Exit code 1: the key had no floor."},
    {"ping", "", 0, 0, 0, COMMAND_PLAIN, "ping", "ask whether the server is there", NULL},
};

#define COMMANDS (sizeof commands / sizeof *commands)

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

const char *command_nearest(const char *name)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    return conf_nearest(name, names, COMMANDS);
}

/* One without a method asks no server. */
static uint32_t options_of(const struct command *c)
{
    return c->options | (c->method ? OF_ALL : ARGS_BIT(ARGS_HELP));
}

int command_check(const struct command *c, const struct args *a, struct err *e)
{
    int words = a->count - 1;
    uint32_t strange = a->given & ~options_of(c);

    if (strange)
        return err_set(e, ERR_BAD_REQUEST, "%s takes no --%s", c->name,
                       args_specs[__builtin_ctz(strange)].name);
    if (words < c->least)
        return err_set(e, ERR_BAD_REQUEST, "%s takes %s", c->name, c->words);
    if (args_has(a, ARGS_TAG) && args_has(a, ARGS_NO_TAGS))
        return err_set(e, ERR_BAD_REQUEST, "--tag and --no-tags do not go together");
    if (c->most >= 0 && words > c->most)
        return err_set(e, ERR_BAD_REQUEST, "%s takes %s, and \"%.40s\" is one word too many",
                       c->name, c->most ? c->words : "no words", a->words[1 + c->most]);
    return 0;
}

enum command_answer command_answer_of(const struct command *c, const struct args *a)
{
    bool many = a->count > 2 || args_has(a, ARGS_PARTIAL); /* which is an option of get_many */
    return c->answer == COMMAND_VALUE && many ? COMMAND_VALUES : c->answer;
}

static int write_option(struct buf *out, enum args_option id)
{
    const struct args_spec *spec = &args_specs[id];
    char left[48];

    if (spec->letter)
        snprintf(left, sizeof left, "-%c, --%s %s", spec->letter, spec->name,
                 spec->takes ? spec->takes : "");
    else
        snprintf(left, sizeof left, "    --%s %s", spec->name, spec->takes ? spec->takes : "");
    return buf_printf(out, "  %-26s %s\n", left, spec->text);
}

static int write_options(struct buf *out, uint32_t options)
{
    int rc = 0;
    for (enum args_option id = 0; id < ARGS_COUNT && rc == 0; id++)
        if (options & ARGS_BIT(id))
            rc = write_option(out, id);
    return rc;
}

int command_help(struct buf *out, const struct command *c)
{
    int rc = buf_printf(out, "rtcache %s%s%s [options]: %s\n", c->name, c->words[0] ? " " : "",
                        c->words, c->summary);
    if (rc == 0 && c->text)
        rc = buf_printf(out, "\n%s\n", c->text);
    if (rc == 0 && c->options)
        rc = buf_printf(out, "\nOptions of %s:\n", c->name);
    if (rc == 0)
        rc = write_options(out, c->options);
    if (rc == 0)
        rc = buf_printf(out, "\nOptions of %s:\n", c->method ? "all commands" : c->name);
    return rc == 0 ? write_options(out, options_of(c) & ~c->options) : rc;
}

int command_help_all(struct buf *out)
{
    int rc = buf_printf(out, "rtcache COMMAND [words and options, in any order]\n\nCommands:\n");

    for (size_t i = 0; i < COMMANDS && rc == 0; i++) {
        char left[48];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].words);
        rc = buf_printf(out, "  %-27s %s\n", left, commands[i].summary);
    }
    if (rc == 0)
        rc = buf_printf(out, "  %-27s %s\n\nOptions:\n", "help COMMAND",
                        "more about a command, and its options");
    if (rc == 0)
        rc = write_options(out, OF_ALL | RAW | ARGS_BIT(ARGS_VERSION));
    if (rc == 0)
        rc = buf_printf(out, "\n"
                             "The server is -s, else RTCACHE_SERVER from the environment, else "
                             "127.0.0.1:7411.\n"
                             "The user is --user, else RTCACHE_USER; the password is in "
                             "--password-file, else\n"
                             "RTCACHE_PASSWORD, else it is asked for on a terminal.\n"
                             "JSON is indented on a terminal and on one line otherwise.\n\n"
                             "Exit codes: 0 done; 1 null, or no such entry; 2 wrong usage; "
                             "3 the server answered\n"
                             "an error; 4 cannot connect, connection lost, or no output; "
                             "5 no answer in time.\n");
    return rc;
}
