#include "conf/users.h"

#include "base/bom.h"

#include "conf/checks.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* Where a problem of that option of the group stands. */
static const config_setting_t *place_of(const config_setting_t *group, const char *name)
{
    const config_setting_t *s = config_setting_get_member(group, name);
    return s ? s : group;
}

/* ---- passwords ---- */

/* A number behind prefix; *at goes behind it. */
static bool take_number(const char **at, const char *prefix, unsigned long *n)
{
    size_t size = strlen(prefix);
    if (strncmp(*at, prefix, size) != 0 || !isdigit((unsigned char)(*at)[size]))
        return false;
    char *end;
    *n = strtoul(*at + size, &end, 10);
    *at = end;
    return true;
}

bool conf_hash_cost(const char *text, unsigned long *kib, unsigned long *passes)
{
    return take_number(&text, "$argon2id$v=19$m=", kib) && take_number(&text, ",t=", passes) &&
           strncmp(text, ",p=", 3) == 0;
}

bool users_hash_is_right(const char *text, const char **why)
{
    unsigned long kib, passes;
    *why = "it is no argon2id hash; `rtcache passwd` prints one";
    if (strlen(text) > CONF_HASH_MAX || !conf_hash_cost(text, &kib, &passes))
        return false;
    *why = "its hash asks for more than 1 GiB of memory or 64 passes";
    if (kib > USERS_HASH_KIB_MAX || passes > USERS_HASH_PASSES_MAX)
        return false;
    errno = 0;
    bool right =
        sodium_init() >= 0 && crypto_pwhash_str_needs_rehash(text, crypto_pwhash_OPSLIMIT_MIN,
                                                             crypto_pwhash_MEMLIMIT_MIN) >= 0;
    *why = errno == ENOMEM ? NULL : "its hash is damaged; `rtcache passwd` prints one";
    return right;
}

/* The first line of the file. */
static void read_hash_file(struct reading *r, const config_setting_t *at, struct conf_user *u)
{
    char line[CONF_HASH_MAX + 3];
    FILE *f = fopen(u->password_file, "re");
    if (!f) {
        setting_wrong(r, at, "\"password_file\": cannot read %s: %s", u->password_file,
                      strerror(errno));
        return;
    }
    bool got = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    line[got ? strcspn(line, "\r\n") : 0] = '\0';
    const char *mark = bom_of(slice_str(line));
    if (mark) {
        setting_wrong(r, at, "\"password_file\": %s: %s", u->password_file, mark);
        return;
    }
    u->password_hash = arena_copy(r->arena, slice_str(line));
    if (!u->password_hash)
        r->problems->nomem = true;
}

static void finish_password(struct reading *r, const config_setting_t *group, struct conf_user *u)
{
    const char *why;
    const config_setting_t *at =
        place_of(group, u->password_file ? "password_file" : "password_hash");
    if (u->password_hash && u->password_file) {
        setting_wrong(r, at, "a user has \"password_hash\" or \"password_file\", not both");
        return;
    }
    if (u->password_file)
        read_hash_file(r, at, u);
    bool right = !u->password_hash || users_hash_is_right(u->password_hash, &why);
    if (!right && !why)
        r->problems->nomem = true;
    else if (!right)
        setting_wrong(r, at, "\"%s\": %s", u->password_file ? "password_file" : "password_hash",
                      why);
    bool written = config_setting_get_member(group, "password_hash") ||
                   config_setting_get_member(group, "password_file") ||
                   config_setting_get_member(group, "unix_user");
    if (!written)
        setting_wrong(r, group,
                      "a user needs \"password_hash\", \"password_file\" or \"unix_user\"");
}

/* ---- names, rights, keys ---- */

static void finish_unix_user(struct reading *r, const config_setting_t *group, struct conf_user *u)
{
    if (!u->unix_user)
        return;
    char *end;
    unsigned long long number = strtoull(u->unix_user, &end, 10);
    if (u->unix_user[0] >= '0' && u->unix_user[0] <= '9' && *end == '\0' && number < UINT32_MAX) {
        u->uid = (int64_t)number;
        return;
    }
    const struct passwd *pw = getpwnam(u->unix_user);
    if (pw)
        u->uid = pw->pw_uid;
    else
        setting_wrong(r, place_of(group, "unix_user"),
                      "\"unix_user\": the system has no user \"%.64s\"", u->unix_user);
}

