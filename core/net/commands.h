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

/* write.c */
void write_set(const struct target *t, struct params *p);
void write_invalidate(const struct target *t, struct params *p);
void write_invalidate_many(const struct target *t, struct params *p);
void write_expire(const struct target *t, struct params *p);
void write_touch(const struct target *t, struct params *p);

/* wide.c */
void wide_invalidate_tag(const struct target *t, struct params *p);
void wide_invalidate_match(const struct target *t, struct params *p);
void wide_expire_many(const struct target *t, struct params *p);
void wide_expire_tag(const struct target *t, struct params *p);
void wide_expire_match(const struct target *t, struct params *p);
void wide_lift_floors(const struct target *t, struct params *p);

/* put.c */
void put_put(const struct target *t, struct params *p);
void put_delete(const struct target *t, struct params *p);

/* subscribe.c */
void subscribe_subscribe(const struct target *t, struct params *p);
void subscribe_unsubscribe(const struct target *t, struct params *p);

/* admin.c */
void admin_ping(const struct target *t, struct params *p);
/* The name of the i-th method; NULL past the last one. */
typedef const char *method_name(size_t i);
void admin_hello(const struct target *t, struct params *p, method_name *name_of);
void admin_reload(const struct target *t, struct params *p);

/* auth.c */
void auth_auth(const struct target *t, struct params *p);

/* stats.c */
void stats_answer(const struct target *t, struct params *p);
void stats_loaders(const struct target *t, struct params *p);

#endif
