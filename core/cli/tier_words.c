#include "cli/tier_words.h"

#include <string.h>

#define TABLE_DEFAULT "cache_entry"

int tier_words_parse(struct tier_words *w, int argc, char **argv, struct err *e)
{
    *w = (struct tier_words){.table = NULL};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sqlite") == 0)
            w->sqlite = true;
        else if (strncmp(argv[i], "--", 2) == 0)
            return err_set(e, ERR_BAD_REQUEST, "tier-sql takes --sqlite, not %.60s", argv[i]);
        else if (w->table)
            return err_set(e, ERR_BAD_REQUEST, "\"%.60s\" is one word too many", argv[i]);
        else
            w->table = argv[i];
    }
    if (!w->table)
        w->table = TABLE_DEFAULT;
    return 0;
}

int tier_words_write(struct buf *out, const struct tier_words *w, struct err *e)
{
    return tier_sql_table(out, w->sqlite ? TIER_SQLITE : TIER_POSTGRES, w->table, e);
}
