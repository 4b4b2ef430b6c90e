#include "backend/postgres/pg_pure_tree.h"

#include "backend/postgres/pg_pure_names.h"
#include "wire/json_read.h"

#include <pg_query.h>
#include <string.h>

#define DEPTH_MAX 64

struct walk {
    struct pg_pure_tree *tree;
    struct err *e;
    unsigned depth;
};

static int no(struct walk *w, const char *what)
{
    return err_set(w->e, ERR_BAD_REQUEST, "%s", what);
}

static const char *text_of(const json_t *body, const char *key)
{
    const char *s = json_string_value(json_object_get(body, key));
    return s ? s : "";
}

/* ---- lists of names ---- */

/* The text of item i of a list of String nodes; NULL: there is none. */
static const char *name_at(const json_t *list, size_t i)
{
    const json_t *item = json_array_get(list, i);
    return json_string_value(json_object_get(json_object_get(item, "String"), "sval"));
}

static int add_name(struct walk *w, const char **names, int *count, const char *name)
{
    for (int i = 0; i < *count; i++)
        if (strcmp(names[i], name) == 0)
            return 0;
    if (*count == PG_PURE_NAMES)
        return no(w, "it has too many names");
    names[(*count)++] = name;
    return 0;
}

static int add_operator(struct walk *w, const char *name)
{
    return add_name(w, w->tree->operators, &w->tree->operator_count, name);
}

static int add_column(struct walk *w, const char *table, const char *name)
{
    struct pg_pure_tree *t = w->tree;
    if (t->column_count == PG_PURE_COLUMNS)
        return no(w, "it has too many columns");
    t->columns[t->column_count++] = (struct pg_pure_column){.table = table, .name = name};
    return 0;
}

/* `name` or `schema.name`, of a list of names. */
static int take_qualified(const json_t *list, const char **schema, const char **name)
{
    size_t n = json_array_size(list);
    *schema = n == 2 ? name_at(list, 0) : "";
    *name = n == 1 || n == 2 ? name_at(list, n - 1) : NULL;
    return *schema && *name ? 0 : ERR_BAD_REQUEST;
}

/* The name in such a list, where its schema, if it has one, is PostgreSQL's own; else NULL. */
static const char *built_in_name(const json_t *list)
{
    const char *schema, *name;
    if (take_qualified(list, &schema, &name) != 0 || (*schema && strcmp(schema, "pg_catalog") != 0))
        return NULL;
    return name;
}

/* ---- what is to be known of a node, beside its fields ---- */

static int look_at_select(struct walk *w, const json_t *body)
{
    return strcmp(text_of(body, "op"), "SETOP_NONE") == 0
               ? 0
               : no(w, "it is a UNION, INTERSECT or EXCEPT");
}

/* Whether the value is `*`, or `u.*`. */
static bool is_star(const json_t *value)
{
    const json_t *fields = json_object_get(json_object_get(value, "ColumnRef"), "fields");
    size_t n = json_array_size(fields);
    return n > 0 && json_object_get(json_array_get(fields, n - 1), "A_Star") != NULL;
}

static int look_at_column(struct walk *w, const json_t *body)
{
    static const char *const of_system[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};
    const json_t *fields = json_object_get(body, "fields");
    size_t n = json_array_size(fields);
    const char *table = n == 2 ? name_at(fields, 0) : "";
    const char *name = n == 1 || n == 2 ? name_at(fields, n - 1) : NULL;
    if (!table || !name) /* a star is taken care of by its target */
        return no(w, "a column is named in an unusual way");
    for (size_t i = 0; i < sizeof of_system / sizeof *of_system; i++)
        if (strcmp(name, of_system[i]) == 0)
            return no(w, "it reads a system column");
    return add_column(w, table, name);
}

/* A star is every column where it is a target; elsewhere it is a row as a value. */
static int look_at_target(struct walk *w, const json_t *body)
{
    const json_t *value = json_object_get(body, "val");
    const json_t *fields = json_object_get(json_object_get(value, "ColumnRef"), "fields");
    size_t n = json_array_size(fields);
    if (!is_star(value))
        return 0;
    const char *table = n == 2 ? name_at(fields, 0) : "";
    if (n > 2 || !table)
        return no(w, "a column is named in an unusual way");
    return add_column(w, table, "");
}

static int look_at_relation(struct walk *w, const json_t *body)
{
    struct pg_pure_tree *t = w->tree;
    const json_t *alias = json_object_get(body, "alias");
    struct pg_pure_relation r = {
        .schema = text_of(body, "schemaname"),
        .name = text_of(body, "relname"),
        .alias = text_of(alias ? alias : body, alias ? "aliasname" : "relname"),
    };
    if (alias && json_object_size(alias) != 1)
        return no(w, "an alias names columns");
    if (t->relation_count == PG_PURE_RELATIONS)
        return no(w, "it reads too many relations");
    for (int i = 0; i < t->relation_count; i++)
        if (strcmp(t->relations[i].alias, r.alias) == 0)
            return no(w, "two relations have one name");
    t->relations[t->relation_count++] = r;
    return 0;
}

