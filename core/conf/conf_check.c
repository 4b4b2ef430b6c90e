#include "conf/conf_check.h"

#include "conf/checks.h"
#include "conf/conf_units.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

static const config_setting_t *place_of(const struct conf_check *c, const char *option)
{
    const config_setting_t *s = config_setting_get_member(c->group, option);
    return s ? s : c->group;
}

static bool writes(const struct conf_check *c, const char *option)
{
    return config_setting_get_member(c->group, option) != NULL;
}

void conf_check_wrong(const struct conf_check *c, const char *option, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    setting_wrong(c->r, place_of(c, option), "%s", text);
}

const char *conf_check_text(const struct conf_check *c, const char *option)
{
    const config_setting_t *s = config_setting_get_member(c->group, option);
    return s ? config_setting_get_string(s) : NULL;
}

void conf_check_order(const struct conf_check *c, const char *less, int64_t less_ms,
                      const char *more, int64_t more_ms)
{
    char a[CONF_SHOWN_MAX], b[CONF_SHOWN_MAX];
    if (less_ms > more_ms && (writes(c, less) || writes(c, more)))
        conf_check_wrong(c, writes(c, less) ? less : more, "\"%s\" (%s) is above \"%s\" (%s)", less,
                         conf_units_show_duration(less_ms, a), more,
                         conf_units_show_duration(more_ms, b));
}

bool conf_check_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

void conf_check_file(const struct conf_check *c, const char *option, const char *path)
{
    if (!conf_check_is_file(path))
        conf_check_wrong(c, option, "\"%s\": there is no file %s", option, path);
}
