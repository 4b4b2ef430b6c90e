/*
 * token_floor: may a get see less than an acknowledged invalidation promised?
 *
 * One key on its owner: the row on a primary and on a lagging replica, flights with their tokens,
 * the stored entry, the floor. Every d_step is one critical section of the key's flight shard, or
 * one event outside; spin tries all their orders. README.md maps the names to the code and says
 * what is left out.
 *
 * -DNO_x takes one rule away, -DBREAK_x one assumption about the world: each must make spin find
 * an error. -DDELETE lets the row be deleted and created again. -DREACH_x is an error on purpose,
 * which shows that the search gets that far.
 */

/* ---- the bounds ---- */

#define NEWEST 3                /* the row is there at version 1; two commits follow */
#define TRIES 2                 /* so often a flight loads again before its deadline */
#define FLIGHTS 2               /* in the air at once: one that can be joined, or detached ones */
#define NOBODY FLIGHTS
#ifdef DELETE                   /* the first commit deletes the row, the second creates it again */
#define ABSENT(v) ((v) == 2)    /* then the row has no version to tell */
#define SHOWN(v) ((v) < primary -> (v) : primary)
#else
#define ABSENT(v) false
#define SHOWN(v) 0
#endif
#ifdef ENDING                   /* the search for gets that never end needs no record of promises */
#define GHOST(v) 0
#else
#define GHOST(v) (v)
#endif

/* ---- the rules ---- */

#ifdef NO_TOKEN                 /* a result is stored whatever happened since its load began */
#define TOKEN_HOLDS(f) true
#else
#define TOKEN_HOLDS(f) (!flight[f].voided && !flight[f].moved)
#endif
#ifdef NO_DETACH                /* an invalidation voids the flight, but later gets still join it */
#define DETACH
#else
#define DETACH attached = NOBODY
#endif
#ifdef NO_FLOOR                 /* an invalidation drops and detaches, and is then forgotten */
#define SET_FLOOR(v)
#else
#define SET_FLOOR(v) floor = MAX(floor, v)
#endif
#ifdef NO_FLOOR_OUTLIVES        /* the floor lives in the entry, and is evicted with it */
#define EVICT stored != 0 || floor != 0 -> floor = 0
#else
#define EVICT stored != 0
#endif
#ifdef NO_GENERATION            /* a floor is dropped from a full table, and nothing else happens */
#define MOVE_GENERATION(f)
#else
#define MOVE_GENERATION(f) flight[f].moved = flight[f].loading
#endif
#if defined(NO_GENERATION) || defined(NO_PRIMARY_AFTER_DROP) /* later loads read the replica */
#define REMEMBER_DROP
#else
#define REMEMBER_DROP dropped = MAX(dropped, floor)
#endif
#ifdef NO_MOVED_RELOAD          /* a load voided by the generation is not stored, but delivered */
#define MOVED(f) false
#else
#define MOVED(f) flight[f].moved
#endif
#ifdef NO_ABSENT_CHECK          /* a replica's "no such row" is believed under a floor */
#define ABSENT_BELIEVED(f) true
#else
#define ABSENT_BELIEVED(f) (floor == 0 || flight[f].primary)
#endif
#ifdef NO_PRIMARY_RETRY         /* what is below the floor is delivered all the same */
#define DELIVERABLE(f) (!MOVED(f))
#else
#define DELIVERABLE(f) \
    (!MOVED(f) && (ABSENT(flight[f].got) -> ABSENT_BELIEVED(f) : flight[f].got >= floor))
#endif
#ifdef NO_DEADLINE              /* a flight loads again until it sees what it needs */
#define TRIED 0
#else
#define TRIED 1
#endif
#ifdef NO_STORED_VERSION        /* what is stored may be replaced by an older version */
#define NOT_OLDER(v) true
#else
#define NOT_OLDER(v) (ABSENT(stored) || (v) >= stored)
#endif
#ifdef NO_ABSENT_UNKEPT         /* "no such row" is kept under a floor */
#define STORABLE(v) (ABSENT(v) || ((v) >= floor && NOT_OLDER(v)))
#else
#define STORABLE(v) (ABSENT(v) -> floor == 0 : (v) >= floor && NOT_OLDER(v))
#endif
#ifdef NO_NEGATIVE_KILL         /* invalidate(v) leaves a negative entry alone: it has no version */
#define KILLS(v) (v == 0 || (!ABSENT(stored) && stored < v))
#else
#define KILLS(v) (v == 0 || ABSENT(stored) || stored < v)
#endif

