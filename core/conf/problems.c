#include "conf/problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>

void problems_init(struct problems *p)
{
    *p = (struct problems){0};
    buf_init(&p->texts, 0);
}

void problems_fini(struct problems *p)
{
    free(p->list);
    buf_fini(&p->texts);
}

static bool has_room(struct problems *p)
{
    if (p->count < p->capacity)
        return true;
    size_t capacity = p->capacity ? p->capacity * 2 : 16;
    struct problem *list = realloc(p->list, capacity * sizeof *list);
    if (!list)
        return false;
    p->list = list;
    p->capacity = capacity;
    return true;
}

void problems_add(struct problems *p, const char *file, int line, size_t order, const char *fmt,
                  ...)
{
    if (p->count == PROBLEMS_MAX) {
        p->more++;
        return;
    }
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7F)
            *at = '?';
    size_t at = p->texts.size;
    if (!has_room(p) || buf_append(&p->texts, text, strlen(text) + 1) != 0) {
        p->nomem = true;
        return;
    }
    p->list[p->count++] = (struct problem){.file = file, .line = line, .order = order, .at = at};
}

static int problem_order(const void *left, const void *right)
{
    const struct problem *a = left, *b = right;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* What does not fit into the caller's buffer is left out: the first problem is in e anyway. */
static void tell_one(const struct problems *p, size_t i, struct buf *report)
{
    const struct problem *one = &p->list[i];
    const char *text = p->texts.data + one->at;
    (void)!(one->line > 0 ? buf_printf(report, "%s:%d: %s\n", one->file, one->line, text)
                          : buf_printf(report, "%s: %s\n", one->file, text));
}

int problems_tell(struct problems *p, struct buf *report, struct err *e)
{
    if (p->nomem) /* what was found may be for want of what was not read */
        return err_set(e, ERR_NOMEM, "no memory to read the configuration");
    if (p->count == 0)
        return 0;
    qsort(p->list, p->count, sizeof *p->list, problem_order);
    const struct problem *first = &p->list[0];
    if (first->line > 0)
        err_set(e, ERR_CONFIG, "%s:%d: %s", first->file, first->line, p->texts.data + first->at);
    else
        err_set(e, ERR_CONFIG, "%s: %s", first->file, p->texts.data + first->at);
    if (!report)
        return ERR_CONFIG;
    for (size_t i = 0; i < p->count; i++)
        tell_one(p, i, report);
    if (p->more)
        (void)!buf_printf(report, "and %zu problems more\n", p->more);
    return ERR_CONFIG;
}
