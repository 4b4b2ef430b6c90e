-- @WORDS@
DO $rtcache$
DECLARE
  watched regclass := to_regclass(@TABLE_TEXT@);
  one record; found boolean := false;
BEGIN
  IF watched IS NULL THEN
    RAISE EXCEPTION 'rtcache watch-sql: there is no table %', @TABLE_TEXT@;
  END IF;
  FOR one IN SELECT t.tgname, t.tgfoid FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      WHERE t.tgrelid = watched AND t.tgparentid = 0 AND starts_with(p.proname, 'rtcache_watch_')
        AND starts_with(t.tgname, 'rtcache_@ID@') LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', one.tgname, watched);
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid = one.tgfoid) THEN
      EXECUTE format('DROP FUNCTION %s', one.tgfoid::regprocedure);
    END IF;
    found := true;
  END LOOP;
  IF NOT found THEN
    RAISE EXCEPTION 'rtcache watch-sql: % is not watched so', watched;
  END IF;
END
$rtcache$;