/* ---- what the world is taken to keep to ---- */
#define NOT_BELOW(f, v) (flight[f].got == 0 || flight[f].got >= v)
#ifdef BREAK_FLOOR_TTL          /* floor_ttl is shorter than the replica's lag and one load_timeout */
#define OUTLASTED(v) true
#else
#define OUTLASTED(v) (replica >= v && NOT_BELOW(0, v) && NOT_BELOW(1, v))
#endif
#ifdef BREAK_DROP_SHOWN         /* a floor may be dropped before the primary shows its version */
#define DROPPABLE (floor != 0)
#else
#define DROPPABLE (floor != 0 && floor <= primary)
#endif

#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* ---- the state ---- */

byte announced = 1;             /* the newest commit that anybody may invalidate for */
byte primary = 1;               /* the newest commit that a read of the primary sees */
byte replica = 1;               /* ... of the replica: replica <= primary <= announced */

typedef flight_state {
    bool loading;
    bool primary;               /* this attempt reads the primary */
    byte got;                   /* what it saw; 0: it has not read yet */
    byte tries;                 /* attempts whose result was not delivered */
    bool voided;                /* token: the key was invalidated since the start */
    bool moved;                 /* token: the shard's generation moved since the attempt began */
    /* Ghosts: what its waiters were promised when they joined, and what this load is. */
    byte owed;
    byte owed_shown;
    bool owed_new;
    bool old;                   /* it started before the watched plain invalidation */
}
flight_state flight[FLIGHTS];
byte attached = NOBODY;         /* the flight that the table has for the key */
byte stored;                    /* the entry's version; 0: no entry */
bool stored_old;                /* ghost: the entry's load is old */
byte floor;                     /* 0: none */
byte dropped;                   /* a floor that was dropped early, until its floor_ttl has passed */

/* Ghosts: what has been acknowledged. */
byte promised;                  /* the highest invalidate(v) */
byte promised_shown;            /* as much of it as the primary showed then: binds "no such row" */
bool watched;                   /* one plain invalidation, any one of them, is watched: it was */
bool versioned_promise = true, plain_promise = true, never_backwards = true;
bool never_stale_source = true; /* not a promise: REACH_STALE_SOURCE */

/* A get to which this was promised is answered v, by a load that is old or not. */
inline answer(v, is_old, was_promised, was_shown, was_watched)
{
    versioned_promise = (ABSENT(v) -> v >= was_shown : v >= was_promised);
    assert(versioned_promise);
    plain_promise = !(was_watched && is_old);
    assert(plain_promise)
}

/* ---- loads ---- */

inline again(f)                 /* another attempt: from the primary, with a new token */
{
    flight[f].tries = flight[f].tries + TRIED;
    flight[f].primary = true;
    flight[f].got = 0; flight[f].moved = false
}

inline leave(f)                 /* all its fields to 0, so that equal states look equal */
{
    if :: attached == f -> attached = NOBODY :: else fi;
    flight[f].loading = false; flight[f].primary = false; flight[f].got = 0;
    flight[f].tries = 0; flight[f].voided = false; flight[f].moved = false;
    flight[f].owed = 0; flight[f].owed_shown = 0; flight[f].owed_new = false; flight[f].old = false
}

inline store(f)
{
    if
    :: TOKEN_HOLDS(f) && STORABLE(flight[f].got) ->
        never_backwards = (ABSENT(flight[f].got) || ABSENT(stored) ||
                           (flight[f].got >= stored && flight[f].got >= floor));
        assert(never_backwards);
        stored = flight[f].got; stored_old = flight[f].old
    :: TOKEN_HOLDS(f) && !STORABLE(flight[f].got) && ABSENT(flight[f].got) ->
        stored = 0; stored_old = false /* not to be kept, but what was stored is older still */
    :: else
    fi
}

