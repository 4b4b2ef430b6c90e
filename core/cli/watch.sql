-- @WORDS@
@IF_NOTIFY@
-- Tells channel @CHANNEL@ of every change of the table, in the transaction that makes it.
-- The backend in rtcache.conf listens with: feed = "@CHANNEL_NAME@"
@END@
@IF_LOG@
-- Writes of every change of the table to @LOG@, in the transaction that makes it.
-- The backend in rtcache.conf reads it with: feed = "@CHANNEL_NAME@", feed_log = "@LOG_CONF@"
-- Its role needs: GRANT SELECT ON @LOG@, @LOG_META@ TO ...; GRANT EXECUTE ON FUNCTION @LOG_PURGE@ TO ...;
@END@
-- One statement: it installs all of it or nothing. Run again it replaces itself, and no watch of another key.
-- To remove it: the same words and --drop.
DO $rtcache$
DECLARE
  watched regclass := to_regclass(@TABLE_TEXT@);
  kind "char"; owner oid; by_row boolean; inherits boolean; wrong text; was oid; before text; name text; row_name text;
@IF_LOG@
  log text; log_owner oid; settled boolean;
  plain_types text := '{pg_catalog.int2,pg_catalog.int4,pg_catalog.int8,pg_catalog.numeric,pg_catalog.text,pg_catalog.varchar,'
    'pg_catalog.uuid,pg_catalog.bool}';
@END@
BEGIN
  -- What would not work is refused now, not when somebody writes.
  SELECT c.relkind, c.relowner, c.relkind = 'p' OR c.relispartition,
      NOT c.relispartition AND c.relkind <> 'p'
        AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid OR i.inhrelid = c.oid),
      CASE WHEN c.relpersistence = 't' THEN 'a temporary table'
        WHEN n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') THEN 'a table of the system'
        WHEN c.relkind NOT IN ('r', 'p') THEN CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'
          WHEN 'f' THEN 'a foreign table' ELSE 'no table' END END
    INTO kind, owner, by_row, inherits, wrong
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = watched;
  IF watched IS NULL THEN
    RAISE EXCEPTION 'rtcache watch-sql: there is no table %', @TABLE_TEXT@;
  ELSIF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'rtcache watch-sql: % is %: only a table can be watched', watched, wrong;
  ELSIF NOT pg_has_role(owner, 'USAGE') THEN
    RAISE EXCEPTION 'rtcache watch-sql: % may not watch %: only its owner, %, can', current_user, watched,
      pg_get_userbyid(owner);
  END IF;
  SELECT string_agg(c, ', ') INTO wrong FROM unnest(ARRAY[@COLUMNS@]::text[]) AS c
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = watched AND a.attname = c AND a.attnum > 0 AND NOT a.attisdropped);
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'rtcache watch-sql: % has no column %', watched, wrong USING HINT = 'It has ' || (
      SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = watched AND a.attnum > 0 AND NOT a.attisdropped) || '.';
  END IF;
  SELECT format_type(a.atttypid, a.atttypmod) INTO wrong FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
    WHERE a.attrelid = watched AND a.attname = @VERSION_NAME@ AND a.attnum > 0
      AND coalesce(nullif(y.typbasetype, 0), y.oid) NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype);
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'rtcache watch-sql: the version % is of type %: it has to be smallint, integer or bigint',
      @VERSION_NAME@, wrong;
  END IF;
  SELECT string_agg(format('%s (%s)', a.attname, format_type(a.atttypid, a.atttypmod)), ', ') INTO wrong
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = watched AND a.attname = ANY (ARRAY[@COLUMNS@]::text[])
      AND a.attnum > 0 AND (format_type(a.atttypid, NULL) LIKE 'reg%' OR a.atttypid IN ('money'::regtype, 'bpchar'::regtype));
  IF wrong IS NOT NULL THEN
    RAISE WARNING 'rtcache watch-sql: as text, % may look otherwise to who reads it than in the key', wrong;
  END IF;
  IF inherits THEN
    RAISE WARNING 'rtcache watch-sql: % inherits, or is inherited from: watch each of these tables that is written', watched;
  END IF;

  -- Where a trigger leaves word that it could not tell; the feed looks at it with every heartbeat.
  IF to_regclass(@SEQUENCE_TEXT@) IS NULL THEN
    CREATE SEQUENCE @SEQUENCE@ CYCLE;
  END IF;
  IF NOT has_sequence_privilege(@SEQUENCE_TEXT@, 'USAGE') THEN
    RAISE EXCEPTION 'rtcache watch-sql: % may not use the sequence %', current_user, @SEQUENCE_TEXT@;
  END IF;
  IF pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = @SEQUENCE_TEXT@::regclass), 'USAGE') THEN
    GRANT SELECT ON SEQUENCE @SEQUENCE@ TO PUBLIC;
  END IF;
