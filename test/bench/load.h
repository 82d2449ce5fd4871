/*
 * load - the load client's parts: one client of many, the run as a whole, its report. One thread.
 */
#ifndef TAILWATER_BENCH_LOAD_H
#define TAILWATER_BENCH_LOAD_H

#include "histogram.h"
#include "load_check.h"
#include "load_plan.h"
#include "load_stream.h"

#include <stdbool.h>
#include <stdint.h>

/* Named events of the server that are no log events; they are counted by name. */
enum named_event {
    NAMED_READY,
    NAMED_CAUGHT_UP,
    NAMED_GAP,
    NAMED_SKIPPED,
    NAMED_SOURCE,
    NAMED_REVOKED,
    NAMED_GOAWAY,
    NAMED_HEARTBEAT,
    NAMED_REFUSED,
    NAMED_COUNT
};

extern const char *const named_events[NAMED_COUNT];

struct load;

struct client {
    struct load *load;
    struct stream stream;
    struct group *group;
    struct tracks tracks;
    unsigned number;
    bool scout;          /* storm: it stays when the others drop, to count what they miss */
    bool ready;          /* on its current connection */
    bool caught_up;      /* storm: it has all it missed */
    int64_t opened_us;   /* its current connection; wall clock [us] */
    int64_t ready_us;    /* its first connection; wall clock [us] */
    uint64_t events;     /* with a number */
    uint64_t pending;    /* storm: still missing */
};

enum load_phase {
    LOAD_OPENING,   /* until all are ready or have failed */
    LOAD_RUNNING,   /* until the end, or, in a storm, until everyone has events and it is quiet */
    LOAD_AWAY,      /* storm: dropped; until the scouts have seen what is to be missed */
    LOAD_RETURNING, /* storm: all come back; until the last one has caught up */
    LOAD_OVER,
};

enum { LOAD_STATUSES = 8 };

/* Everything that is counted. */
struct load_counts {
    unsigned opened, ready, failed, ended; /* connections; of the first round and the storm's second together */
    struct {
        unsigned status; /* 0: no answer */
        const char *problem;
        unsigned count;
    } failures[LOAD_STATUSES];
    uint64_t events;  /* deliveries with a number; without the scouts' */
    uint64_t unnumbered;
    uint64_t named[NAMED_COUNT];
    uint64_t bytes;
    int64_t first_event_us, last_event_us; /* wall clock [us] */
    struct verdict verdict;
    struct histogram latency; /* sent_us -> receipt */
    struct histogram connect; /* connect() -> ready */
};

struct load_storm {
    int64_t dropped_us, returned_us, caught_up_us; /* wall clock [us] */
    unsigned caught_up;                            /* clients */
    uint64_t missed;                               /* events that they had to receive */
    struct histogram each;                         /* return -> caught up */
};

struct load {
    struct load_plan plan;
    int epoll;
    struct client *clients; /* plan.clients, then the scouts */
    unsigned client_count, scout_count;
    struct group *groups;
    enum load_phase phase;
    int64_t started_us, phase_us; /* wall clock [us] */
    unsigned next;      /* the next client to open in this round */
    unsigned opening;   /* opened, not ready and not failed */
    unsigned live;      /* open connections */
    struct load_counts counts;
    struct load_storm storm;
    int64_t now_us;     /* wall clock at the last wake-up or read [us] */
};

/* load_client.c */
void client_init(struct client *client, struct load *load, unsigned number, struct group *group, bool scout);
void client_fini(struct client *client);
void client_open(struct client *client);
void client_close(struct client *client);
void client_wake(struct client *client, char *memory, size_t len); /* its socket is readable or writable */

/* load_report.c: phase lines while it runs, the result at the end. */
void report_phase(const struct load *load, const char *phase);
void report_result(struct load *load);

#endif
