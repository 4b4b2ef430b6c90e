-- Why the statement whose names are given may do more than read plain tables; no row: it does not.
--
-- $1, $2  relations: schemas ('' where none is written) and names
-- $3, $4  columns: of which of those relations (from 1; 0: any) and names ('': all)
-- $5, $6  operators, functions
-- $7, $8, $9  types of casts: schemas, names, and whether what is cast stands in the text
-- $10     OIDs of the types of the answer's columns
-- $11     OIDs of the types of the parameters
--
-- What PostgreSQL brings itself has an OID below 16384. pg_depend tells what an object uses of what
-- it does not bring.
WITH RECURSIVE named AS MATERIALIZED (
  SELECT n.place, n.name,
         pg_catalog.to_regclass(CASE n.schema WHEN '' THEN '' ELSE pg_catalog.quote_ident(n.schema) || '.' END
                                || pg_catalog.quote_ident(n.name))::oid AS id
  FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) WITH ORDINALITY n(schema, name, place)
), tree AS ( -- with partitions and children
  SELECT id FROM named WHERE id IS NOT NULL
  UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON tree.id = i.inhparent
), relation AS MATERIALIZED (
  SELECT c.* FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.id
), wanted AS (
  SELECT w.relation, w.name FROM ROWS FROM (pg_catalog.unnest($3::bigint[]), pg_catalog.unnest($4::text[])) w(relation, name)
), used AS MATERIALIZED ( -- columns
  SELECT DISTINCT a.attname, a.atttypid
  FROM wanted w JOIN named n ON w.relation IN (0, n.place)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = n.id AND a.attnum > 0 AND NOT a.attisdropped
    AND (w.name = '' OR a.attname = w.name::name)
), cast_to AS MATERIALIZED (
  SELECT t.name, t.constant,
         pg_catalog.to_regtype(CASE t.schema WHEN '' THEN '' ELSE pg_catalog.quote_ident(t.schema) || '.' END
                               || pg_catalog.quote_ident(t.name))::oid AS id
  FROM ROWS FROM (pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::text[]), pg_catalog.unnest($9::boolean[])) t(schema, name, constant)
), typed AS ( -- what has a type: its name, the type, whether a text may become one while it runs
  SELECT 'column ' || attname AS what, atttypid AS id, false AS made FROM used
  UNION ALL SELECT 'a column of the answer', id::oid, false FROM pg_catalog.unnest($10::bigint[]) id
  UNION ALL SELECT 'a parameter', id::oid, true FROM pg_catalog.unnest($11::bigint[]) id
  UNION ALL SELECT 'a cast', id, NOT constant FROM cast_to
), kind AS ( -- what has a type; for an array, the type of its elements
  SELECT t.what, t.made, pg_catalog.format_type(t.id, NULL) AS type, e.oid AS id, e.typtype, e.typname
  FROM typed t JOIN pg_catalog.pg_type a ON a.oid = t.id
  JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN a.typcategory = 'A' AND a.typelem <> 0 THEN a.typelem ELSE a.oid END
), enum AS MATERIALIZED (
  SELECT oid AS id FROM pg_catalog.pg_type WHERE typtype = 'e'
  UNION ALL SELECT typarray FROM pg_catalog.pg_type WHERE typtype = 'e'
), own_cast AS MATERIALIZED ( -- the database's own, from what a plain statement may hold
  SELECT c.casttarget, c.castcontext FROM pg_catalog.pg_cast c
  WHERE c.oid >= 16384 AND (c.castsource < 16384 OR c.castsource IN (SELECT id FROM enum))
), near AS MATERIALIZED ( -- types of the database's own that a plain value may become by itself
  SELECT id FROM enum UNION SELECT casttarget FROM own_cast WHERE castcontext = 'i'
), part AS ( -- what belongs to the relations and may use functions
  SELECT 'pg_catalog.pg_class'::regclass::oid AS class, r.oid AS id, r.relname FROM relation r
  UNION ALL SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid, r.relname
    FROM relation r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
  UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, r.relname
    FROM relation r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
  UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid, r.relname
    FROM relation r JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = r.oid
), reason (rank, text) AS (
  SELECT 1, 'transactions are not READ COMMITTED here'
    WHERE pg_catalog.current_setting('transaction_isolation') <> 'read committed'
  UNION ALL SELECT 2, 'pg_catalog is not the first schema of search_path'
    WHERE (SELECT s FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) s
           WHERE s NOT LIKE 'pg_temp%' LIMIT 1) <> 'pg_catalog'
  UNION ALL SELECT 3, 'no relation is called ' || name FROM named WHERE id IS NULL
  UNION ALL SELECT 4, relname || CASE relkind WHEN 'v' THEN ' is a view' WHEN 'f' THEN ' is a foreign table'
                                              ELSE ' is no table' END
    FROM relation WHERE relkind NOT IN ('r', 'p', 'm')
  UNION ALL SELECT 5, relname || ' is of the system'
    FROM relation WHERE oid < 16384 OR relnamespace IN (SELECT n.oid FROM pg_catalog.pg_namespace n
                                                        WHERE n.nspname IN ('pg_catalog', 'information_schema'))
  UNION ALL SELECT 6, relname || ' is temporary' FROM relation WHERE relpersistence = 't'
  UNION ALL SELECT 7, relname || ' has row-level security' FROM relation WHERE relrowsecurity
  UNION ALL SELECT 8, relname || ' is stored by an extension' FROM relation WHERE relkind IN ('r', 'm') AND relam <> 2
  UNION ALL SELECT 9, n.name || ' has no column ' || w.name
    FROM wanted w JOIN named n ON n.place = w.relation
    WHERE w.name <> '' AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = n.id AND a.attname = w.name::name AND a.attnum > 0 AND NOT a.attisdropped)
  UNION ALL SELECT 10, 'column ' || a.attname || ' is computed when it is read'
    FROM relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid WHERE a.attgenerated = 'v'
  UNION ALL SELECT 11, p.relname || ': an index, a constraint, partitions or statistics use '
                       || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0)
    FROM part p JOIN pg_catalog.pg_depend d ON d.classid = p.class AND d.objid = p.id
    WHERE d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass,
                           'pg_catalog.pg_opclass'::regclass, 'pg_catalog.pg_opfamily'::regclass,
                           'pg_catalog.pg_am'::regclass) AND d.refobjid >= 16384
  UNION ALL SELECT 12, 'no type is called ' || name FROM cast_to WHERE id IS NULL
  UNION ALL SELECT 13, what || ' is of the type ' || type
    FROM kind WHERE NOT (typtype = 'e' OR (id < 16384 AND typtype IN ('b', 'r', 'm')))
      OR typname LIKE 'reg%' OR typname IN ('timetz', 'xid', 'xid8', 'cid', 'tid', 'pg_snapshot', 'txid_snapshot',
                                            'aclitem', 'refcursor', 'pg_node_tree')
  UNION ALL SELECT 14, what || ' may make a ' || type || ' of a text, which may be "now"'
    FROM kind WHERE made AND typname IN ('date', 'time', 'timestamp', 'timestamptz', 'daterange', 'tsrange',
                                         'tstzrange', 'datemultirange', 'tsmultirange', 'tstzmultirange')
  UNION ALL SELECT 15, 'the database has a cast of its own to ' || pg_catalog.format_type(casttarget, NULL)
    FROM own_cast WHERE casttarget < 16384 OR casttarget IN (SELECT id FROM enum)
  UNION ALL SELECT 16, 'operator ' || n || ' is not built in' FROM pg_catalog.unnest($5::text[]) n
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE o.oprname = n::name AND o.oid < 16384)
  UNION ALL SELECT 17, 'operator ' || o.oid::regoperator::text || ' has the name of a built-in one'
    FROM pg_catalog.pg_operator o WHERE o.oprname = ANY ($5::text[]::name[]) AND o.oid >= 16384
      AND (o.oprleft < 16384 OR o.oprleft IN (SELECT id FROM near))
      AND (o.oprright < 16384 OR o.oprright IN (SELECT id FROM near))
  UNION ALL SELECT 18, 'operator ' || o.oprname || ' does more than compute'
    FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc f ON f.oid = o.oprcode
    WHERE o.oprname = ANY ($5::text[]::name[]) AND o.oid < 16384 AND (f.oid >= 16384 OR f.provolatile = 'v')
  UNION ALL SELECT 19, 'function ' || n || ' is not built in' FROM pg_catalog.unnest($6::text[]) n
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_proc f WHERE f.proname = n::name AND f.oid < 16384)
  UNION ALL SELECT 20, 'function ' || f.oid::regprocedure::text || ' has the name of a built-in one'
    FROM pg_catalog.pg_proc f WHERE f.proname = ANY ($6::text[]::name[]) AND f.oid >= 16384
      AND NOT EXISTS (SELECT FROM pg_catalog.unnest(f.proargtypes) t
                      WHERE t >= 16384 AND t NOT IN (SELECT id FROM near))
  UNION ALL SELECT 21, 'type ' || n || ' has the name of a function' FROM pg_catalog.unnest($6::text[]) n
    WHERE EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typname = n::name)
  UNION ALL SELECT 22, 'operator class ' || o.opcname || ' is a default of the database''s own'
    FROM pg_catalog.pg_opclass o
    WHERE o.oid >= 16384 AND o.opcdefault AND o.opcmethod IN (403, 405) AND o.opcintype < 16384
  UNION ALL SELECT 23, 'a family of built-in operators has more in it'
    WHERE EXISTS (SELECT FROM pg_catalog.pg_amproc WHERE oid >= 16384 AND amprocfamily < 16384)
       OR EXISTS (SELECT FROM pg_catalog.pg_amop WHERE oid >= 16384 AND amopfamily < 16384)
)
SELECT text FROM reason ORDER BY rank, text LIMIT 1
