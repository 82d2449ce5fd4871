/*
 * random - random numbers from the kernel. Thread: any. Never fails (aborts where the kernel has none).
 */
#ifndef TAILWATER_BASE_RANDOM_H
#define TAILWATER_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fill with bytes fit for secrets. */
void random_bytes(void *out, size_t len);

/* Evenly distributed in [low, high]; for jitter. */
int64_t random_between(int64_t low, int64_t high);

/* 2 * bytes lower-case hex digits and a NUL. */
void random_hex(char *out, size_t bytes);

#endif