@IF_LOG@

  -- The log, which the watches of a database share. xid: whose change it is; a reader knows by it what it has seen.
  IF current_setting('server_version_num')::int < 130000 THEN
    RAISE EXCEPTION 'rtcache watch-sql: a log needs PostgreSQL 13 or newer';
  END IF;
  IF to_regclass(@LOG_TEXT@) IS NULL THEN
    CREATE TABLE @LOG@ (
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(), at timestamptz NOT NULL DEFAULT clock_timestamp(),
      channel text NOT NULL DEFAULT 'rtcache', e jsonb NOT NULL);
    CREATE INDEX ON @LOG@ (xid);
    ALTER TABLE @LOG@ REPLICA IDENTITY FULL; -- who publishes all tables can still have it purged
    -- id: another one where something is gone that was not purged. purged_below: what is gone of the log.
    IF to_regclass(@LOG_META_TEXT@) IS NOT NULL THEN
      DROP TABLE @LOG_META@; -- of a log that was dropped
    END IF;
    CREATE TABLE @LOG_META@ (one boolean PRIMARY KEY DEFAULT true CHECK (one),
      id uuid NOT NULL DEFAULT gen_random_uuid(), purged_below xid8 NOT NULL DEFAULT '0');
    INSERT INTO @LOG_META@ DEFAULT VALUES;
  END IF;
  SELECT format('%I.%I', n.nspname, c.relname), c.relowner INTO log, log_owner FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(@LOG_TEXT@);
  IF to_regclass(@LOG_META_TEXT@) IS NULL OR EXISTS (SELECT FROM unnest(ARRAY['xid', 'at', 'channel', 'e']) AS c
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = log::regclass AND a.attname = c AND NOT a.attisdropped)) THEN
    RAISE EXCEPTION 'rtcache watch-sql: % is no log of rtcache', log;
  ELSIF NOT has_table_privilege(log, 'INSERT') THEN
    RAISE EXCEPTION 'rtcache watch-sql: % may not write to the log %', current_user, log;
  END IF;
  IF pg_has_role(log_owner, 'USAGE') THEN
    EXECUTE format($rtcache_log$
      CREATE OR REPLACE FUNCTION @LOG_CHANGED@ RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
      SET search_path = pg_catalog, pg_temp AS $rtcache_body$
      BEGIN
        IF current_setting('rtcache.purges', true) IS DISTINCT FROM 'on' THEN
          UPDATE %2$s SET id = gen_random_uuid(); -- somebody has taken out what nobody may have read
        END IF;
        RETURN NULL;
      END
      $rtcache_body$;
      -- Takes out whole transactions whose rows are older than `keep`, at most about `most` rows. What it is called by
      -- again and again is the server that reads the log.
      CREATE OR REPLACE FUNCTION @LOG_PURGE@ RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
      SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $rtcache_body$
      DECLARE
        since timestamptz := clock_timestamp() - keep; oldest xid8; below xid8; other xid8; gone bigint;
      BEGIN
        IF NOT pg_try_advisory_xact_lock(hashtextextended('rtcache purges ' || '%1$s'::regclass::oid, 0)) THEN
          RETURN 0;
        END IF;
        SELECT l.xid INTO oldest FROM %1$s AS l ORDER BY l.xid LIMIT 1;
        IF oldest IS NULL THEN
          RETURN 0;
        END IF;
        below := pg_snapshot_xmin(pg_current_snapshot()); -- of what is not over yet nothing goes
        SELECT l.xid INTO other FROM %1$s AS l WHERE l.at >= since ORDER BY l.xid LIMIT 1;
        IF other < below THEN
          below := other;
        END IF;
        SELECT l.xid INTO other FROM %1$s AS l WHERE l.xid > oldest ORDER BY l.xid OFFSET most LIMIT 1;
        IF other < below THEN
          below := other;
        END IF;
        IF below <= oldest THEN
          RETURN 0;
        END IF;
        PERFORM set_config('rtcache.purges', 'on', true);
        UPDATE %2$s SET purged_below = greatest(purged_below, below);
        DELETE FROM %1$s AS l WHERE l.xid < below;
        GET DIAGNOSTICS gone = ROW_COUNT;
        PERFORM set_config('rtcache.purges', 'off', true);
        RETURN gone;
      END
      $rtcache_body$;
      REVOKE ALL ON FUNCTION @LOG_CHANGED@, @LOG_PURGE@ FROM PUBLIC;
      $rtcache_log$, log, (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(@LOG_META_TEXT@)));
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = log::regclass AND t.tgname = 'rtcache_changed') THEN
      CREATE TRIGGER rtcache_changed AFTER UPDATE OR DELETE OR TRUNCATE ON @LOG@
        FOR EACH STATEMENT EXECUTE FUNCTION @LOG_CHANGED@;
      ALTER TABLE @LOG@ ENABLE ALWAYS TRIGGER rtcache_changed;
    END IF;
  END IF;
