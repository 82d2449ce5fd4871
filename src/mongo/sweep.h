/*
 * sweep - the threads that run catch-up sweeps (core/catchup.h) for one source: a change stream from an old cluster time
 * to where the source's journal begins.
 *
 * Where the oplog no longer reaches back to the wanted point, the window begins with a loss, which every reader crosses
 * as a gap, and goes on at the oldest entry that is left.
 */
#ifndef TAILWATER_MONGO_SWEEP_H
#define TAILWATER_MONGO_SWEEP_H

#include "reader.h"

struct sweep_threads;

/* Start `count` threads. What options name must outlive them. */
struct sweep_threads *sweep_threads_start(const struct reader_options *options, unsigned count);

/* Ask them to stop; returns at once. */
void sweep_threads_stop(struct sweep_threads *threads);

/* Wait for their end and free them. A server that does not answer can make this take minutes. */
void sweep_threads_join(struct sweep_threads *threads);

#endif