static void finish_name(struct reading *r, const config_setting_t *group, const struct conf_user *u)
{
    if (!u->name)
        return;
    size_t size = strlen(u->name);
    bool plain = size <= CONF_NAME_MAX;
    for (size_t i = 0; i < size; i++)
        plain &= (unsigned char)u->name[i] > ' ' && u->name[i] != 0x7f;
    if (!plain)
        setting_wrong(r, place_of(group, "name"),
                      "\"name\" takes 1 to %d bytes without blanks and control characters",
                      CONF_NAME_MAX);
}

/* word: one of options_rights. */
static unsigned right_of(const char *word)
{
    unsigned right = 1;
    while (strcmp(conf_right_name(right), word) != 0)
        right <<= 1;
    return right;
}

static void finish_keys(struct reading *r, const config_setting_t *group, struct conf_user *u)
{
    struct glob *globs = arena_alloc(r->arena, (u->keys.count + 1) * sizeof *globs);
    struct err e;
    if (!globs)
        r->problems->nomem = true;
    for (size_t i = 0; globs && i < u->keys.count; i++) {
        struct slice pattern = slice_str(u->keys.list[i]);
        char *room = arena_alloc(r->arena, pattern.size + 1);
        if (!room) {
            r->problems->nomem = true;
        } else if (glob_check(pattern, &e) != 0) {
            setting_wrong(r, place_of(group, "keys"), "\"keys\": %s", e.text);
        } else {
            glob_compile(&globs[i], pattern, room);
        }
    }
    u->globs = globs;
}

void users_finish(struct reading *r, const config_setting_t *group, struct conf_user *u)
{
    for (size_t i = 0; i < u->rights_list.count; i++)
        u->rights |= right_of(u->rights_list.list[i]);
    finish_name(r, group, u);
    finish_password(r, group, u);
    finish_unix_user(r, group, u);
    finish_keys(r, group, u);
}

/* ---- together ---- */

/* As far as a text tells without asking for names. */
static bool is_loopback(const struct address *a)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (a->is_unix || strcmp(a->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, a->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, a->host, &v6) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

void users_check_address(struct reading *r, const config_setting_t *root, const struct address *a,
                         const char *text)
{
    bool certain = a->tls && r->conf->tls.client_ca; /* a client needs a certificate there */
    if (!r->conf->open_to_all && !config_setting_get_member(root, "users") && !is_loopback(a) &&
        !certain)
        setting_wrong(
            r, place_of(root, "listen"),
            "\"listen\": \"%.140s\" serves everybody who can reach it; name \"users\", or "
            "tls.client_ca for a tls: address, or set open_to_all = true",
            text);
}

void users_check(struct reading *r, const config_setting_t *root)
{
    const struct conf *c = r->conf;
    const config_setting_t *all = config_setting_get_member(root, "users");
    for (size_t i = 1; i < c->user_count; i++) {
        const struct conf_user *u = &c->users[i];
        const config_setting_t *group = config_setting_get_elem(all, (unsigned)i);
        for (size_t k = 0; k < i && config_setting_is_group(group); k++) {
            const struct conf_user *first = &c->users[k];
            if (u->name && first->name && strcmp(u->name, first->name) == 0)
                setting_wrong(r, place_of(group, "name"),
                              "user \"%.64s\" is there already, at %s:%d", u->name, first->file,
                              first->line);
            if (u->uid >= 0 && u->uid == first->uid)
                setting_wrong(r, place_of(group, "unix_user"),
                              "\"unix_user\" is that of the user at %s:%d too", first->file,
                              first->line);
        }
    }
}

/* ---- for the server ---- */

const char *conf_right_name(unsigned right)
{
    return options_rights[__builtin_ctz(right)];
}

const struct conf_user *conf_user_find(const struct conf *c, struct slice name)
{
    for (size_t i = 0; i < c->user_count; i++)
        if (slice_eq_str(name, c->users[i].name))
            return &c->users[i];
    return NULL;
}

const struct conf_user *conf_user_of_uid(const struct conf *c, int64_t uid)
{
    for (size_t i = 0; i < c->user_count && uid >= 0; i++)
        if (c->users[i].uid == uid)
            return &c->users[i];
    return NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool conf_user_same_proof(const struct conf_user *a, const struct conf_user *b)
{
    return strcmp(a->name, b->name) == 0 && same_text(a->password_hash, b->password_hash) &&
           a->uid == b->uid;
}

bool conf_user_same_rights(const struct conf_user *a, const struct conf_user *b)
{
    if (a->rights != b->rights || a->keys.count != b->keys.count)
        return false;
    for (size_t i = 0; i < a->keys.count; i++)
        if (strcmp(a->keys.list[i], b->keys.list[i]) != 0)
            return false;
    return true;
}