@END@

  -- Runs as its owner, whoever writes, with settings of its own: a key has one text.
  CREATE OR REPLACE FUNCTION @FUNCTION@() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, YMD' SET "TimeZone" = 'UTC' SET "IntervalStyle" = postgres
  SET extra_float_digits = 1 SET bytea_output = hex SET lc_monetary = 'C' SET standard_conforming_strings = on
  AS $rtcache_watch$
  DECLARE
    missed boolean; warned text; problem text; seq oid;
@IF_LOG@
    event jsonb; nothing boolean; rows jsonb[];
@END@
  BEGIN
    <<telling>> BEGIN
@IF_LOG@
      -- One row, as most often: one query says what to tell. It also fails here, if at all, where the log is not as it
      -- should be, and the lock that it takes keeps the log so to the end of the transaction.
      IF TG_LEVEL <> 'STATEMENT' OR TG_OP = 'TRUNCATE' OR current_setting('rtcache.notify', true) = 'off' THEN
        NULL;
      ELSIF TG_OP = 'UPDATE' THEN
        @ONE_ROW@
          SELECT o.k AS was, n.k, CASE WHEN coalesce(n.v > o.v, true) THEN n.v END AS v,
              array_remove(array_remove(CASE WHEN o.t = n.t THEN n.t ELSE o.t || n.t END, NULL), '') AS t
            FROM (SELECT @KEY_ROW@ AS k, @VERSION_ROW@ AS v, @TAGS_EACH@ AS t FROM rtcache_old AS r) AS o,
              (SELECT @KEY_ROW@ AS k, @VERSION_ROW@ AS v, @TAGS_EACH@ AS t FROM rtcache_new AS r) AS n LIMIT 2) AS x;
      ELSIF TG_OP = 'INSERT' THEN
        @ONE_ROW@
          SELECT @KEY_ROW@ AS was, @KEY_ROW@ AS k, @VERSION_ROW@ AS v,
              array_remove(array_remove(@TAGS_EACH@, NULL), '') AS t FROM rtcache_new AS r LIMIT 2) AS x;
      ELSE
        @ONE_ROW@
          SELECT @KEY_ROW@ AS was, @KEY_ROW@ AS k, NULL::bigint AS v,
              array_remove(array_remove(@TAGS_EACH@, NULL), '') AS t FROM rtcache_old AS r LIMIT 2) AS x;
      END IF;
      EXIT telling WHEN event IS NOT NULL OR nothing;
@END@
      DECLARE
        keys text[] := '{}'; versions bigint[] := '{}'; fresh boolean[] := '{}'; tags text[] := '{}';
        told text[] := '{}'; short text[]; one int; plain boolean := false;
      BEGIN
@IF_NOTIFY@
        IF current_setting('rtcache.notify', true) = 'off' OR pg_notification_queue_usage() > 0.5 THEN
          missed := true; -- a queue that is full would fail the commit
@END@
@IF_LOG@
        IF current_setting('rtcache.notify', true) = 'off' THEN
          missed := true;
@END@
        ELSIF TG_OP = 'TRUNCATE' THEN
          told := @EVERYTHING@;
        ELSIF TG_LEVEL = 'ROW' THEN
          IF TG_OP <> 'INSERT' THEN
            keys := ARRAY[@KEY_OLD@]; versions := ARRAY[@VERSION_OLD@]; fresh := ARRAY[false];
            tags := ARRAY[@TAGS_OLD@]::text[];
          END IF;
          IF TG_OP <> 'DELETE' THEN
            keys := keys || ARRAY[@KEY_NEW@]; versions := versions || ARRAY[@VERSION_NEW@]; fresh := fresh || true;
            tags := tags || ARRAY[@TAGS_NEW@]::text[];
          END IF;
