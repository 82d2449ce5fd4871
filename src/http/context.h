/*
 * context - what every loop may see of the rest of the program: the sources, the job queue, the settings. Built by the
 * composition root before the loops start and constant after that.
 */
#ifndef TAILWATER_HTTP_CONTEXT_H
#define TAILWATER_HTTP_CONTEXT_H

#include "access.h"
#include "exchange.h"
#include "grants.h"
#include "job.h"
#include "loop_figures.h"
#include "publish_gate.h"
#include "rate.h"
#include "reason.h"
#include "shared_text.h"
#include "source.h"
#include "tally.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CONTEXT_SOURCES_MAX = 4, CONTEXT_LOOPS_MAX = 64 };

/* A configured path whose query parameters fill a channel template with {placeholders}. */
struct http_alias {
    const char *path, *channel;
};

struct http_settings {
    const char *host;
    int port;
    bool check_host;            /* everyone on this machine may read everything: only to a Host on it */
    const char *const *origins; /* exact; NULL-terminated; a single "*" allows all without credentials */
    const struct http_alias *aliases;
    unsigned alias_count;
    int64_t heartbeat_ms, retry_ms;
    bool end_clean;             /* streams end with the last chunk */
    uint64_t connections_max;
    uint64_t sockets_max;       /* connections of any kind that descriptors suffice for */
    uint64_t user_connections_max, address_connections_max, user_catchups_max; /* 0 = no limit */
    uint64_t connects_per_s_max, publish_per_s_max;                            /* 0 = no limit */
    uint64_t queued_bytes_max;  /* unsent bytes of all streams before all are pulled from */
    unsigned channels_max;
    bool test_endpoints;
    size_t queue_bytes;         /* unsent bytes before a stream is pulled from */
    int stall_s;
    size_t replay_max;          /* documents that since= and a lost span send from the collections */
    size_t rows_bytes;          /* memory for documents read from collections, of all streams together */
    size_t header_bytes, body_bytes;
    const char *version, *driver_version; /* of this program, of the driver */
    int head_s, body_s;         /* a whole head, a whole body must have come by then */
};

/* Counters of all loops. */
struct http_counters {
    _Atomic uint64_t connections;       /* streams open now */
    _Atomic uint64_t connections_total; /* ever opened */
    _Atomic uint64_t deliveries;        /* events written to clients */
    _Atomic uint64_t gaps, refused;
    _Atomic uint64_t sockets, sockets_refused; /* connections of any kind: now; closed at once for want of room */
    _Atomic uint64_t handshake_failures; /* connections that ended before TLS was spoken */
    _Atomic uint64_t queued_bytes;      /* unsent now, of all streams */
    _Atomic uint64_t auth_failures;     /* credentials that were not good */
    _Atomic uint64_t denied;            /* requests by someone who may read none of it */
    _Atomic uint64_t revocations;       /* of live streams: narrowed or ended */
    _Atomic uint64_t headers_ignored;   /* identity headers of peers that are no trusted proxy */
    _Atomic uint64_t published, publish_failures; /* documents */
    _Atomic uint64_t requests_refused;  /* malformed or too large, before anyone read them */
    _Atomic uint64_t request_timeouts;  /* that did not arrive in time */
    _Atomic uint64_t rows_bytes;        /* taken now of the setting of that name */
    _Atomic uint64_t rows_sent;         /* events read from collections, among the deliveries */
    _Atomic uint64_t history_requests, tickets;
    _Atomic uint64_t reloads, reload_failures;
    _Atomic uint64_t answers[HTTP_STATUS_END]; /* by status; what is out of range counts as 0 */
    struct reason_counts reasons;
};

struct http_context {
    struct http_settings settings;
    struct source *sources[CONTEXT_SOURCES_MAX];
    unsigned source_count;
    struct mailbox *loops[CONTEXT_LOOPS_MAX]; /* by the loop's index */
    unsigned loop_count;
    struct loop_figures figures[CONTEXT_LOOPS_MAX]; /* by the loop's index; each written by its loop */
    struct job_queue *jobs;
    struct job_queue *publishes;       /* served by threads of their own */
    struct publish_gate *publish_gate;
    struct tally *channels; /* channels and patterns that somebody is subscribed to */
    struct tls *tls; /* NULL = plain HTTP */
    struct access_holder *access;
    struct shared_text *config; /* in effect, as JSON without secrets: for the admin */
    struct grant_book *grants; /* NULL = there is no grants collection */
    struct tally *users, *addresses, *catchup_users; /* streams, connections, streams that catch up */
    struct rate connects;
    struct http_counters counters;
    atomic_bool leaving;  /* it was told to stop: unready, but serving as usual until it is draining */
    atomic_bool draining;
};

#endif
