/* Clients' puts and deletes, handed to the loader thread as an I/O thread does. */
#include "sim.h"

static void on_answered(struct message *m, void *owner)
{
    (void)owner;
    container_of(container_of(m, struct write, message), struct put_of, write)->answered = true;
}

static void on_heard(struct message *m, void *owner)
{
    (void)m, (void)owner;
}

/* Its client waits no longer. */
static void give_up(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct put_of *p = arg;
    if (p->answered)
        return;
    p->write.heard = on_heard;
    loader_thread_give_up(s->loader, &p->write);
}

void write_start(struct sim *s, int key, bool deletes)
{
    if (s->write_count == SIM_WRITES)
        return;
    struct put_of *p = &s->writes[s->write_count++];
    *p = (struct put_of){
        .key = key,
        .untagged = sim_chance(s, 30),
        .write =
            {
                .what = deletes ? WRITE_DELETE : WRITE_PUT,
                .hash = s->hashes[key],
                .key = sim_key(s, key),
                .value = slice_str("\xc0"),
                .answer_to = s->slots[sim_up_to(s, SIM_SLOTS - 1)],
                .answered = on_answered,
            },
    };
    loader_thread_write(s->loader, &p->write);
    if (sim_chance(s, 20))
        task_in(s, sim_up_to(s, s->k.wait_timeout_ms), give_up, p, 0);
}

/* The first that was not answered; NULL: there is none. */
const struct put_of *writes_unanswered(const struct sim *s)
{
    for (int i = 0; i < s->write_count; i++)
        if (!s->writes[i].answered)
            return &s->writes[i];
    return NULL;
}