@IF_LOG@
        ELSIF TG_OP = 'UPDATE' AND @TAG_COUNT@ <= 1 THEN -- as below, by one query
          SELECT array_agg(@KEY_ROW@), array_agg(@VERSION_ROW@), array_agg(r.rtcache_new), @TAGS_ROW@
            INTO keys, versions, fresh, tags FROM (SELECT false AS rtcache_new, o.* FROM rtcache_old AS o
              UNION ALL SELECT true, n.* FROM rtcache_new AS n) AS r;
@END@
        ELSE
          IF TG_OP <> 'INSERT' THEN
            SELECT array_agg(@KEY_ROW@), array_agg(@VERSION_ROW@), array_agg(false), @TAGS_ROW@
              INTO keys, versions, fresh, tags FROM rtcache_old AS r;
          END IF;
          IF TG_OP <> 'DELETE' THEN
            SELECT keys || array_agg(@KEY_ROW@), versions || array_agg(@VERSION_ROW@), fresh || array_agg(true), tags || @TAGS_ROW@
              INTO keys, versions, fresh, tags FROM rtcache_new AS r;
          END IF;
        END IF;
        IF cardinality(keys) = 1 OR (cardinality(keys) = 2 AND keys[1] = keys[2] AND fresh[2]) THEN
          -- One row: without a query. Its tags are told as they are where they are short.
          one := cardinality(keys);
          short := coalesce(CASE WHEN one = 2 AND tags[:@TAG_COUNT@] = tags[@TAG_COUNT@ + 1:] THEN tags[:@TAG_COUNT@] ELSE tags END, '{}');
          short := array_remove(array_remove(short, NULL), '');
          plain := octet_length(keys[1]) BETWEEN 1 AND 1000 AND getdatabaseencoding() = 'UTF8'
            AND octet_length(array_to_string(short, '')) <= 255;
        END IF;
        IF plain THEN
          told := ARRAY[json_strip_nulls(json_build_object('k', keys[one],
            'v', CASE WHEN fresh[one] AND coalesce(versions[2] > versions[1], true) THEN versions[one] END,
            't', CASE WHEN short <> '{}' THEN to_json(short) END))::text];
        ELSIF cardinality(keys) > 0 THEN
          -- A key with its version where one row has it now, and had it before with a lower one; else the key alone.
          told := ARRAY(SELECT json_strip_nulls(json_build_object('k', c.k, 'v', CASE
                WHEN count(*) FILTER (WHERE c.f) = 1 AND count(*) FILTER (WHERE NOT c.f) <= 1
                  AND coalesce(max(c.v) FILTER (WHERE c.f) > max(c.v) FILTER (WHERE NOT c.f), true)
                THEN max(c.v) FILTER (WHERE c.f) END))::text
            FROM unnest(keys, versions, fresh) AS c(k, v, f) WHERE c.k <> '' GROUP BY c.k COLLATE "C", c.k LIMIT 1001);
          IF cardinality(told) > 1000
              OR EXISTS (SELECT FROM unnest(told) AS e WHERE octet_length(convert_to(e, 'UTF8')) > 7900) THEN
            told := ARRAY[json_build_object('m', @PATTERN@::text)::text]; -- too many, or too long for NOTIFY
          END IF;
          tags := ARRAY(SELECT DISTINCT t COLLATE "C" FROM unnest(tags) AS t
            WHERE octet_length(convert_to(t, 'UTF8')) BETWEEN 1 AND 255 LIMIT 1001);
          IF cardinality(tags) > 1000 THEN
            told := told || '{"t":"*"}'::text;
          ELSIF cardinality(tags) > 0 THEN
            told := told || ARRAY(SELECT json_build_object('t', json_agg(g.t))::text
              FROM (SELECT t, (row_number() OVER () - 1) / 4 AS four FROM unnest(tags) AS t) AS g GROUP BY g.four);
          END IF;
        END IF;
@IF_NOTIFY@
        PERFORM pg_notify(@CHANNEL@, e) FROM unnest(told) AS e;
@END@
@IF_LOG@
        -- The insert below without a row: it fails here, if at all, and the lock that it takes keeps the log as it is
        -- to the end of the transaction. A row that is written in here would cost each statement a transaction id.
        rows := told::jsonb[];
        INSERT INTO "rtcache: the log" (channel, e) SELECT @CHANNEL@, '{}'::jsonb WHERE false;
