#include "store/policy.h"

#include <math.h>

#define FIRST_SHARE  0.1
#define LEAST_SHARE  0.01
#define MOST_SHARE   0.9
#define MOST_BIAS    8.0
#define HIGH_BIAS    4.0
#define MOST_BACK    0.7 /* part of those replaced that returns soon; of a loop it is nearly all */
#define BIAS_STEPS   2.0 /* a key that returns moves the bias by this over the number of entries */
#define LOSERS_TIMES 4   /* losers that are counted, over the number of entries, before a halving */
#define LOSERS_LEAST 16
#define LOAD_PARTS   64 /* the mean load follows a new key's by one part in this */
#define MOST_SIZE    8  /* halvings of size that count, and doublings of the time a load takes */
#define MOST_LOAD    4
#define WORTH_OF_ONE 0.5 /* reads that each of them is worth */
#define FILL_STEPS   2   /* moved for one that comes, so that the main queue catches up */
#define FILL_EACH    16  /* that come, before any is moved */
#define MOST_YOUNG   2   /* reads of the small queue that count in a comparison */
#define HOLDS_A_READ 2   /* what main's oldest holds off for one of its score */

void policy_init(struct policy *p)
{
    *p = (struct policy){.share = FIRST_SHARE, .kept_out.left = 1, .replaced.left = 1};
    near_list_init(&p->small);
    near_list_init(&p->main);
    ghost_init(&p->ghost);
}

void policy_fini(struct policy *p)
{
    ghost_fini(&p->ghost);
}

static void fit_ghost(struct policy *p)
{
    ghost_fit(&p->ghost, p->count + p->count / 2);
}

void policy_fit(struct policy *p)
{
    if (p->ghost.buckets)
        fit_ghost(p);
}

static bool in_main(const struct entry *e)
{
    return e->state & ENTRY_IN_MAIN;
}

static unsigned frequency_of(const struct entry *e)
{
    return e->state & ENTRY_FREQUENCY;
}

static unsigned score_of(const struct entry *e)
{
    return (e->state & ENTRY_SCORE) >> ENTRY_SCORE_SHIFT;
}

static void set_state(struct entry *e, unsigned frequency, unsigned score, bool main)
{
    score = score < GHOST_SCORE_MAX ? score : GHOST_SCORE_MAX;
    e->state = (uint8_t)(frequency | (main ? ENTRY_IN_MAIN : 0) | score << ENTRY_SCORE_SHIFT);
}

static size_t *bytes_of(struct policy *p, const struct entry *e)
{
    return in_main(e) ? &p->main_bytes : &p->small_bytes;
}

static double between(double least, double value, double most)
{
    return value < least ? least : value > most ? most : value;
}

static struct entry *oldest(const struct near_list *queue, const struct entry *kept)
{
    const struct near_list *first = near_list_next(queue);
    if (kept && first == &kept->queue)
        first = near_list_next(first);
    return first == queue ? NULL : container_of(first, struct entry, queue);
}

static void learn(struct policy *p, const struct ghost_past *past)
{
    double step = 1.0 / (double)(p->count + 1);
    int longer = (int)past->last_of_small - (int)past->last_of_familiar;
    p->share = between(LEAST_SHARE, p->share + step * longer, MOST_SHARE);
    bool lost = past->from_main || past->score > 1;
    if (!past->lately || !lost)
        return;
    struct policy_losers *kept_out = &p->kept_out, *replaced = &p->replaced;
    (past->from_main ? replaced : kept_out)->back++;
    bool in_vain = replaced->back > MOST_BACK * replaced->left;
    bool too_few = !in_vain && kept_out->back * replaced->left > replaced->back * kept_out->left;
    p->bias = between(0, p->bias + (too_few ? step : -step) * BIAS_STEPS, MOST_BIAS);
}

static void move_to_main(struct policy *p, struct entry *e, unsigned frequency, unsigned score)
{
    size_t size = entry_bytes(e);
    *bytes_of(p, e) -= size;
    p->main_bytes += size;
    near_list_remove(&e->queue);
    near_list_push_back(&p->main, &e->queue);
    set_state(e, frequency, score, true);
}

/* The small queue's part of all bytes; notes whether the main one is far below its own. */
static size_t small_wanted(struct policy *p)
{
    size_t all = p->small_bytes + p->main_bytes, wanted = (size_t)(p->share * (double)all);
    p->filling |= p->main_bytes < (all - wanted) / 2;
    return wanted;
}

/* Whether the main queue has room for it without a comparison. `wanted`: small_wanted's. */
static bool is_free_to_move(const struct policy *p, const struct entry *young, size_t wanted)
{
    return (p->filling || score_of(young) + frequency_of(young) > 0) &&
           p->small_bytes >= wanted + entry_bytes(young);
}

static void move_freely(struct policy *p, struct entry *young)
{
    move_to_main(p, young, 0, score_of(young) + frequency_of(young));
}

void policy_add(struct policy *p, struct entry *e, uint64_t hash)
{
    struct ghost_past past = {.score = 0};
    if (ghost_take(&p->ghost, hash, &past))
        learn(p, &past);
    if (e->load)
        p->mean_load += (log2((double)entry_load_us(e)) - p->mean_load) / LOAD_PARTS;
    set_state(e, 0, past.score, false);
    p->count++;
    p->small_bytes += entry_bytes(e);
    near_list_push_back(&p->small, &e->queue);
    p->in_a_row = false;
}

/* The main queue takes its part while entries come and none has to leave. Left to the first victim,
 * all would move at once, their reads gone into scores, and the oldest leave before the next read.
 */