static int look_at_join(struct walk *w, const json_t *body)
{
    const json_t *shared = json_object_get(body, "usingClause");
    if (json_is_true(json_object_get(body, "isNatural")))
        return add_column(w, "", "") == 0 ? add_operator(w, "=") : ERR_BAD_REQUEST;
    int rc = shared ? add_operator(w, "=") : 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(shared); i++) {
        const char *name = name_at(shared, i);
        rc = name ? add_column(w, "", name) : no(w, "a join is written in an unusual way");
    }
    return rc;
}

static int look_at_expression(struct walk *w, const json_t *body)
{
    static const char *const by_name[] = {
        "AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT",
        "AEXPR_IN", "AEXPR_NULLIF", "AEXPR_LIKE",   "AEXPR_ILIKE",
    };
    const char *kind = text_of(body, "kind");
    const char *name = built_in_name(json_object_get(body, "name"));
    if (!name)
        return no(w, "an operator is named in an unusual way");
    for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
        if (strcmp(kind, by_name[i]) == 0)
            return add_operator(w, name);
    if (strncmp(kind, "AEXPR_BETWEEN", 13) != 0 && strncmp(kind, "AEXPR_NOT_BETWEEN", 17) != 0)
        return no(w, "it has an unusual expression");
    int rc = add_operator(w, ">=");
    rc = rc == 0 ? add_operator(w, "<=") : rc;
    rc = rc == 0 ? add_operator(w, ">") : rc;
    return rc == 0 ? add_operator(w, "<") : rc;
}

static int look_at_constant(struct walk *w, const json_t *body)
{
    static const char *const moments[] = {"now", "today", "tomorrow", "yesterday"};
    const char *text = text_of(json_object_get(body, "sval"), "sval");
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++)
        if (strcasestr(text, moments[i]))
            return no(w, "a constant may stand for the time");
    return 0;
}

static int look_at_cast(struct walk *w, const json_t *body)
{
    static const char *const fields[] = {"names", "typemod", "typmods", "arrayBounds", "location"};
    struct pg_pure_tree *t = w->tree;
    json_t *type = json_object_get(body, "typeName");
    size_t known = 0;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        known += json_object_get(type, fields[i]) != NULL;
    struct pg_pure_type to = {
        .constant = json_object_get(json_object_get(body, "arg"), "A_Const") != NULL,
    };
    if (known != json_object_size(type) ||
        take_qualified(json_object_get(type, "names"), &to.schema, &to.name) != 0)
        return no(w, "a type is named in an unusual way");
    if (t->type_count == PG_PURE_NAMES)
        return no(w, "it has too many types");
    t->types[t->type_count++] = to;
    return 0;
}

static int look_at_call(struct walk *w, const json_t *body)
{
    const char *name = built_in_name(json_object_get(body, "funcname"));
    if (!name)
        return no(w, "it calls a function that is not built in");
    if (!pg_pure_names_function(name))
        return err_set(w->e, ERR_BAD_REQUEST, "it calls %.63s()", name);
    return add_name(w, w->tree->functions, &w->tree->function_count, name);
}

static int look_at_case(struct walk *w, const json_t *body)
{
    return json_object_get(body, "arg") ? add_operator(w, "=") : 0;
}

/* ---- the nodes that are allowed ---- */

/* fields: those without nodes in them. below: those whose nodes are looked at in turn. */
static const struct node {
    const char *name, *fields, *below;
    int (*look)(struct walk *w, const json_t *body);
} nodes[] = {
    {"SelectStmt", " limitOption op ",
     " targetList fromClause whereClause groupClause havingClause sortClause limitOffset "
     "limitCount distinctClause ",
     look_at_select},
    {"ResTarget", " name location ", " val ", look_at_target},
    {"ColumnRef", " fields location ", "", look_at_column},
    {"RangeVar", " schemaname relname inh relpersistence alias location ", "", look_at_relation},
    {"JoinExpr", " jointype isNatural usingClause rtindex ", " larg rarg quals ", look_at_join},
    {"A_Expr", " kind name location ", " lexpr rexpr ", look_at_expression},
    {"BoolExpr", " boolop location ", " args ", NULL},
    {"NullTest", " nulltesttype location ", " arg ", NULL},
    {"BooleanTest", " booltesttype location ", " arg ", NULL},
    {"ParamRef", " number location ", "", NULL},
    {"A_Const", " ival fval sval boolval bsval isnull location ", "", look_at_constant},
    {"TypeCast", " typeName location ", " arg ", look_at_cast},
    {"FuncCall", " funcname agg_star agg_distinct funcformat location ",
     " args agg_order agg_filter ", look_at_call},
    {"CoalesceExpr", " location ", " args ", NULL},
    {"MinMaxExpr", " op location ", " args ", NULL},
    {"CaseExpr", " location ", " arg args defresult ", look_at_case},
    {"CaseWhen", " location ", " expr result ", NULL},
    {"List", "", " items ", NULL},
    {"SortBy", " sortby_dir sortby_nulls location ", " node ", NULL},
    {"A_ArrayExpr", " location ", " elements ", NULL},
};

