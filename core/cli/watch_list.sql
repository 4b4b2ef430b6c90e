SELECT t.tgrelid::regclass AS "table", coalesce(obj_description(t.tgfoid, 'pg_proc'), 'of an older rtcache') AS watch,
  string_agg(t.tgname, ', ' ORDER BY t.tgname) AS triggers
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE starts_with(p.proname, 'rtcache_watch_') AND t.tgparentid = 0
GROUP BY t.tgrelid, t.tgfoid ORDER BY 1, 2;
