#include "wire/json_read.h"

#include <stdlib.h>

static _Thread_local bool failed; /* an allocation, since the last text began */

static void *allocate(size_t size)
{
    void *block = malloc(size);
    failed |= !block;
    return block;
}

void json_read_install(void)
{
    json_set_alloc_funcs(allocate, free);
}

json_t *json_read(struct slice text, size_t flags, json_error_t *fault)
{
    *fault = (json_error_t){0};
    failed = false;
    json_t *v = json_loadb(text.size ? text.data : "", text.size, flags, fault);
    if (!failed)
        return v;
    json_decref(v);
    fault->text[JSON_ERROR_TEXT_LENGTH - 1] = json_error_out_of_memory;
    return NULL;
}

bool json_read_had_no_memory(const json_error_t *fault)
{
    return json_error_code(fault) == json_error_out_of_memory;
}