@END@
      END;
    EXCEPTION WHEN OTHERS THEN
      problem := SQLERRM;
    END;
    -- No error of this function is one of who writes. What cannot be told exactly is told as all of it; what
    -- cannot be told at all moves the sequence.
    IF problem IS NOT NULL THEN
      BEGIN
@IF_NOTIFY@
        PERFORM pg_notify(@CHANNEL@, e) FROM unnest(@EVERYTHING@) AS e;
@END@
@IF_LOG@
        rows := @EVERYTHING@::jsonb[];
        INSERT INTO "rtcache: the log" (channel, e) SELECT @CHANNEL@, '{}'::jsonb WHERE false;
@END@
      EXCEPTION WHEN OTHERS THEN
        missed := true;
      END;
    END IF;
@IF_LOG@
    IF event IS NOT NULL THEN
      INSERT INTO "rtcache: the log" (channel, e) VALUES (@CHANNEL@, event);
      RETURN NULL;
    ELSIF missed THEN
      NULL;
    ELSIF cardinality(rows) = 1 THEN
      INSERT INTO "rtcache: the log" (channel, e) VALUES (@CHANNEL@, rows[1]);
    ELSIF cardinality(rows) > 1 THEN
      INSERT INTO "rtcache: the log" (channel, e) SELECT @CHANNEL@, r FROM unnest(rows) AS r;
    END IF;
@END@
    IF missed THEN
      BEGIN
        SELECT c.oid INTO STRICT seq FROM pg_class AS c
          WHERE c.relname = 'rtcache_missed' AND c.relkind = 'S' AND has_sequence_privilege(c.oid, 'USAGE')
          ORDER BY pg_get_userbyid(c.relowner) = current_user DESC, c.oid LIMIT 1;
@IF_NOTIFY@
        PERFORM nextval(seq::regclass);
@END@
@IF_LOG@
        -- A standby hears of each setval, but of one nextval in 32.
        PERFORM CASE WHEN has_sequence_privilege(seq, 'UPDATE')
          THEN setval(seq::regclass, 1 + floor(random() * 1e15)::bigint) ELSE nextval(seq::regclass) END;
@END@
      EXCEPTION WHEN OTHERS THEN
        problem := coalesce(problem || '; ', '') || 'a change is not told of at all: ' || SQLERRM;
      END;
    END IF;
    IF problem IS NOT NULL THEN
      BEGIN
        warned := TG_NAME || ' ' || TG_RELID || ' ' || date_trunc('minute', clock_timestamp());
        IF current_setting('rtcache.warned', true) IS DISTINCT FROM warned THEN
          PERFORM set_config('rtcache.warned', warned, false); -- once a minute and session
          RAISE WARNING 'rtcache: %.%: all keys % are told as changed: %', TG_TABLE_SCHEMA, TG_TABLE_NAME, @PATTERN@, problem
            USING HINT = 'Run rtcache watch-sql again, with the columns that there are now.';
        END IF;
      EXCEPTION WHEN OTHERS THEN
        NULL;
      END;
    END IF;
    RETURN NULL;
  END
  $rtcache_watch$;
  REVOKE ALL ON FUNCTION @FUNCTION@() FROM PUBLIC;
  -- An inet as it is read, 10.0.0.1; as text it is 10.0.0.1/32.
  FOR name IN SELECT '"' || replace(a.attname, '"', '""') || '"' FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
      WHERE a.attrelid = watched AND a.attname = ANY (ARRAY[@COLUMNS@]::text[])
        AND coalesce(nullif(y.typbasetype, 0), y.oid) = 'inet'::regtype LOOP
    SELECT pg_get_functiondef(@FUNCTION_TEXT@::regproc) INTO before;
    FOREACH row_name IN ARRAY ARRAY['OLD.', 'NEW.', 'r.'] LOOP
      before := replace(before, row_name || name || '::text',
        format('CASE WHEN %1$s IS NOT NULL THEN format(''%%s'', %1$s) END', row_name || name));
    END LOOP;
    EXECUTE before;
  END LOOP;