/* Whether the list, of words between spaces, has the word. */
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; n > 0 && (at = strstr(at, word)) != NULL; at += n)
        if (at[-1] == ' ' && at[n] == ' ')
            return true;
    return false;
}

static int walk_value(struct walk *w, json_t *value);

static int walk_body(struct walk *w, const struct node *node, json_t *body)
{
    const char *key;
    json_t *value;
    bool target = strcmp(node->name, "ResTarget") == 0;
    int rc = node->look ? node->look(w, body) : 0;
    json_object_foreach(body, key, value)
    {
        if (rc != 0)
            return rc;
        if (has_word(node->below, key))
            rc = target && is_star(value) ? 0 : walk_value(w, value);
        else if (!has_word(node->fields, key))
            rc = err_set(w->e, ERR_BAD_REQUEST, "it has %.40s.%.40s", node->name, key);
    }
    return rc;
}

/* A node is an object of one field, which has its name. */
static int walk_node(struct walk *w, json_t *value)
{
    const char *name = json_object_iter_key(json_object_iter(value));
    if (!name) /* DISTINCT without ON */
        return json_is_object(value) ? 0 : no(w, "its tree has an unusual shape");
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        if (strcmp(name, nodes[i].name) == 0 && json_object_size(value) == 1)
            return walk_body(w, &nodes[i], json_object_get(value, name));
    return err_set(w->e, ERR_BAD_REQUEST, "it has a %.40s", name);
}

static int walk_value(struct walk *w, json_t *value)
{
    int rc = 0;
    size_t i;
    json_t *item;
    if (w->depth == DEPTH_MAX)
        return no(w, "it is nested too deep");
    w->depth++;
    if (!json_is_array(value))
        rc = walk_node(w, value);
    else
        json_array_foreach(value, i, item)
        {
            rc = rc == 0 ? walk_node(w, item) : rc;
        }
    w->depth--;
    return rc;
}

/* ---- the whole ---- */

/* `u.name` is a column of u, or a function of a row of u that is called so: the database is asked
 * for the column of that very relation. A relation's name alone is its row as a value. */
static int resolve_columns(struct walk *w)
{
    struct pg_pure_tree *t = w->tree;
    for (int i = 0; i < t->column_count; i++) {
        struct pg_pure_column *c = &t->columns[i];
        for (int j = 0; j < t->relation_count; j++) {
            if (strcmp(t->relations[j].alias, c->table) == 0)
                c->relation = j + 1;
            if (!*c->table && strcmp(t->relations[j].alias, c->name) == 0)
                return no(w, "it takes a whole row as a value");
        }
        if (*c->table && c->relation == 0)
            return no(w, "a column is named in an unusual way");
    }
    return 0;
}

static int check_text(struct walk *w, const char *sql)
{
    size_t n = strlen(sql);
    if (n > PG_PURE_SQL_MAX)
        return err_set(w->e, ERR_BAD_REQUEST, "its text has more than %d bytes", PG_PURE_SQL_MAX);
    for (size_t i = 0; i < n; i++)
        if (sql[i] == '\\' || (unsigned char)sql[i] >= 128)
            return no(w, "its text has a backslash, or a character that is not ASCII");
    return 0;
}

static int parse(struct walk *w, const char *sql)
{
    PgQueryParseResult parsed = pg_query_parse(sql);
    json_error_t fault;
    int rc = 0;
    if (parsed.error)
        rc = err_set(w->e, ERR_BAD_REQUEST, "the grammar does not know it: %.120s",
                     parsed.error->message);
    else if (!(w->tree->json = json_read(slice_str(parsed.parse_tree), 0, &fault)))
        rc = json_read_had_no_memory(&fault) ? err_set(w->e, ERR_NOMEM, "no memory for its tree")
                                             : no(w, "its tree is too deep");
    pg_query_free_parse_result(parsed);
    return rc;
}

int pg_pure_tree_init(struct pg_pure_tree *t, const char *sql, struct err *e)
{
    *t = (struct pg_pure_tree){.json = NULL};
    struct walk w = {.tree = t, .e = e};
    int rc = check_text(&w, sql);
    if (rc == 0)
        rc = parse(&w, sql);
    if (rc != 0)
        return rc;
    json_t *statements = json_object_get(t->json, "stmts");
    json_t *first = json_object_get(json_array_get(statements, 0), "stmt");
    if (json_array_size(statements) != 1 || !json_object_get(first, "SelectStmt"))
        return no(&w, "it is not a SELECT");
    rc = walk_value(&w, first);
    return rc == 0 ? resolve_columns(&w) : rc;
}

void pg_pure_tree_fini(struct pg_pure_tree *t)
{
    json_decref(t->json);
    t->json = NULL;
}
