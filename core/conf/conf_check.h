/*
 * conf_check: how a driver tells what is wrong with the options of one of its backends.
 *
 * Thread: the one that loads. Limits: those of the configuration.
 */
#ifndef RTCACHE_CONF_CONF_CHECK_H
#define RTCACHE_CONF_CONF_CHECK_H

#include "conf/conf_driver.h"

/* Told at the line of the option, where that is written, else of the backend. */
void conf_check_wrong(const struct conf_check *c, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The text as it is written, without what it stands for; NULL: it is not written, or no text. */
const char *conf_check_text(const struct conf_check *c, const char *option);
/* That `less` is not above `more`, where one of the two is written. */
void conf_check_order(const struct conf_check *c, const char *less, int64_t less_ms,
                      const char *more, int64_t more_ms);
/* That there is such a file. */
void conf_check_file(const struct conf_check *c, const char *option, const char *path);
bool conf_check_is_file(const char *path);

#endif
