/*
 * hash - SipHash-2-4 (Aumasson and Bernstein, 2012): one keyed 64-bit hash for tables that strangers can fill (random
 * key) and for event ids (fixed key, the same on every instance).
 * Thread: any.
 */
#ifndef TAILWATER_BASE_HASH_H
#define TAILWATER_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};

/* SipHash-2-4 of len bytes. */
uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len);

/* The process's own random key, made at the first call. */
const struct hash_key *hash_process_key(void);

#endif
