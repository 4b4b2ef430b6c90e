/*
 * le: numbers as little-endian bytes, at any address.
 *
 * Thread: any. Limits: the caller has made sure of the room.
 */
#ifndef RTCACHE_STATE_LE_H
#define RTCACHE_STATE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void le_put16(char *at, uint16_t n)
{
    n = htole16(n);
    memcpy(at, &n, sizeof n);
}

static inline void le_put32(char *at, uint32_t n)
{
    n = htole32(n);
    memcpy(at, &n, sizeof n);
}

static inline void le_put64(char *at, uint64_t n)
{
    n = htole64(n);
    memcpy(at, &n, sizeof n);
}

static inline uint16_t le_get16(const char *at)
{
    uint16_t n;
    memcpy(&n, at, sizeof n);
    return le16toh(n);
}

static inline uint32_t le_get32(const char *at)
{
    uint32_t n;
    memcpy(&n, at, sizeof n);
    return le32toh(n);
}

static inline uint64_t le_get64(const char *at)
{
    uint64_t n;
    memcpy(&n, at, sizeof n);
    return le64toh(n);
}

#endif
