/*
 * tally - how many of something each key holds now, with a limit for each: streams of a user, connections of an address,
 * catch-ups of a user, subscriptions to a channel. Shared by all loops; touched when something begins or ends, never for
 * an event.
 *
 * Any thread; one mutex, a leaf in the lock order. Keys are strangers' texts: a seeded hash.
 */
#ifndef TAILWATER_CORE_TALLY_H
#define TAILWATER_CORE_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct tally;

struct tally *tally_new(void);
void tally_free(struct tally *tally); /* NULL is fine */

/* One more for this key. Returns 0, or -1 when it has max already (0 = no limit): nothing was added then. */
int tally_add(struct tally *tally, const void *key, size_t len, uint64_t max);

/* One less, of one that was added. */
void tally_remove(struct tally *tally, const void *key, size_t len);

/* How many keys hold any. */
size_t tally_keys(struct tally *tally);

/* Tell of every key, in no order and under the lock: visit must be short and lock nothing. */
void tally_visit(struct tally *tally, void (*visit)(const char *key, size_t len, uint64_t count, void *arg), void *arg);

uint64_t tally_count(struct tally *tally, const void *key, size_t len);

#endif
