--- Faults that a run must find: in the loader's script, in the configuration, in the database, in the server.
---
--- Each: what, rules (one of them has to be violated), and one of
---   from -> to in scripts/row.lua; change(options) of the server; prepare(setup);
---   file, from -> to in the sources of the server (from stands exactly once in file); also: another such change.
--- And, where they differ from the others': operations, keys, every (operations between two troubles), restarts
--- (the server is killed and started again), lives (it keeps its state, and is stopped and killed), log (its feed
--- reads a log), slow (not among those of --scripts); script: of a fault in the
--- sources, from -> to in scripts/row.lua.

local M = {}

M.outside = {
  {
    what = "the script returns the first body that it saw", rules = { "G4" },
    from = "local function value_of(key, class, row)\n",
    to = "local first = {}\nlocal function value_of(key, class, row)\n  first[key] = first[key] or row.body\n"
      .. "  row.body = first[key]\n",
  },
  {
    what = "the script names a version that is too high", rules = { "G4" },
    from = "version = class ~= \"u\" and row.version or nil, tags",
    to = "version = class ~= \"u\" and row.version + 1 or nil, tags",
  },
  {
    what = "the script keeps rows to itself", rules = { "G1" },
    from = "local function found(key, class, row, stored)\n",
    to = "local kept = {}\nlocal function found(key, class, row, stored)\n"
      .. "  if kept[key] then return kept[key] end\n"
      .. "  if class == 'u' and row and not row.deleted then kept[key] = value_of(key, class, row) end\n",
  },
  {
    what = "a batch gives a key its neighbour's row", rules = { "G4" },
    from = "rows[ids[i]]", to = "rows[ids[#ids]]",
  },
  {
    what = "the script calls unchanged what has changed", rules = { "G1", "G6", "final" },
    from = "and stored and row.version == tonumber(stored:match \"^%S+ (%d+)\")", to = "and stored",
  },
  {
    what = "the script forgets the tags", rules = { "G1" },
    from = "tags = { \"t:\" .. row.team }", to = "tags = {}",
  },
  {
    what = "the script says of a row that it saved that it has no tags", rules = { "G1" },
    from = "if math.random(3) == 1 then options.tags = nil end", to = "options.tags = {}",
    keys = 100, operations = 60000, every = 500, -- while the feed says nothing, only the tag tells
    slow = true,
  },
  {
    what = "the script does not find one row in ten", rules = { "G1", "G2", "G5", "final" },
    from = "if not row or row.deleted then", to = "if not row or row.deleted or math.random(10) == 1 then",
  },
  {
    what = "the script says that it saved, and did not", rules = { "write" },
    operations = 3000, -- each leaves a key that waits for its load_timeout in the end
    from = "    local saved, options =", to = "    row.version = row.version + 1\n    local saved, options =",
  },
  {
    what = "values are fresh for longer than they should be", rules = { "G6" },
    change = function(o)
      for _, l in ipairs(o.loaders) do l.ttl, l.negative_ttl = "60s", "60s" end
    end,
  },
  {
    what = "the triggers of a table are gone", rules = { "G5" },
    prepare = function(setup)
      setup.primary:exec [[DO $$ DECLARE n text; BEGIN
        FOR n IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'p_rows'::regclass AND tgname LIKE 'rtcache%' LOOP
          EXECUTE format('DROP TRIGGER %I ON p_rows', n);
        END LOOP; END $$]]
    end,
  },
}

