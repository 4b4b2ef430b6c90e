/*
 * clock_mine: the clock of the one program that includes this stands still until the test moves it.
 * The functions here come before those of core/base/clock.c.
 *
 *   clock_now_us += 1000;
 *
 * Thread: any that reads it while nobody moves it.
 */
#ifndef RTCACHE_TESTS_UNIT_CLOCK_MINE_H
#define RTCACHE_TESTS_UNIT_CLOCK_MINE_H

#include "base/clock.h"

static int64_t clock_now_us = 1000000000000;

int64_t clock_us(void)
{
    return clock_now_us;
}

int64_t clock_ms(void)
{
    return clock_now_us / 1000;
}

int64_t clock_thread_cpu_us(void)
{
    return clock_now_us;
}

int64_t clock_wall_ms(void)
{
    return clock_now_us / 1000;
}

#endif
