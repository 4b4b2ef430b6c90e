#include "conf/setting.h"

#include "conf/conf_units.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOWN_MAX 96

void setting_wrong(struct reading *r, const config_setting_t *at, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct source_place place = setting_place(r, at);
    problems_add(r->problems, place.file, place.line, at->line, "%s", text);
}

/* The root has no line: it stands for the first one. */
struct source_place setting_place(const struct reading *r, const config_setting_t *at)
{
    return source_place(r->source, at->line ? at->line : 1);
}

const char *setting_form(enum option_type type)
{
    switch (type) {
    case OPT_BOOL: return "true or false";
    case OPT_INT: return "an integer";
    case OPT_SIZE: return "a size such as \"256mb\"";
    case OPT_DURATION: return "a duration such as \"60s\"";
    case OPT_MICROS: return "a short duration such as \"500us\"";
    case OPT_RATIO: return "a number";
    case OPT_STRING:
    case OPT_PATH:
    case OPT_CHOICE:
    case OPT_DRIVER: return "a string";
    case OPT_LISTEN: return "a string or a list of strings";
    case OPT_WORDS: return "a list of strings";
    case OPT_GROUP: return "a group";
    case OPT_GROUPS: return "a list of groups";
    }
    return "";
}

/* What is written, for an error. */
static const char *found(const config_setting_t *s, char *shown)
{
    const char *text = "nothing";
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(shown, SHOWN_MAX, "the integer %lld", config_setting_get_int64(s));
        return shown;
    case CONFIG_TYPE_FLOAT:
        snprintf(shown, SHOWN_MAX, "the number %g", config_setting_get_float(s));
        return shown;
    case CONFIG_TYPE_STRING: text = "a string"; break;
    case CONFIG_TYPE_BOOL: text = config_setting_get_bool(s) ? "true" : "false"; break;
    case CONFIG_TYPE_GROUP: text = "a group"; break;
    case CONFIG_TYPE_ARRAY: text = "an array"; break;
    case CONFIG_TYPE_LIST: text = "a list"; break;
    }
    snprintf(shown, SHOWN_MAX, "%s", text);
    return shown;
}

static bool wrong_type(struct reading *r, const struct option *o, const config_setting_t *s)
{
    char shown[SHOWN_MAX];
    setting_wrong(r, s, "\"%s\" takes %s, found %s", o->name, setting_form(o->type),
                  found(s, shown));
    return false;
}

/* ---- strings and the environment ---- */

