/* unix_mode and unix_group: who may connect to Unix sockets. To connect is to write. */
#include "conf/checks.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Three octal digits, with a 0 before them or not; -1: they are none. */
static int64_t read_mode(const char *text)
{
    size_t size = strlen(text);
    if (size < 3 || size > 4 || strspn(text, "01234567") != size || (size == 4 && text[0] != '0'))
        return -1;
    return (int64_t)strtoul(text, NULL, 8);
}

static void check_mode(struct reading *r, const config_setting_t *root)
{
    struct conf *c = r->conf;
    const config_setting_t *s = config_setting_get_member(root, "unix_mode");
    if (!s || !c->unix_mode)
        return;
    c->unix_bits = read_mode(c->unix_mode);
    bool asked = config_setting_get_member(root, "users") || c->open_to_all;
    if (c->unix_bits < 0)
        setting_wrong(
            r, s,
            "\"unix_mode\" is \"%.64s\"; it takes three octal digits and a 0 before them, "
            "such as \"0660\"",
            c->unix_mode);
    else if (!(c->unix_bits & S_IWUSR))
        setting_wrong(r, s,
                      "\"unix_mode\" (%.64s) keeps the server's own user out: to connect is to "
                      "write",
                      c->unix_mode);
    else if ((c->unix_bits & S_IWOTH) && !asked)
        setting_wrong(r, s,
                      "\"unix_mode\" (%.64s) lets everybody on this machine in; name \"users\", or "
                      "set open_to_all = true",
                      c->unix_mode);
}

/* -1: the system has none. */
static int64_t find_group(const char *text)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && number < UINT32_MAX)
        return (int64_t)number;
    const struct group *g = getgrnam(text);
    return g ? (int64_t)g->gr_gid : -1;
}

static void check_group(struct reading *r, const config_setting_t *root)
{
    struct conf *c = r->conf;
    const config_setting_t *s = config_setting_get_member(root, "unix_group");
    if (!s || !c->unix_group)
        return;
    const struct source_place place = setting_place(r, s);
    c->unix_file = place.file;
    c->unix_line = place.line;
    c->unix_gid = find_group(c->unix_group);
    if (c->unix_gid < 0)
        setting_wrong(r, s, "\"unix_group\": the system has no group \"%.64s\"", c->unix_group);
    if (!config_setting_get_member(root, "unix_mode"))
        setting_wrong(r, s,
                      "\"unix_group\" goes with a \"unix_mode\" that lets a group in, such as "
                      "\"0660\"");
    else if (c->unix_bits >= 0 && !(c->unix_bits & S_IWGRP))
        setting_wrong(r, s,
                      "\"unix_group\": \"unix_mode\" (%.64s) lets no group in: to connect is "
                      "to write",
                      c->unix_mode);
}

static bool listens_on_unix(const struct conf *c)
{
    for (size_t i = 0; i < c->listen_count; i++)
        if (strncmp(c->listen[i], "unix:", 5) == 0)
            return true;
    return false;
}

void checks_unix(struct reading *r, const config_setting_t *root)
{
    static const char *const names[] = {"unix_mode", "unix_group"};
    r->conf->unix_bits = r->conf->unix_gid = -1;
    check_mode(r, root);
    check_group(r, root);
    for (size_t i = 0; i < 2 && !listens_on_unix(r->conf); i++) {
        const config_setting_t *s = config_setting_get_member(root, names[i]);
        if (s)
            setting_wrong(r, s, "\"%s\" is for Unix sockets; \"listen\" names none", names[i]);
    }
}
