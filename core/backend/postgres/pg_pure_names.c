#include "backend/postgres/pg_pure_names.h"

#include <stddef.h>
#include <string.h>

/* Left out on purpose, beside all that does something: what has the name of a type of times (date,
 * time, timestamp: a call of it is a cast, of "now" too), age (of today), what reads the catalog.
 */
static const char *const functions[] = {
    /* aggregates */
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "array_agg",
    "string_agg",
    "bool_and",
    "bool_or",
    "every",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    /* texts */
    "lower",
    "upper",
    "initcap",
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "btrim",
    "ltrim",
    "rtrim",
    "lpad",
    "rpad",
    "left",
    "right",
    "substr",
    "substring",
    "overlay",
    "position",
    "strpos",
    "replace",
    "translate",
    "split_part",
    "repeat",
    "reverse",
    "starts_with",
    "concat",
    "concat_ws",
    "md5",
    "encode",
    "decode",
    "ascii",
    "chr",
    "like_escape",
    /* numbers */
    "abs",
    "ceil",
    "ceiling",
    "floor",
    "round",
    "trunc",
    "sign",
    "mod",
    "div",
    "power",
    "sqrt",
    "exp",
    "ln",
    /* arrays */
    "array_length",
    "cardinality",
    "array_to_string",
    "array_position",
    "array_append",
    "array_prepend",
    "array_cat",
    "array_remove",
    /* JSON */
    "to_json",
    "to_jsonb",
    "json_build_object",
    "json_build_array",
    "jsonb_build_object",
    "jsonb_build_array",
    "json_array_length",
    "jsonb_array_length",
    "json_typeof",
    "jsonb_typeof",
    "json_extract_path",
    "json_extract_path_text",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "json_strip_nulls",
    "jsonb_strip_nulls",
    /* times that are there already */
    "extract",
    "date_part",
    "date_trunc",
    "timezone",
    "to_char",
};

bool pg_pure_names_function(const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(name, functions[i]) == 0)
            return true;
    return false;
}
