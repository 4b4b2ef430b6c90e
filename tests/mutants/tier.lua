--- One mutation per rule of what a row of the tier is worth, and of what may be written to it, in the form of
--- rules.lua.

local unseen = "it has no tier"

local function proof(rule, from, to)
  return { race = "tier", rule = rule, file = "core/tier/tier_proof.c", from = from, to = to,
           tests = { "tier_tier_proof" }, unseen = unseen }
end

return {
  proof("T1: a row of another loader is nothing", "if (!f->same_loader)", "if (false)"),
  proof("T2: a write of its key that waits is newer", "if (f->waits)", "if (false)"),
  proof("T3: its key was not changed since", "if (is_changed(f))", "if (is_changed(f) && false)"),
  proof("T3: nor by us, where another wrote it",
    "f->changed > f->seen : f->changed > 0", "f->changed > f->seen : false"),
  proof("T4: no tag and no pattern was told of since", "if (f->mark != MARK_NONE)", "if (f->mark == MARK_HARD)"),
  proof("T5: its loader was kept here ever since", "if (f->own && f->seen < f->kept_from)", "if (false)"),
  proof("what another process wrote is never proven", "    if (f->own)\n        return f->fresh",
    "    if (true)\n        return f->fresh"),
  proof("what is past its ttl is no answer", "f->fresh ? TIER_PROVEN : TIER_KEPT", "TIER_PROVEN"),
  proof("what has no age is not served", "&& f->dated ? TIER_STALE", "? TIER_STALE"),
  {
    race = "tier", rule = "a value from before a change is not queued behind its mark",
    file = "core/tier/tier_queue.c",
    from = "if (!i->v.gone && tier_slots_of(slots, i->v.hash) > i->v.seen)",
    to = "if (!i->v.gone && tier_slots_of(slots, i->v.hash) > UINT64_MAX - 1)",
    tests = { "tier_tier_queue" }, unseen = unseen,
  },
  {
    race = "tier", rule = "what does not fit takes what it would have replaced with it",
    file = "core/tier/tier_queue.c",
    from = "    if (before)\n        drop(q, before);\n    if (q->bytes", to = "    if (q->bytes",
    tests = { "tier_tier_queue" }, unseen = unseen,
  },
  {
    race = "tier", rule = "what failed does not come back over what is newer",
    file = "core/tier/tier_queue.c",
    from = "if (!again || find(q, i->v.key, i->v.hash, true)) {", to = "if (!again) {",
    tests = { "tier_tier_queue" }, unseen = unseen,
  },
  {
    race = "tier", rule = "what is in the air counts as waiting",
    file = "core/tier/tier_queue.c",
    from = "bool has = find(q, key, hash, false) != NULL;", to = "bool has = find(q, key, hash, true) != NULL;",
    tests = { "tier_tier_queue" }, unseen = unseen,
  },
  {
    race = "tier", rule = "a row takes the place of another by its version",
    file = "core/base/tier_sql.c",
    from = "excluded.version_id > e.version_id \"", to = "true \"",
    tests = {}, specs = { "47_tier_of_several" }, unseen = unseen,
  },
  {
    race = "tier", rule = "a load of which nothing was written overtakes the row",
    file = "core/load/load_tier.c",
    from = "    if (o->end == END_FOUND) {\n        tier_changes(t->tier, seat->flight->hash);\n        return;\n    }",
    to = "    if (o->end == END_FOUND)\n        return;",
    tests = {}, specs = { "39_tier" }, unseen = unseen,
  },
  {
    race = "tier", rule = "a key that is invalidated is known as changed",
    file = "core/tier/tier.c",
    from = "    if (t)\n        tier_slots_stamp(&t->slots, hash);\n}", to = "    (void)t, (void)hash;\n}",
    tests = {}, specs = { "39_tier" }, unseen = unseen,
  },
}