active [FLIGHTS] proctype Load() /* the first processes: _pid is the flight's index */
{
end: do
    :: d_step { flight[_pid].loading && flight[_pid].got == 0 ->
        flight[_pid].got = (flight[_pid].primary -> primary : replica) }
    :: d_step { flight[_pid].got != 0 && DELIVERABLE(_pid) ->
        answer(flight[_pid].got, flight[_pid].old,
               flight[_pid].owed, flight[_pid].owed_shown, flight[_pid].owed_new);
        store(_pid);
        leave(_pid) }
    :: d_step { flight[_pid].got != 0 && !DELIVERABLE(_pid) && flight[_pid].tries < TRIES ->
        again(_pid) }
    :: d_step { flight[_pid].got != 0 && !DELIVERABLE(_pid) && flight[_pid].tries == TRIES ->
#ifdef REACH_STALE_SOURCE
        never_stale_source = false; assert(never_stale_source);
#endif
        leave(_pid) }           /* STALE_SOURCE */
    :: d_step { flight[_pid].loading -> /* it fails: stale_if_error gives what is stored, if any */
        if
        :: stored != 0 -> answer(stored, stored_old,
                flight[_pid].owed, flight[_pid].owed, flight[_pid].owed_new)
        :: else
        fi;
        leave(_pid) }
    od
}

/* ---- gets: any number of them; once parked, what one is owed travels with its flight ---- */

inline join(f)                  /* promises only grow: the last waiter is owed the most */
{
    flight[f].owed = promised;
    flight[f].owed_shown = promised_shown;
    flight[f].owed_new = watched
}

inline start(f)
{
    flight[f].loading = true;
    flight[f].primary = dropped != 0;
    attached = f
}

#define FREE(f) (attached == NOBODY && !flight[f].loading)
active proctype Gets()
{
end: do                         /* an entry that has expired is a miss, so a hit is never certain */
    :: d_step { stored != 0 -> answer(stored, stored_old, promised, promised, watched) }
    :: d_step { attached != NOBODY -> join(attached) }
    :: d_step { FREE(0) -> start(0); join(0) }
    :: d_step { !FREE(0) && FREE(1) -> start(1); join(1) }
    :: d_step { FREE(0) -> start(0) } /* a refresh: nobody waits, or not yet */
    :: d_step { !FREE(0) && FREE(1) -> start(1) }
    od
}

/* ---- invalidations: any number of them, each acknowledged when its step is done ---- */

inline invalidate(v)            /* 0: without a version */
{
    if :: stored != 0 && KILLS(v) -> stored = 0; stored_old = false :: else fi;
    if :: attached != NOBODY -> flight[attached].voided = true; DETACH :: else fi;
    SET_FLOOR(v);
    promised = MAX(promised, GHOST(v));
    promised_shown = MAX(promised_shown, GHOST(SHOWN(v)))
}

active proctype Invalidations()
{
end: do                         /* late, twice and out of order as well (race 9) */
    :: d_step { announced >= 2 -> invalidate(2) }
    :: d_step { announced >= 3 -> invalidate(3) }
    :: d_step { invalidate(0) }
    :: d_step { !watched && GHOST(true) -> invalidate(0); watched = true;
        flight[0].old = flight[0].loading; flight[1].old = flight[1].loading }
    od
}

/* ---- the source, and the server's memory ---- */

active proctype Primary()
{
end: do                         /* a commit may be announced before it can be read (race 4) */
    :: d_step { announced < NEWEST -> announced++ }
    :: d_step { primary < announced -> primary++ }
    od
}

active proctype Replica()
{
end: do
    :: d_step { replica < primary -> replica++ }
    od
}

active proctype Memory()
{
end: do
    :: d_step { EVICT -> stored = 0; stored_old = false }
    :: d_step { floor != 0 && OUTLASTED(floor) -> floor = 0 } /* floor_ttl has passed */
    :: d_step { dropped != 0 && OUTLASTED(dropped) -> dropped = 0 }
    :: d_step { DROPPABLE -> /* the table of floors is full */
        REMEMBER_DROP;
        MOVE_GENERATION(0); MOVE_GENERATION(1);
        floor = 0 }
    od
}

/* For any flight: the code of all is the same. Needs weak fairness: a load gets its turns. */
ltl every_get_ends { [] (flight[0].loading -> <> !flight[0].loading) }
