/*
 * demo - a producer of plausible logs: ETL workflows, FaaS and functions of two workspaces write into MongoDB the way
 * backends do, tailwater not involved. For a first look, for screenshots and for trying a configuration.
 *
 * Collections etl ({workspace_id, workflow_id}), faas and functions ({workspace_id, function_id}) of one database, each
 * document with level, timestamp, message, execution_id and what such a step reports. Sometimes a run fails with a
 * stack, sometimes a burst comes.
 */
#ifndef TAILWATER_MONGO_DEMO_H
#define TAILWATER_MONGO_DEMO_H

#include "error.h"

#include <signal.h>
#include <stdint.h>

/*
 * Insert rate_per_s (1..10000) documents a second with write concern majority, for `seconds` (0: until *stop is not 0;
 * looked at 50 times a second between inserts, which take at most about 10 s when the server is away). When the first
 * insert fails: -1 with *err. Later failures are logged, and it goes on when the server is back.
 * Thread: any one that may block, between database_library_start() and _stop().  uri: never logged.
 */
int demo_run(const char *uri, const char *database, int64_t rate_per_s, int64_t seconds,
             const volatile sig_atomic_t *stop, struct error *err);

#endif
