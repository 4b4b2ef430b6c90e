/*
 * admin_priv: what the files of admin share; nobody else includes it.
 *
 *   admin (thread, life) -> request (who may ask what) -> pages (the answers)
 *                    `----------> visit (connections, turns of the library)
 *
 * Thread: admin's own.
 */
#ifndef RTCACHE_ADMIN_ADMIN_PRIV_H
#define RTCACHE_ADMIN_ADMIN_PRIV_H

#include "admin/admin.h"
#include "admin/host.h"
#include "base/address.h"
#include "base/list.h"
#include "sys/worker.h"

#include <microhttpd.h>

enum admin_state { ADMIN_STARTING, ADMIN_READY, ADMIN_DRAINING };

enum visit_state {
    VISIT_FIRST,  /* no request has come yet */
    VISIT_ANSWER, /* one is answered */
    VISIT_IDLE,   /* it was; the next may come */
};

/* A connection. */
struct visit {
    struct list link; /* admin.visits, the longest in its state first */
    int fd;
    enum visit_state state;
    int64_t since_ms;  /* in that state */
    unsigned failures; /* passwords that did not fit */
    bool cut;
};

struct admin {
    struct worker worker;
    struct admin_options options;
    char host[ADDRESS_TEXT_MAX], machine[HOST_MAX + 1];
    struct snapshot *snapshot; /* NULL while the server starts */
    enum admin_state state;
    struct MHD_Daemon *http;
    struct ev_io turn;
    struct ev_timer due, guard;
    struct list visits;
    unsigned visit_count;
    struct list asking; /* requests that wait for the main thread */
    struct message ready, drain, stop;
};

/* visit.c */
/* Lets the library do what is due, and finds out when it wants to be asked again. */
void admin_turn(struct admin *a);
/* It is in another state from now on. */
void visit_become(struct admin *a, struct visit *v, enum visit_state state);

/* A connection has come, and is gone; *of is what the library keeps of it. */
void visit_begin(struct admin *a, struct MHD_Connection *c, void **of);
void visit_end(struct admin *a, void **of);
/* Cuts those that take too long. */
void visit_guard(struct admin *a);

/* request.c, as libmicrohttpd wants it: what came of a head, and that a request is over. */
enum MHD_Result request_take(void *admin, struct MHD_Connection *c, const char *path,
                             const char *method, const char *version, const char *data,
                             size_t *size, void **of);
void request_over(void *admin, struct MHD_Connection *c, void **of,
                  enum MHD_RequestTerminationCode why);
/* The thread ends: nobody waits for the main thread any more. */
void request_stop(struct admin *a);

#endif