static bool is_variable(struct slice name)
{
    if (name.size == 0 || (name.data[0] >= '0' && name.data[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return true;
}

/* Appends the value of the variable that "${" at `at` begins; NULL where it is wrong. */
static const char *expand_one(struct reading *r, const config_setting_t *s, const struct option *o,
                              const char *at, struct buf *out)
{
    const char *name = o->name;
    const char *end = strchr(at, '}');
    struct slice variable = slice_of(at + 2, end ? (size_t)(end - at) - 2 : 0);
    char key[128];
    if (!end || !is_variable(variable) || variable.size >= sizeof key) {
        setting_wrong(r, s, "\"%s\": expected ${NAME}, found \"%.32s\"; $${ stands for ${ itself",
                      name, o->secret ? "${..." : at);
        return NULL;
    }
    memcpy(key, variable.data, variable.size);
    key[variable.size] = '\0';
    const char *value = getenv(key);
    if (!value) {
        setting_wrong(r, s, "\"%s\": the environment has no %s", name, key);
        return NULL;
    }
    int rc = buf_append(out, value, strlen(value));
    if (rc == ERR_NOMEM)
        r->problems->nomem = true;
    else if (rc != 0)
        setting_wrong(r, s, "\"%s\" is longer than %d bytes", name, SETTING_TEXT_MAX);
    return rc == 0 ? end + 1 : NULL;
}

/* The string of s with ${NAME} replaced, the snapshot's; NULL where it is wrong. */
static const char *read_text(struct reading *r, const struct option *o, const config_setting_t *s)
{
    const char *name = o->name;
    const char *at = config_setting_get_string(s);
    struct buf out;
    buf_init(&out, SETTING_TEXT_MAX);
    int rc = 0;
    while (at && *at && rc == 0) {
        size_t plain = strcspn(at, "$");
        if (plain == 0 && at[1] == '{') {
            at = expand_one(r, s, o, at, &out);
            continue;
        }
        if (plain == 0 && at[1] == '$' && at[2] == '{') {
            rc = buf_append(&out, "${", 2);
            at += 3;
            continue;
        }
        plain = plain ? plain : 1;
        rc = buf_append(&out, at, plain);
        at += plain;
    }
    const char *text = NULL;
    if (rc == ERR_TOO_LARGE)
        setting_wrong(r, s, "\"%s\" is longer than %d bytes", name, SETTING_TEXT_MAX);
    else if (rc == 0 && at && out.size == 0)
        setting_wrong(r, s, "\"%s\" is empty", name);
    else if (rc == 0 && at)
        text = arena_copy(r->arena, buf_slice(&out));
    if (rc == ERR_NOMEM || (rc == 0 && at && out.size != 0 && !text))
        r->problems->nomem = true;
    buf_fini(&out);
    return text;
}

static const char *absolute(struct reading *r, const char *path)
{
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    const char *whole =
        path[0] == '/' ? arena_copy(r->arena, slice_str(path))
                       : arena_printf(r->arena, "%s/%s", strcmp(r->dir, "/") ? r->dir : "", path);
    if (!whole)
        r->problems->nomem = true;
    return whole;
}

static int choice(struct reading *r, const struct option *o, const config_setting_t *s,
                  const char *const *choices, const char *text)
{
    size_t count = 0;
    char all[160] = "";
    for (; choices[count]; count++) {
        if (strcmp(choices[count], text) == 0)
            return (int)count;
        size_t size = strlen(all);
        snprintf(all + size, sizeof all - size, "%s\"%s\"", count ? ", " : "", choices[count]);
    }
    const char *near = conf_nearest(text, choices, count);
    setting_wrong(r, s, "\"%s\" is \"%.64s\"; it must be one of %s%s%s%s", o->name, text, all,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return -1;
}

/* The driver of that name; NULL where there is none. */
static const struct conf_driver *driver_named(struct reading *r, const struct option *o,
                                              const config_setting_t *s, const char *text)
{
    const char *names[CONF_DRIVERS_MAX + 1] = {NULL};
    for (size_t i = 0; i < CONF_DRIVERS_MAX && r->drivers[i]; i++)
        names[i] = r->drivers[i]->name;
    int index = choice(r, o, s, names, text);
    return index < 0 ? NULL : r->drivers[index];
}

/* ---- numbers ---- */

static const char *shown_value(enum option_type type, int64_t value, char *shown)
{
    if (type == OPT_DURATION)
        return conf_units_show_duration(value, shown);
    if (type == OPT_MICROS)
        return conf_units_show_micros(value, shown);
    if (type == OPT_SIZE)
        return conf_units_show_size(value, shown);
    snprintf(shown, CONF_SHOWN_MAX, "%lld", (long long)value);
    return shown;
}

static bool in_bounds(struct reading *r, const struct option *o, const config_setting_t *s,
                      int64_t value)
{
    if (value >= o->least && value <= o->most)
        return true;
    char is[CONF_SHOWN_MAX], least[CONF_SHOWN_MAX], most[CONF_SHOWN_MAX];
    setting_wrong(r, s, "\"%s\" is %s; it must be at least %s and at most %s", o->name,
                  shown_value(o->type, value, is), shown_value(o->type, o->least, least),
                  shown_value(o->type, o->most, most));
    return false;
}

static bool is_integer(const config_setting_t *s)
{
    int type = config_setting_type(s);
    return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

static bool read_number(struct reading *r, const struct option *o, const config_setting_t *s,
                        int64_t *out)
{
    int64_t value = 0;
    if (is_integer(s)) {
        value = config_setting_get_int64(s);
        bool short_one = o->type == OPT_MICROS;
        if ((o->type == OPT_DURATION || short_one) && value != 0) {
            setting_wrong(r, s,
                          "\"%s\" takes a duration, found %lld without a unit: write \"%lld%s\" or "
                          "\"%lld%s\"",
                          o->name, (long long)value, (long long)value, short_one ? "us" : "s",
                          (long long)value, "ms");
            return false;
        }
    } else if (o->type != OPT_INT && config_setting_type(s) == CONFIG_TYPE_STRING) {
        const char *text = read_text(r, o, s);
        struct err e;
        err_clear(&e);
        if (!text)
            return false;
        if ((o->type == OPT_SIZE     ? conf_parse_size(text, &value, &e)
             : o->type == OPT_MICROS ? conf_parse_micros(text, &value, &e)
                                     : conf_parse_duration(text, &value, &e)) != 0) {
            setting_wrong(r, s, "\"%s\": %s", o->name, e.text);
            return false;
        }
    } else {
        return wrong_type(r, o, s);
    }
    if (!in_bounds(r, o, s, value))
        return false;
    *out = value;
    return true;
}

static bool read_ratio(struct reading *r, const struct option *o, const config_setting_t *s,
                       double *out)
{
    if (!config_setting_is_number(s))
        return wrong_type(r, o, s);
    double value =
        is_integer(s) ? (double)config_setting_get_int64(s) : config_setting_get_float(s);
    if (!(value >= (double)o->least && value <= (double)o->most)) {
        setting_wrong(r, s, "\"%s\" is %g; it must be at least %lld and at most %lld", o->name,
                      value, (long long)o->least, (long long)o->most);
        return false;
    }
    *out = value;
    return true;
}

/* ---- all of them ---- */

static bool read_listen(struct reading *r, const struct option *o, const config_setting_t *s)
{
    struct conf *c = r->conf;
    bool many = config_setting_is_list(s) || config_setting_is_array(s);
    int count = many ? config_setting_length(s) : 1;
    if (count == 0 || count > CONF_LISTEN_MAX) {
        setting_wrong(r, s, "\"%s\" has %d addresses; it must have at least 1 and at most %d",
                      o->name, count, CONF_LISTEN_MAX);
        return false;
    }
    const char *texts[CONF_LISTEN_MAX];
    for (int i = 0; i < count; i++) {
        const config_setting_t *one = many ? config_setting_get_elem(s, (unsigned)i) : s;
        if (config_setting_type(one) != CONFIG_TYPE_STRING)
            return wrong_type(r, o, one);
        texts[i] = read_text(r, o, one);
        if (!texts[i])
            return false;
    }
    memcpy(c->listen, texts, (size_t)count * sizeof *texts);
    c->listen_count = (size_t)count;
    return true;
}

static bool read_words(struct reading *r, const struct option *o, const config_setting_t *s,
                       struct conf_words *out)
{
    bool many = config_setting_is_list(s) || config_setting_is_array(s);
    int count = many ? config_setting_length(s) : 0;
    if (!many)
        return wrong_type(r, o, s);
    if (count == 0 || count > CONF_WORDS_MAX) {
        setting_wrong(r, s, "\"%s\" has %d strings; it must have at least 1 and at most %d",
                      o->name, count, CONF_WORDS_MAX);
        return false;
    }
    const char **list = arena_alloc(r->arena, (size_t)count * sizeof *list);
    if (!list) {
        r->problems->nomem = true;
        return false;
    }
    for (int i = 0; i < count; i++) {
        const config_setting_t *one = config_setting_get_elem(s, (unsigned)i);
        if (config_setting_type(one) != CONFIG_TYPE_STRING)
            return wrong_type(r, o, one);
        list[i] = read_text(r, o, one);
        if (!list[i] || (o->choices && choice(r, o, one, o->choices, list[i]) < 0))
            return false;
    }
    *out = (struct conf_words){.list = list, .count = (size_t)count};
    return true;
}

static bool read_string(struct reading *r, const struct option *o, const config_setting_t *s,
                        void *at)
{
    if (config_setting_type(s) != CONFIG_TYPE_STRING)
        return wrong_type(r, o, s);
    const char *text = read_text(r, o, s);
    if (text && o->type == OPT_PATH)
        text = absolute(r, text);
    if (!text)
        return false;
    if (o->type == OPT_STRING || o->type == OPT_PATH) {
        *(const char **)at = text;
        return true;
    }
    if (o->type == OPT_DRIVER) {
        const struct conf_driver *named = driver_named(r, o, s, text);
        *(const struct conf_driver **)at = named;
        return named != NULL;
    }
    int index = choice(r, o, s, o->choices, text);
    if (index >= 0)
        *(const char **)at = o->choices[index];
    return index >= 0;
}

bool setting_read(struct reading *r, const struct option *o, const config_setting_t *s,
                  void *target)
{
    void *at = (char *)target + o->offset;
    switch (o->type) {
    case OPT_BOOL:
        if (config_setting_type(s) != CONFIG_TYPE_BOOL)
            return wrong_type(r, o, s);
        *(bool *)at = config_setting_get_bool(s);
        return true;
    case OPT_INT:
    case OPT_SIZE:
    case OPT_MICROS:
    case OPT_DURATION: return read_number(r, o, s, at);
    case OPT_RATIO: return read_ratio(r, o, s, at);
    case OPT_STRING:
    case OPT_PATH:
    case OPT_CHOICE:
    case OPT_DRIVER: return read_string(r, o, s, at);
    case OPT_LISTEN: return read_listen(r, o, s);
    case OPT_WORDS: return read_words(r, o, s, at);
    case OPT_GROUP:
    case OPT_GROUPS: return true;
    }
    return true;
}

/* The table's own texts are right; a unit test sees to it. */
static void set_default(struct reading *r, const struct option *o, void *target)
{
    void *at = (char *)target + o->offset;
    int rc = 0;
    switch (o->type) {
    case OPT_BOOL: *(bool *)at = strcmp(o->fallback, "true") == 0; break;
    case OPT_INT: *(int64_t *)at = strtoll(o->fallback, NULL, 10); break;
    case OPT_SIZE: rc = conf_parse_size(o->fallback, at, NULL); break;
    case OPT_DURATION: rc = conf_parse_duration(o->fallback, at, NULL); break;
    case OPT_MICROS: rc = conf_parse_micros(o->fallback, at, NULL); break;
    case OPT_RATIO: *(double *)at = strtod(o->fallback, NULL); break;
    case OPT_STRING:
    case OPT_CHOICE: *(const char **)at = o->fallback; break;
    case OPT_PATH: *(const char **)at = absolute(r, o->fallback); break;
    case OPT_LISTEN:
        r->conf->listen[0] = o->fallback;
        r->conf->listen_count = 1;
        break;
    case OPT_DRIVER:
    case OPT_WORDS:
    case OPT_GROUP:
    case OPT_GROUPS: break;
    }
    if (rc != 0)
        problems_add(r->problems, r->conf->file, 0, 0, "\"%s\" has a wrong default", o->name);
}

void setting_defaults(struct reading *r, enum option_group group, const struct conf_driver *driver,
                      void *target)
{
    const struct option *o;
    for (size_t i = 0; (o = options_row(driver, i)) != NULL; i++)
        if (o->group == group && o->fallback)
            set_default(r, o, target);
}
