#include "serve/rights.h"

#include "base/show.h"

unsigned rights_at_once(const struct conf_user *u)
{
    if (!u)
        return RIGHT_ANYBODY;
    return RIGHT_ANYBODY | (u->keys.count == 0 ? u->rights : u->rights & RIGHT_ADMIN);
}

bool rights_key(const struct conf_user *u, struct slice key)
{
    if (u->keys.count == 0)
        return true;
    for (size_t i = 0; i < u->keys.count; i++)
        if (glob_matches(&u->globs[i], key, NULL))
            return true;
    return false;
}

bool rights_pattern(const struct conf_user *u, struct slice pattern)
{
    char room[GLOB_MAX];
    struct glob p;
    if (u->keys.count == 0 || glob_check(pattern, NULL) != 0)
        return true; /* what is no pattern is refused by its method */
    glob_compile(&p, pattern, room);
    for (size_t i = 0; i < u->keys.count; i++)
        if (glob_covers(&u->globs[i], &p))
            return true;
    return false;
}

int rights_group(const struct conf_user *u, unsigned right, struct slice method, struct err *e)
{
    char shown[SHOW_KEY_TEXT];
    show_key(shown, method);
    if (right == RIGHT_ANYBODY)
        return 0;
    if (!u)
        return err_set(e, ERR_UNAUTHENTICATED, "%s: authenticate first: auth [name, password]",
                       shown);
    if (!(u->rights & right))
        return err_set(e, ERR_DENIED, "%s: the user \"%s\" has no right \"%s\"", shown, u->name,
                       conf_right_name(right));
    return 0;
}

/* Who has keys of his own has a right to no tag, which any key may carry. */
static bool has_right(const struct conf_user *u, enum rights_of what, struct slice text)
{
    switch (what) {
    case RIGHTS_OF_KEY: return rights_key(u, text);
    case RIGHTS_OF_PATTERN: return rights_pattern(u, text);
    case RIGHTS_OF_TAG: break;
    }
    return u->keys.count == 0;
}

int rights_text(const struct conf_user *u, struct slice method, enum rights_of what,
                struct slice text, struct err *e)
{
    static const char *const names[] = {
        [RIGHTS_OF_KEY] = "key", [RIGHTS_OF_PATTERN] = "pattern", [RIGHTS_OF_TAG] = "tag"};
    char shown[SHOW_KEY_TEXT], named[SHOW_KEY_TEXT];
    if (!u || has_right(u, what, text))
        return 0;
    return err_set(e, ERR_DENIED, "%s: the user \"%s\" has no right to the %s %s",
                   show_key(shown, method), u->name, names[what], show_key(named, text));
}
