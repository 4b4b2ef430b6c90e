/*
 * faulty: the same faults in the process of a unit test. A test whose name ends in _nomem_test.c is
 * linked with faulty.c.
 *
 *   for (int64_t nth = 1; FAULTY_WITHOUT(nth, FAULTY_ALL, rc = load(...)); nth++)
 *       assert_int_equal(rc, ERR_NOMEM);
 *   assert_int_equal(rc, 0);
 *
 * Thread: the test's only one.
 */
#ifndef RTCACHE_TESTS_FAULTS_FAULTY_H
#define RTCACHE_TESTS_FAULTS_FAULTY_H

#include <stdbool.h>
#include <stdint.h>

/* The nth allocation from now fails, and so many after it. */
void faulty_fail_allocation(int64_t nth, int64_t more);
/* The nth thread from now does not start. */
void faulty_fail_thread(int64_t nth);
/* None fails any more. Whether one did. */
bool faulty_calm(void);

#define FAULTY_ALL (INT64_MAX / 2)

/* Does it without its nth allocation, and without so many after it. false: it asked for fewer. */
#define FAULTY_WITHOUT(nth, more, does)                                                            \
    (faulty_fail_allocation(nth, more), (void)(does), faulty_calm())

#endif
