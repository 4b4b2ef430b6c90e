#include "history.h"

#include <inttypes.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char *const ops[OP_COUNT] = {
    "class",
    "get",
    "get_entry",
    "peek",
    "get_many",
    "refresh",
    "final",
    "set",
    "put",
    "delete",
    "write",
    "invalidate",
    "invalidate_tag",
    "invalidate_match",
    "expire",
    "expire_tag",
    "expire_match",
    "reload",
    "notice",
    "gap",
    "lost",
    "cut",
    "row",
};

static const char *const statuses[STATUS_COUNT] = {"-",    "hit",      "stale",
                                                   "miss", "negative", "stale_error"};

static const char *const codes[CODE_COUNT] = {
    "-",
    "TIMEOUT",
    "LOAD_TIMEOUT",
    "OVERLOADED",
    "BREAKER_OPEN",
    "LOAD_FAILED",
    "BACKEND_DOWN",
    "BACKEND_ERROR",
    "CANCELLED",
    "STALE_SOURCE",
    "VERSION_CONFLICT",
    "WRITE_UNKNOWN",
    "SHUTTING_DOWN",
    "LOST",
    "OTHER",
};

const char *op_name(unsigned op)
{
    return op < OP_COUNT ? ops[op] : "?";
}

const char *status_name(unsigned status)
{
    return status < STATUS_COUNT ? statuses[status] : "?";
}

const char *code_name(unsigned code)
{
    return code < CODE_COUNT ? codes[code] : "?";
}

static size_t find(const char *const *names, size_t count, const char *text, size_t size)
{
    for (size_t i = 1; i < count; i++)
        if (strlen(names[i]) == size && memcmp(names[i], text, size) == 0)
            return i;
    return count;
}

enum code code_find(const char *text, size_t size)
{
    const char *space = memchr(text, ' ', size);
    size_t i = find(codes, COUNT(codes), text, space ? (size_t)(space - text) : size);
    return i < CODE_COUNT ? (enum code)i : CODE_OTHER;
}

enum status status_find(const char *text, size_t size)
{
    size_t i = find(statuses, COUNT(statuses), text, size);
    return i < STATUS_COUNT ? (enum status)i : STATUS_UNKNOWN;
}

void record_print(FILE *out, const struct record *r)
{
    static const char *const results[] = {"done", "value", "absent", "error", "no answer"};
    fprintf(out, "%.6f .. %.6f %s %u/%u", (double)r->begin_ns / 1e9, (double)r->end_ns / 1e9,
            op_name(r->op), key_class(r->key), key_number(r->key));
    fprintf(out, " %s", r->result < COUNT(results) ? results[r->result] : "?");
    if (r->code)
        fprintf(out, " %s", code_name(r->code));
    if (r->status)
        fprintf(out, " %s age_ms=%u load_us=%u", status_name(r->status), r->age_ms, r->load_us);
    if (r->version)
        fprintf(out, " version=%" PRId64, r->version);
    if (r->told)
        fprintf(out, " told=%" PRId64, r->told);
    if (r->wanted)
        fprintf(out, " wanted=%" PRId64, r->wanted);
    if (r->content)
        fprintf(out, " content=%016" PRIx64, r->content);
    if (r->tag)
        fprintf(out, " tag=%u", r->tag);
    fputc('\n', out);
}
