/*
 * conf_units: durations and sizes as people write them; parsing is declared in conf.h.
 *
 * Thread: any. Limits: 63-bit milliseconds and bytes.
 */
#ifndef RTCACHE_CONF_CONF_UNITS_H
#define RTCACHE_CONF_CONF_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define CONF_SHOWN_MAX 32

/* With the largest unit that divides it ("90s", "5min"); bytes alone have none. shown holds
 * CONF_SHOWN_MAX bytes and is returned. */
const char *conf_units_show_duration(int64_t ms, char *shown);
const char *conf_units_show_micros(int64_t us, char *shown);
const char *conf_units_show_size(int64_t bytes, char *shown);

#endif
