/*
 * publish_gate - how much may be published: documents a second for each service, and the bytes of all requests that
 * wait to be stored. One for the whole process; it outlives the keys, so that their reload gives nobody a fresh
 * allowance.
 *
 * Any thread; one mutex, a leaf in the lock order. Services are few and named by the configuration.
 */
#ifndef TAILWATER_CORE_PUBLISH_GATE_H
#define TAILWATER_CORE_PUBLISH_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct publish_gate;

/* max_bytes: of the bodies that wait or are being stored. */
struct publish_gate *publish_gate_new(size_t max_bytes);
void publish_gate_free(struct publish_gate *gate); /* NULL is fine */

/* So many documents of a service at this monotonic time; see rate_take(). */
bool publish_gate_take(struct publish_gate *gate, const char *service, uint64_t max_per_s, uint64_t count,
                       int64_t now_us);

/* Is there room for so many bytes? They are held then, until publish_gate_leave(). One request always has room. */
bool publish_gate_enter(struct publish_gate *gate, size_t bytes);
void publish_gate_leave(struct publish_gate *gate, size_t bytes);

#endif