M.inside = {
  {
    what = "an invalidation leaves the load in flight to later gets", rules = { "G1", "G5" },
    keys = 100, operations = 100000,
    file = "core/load/flight_change.c",
    from = "int rc = i->version ? raise_floor(s, i) : 0;\n    detach(s, i->key, i->hash);",
    to = "int rc = i->version ? raise_floor(s, i) : 0;",
  },
  {
    what = "a load that was overtaken is stored", rules = { "G1", "G5" },
    keys = 100, operations = 100000, -- a key has to be changed while it is loaded
    file = "core/load/flight_end.c",
    from = "if (f->detached || f->token.epoch", to = "if (f->token.epoch",
  },
  {
    what = "what is below the floor is delivered", rules = { "G1", "G5", "write" },
    file = "core/load/flight_end.c",
    from = "o->has_version && o->version < floor->version", to = "false",
  },
  {
    what = "a replica's absence below the floor is believed", rules = { "G1", "G5", "write" },
    file = "core/load/flight_end.c",
    from = "(o->end == END_ABSENT && !o->has_version && o->replica)", to = "false",
    operations = 150000, every = 10000, -- after a gap the replica is not read for a time
  },
  {
    what = "floors end with the load after them", rules = { "G1", "G5", "write" },
    file = "core/store/floor.c",
    from = "prolong(fl, f, r->now_ms + r->ttl_ms);", to = "prolong(fl, f, r->now_ms + 1);",
  },
  {
    what = "min_version is not looked at", rules = { "G2" },
    file = "core/serve/ask.h",
    from = "return q->has_min && !(has_version && version >= q->min_version);",
    to = "return !q && has_version && version;",
  },
  {
    what = "a replica's absence answers min_version, and after a gap the replica is read", rules = { "G2" },
    keys = 4000, -- so that many are not written yet
    operations = 300000, every = 500, -- it shows while the feed is down
    file = "core/serve/parked.c",
    from = "return t->ask.has_min && (f->outcome.replica || t->joined);", to = "return false;",
    also = { file = "core/load/feed.c", from = "if (f->rule.lagging)", to = "if (false)" },
  },
  {
    what = "what was put is stored and raises no floor", rules = { "write" },
    keys = 100, -- so that a key is loaded again soon
    operations = 150000, every = 10000,
    file = "core/load/flight_change.c",
    from = "    int rc = raise_floor(s, &i);\n    drop_flight(s, p->key, p->hash);",
    to = "    int rc = 0;\n    (void)i;\n    drop_flight(s, p->key, p->hash);",
  },
  {
    what = "a gap in the feed marks nothing", rules = { "G5" },
    file = "core/load/feed.c",
    from = "    mark(f, !same);\n", to = "    f->mark_due = false;\n",
  },
  {
    what = "an event of the feed in fifty is lost", rules = { "G5" },
    file = "core/load/feed.c",
    from = "    if (rc != 0 || !ev->has_key)", to = "    if (rc != 0 || !ev->has_key || f->events % 50 == 0)",
  },
  {
    what = "loads count as fresh while the feed is cut", rules = { "G5" },
    file = "core/load/outcome.c",
    from = "    if (binding_is_cut(b))\n        o->ttl_ms = TTL_OVER;", to = "    (void)TTL_OVER;",
  },
  {
    what = "a set counts as fresh while the feed is cut", rules = { "G5" },
    file = "core/serve/set.c",
    from = "    if (snapshot_is_cut(by->snapshot, s->loader))\n        p->ttl_ms = TTL_OVER;", to = "",
  },
  {
    what = "what is past its ttl counts as fresh for 200 ms", rules = { "G6" },
    file = "core/store/entry.h",
    from = "STORE_FOREVER_MS : span_ms(e->fresh) - age_ms;",
    to = "STORE_FOREVER_MS : span_ms(e->fresh) - age_ms + 200;",
  },
  {
    what = "after a start the replica is read at once, as if there had been no floors", rules = { "G1", "G5", "write" },
    restarts = true, every = 1500,
    file = "core/load/flight_table.c",
    from = "        s->lossy_until_ms = o->lossy_until_ms;\n", to = "",
    also = { file = "core/load/feed.c", from = "if (f->rule.lagging)", to = "if (false)" },
  },
  {
    what = "after a crash without a journal, what a snapshot has counts as proven", rules = { "G1", "write" },
    lives = true, keys = 100, every = 300,
    change = function(o) o.options.journal = "off" end,
    file = "core/server/restart_read.c",
    from = "start->whole = life_before &&", to = "start->whole = life_before ||",
  },
  {
    what = "after a crash the journal is read and not applied", rules = { "G1", "write" },
    lives = true, keys = 100, every = 300,
    file = "core/server/restart_read.c",
    from = "if (restart_apply(r, from, &e) == 0)", to = "if (!r->served || restart_apply(r, from, &e) == 0)",
  },
  {
    what = "what is put without a word on tags is kept with none", rules = { "G1" },
    keys = 100, every = 500,
    script = { from = "if math.random(3) == 1 then options.tags = nil end", to = "options.tags = nil" },
    file = "core/load/write_entry.c",
    from = "    if (r->has_tags)\n        return true;\n    outcome_any_tag",
    to = "    if (r->has_tags || facts)\n        return true;\n    outcome_any_tag",
  },
}

return M
