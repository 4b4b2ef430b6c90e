/*
 * commands: what dispatch calls, one function a method, by the file that holds it.
 *
 * Each takes its arguments from p, and answers t now or later. Thread: the connection's.
 */
#ifndef RTCACHE_NET_COMMANDS_H
#define RTCACHE_NET_COMMANDS_H

#include "net/answer.h"
#include "net/params.h"

/* read.c */
void read_get(const struct target *t, struct params *p);
void read_get_entry(const struct target *t, struct params *p);
void read_get_many(const struct target *t, struct params *p);
void read_peek(const struct target *t, struct params *p);
void read_refresh(const struct target *t, struct params *p);

/* key_change.c */
void key_change_set(const struct target *t, struct params *p);
void key_change_invalidate(const struct target *t, struct params *p);
void key_change_invalidate_many(const struct target *t, struct params *p);
void key_change_expire(const struct target *t, struct params *p);
void key_change_touch(const struct target *t, struct params *p);

/* bulk_change.c */
void bulk_change_invalidate_tag(const struct target *t, struct params *p);
void bulk_change_invalidate_match(const struct target *t, struct params *p);
void bulk_change_expire_many(const struct target *t, struct params *p);
void bulk_change_expire_tag(const struct target *t, struct params *p);
void bulk_change_expire_match(const struct target *t, struct params *p);
void bulk_change_lift_floors(const struct target *t, struct params *p);

/* write_request.c */
void write_request_put(const struct target *t, struct params *p);
void write_request_delete(const struct target *t, struct params *p);

/* subscribe.c */
void subscribe_subscribe(const struct target *t, struct params *p);
void subscribe_unsubscribe(const struct target *t, struct params *p);

/* admin.c */
void admin_ping(const struct target *t, struct params *p);
/* The name of the i-th method; NULL past the last one. */
typedef const char *method_name(size_t i);
void admin_hello(const struct target *t, struct params *p, method_name *name_of);
void admin_reload(const struct target *t, struct params *p);
void admin_snapshot(const struct target *t, struct params *p);

/* auth.c */
void auth_auth(const struct target *t, struct params *p);

/* stats.c */
void stats_answer(const struct target *t, struct params *p);
void stats_loaders(const struct target *t, struct params *p);

#endif
