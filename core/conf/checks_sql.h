/*
 * checks_sql: that each parameter of a loader's SQL is a star of its pattern.
 *
 * Thread: the one that loads. Limits: those of the configuration.
 */
#ifndef RTCACHE_CONF_CHECKS_SQL_H
#define RTCACHE_CONF_CHECKS_SQL_H

#include "conf/conf.h"

/* told is called with each thing that is wrong. A loader without SQL or without a pattern that is
 * one has nothing. */
void checks_sql_parameters(const struct conf_loader *l, void (*told)(void *arg, const char *text),
                           void *arg);

#endif
