--- One mutation per rule of docs/consistency.md: the rule is taken out of a copy of the sources, and
--- the tests that are named for its race have to fail.
---
--- Each: race (its number, as in the tests' names), rule, file, from -> to (from stands exactly once
--- in file), tests (unit tests as folder_name).

return {
  {
    race = "1", rule = "what an invalidation detached is not stored",
    file = "core/load/flight_end.c",
    from = "if (f->detached || f->epoch", to = "if (f->epoch",
    tests = { "load_flight" },
  },
  {
    race = "2", rule = "an invalidation detaches the flight",
    file = "core/load/flight_change.c",
    from = "int rc = i->version ? raise_floor(s, i) : 0;\n    detach(s, i->key, i->hash);",
    to = "int rc = i->version ? raise_floor(s, i) : 0;",
    tests = { "load_flight" },
  },
  {
    race = "3, 4", rule = "what is below the floor is not delivered: the source is asked again",
    file = "core/load/flight_end.c",
    from = "o->has_version && o->version < floor->version", to = "false",
    tests = { "load_flight_change", "load_flight_write" },
  },
  {
    race = "9", rule = "floors take the highest version",
    file = "core/store/floor.c",
    from = "r->version > f->version) {", to = "true) {",
    tests = { "load_flight_change" },
  },
  {
    race = "10", rule = "a floor outlives its entry, for floor_ttl",
    file = "core/store/floor.c",
    from = "prolong(fl, f, r->now_ms + r->ttl_ms);", to = "prolong(fl, f, r->now_ms + 1);",
    tests = { "load_flight_change" },
  },
  {
    race = "11", rule = "a floor that has to go early moves its shard's epoch",
    file = "core/load/flight_change.c",
    from = "        s->epoch++;\n", to = "",
    tests = { "load_flight_change" },
  },
  {
    race = "11", rule = "and loads read the primary for floor_ttl",
    file = "core/load/flight_change.c",
    from = "        s->lossy_until_ms = until_ms;\n", to = "        (void)until_ms;\n",
    tests = { "load_flight_change" },
  },
  {
    race = "12", rule = "a set voids the load in flight",
    file = "core/load/flight_change.c",
    from = "        drop_flight(s, p);\n        rc = store_put", to = "        rc = store_put",
    tests = { "load_flight" },
  },
  {
    race = "12", rule = "a write raises the floor",
    file = "core/load/flight_change.c",
    from = "    int rc = raise_floor(s, &i);\n    drop_flight(s, p);",
    to = "    int rc = 0;\n    (void)i;\n    drop_flight(s, p);",
    tests = { "load_flight_write" },
  },
  {
    race = "13", rule = "what is stored never goes back to a lower version, by a load",
    file = "core/load/flight_end.c",
    from = "             stored > o->version);", to = "             stored > o->version && false);",
    tests = { "load_flight_change" },
  },
  {
    race = "13", rule = "nor by a write that arrives late",
    file = "core/load/flight_change.c",
    from = "bool newer = is_older(fl, s, p, w->now_ms, NULL);", to = "bool newer = false;",
    tests = { "load_flight_write" },
  },
  {
    race = "14", rule = "an unknown outcome drops the entry",
    file = "core/load/flight_change.c",
    from = "    detach(s, i->key, i->hash);\n    store_remove(fl->store, i->key, i->hash, i->now_ms);",
    to = "    detach(s, i->key, i->hash);",
    tests = { "load_flight_write" },
  },
  {
    race = "14", rule = "and what is loaded while it is in doubt is not kept",
    file = "core/load/flight_end.c",
    from = "!f->doubtful && !floor->doubtful &&", to = "!f->doubtful &&",
    tests = { "load_flight_write" },
  },
  {
    race = "14", rule = "nor what was read while it was in doubt, when it comes later",
    file = "core/load/flight.c",
    from = "f->doubtful = floors_see(&s->floors, f->hash, now_ms).doubtful;",
    to = "f->doubtful = false;\n    (void)now_ms;",
    tests = { "load_flight_write" },
  },
  {
    race = "15", rule = "any invalidation kills a negative entry",
    file = "core/load/flight_change.c",
    from = "return found != LOOKUP_MISS && hit.has_version;",
    to = "return found == LOOKUP_NEGATIVE ? (*version = INT64_MAX, true) : found != LOOKUP_MISS && hit.has_version;",
    tests = { "load_flight_change" },
  },
  {
    race = "16, 17", rule = "a plain invalidation drops whatever is stored",
    file = "core/load/flight_change.c",
    from = "*dropped = store_remove(fl->store, i->key, i->hash, i->now_ms);",
    to = "*dropped = i->version && store_remove(fl->store, i->key, i->hash, i->now_ms);",
    tests = { "load_flight_write" },
  },
  {
    race = "18", rule = "each attempt is judged by its own start",
    file = "core/load/flight.c",
    from = "    take_token(fl, s, f, now_ms);\n    bool primary", to = "    bool primary",
    tests = { "load_flight_marks" },
  },
  {
    race = "19", rule = "a query that was given up is cancelled in the database",
    file = "core/backend/pg_cancel.c",
    from = "if (c->state != PG_READY || pg_signal_active(&c->cancel) || !given_up(c))",
    to = "if (c->state == PG_READY || c->state != PG_READY)",
    tests = { "backend_pg_cancel" },
  },
  {
    race = "20", rule = "a result of older scripts is not stored",
    file = "core/load/flight_end.c",
    from = " || f->generation < o->generation || ", to = " || ",
    tests = { "load_flight" },
  },
  {
    race = "22", rule = "a background refresh takes the same path",
    file = "core/load/flight_end.c",
    from = "if (f->detached || f->epoch", to = "if ((f->detached && !f->background) || f->epoch",
    tests = { "load_flight_marks" },
  },
  {
    race = "23", rule = "tags are judged by the start of the load that brings them",
    file = "core/load/flight_end.c",
    from = "marks_judge_tags(fl->marks, o->tags, o->tag_count, f->since)",
    to = "marks_judge_tags(fl->marks, o->tags, o->tag_count, marks_now(fl->marks))",
    tests = { "load_flight_marks" },
  },
  {
    race = "23", rule = "who asked after the invalidation is told that the load was overtaken",
    file = "core/load/flight_end.c",
    from = "f->overtaken = mark == MARK_HARD;", to = "f->overtaken = false;",
    tests = { "load_flight_marks" },
  },
  {
    race = "23", rule = "patterns too: a load from before is not joined",
    file = "core/load/flight.c",
    from = "marks_judge_key(fl->marks, q->key, f->since) == MARK_HARD", to = "false",
    tests = { "load_flight_marks" },
  },
  {
    race = "24", rule = "an invalidation drops; it does not expire",
    file = "core/load/flight_change.c",
    from = "*dropped = store_remove(fl->store, i->key, i->hash, i->now_ms);",
    to = "*dropped = store_touch(fl->store, i->key, i->hash, i->now_ms, TTL_OVER, 60000, 60000);",
    tests = { "load_flight_marks" },
  },
  {
    race = "29", rule = "times that are compared are of CLOCK_BOOTTIME",
    file = "core/base/clock.c",
    from = "return read_us(CLOCK_BOOTTIME) / 1000;", to = "return read_us(CLOCK_REALTIME) / 1000;",
    tests = { "base_clock" },
  },
}
