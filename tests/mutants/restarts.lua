--- One mutation per rule of what comes back over a restart, in the form of rules.lua. The
--- race "start" is about what the server judges and reads at its start, and what has to be on the disk before.
--- Some of that has no unit test: `specs` names what is run with a server of the copy.

local unseen = "it restarts nothing"

return {
  {
    race = "restart", rule = "a candidate is no answer",
    file = "core/store/shard.c",
    from = "    *status = LOOKUP_MISS;\n    return NULL;\n}\n\n/* The entry, if there is any left",
    to = "    *status = LOOKUP_KEPT;\n    return e;\n}\n\n/* The entry, if there is any left",
    tests = { "store_restore_candidate" }, unseen = unseen,
  },
  {
    race = "restart", rule = "its version does not count as what is stored",
    file = "core/load/flight_change.c",
    from = "now_ms, WANT_PEEK, NULL, &hit);\n    entry_unref(hit.entry);\n    *version",
    to = "now_ms, WANT_PEEK | WANT_CANDIDATE, NULL, &hit);\n    entry_unref(hit.entry);\n    *version",
    tests = { "load_flight_candidate" }, unseen = unseen,
  },
  {
    race = "restart", rule = "an invalidation drops it, whatever its version",
    file = "core/store/shard.c",
    from = "bool stays = counts && version", to = "bool stays = e && version",
    tests = { "store_restore_candidate", "load_flight_candidate" }, unseen = unseen,
  },
  {
    race = "restart", rule = "a load is shown it",
    file = "core/load/flight_join.c",
    from = "q->now_ms, WANT_CANDIDATE,", to = "q->now_ms, 0,",
    tests = { "load_flight_candidate" }, unseen = unseen,
  },
  {
    race = "restart", rule = "what is stored is an entry like any other, also where it is the candidate's own value",
    file = "core/store/entry.c",
    from = "~(ENTRY_EARLY | ENTRY_UNPROVEN)", to = "~ENTRY_EARLY",
    tests = { "store_restore_candidate" }, unseen = unseen,
  },
  {
    race = "restart", rule = "what passed counts against what is left of an entry",
    file = "core/store/restore.c",
    from = "less(r->fresh_left_ms, passed_ms)", to = "less(r->fresh_left_ms, 0 * passed_ms)",
    tests = { "store_restore" }, unseen = unseen,
  },
  {
    race = "restart", rule = "what was stored since stays, unless its version is lower",
    file = "core/store/restore.c",
    from = "return entry_version(old) > c->put.version;", to = "return false;",
    tests = { "store_restore" }, unseen = unseen,
  },
  {
    race = "restart", rule = "what a tag or a pattern has killed is not kept",
    file = "core/store/dump.c",
    from = "if (!quiet && !shard_judge(s, e, now)) {", to = "if (!quiet && false) {",
    tests = { "store_dump" }, unseen = unseen,
  },
  {
    race = "restart", rule = "nor is an absence, unless it is proven",
    file = "core/store/restore.c",
    from = "if (r->negative && (candidate || how->as == RESTORED_STALE || left_ms <= 0))",
    to = "if (r->negative && left_ms <= 0)",
    tests = { "store_restore" }, unseen = unseen,
  },
  {
    race = "restart", rule = "an entry below its key's floor does not come back",
    file = "core/load/flight_keep.c",
    from = "return r->version < floor->version;", to = "return false;",
    tests = { "load_flight_keep_bytes" }, unseen = unseen,
  },
  {
    race = "restart", rule = "nor does one whose key a write has left in doubt",
    file = "core/load/flight_keep.c",
    from = "return floor->doubtful;", to = "return false;",
    tests = { "load_flight_keep_bytes" }, unseen = unseen,
  },
  {
    race = "restart", rule = "a floor lasts as long as it would have, and no longer",
    file = "core/load/flight_keep.c",
    from = "*until_ms = g->now_ms + left_ms - g->passed_ms;", to = "*until_ms = g->now_ms + left_ms;",
    tests = { "load_flight_keep" }, unseen = unseen,
  },
  {
    race = "restart", rule = "floors that find no place count as dropped",
    file = "core/load/flight_keep.c",
    from = "    if (raised != FLOOR_RAISED)\n", to = "    if (false)\n",
    tests = { "load_flight_keep", "load_flight_keep_nomem" }, unseen = unseen,
  },
  {
    race = "restart", rule = "floors that were missing are missing still",
    file = "core/load/flight_keep.c",
    from = "        if (lossy_ms > g->now_ms)\n", to = "        if (false)\n",
    tests = { "load_flight_keep" }, unseen = unseen,
  },
  {
    race = "restart", rule = "a lift that came when a shard had no floors does not concern its later ones",
    file = "core/store/floor.c",
    from = "    fl->lifts = higher(fl->lifts, number);\n    return list_empty",
    to = "    fl->lifts = list_empty(&fl->ending) ? fl->lifts : higher(fl->lifts, number);\n    return list_empty",
    tests = { "load_flight_keep" }, unseen = unseen,
  },
  {
    race = "start", rule = "P1: nothing is proven where a change may be missing",
    file = "core/load/proof.c",
    from = "    if (!start->whole)\n        return 1;\n", to = "",
    tests = { "load_proof" },
  },
  {
    race = "start", rule = "P2: nor where its feed has a gap",
    file = "core/load/proof.c",
    from = "    if (l->fed && !l->resumed)\n        return 2;\n", to = "",
    tests = { "load_proof" },
  },
  {
    race = "start", rule = "P3: what another loader has loaded is dropped",
    file = "core/load/proof.c",
    from = "    if (!l->same)\n        return PROOF_DROPPED;\n", to = "",
    tests = { "load_proof" },
  },
  {
    race = "start", rule = "P4: nothing is proven where the clock went back",
    file = "core/load/proof.c",
    from = "    if (!start->clock_is_sound)\n        return 4;\n", to = "",
    tests = { "load_proof" },
  },
  {
    race = "start", rule = "P4: nor is anything served as stale then",
    file = "core/load/proof.c",
    from = " && start->clock_is_sound)\n        return PROOF_STALE;", to = ")\n        return PROOF_STALE;",
    tests = { "load_proof" },
  },
  {
    race = "start", rule = "P5: without a feed nothing outlasts warm_downtime",
    file = "core/load/proof.c",
    from = "    if (!l->fed && start->downtime_ms > start->warm_downtime_ms)\n        return 5;\n", to = "",
    tests = { "load_proof" },
  },
  {
    race = "start", rule = "the snapshot is out of the way before it is read",
    file = "core/state/state_reader.c",
    from = [[
    rc = state_dir_rename(d, name, claimed, e);
    if (rc == 0)
        rc = state_dir_sync(d, e);
    if (rc == 0)
        rc = reader_open(out, d, claimed, e);
    if (rc == 0 && *out)
        memcpy((*out)->claimed, claimed, sizeof claimed);
]],
    to = "    rc = reader_open(out, d, name, e);\n",
    tests = { "state_state_reader" },
  },
  {
    race = "start", rule = "no acknowledgement leaves before what it says is in the journal",
    file = "core/net/conn.c",
    from = "    journal_flush(&c->io->lane); /* no ack", to = "    /* no ack",
    tests = { "net_io_journal" },
  },
  {
    race = "start", rule = "where floors may be missing they count as dropped",
    file = "core/server/restart_read.c",
    from = "    d->lossy_until_ms = lossy_until(r, floors_read);",
    to = "    d->lossy_until_ms = 0 * lossy_until(r, floors_read);",
    tests = {}, specs = { "36_crashes" },
  },
  {
    race = "start", rule = "what the journal names goes after the entries have come",
    file = "core/server/restart_read.c",
    from = [[
    if (r->keep) {
        judge(r);
        read_snapshot(r, NULL, &d->restored, &floors_read);
    }
    if (d->given_up)
        return;
    apply_journal(r, &from);
]],
    to = [[
    apply_journal(r, &from);
    if (r->keep) {
        judge(r);
        read_snapshot(r, NULL, &d->restored, &floors_read);
    }
    if (d->given_up)
        return;
]],
    tests = {}, specs = { "99_journal" },
  },
  {
    race = "start", rule = "a snapshot that is not of the life before is not whole",
    file = "core/server/restart_read.c",
    from = "bool life_before = h->life + 1 == r->life;", to = "bool life_before = true;",
    tests = {}, specs = { "95_restarts" },
  },
  {
    race = "start", rule = "what is left of a candidate is not what is kept for failures",
    file = "core/store/entry.h",
    from = "return e->life & ENTRY_UNPROVEN ? LOOKUP_CANDIDATE : LOOKUP_KEPT;", to = "return LOOKUP_KEPT;",
    tests = { "store_restore_candidate", "load_flight_candidate" },
    unseen = unseen,
  },
}