void policy_fill(struct policy *p)
{
    if (p->count <= POLICY_STEPS)
        return; /* the steps of one pick do for so few */
    if (++p->unfilled < FILL_EACH)
        return;
    p->unfilled = 0;
    size_t wanted = small_wanted(p);
    for (int i = 0; i < FILL_STEPS * FILL_EACH && p->filling; i++) {
        struct entry *young = oldest(&p->small, NULL);
        if (!young || !is_free_to_move(p, young, wanted))
            return;
        move_freely(p, young);
    }
}

void policy_replace(struct policy *p, struct entry *old, struct entry *e)
{
    *bytes_of(p, old) += entry_bytes(e) - entry_bytes(old);
    e->state = old->state;
    near_list_insert(&old->queue, &e->queue);
    near_list_remove(&old->queue);
    p->in_a_row = false;
}

void policy_put_back(struct policy *p, struct entry *e, unsigned frequency, unsigned score,
                     bool main)
{
    frequency &= ENTRY_FREQUENCY;
    if (main && !in_main(e))
        move_to_main(p, e, frequency, score);
    else
        set_state(e, frequency, score, in_main(e));
}

void policy_leave(struct policy *p, struct entry *e, size_t bytes)
{
    *bytes_of(p, e) -= bytes;
    near_list_remove(&e->queue);
    p->count--;
}

void policy_remove(struct policy *p, struct entry *e)
{
    policy_leave(p, e, entry_bytes(e));
}

/* Its score, for one of the mean size and the mean load: what is small and what was long in loading
 * counts for more. */
static double value_of(const struct policy *p, const struct entry *e, unsigned score)
{
    uint64_t size = entry_bytes(e), mean = (p->small_bytes + p->main_bytes) / p->count;
    double smaller = log2((double)mean / (double)size);
    double worth = between(-MOST_SIZE, smaller, MOST_SIZE);
    if (e->load)
        worth += between(-MOST_LOAD, log2((double)entry_load_us(e)) - p->mean_load, MOST_LOAD);
    return score + WORTH_OF_ONE * worth;
}

/* Main's oldest holds off another one: what is left of its score. */
static unsigned pay(struct policy *p, unsigned score)
{
    p->held_off = (uint8_t)((p->held_off + 1) % HOLDS_A_READ);
    return p->held_off == 0 && score > 0 ? score - 1 : score;
}

/* Who of the two is to leave; the other one has its place in the main queue. */
static struct entry *weaker(struct policy *p, struct entry *young, struct entry *settled)
{
    unsigned reads = frequency_of(young), held = score_of(settled);
    unsigned score = score_of(young) + (reads < MOST_YOUNG ? reads : MOST_YOUNG);
    double value = value_of(p, young, score);
    if (value <= 0)
        return young;
    if (value + p->bias > value_of(p, settled, held)) {
        move_to_main(p, young, 0, score);
        return settled;
    }
    move_to_main(p, settled, 0, pay(p, held));
    return young;
}

/* Main's oldest was read since it came there, and stays: once for each read, but once for all where
 * the new are worth more than the read. */
static void stay(struct policy *p, struct entry *settled)
{
    unsigned left = p->bias < HIGH_BIAS ? frequency_of(settled) - 1 : 0;
    move_to_main(p, settled, left, score_of(settled) + 1);
}

/* Who leaves where the steps are used up: there may be more that were read than one pick can move,
 * and what was not read is to leave before them. */
static struct entry *less_used(struct entry *young, struct entry *settled)
{
    if (!young || !settled)
        return young ? young : settled;
    unsigned held = score_of(settled) + frequency_of(settled);
    return score_of(young) + frequency_of(young) <= held ? young : settled;
}

void policy_ends(const struct policy *p, const struct entry *kept, struct entry *ends[2])
{
    ends[0] = oldest(&p->main, kept);
    ends[1] = oldest(&p->small, kept);
}

struct entry *policy_victim(struct policy *p, const struct entry *kept)
{
    size_t wanted = small_wanted(p);
    for (int step = 0; step < POLICY_STEPS; step++) {
        struct entry *young = oldest(&p->small, kept), *settled = oldest(&p->main, kept);
        if (young && (!settled || p->small_bytes >= wanted)) {
            if (is_free_to_move(p, young, wanted)) {
                move_freely(p, young);
                continue;
            }
            p->filling = false;
            if (!settled)
                return young;
            if (frequency_of(settled) == 0)
                return weaker(p, young, settled);
        } else if (!settled) {
            return NULL;
        } else if (frequency_of(settled) == 0) {
            if (!p->in_a_row || score_of(settled) == 0)
                return settled;
            move_to_main(p, settled, 0, score_of(settled) - 1);
            continue;
        }
        stay(p, settled);
    }
    return less_used(oldest(&p->small, kept), oldest(&p->main, kept));
}

static void count_loser(struct policy *p, struct policy_losers *losers)
{
    struct policy_losers *kept_out = &p->kept_out, *replaced = &p->replaced;
    losers->left++;
    if (kept_out->left + replaced->left <= LOSERS_TIMES * (double)p->count + LOSERS_LEAST)
        return;
    *kept_out = (struct policy_losers){kept_out->left / 2, kept_out->back / 2};
    *replaced = (struct policy_losers){replaced->left / 2, replaced->back / 2};
}

void policy_evict(struct policy *p, struct entry *e, uint64_t hash)
{
    unsigned score = score_of(e) + frequency_of(e);
    if (in_main(e))
        count_loser(p, &p->replaced);
    else if (score > 0)
        count_loser(p, &p->kept_out);
    fit_ghost(p);
    ghost_add(&p->ghost, hash, score + 1, in_main(e));
    policy_remove(p, e);
    p->in_a_row = true;
}

size_t policy_bytes(const struct policy *p)
{
    return ghost_bytes(&p->ghost);
}
