--- Mutants that no test can tell from what stands there, and why that is right. They are shown apart and do
--- not count as noticed.
---
--- Each: file, from (the lines of the source, in one, without the blanks around), to (what the mutant
--- makes of them), reason.

return {
  {
    file = "core/load/load_end.c",
    from = "for (unsigned i = 0; i < SEATS_AT_ONCE && link != &ld->seats; i++, link = link->next)",
    to = "for (unsigned i = 0; !(i < SEATS_AT_ONCE && link != &ld->seats); i++, link = link->next)",
    reason = "memory is asked for ahead of its use, and nothing is promised of that",
  },
  {
    file = "core/script/vm.c",
    from = "struct vm *vm = calloc(1, sizeof *vm);", to = "struct vm *vm = calloc(2, sizeof *vm);",
    reason = "more memory than is used, once for each thread",
  },
  {
    file = "core/server/watch.c",
    from = "if (w->dirs[i].descriptor == event->wd && w->dirs[i].scripts && "
      .. "((event->mask & IN_ISDIR) || watch_is_script(event->name)))",
    to = "if (!(w->dirs[i].descriptor == event->wd && w->dirs[i].scripts && "
      .. "((event->mask & IN_ISDIR) || watch_is_script(event->name))))",
    reason = "an event too many is one more look at the fingerprint, which decides",
  },
  {
    file = "core/script/pack.c",
    from = ": pack_one(p, key, at, depth + 1);", to = ": pack_one(p, key, at, depth + 0);",
    reason = "a key that is no string is a number or a boolean, which has no depth",
  },
  {
    file = "core/store/table.c",
    from = "return t->more_free ? 0 : line_array_reserve(&t->more, t->more.count + 1);",
    to = "return t->more_free ? 0 : line_array_reserve(&t->more, t->more.count + 2);",
    reason = "lines are reserved by whole blocks, and one too many is a block earlier",
  },
  {
    file = "core/load/load.c", from = "again_in(ld, 0);", to = "again_in(ld, 1);",
    reason = "a millisecond later, after a whole collection",
  },
  {
    file = "core/conf/setting.c",
    from = [[problems_add(r->problems, r->conf->file, 0, 0, "\"%s\" has a wrong default", o->name);]],
    to = [[problems_add(r->problems, r->conf->file, 1, 0, "\"%s\" has a wrong default", o->name);]],
    reason = "no default of the table is wrong: a unit test sees to it",
  },
  {
    file = "core/serve/subscriptions.c",
    from = "return !excludes(glob_item_glob(&t->pattern), &w->glob);",
    to = "return !excludes(&w->glob, glob_item_glob(&t->pattern));",
    reason = "whether the beginnings of two patterns differ is asked of both alike",
  },
  {
    file = "core/store/shard.c",
    from = "struct entry *e = find_live(s, key, hash, now, 0, &status, &hit);",
    to = "struct entry *e = find_live(s, key, hash, now, 1, &status, &hit);",
    reason = "of what is wanted the search looks at WANT_CANDIDATE alone",
  },
  {
    file = "core/store/store.c",
    from = "table_prefetch_entry(&shard_of(s, hash)->table, hash);",
    to = "while (false) table_prefetch_entry(&shard_of(s, hash)->table, hash);",
    reason = "memory is asked for ahead of its use, and nothing is promised of that",
  },
  {
    file = "core/net/conn_out.c",
    from = "if (n < 0 && errno == EINTR)", to = "if (n < 1 && errno == EINTR)",
    reason = "send says 0 only where nothing was to be sent, and no such call is made",
  },
  {
    file = "core/server/handed.c",
    from = "if (!h->at[i].taken && is_bound_to(&h->at[i].addr, a))",
    to = "if (!h->at[i].taken && is_bound_to(a, &h->at[i].addr))",
    reason = "whether two addresses are one is asked of both alike",
  },
  {
    file = "core/conf/conf_diff.c",
    from = "!options_equal(o, a, b))", to = "!options_equal(o, b, a))",
    reason = "whether two are equal is asked of both alike",
  },
  {
    file = "core/conf/conf_nearest.c",
    from = "row[k] = least(least(last[k] + 1, row[k - 1] + 1), last[k - 1] + !same);",
    to = "row[k] = least(least(row[k - 1] + 1, last[k] + 1), last[k - 1] + !same);",
    reason = "the least of two is the same in any order",
  },
  {
    file = "core/backend/postgres/pg_row.c",
    from = "rows->nests = rows->nests || (kind & PG_ARRAY_OF);",
    to = "rows->nests = rows->nests || (kind | PG_ARRAY_OF);",
    reason = "a result too many is looked at for its depth, and what cannot nest is not too deep",
  },
  {
    file = "core/net/write_request.c",
    from = "ev_timer_init(&r->timer, write_request_on_timer, (double)r->source.wait_ms / 1e3, 0.);",
    to = "ev_timer_init(&r->timer, write_request_on_timer, (double)r->source.wait_ms / (1e3 - 1), 0.);",
    reason = "a thousandth longer, and no test measures how long anything takes",
  },
  {
    file = "core/server/verifier.c",
    from = "sodium_memzero(a, sizeof *a);", to = "while (false) sodium_memzero(a, sizeof *a);",
    reason = "memory is given back right after it, and what is in it then is seen by nobody",
  },
}
