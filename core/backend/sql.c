#include "backend/sql.h"

#include "backend/sql_word.h"

#define SQL(shape_) .takes = "sql, ...", .text = "the SQL text", .most = VERB_ANY, .shape = shape_

const struct verb sql_verbs[] = {
    [SQL_ROW] = {.name = "row", SQL(CALL_ROW)},
    [SQL_ROWS] = {.name = "rows", SQL(CALL_ROWS)},
    [SQL_VALUE] = {.name = "value", SQL(CALL_VALUE)},
    [SQL_EXEC] = {.name = "exec", SQL(CALL_COUNT)},
    [SQL_PACKED_ROW] = {.name = "packed_row", SQL(CALL_ROW), .packed = true},
    [SQL_PACKED_ROWS] = {.name = "packed_rows", SQL(CALL_ROWS), .packed = true},
    [SQL_TYPES] = {.name = "types", SQL(CALL_TYPES), .hidden = true, .at_once = true},
    [SQL_BATCH_TYPES] = {.name = "batch_types", SQL(CALL_TYPES), .hidden = true, .at_once = true},
    [SQL_BATCH_ROWS] = {.name = "batch_rows", SQL(CALL_ROWS), .hidden = true, .packed = true},
    {.name = NULL},
};

/* What may commit on its way (CALL, DO) is none of these, nor is what cannot run in a transaction
 * (VACUUM). */
enum call_fate sql_fate_undone(struct slice sql)
{
    static const char *const words[] = {"SELECT", "INSERT", "UPDATE", "DELETE",  "WITH",
                                        "MERGE",  "VALUES", "TABLE",  "REPLACE", NULL};
    return sql_word_is_one_of(sql_word_first(sql), words) ? CALL_UNDONE : CALL_DONE;
}
