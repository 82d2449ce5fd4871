/*
 * server_watch - looks at the deployment from time to time and keeps what it finds up to date: the oplog's ends, the
 * services in the catalog, and the source's notices.
 *
 * Every 30 s it asks the server, for about half a second at most (its caller reads no events meanwhile); every 5 s it
 * judges how late events arrive. What it may not see (rights, a mongos) it leaves as it is.
 * Thread: the watcher's. All zero is one that has not looked yet.
 */
#ifndef TAILWATER_MONGO_SERVER_WATCH_H
#define TAILWATER_MONGO_SERVER_WATCH_H

#include "database.h"
#include "lateness.h"
#include "mapping.h"
#include "source.h"

struct server_watch {
    int64_t look_due_us, judge_due_us; /* monotonic */
    int64_t round_trip_ms;             /* to the server; only after a look, -1 = unknown */
    size_t turn;                       /* which collections' indexes come next */
};

struct server_watch_options {
    struct database *database;
    const struct mapping_set *mappings;
    struct source *source;
    int64_t oplog_window_min_s; /* [s] an oplog that reaches back less gives a notice; 0 = never */
};

/* The source is at its tail: do what is due. */
void server_watch_run(struct server_watch *watch, const struct server_watch_options *options,
                      const struct lateness *lateness);

/*
 * How many megabytes an oplog of this size, which holds window_s, must have to hold wanted_s: with a quarter to spare,
 * and at least the server's minimum of 990.
 */
int64_t server_watch_oplog_mb(int64_t max_bytes, int64_t window_s, int64_t wanted_s);

#endif
