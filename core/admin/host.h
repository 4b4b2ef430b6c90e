/*
 * host: whether a request's Host is a name of this server.
 *
 * A page of somebody else can make a browser ask this port once its own name points here (DNS
 * rebinding), but then Host tells that name. An address in figures cannot be pointed elsewhere, so
 * any of them will do; a name has to be localhost, the machine's, or one that the configuration
 * tells. Thread: any, it is pure. Limits: HOST_MAX bytes.
 */
#ifndef RTCACHE_ADMIN_HOST_H
#define RTCACHE_ADMIN_HOST_H

#include "conf/conf.h"

#define HOST_MAX 255

/* text: a Host, with a port or not. machine: gethostname's; listen: the host in `admin`. "" of
 * either is nobody's. */
bool host_is_ours(const char *text, const char *machine, const char *listen,
                  const struct conf_words *names);

#endif
