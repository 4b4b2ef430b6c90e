#include "backend/postgres/pg_pure_catalog.h"

#include "embed_pg_pure.h"
#include "wire/mpw.h"

#define PARAMETERS 11

struct slice pg_pure_catalog_sql(void)
{
    return slice_of(embed_pg_pure, embed_pg_pure_size);
}

int pg_pure_catalog_beside(const char *expressions, struct buf *out)
{
    int rc = buf_printf(out, "SELECT ARRAY[%s, (\n", expressions);
    rc = rc == 0 ? buf_append(out, embed_pg_pure, embed_pg_pure_size) : rc;
    return rc == 0 ? buf_append(out, ")]", 2) : rc;
}

static const char *relation_schema(const struct pg_pure_tree *t, int i)
{
    return t->relations[i].schema;
}

static const char *relation_name(const struct pg_pure_tree *t, int i)
{
    return t->relations[i].name;
}

static const char *column_name(const struct pg_pure_tree *t, int i)
{
    return t->columns[i].name;
}

static const char *operator_name(const struct pg_pure_tree *t, int i)
{
    return t->operators[i];
}

static const char *function_name(const struct pg_pure_tree *t, int i)
{
    return t->functions[i];
}

static const char *type_schema(const struct pg_pure_tree *t, int i)
{
    return t->types[i].schema;
}

static const char *type_name(const struct pg_pure_tree *t, int i)
{
    return t->types[i].name;
}

static int pack_texts(struct buf *out, const struct pg_pure_tree *t, int count,
                      const char *(*text)(const struct pg_pure_tree *t, int i))
{
    int rc = mpw_array(out, (uint32_t)count);
    for (int i = 0; rc == 0 && i < count; i++)
        rc = mpw_cstr(out, text(t, i));
    return rc;
}

static int pack_oids(struct buf *out, struct pg_pure_types types)
{
    int rc = mpw_array(out, (uint32_t)types.count);
    for (int i = 0; rc == 0 && i < types.count; i++)
        rc = mpw_uint(out, types.at[i]);
    return rc;
}

static int pack_column_relations(struct buf *out, const struct pg_pure_tree *t)
{
    int rc = mpw_array(out, (uint32_t)t->column_count);
    for (int i = 0; rc == 0 && i < t->column_count; i++)
        rc = mpw_int(out, t->columns[i].relation);
    return rc;
}

static int pack_type_constants(struct buf *out, const struct pg_pure_tree *t)
{
    int rc = mpw_array(out, (uint32_t)t->type_count);
    for (int i = 0; rc == 0 && i < t->type_count; i++)
        rc = mpw_bool(out, t->types[i].constant);
    return rc;
}

int pg_pure_catalog_pack(const struct pg_pure_tree *t, struct pg_pure_types columns,
                         struct pg_pure_types params, struct buf *out)
{
    int rc = mpw_array(out, PARAMETERS);
    rc = rc == 0 ? pack_texts(out, t, t->relation_count, relation_schema) : rc;
    rc = rc == 0 ? pack_texts(out, t, t->relation_count, relation_name) : rc;
    rc = rc == 0 ? pack_column_relations(out, t) : rc;
    rc = rc == 0 ? pack_texts(out, t, t->column_count, column_name) : rc;
    rc = rc == 0 ? pack_texts(out, t, t->operator_count, operator_name) : rc;
    rc = rc == 0 ? pack_texts(out, t, t->function_count, function_name) : rc;
    rc = rc == 0 ? pack_texts(out, t, t->type_count, type_schema) : rc;
    rc = rc == 0 ? pack_texts(out, t, t->type_count, type_name) : rc;
    rc = rc == 0 ? pack_type_constants(out, t) : rc;
    rc = rc == 0 ? pack_oids(out, columns) : rc;
    return rc == 0 ? pack_oids(out, params) : rc;
}
