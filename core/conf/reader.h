/*
 * reader: from libconfig's tree to the snapshot, by the table of options.
 *
 * Shape: one pass over each group in the order of the file; what the table does not know is told
 * with the nearest name. Thread: the one that loads. Limits: CONF_*.
 */
#ifndef RTCACHE_CONF_READER_H
#define RTCACHE_CONF_READER_H

#include "conf/setting.h"

/* Fills r->conf. What is wrong is among the problems. */
void reader_read(struct reading *r, const config_setting_t *root);

#endif