@IF_LOG@
  before := replace(pg_get_functiondef(@FUNCTION_TEXT@::regproc), '"rtcache: the log"', log);
  -- Where no setting has a say in the text of any column, none is set for each call: that costs more than the row. A
  -- column that is given a type of another kind later is an error, so that all keys are told, until this is run again.
  settled := NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = watched
    AND a.attname = ANY (ARRAY[@COLUMNS@]::text[]) AND a.attnum > 0 AND a.atttypid <> ALL (plain_types::regtype[]))
    AND strpos(before, chr(92)) = 0; -- a backslash: standard_conforming_strings has a say
  IF settled THEN
    FOR name IN SELECT '"' || replace(a.attname, '"', '""') || '"' FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = watched AND a.attname = ANY (ARRAY[@COLUMNS@]::text[]) AND a.attnum > 0 LOOP
      FOREACH row_name IN ARRAY ARRAY['OLD.', 'NEW.', 'r.'] LOOP
        before := replace(before, row_name || name || '::text', format('CASE WHEN pg_typeof(%1$s) = ANY (%2$L::regtype[]) '
          'THEN %1$s::text ELSE (%1$s || '' is of another type than it was'')::int::text END', row_name || name, plain_types));
      END LOOP;
    END LOOP;
  END IF;
  EXECUTE before;
  IF settled THEN
    ALTER FUNCTION @FUNCTION@() RESET "DateStyle" RESET "TimeZone" RESET "IntervalStyle" RESET extra_float_digits
      RESET bytea_output RESET lc_monetary RESET standard_conforming_strings;
  END IF;
@END@

  SELECT t.tgfoid, obj_description(t.tgfoid, 'pg_proc') INTO was, before FROM pg_catalog.pg_trigger t
    WHERE t.tgrelid = watched AND t.tgname = 'rtcache_@ID@_truncate';
  IF before <> @WORDS_TEXT@ THEN
    RAISE NOTICE 'rtcache watch-sql: replaces: %', before;
  END IF;
  COMMENT ON FUNCTION @FUNCTION@() IS @WORDS_TEXT@;
  FOR name IN SELECT t.tgname FROM pg_catalog.pg_trigger t WHERE t.tgrelid = watched AND starts_with(t.tgname, 'rtcache_@ID@_') LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', name, watched);
  END LOOP;
  IF EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = watched AND t.tgname = 'rtcache_watch') THEN
    RAISE WARNING 'rtcache watch-sql: % has a watch of an older rtcache too; if it is not needed: %', watched,
      format('DROP TRIGGER rtcache_watch ON %s; DROP TRIGGER rtcache_watch_truncate ON %s;', watched, watched);
  END IF;
  IF by_row THEN -- what writes a partition itself fires the rows' triggers alone
    CREATE TRIGGER rtcache_@ID@_row AFTER INSERT OR UPDATE OR DELETE ON @TABLE@
      FOR EACH ROW EXECUTE FUNCTION @FUNCTION@();
    ALTER TABLE @TABLE@ ENABLE ALWAYS TRIGGER rtcache_@ID@_row;
  ELSE -- once a statement; what logical replication applies fires the rows' triggers alone
    CREATE TRIGGER rtcache_@ID@_insert AFTER INSERT ON @TABLE@ REFERENCING NEW TABLE AS rtcache_new
      FOR EACH STATEMENT EXECUTE FUNCTION @FUNCTION@();
    CREATE TRIGGER rtcache_@ID@_update AFTER UPDATE ON @TABLE@ REFERENCING OLD TABLE AS rtcache_old NEW TABLE AS rtcache_new
      FOR EACH STATEMENT EXECUTE FUNCTION @FUNCTION@();
    CREATE TRIGGER rtcache_@ID@_delete AFTER DELETE ON @TABLE@ REFERENCING OLD TABLE AS rtcache_old
      FOR EACH STATEMENT EXECUTE FUNCTION @FUNCTION@();
    CREATE TRIGGER rtcache_@ID@_row AFTER INSERT OR UPDATE OR DELETE ON @TABLE@
      FOR EACH ROW EXECUTE FUNCTION @FUNCTION@();
    ALTER TABLE @TABLE@ ENABLE REPLICA TRIGGER rtcache_@ID@_row;
  END IF;
  CREATE TRIGGER rtcache_@ID@_truncate AFTER TRUNCATE ON @TABLE@
    FOR EACH STATEMENT EXECUTE FUNCTION @FUNCTION@();
  ALTER TABLE @TABLE@ ENABLE ALWAYS TRIGGER rtcache_@ID@_truncate;
  IF was IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid = was) THEN
    EXECUTE format('DROP FUNCTION %s', was::regprocedure); -- of the table's last name
  END IF;
END
$rtcache$;
