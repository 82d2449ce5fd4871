/*
 * context - what every loop may see of the rest of the program: the sources, the job queue, the settings. Built by the
 * composition root before the loops start and constant after that.
 */
#ifndef TAILWATER_HTTP_CONTEXT_H
#define TAILWATER_HTTP_CONTEXT_H

#include "census.h"
#include "job.h"
#include "source.h"

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
    bool open_mode;             /* anonymous reading on loopback: the Host header is checked */
    const char *const *origins; /* exact; NULL-terminated; a single "*" allows all without credentials */
    const struct http_alias *aliases;
    unsigned alias_count;
    int64_t heartbeat_ms, retry_ms;
    bool end_clean;             /* streams end with the last chunk */
    uint64_t connections_max;
    unsigned channels_max;
    size_t queue_bytes;         /* unsent bytes before a stream is pulled from */
    int stall_s;
    size_t replay_max;          /* documents that since= and a lost span send from the collections */
    size_t rows_bytes;          /* memory for documents read from collections, of all streams together */
    size_t header_bytes, body_bytes;
    int head_s, body_s;         /* a whole head, a whole body must have come by then */
};

/* Counters of all loops. */
struct http_counters {
    _Atomic uint64_t connections;       /* streams open now */
    _Atomic uint64_t connections_total; /* ever opened */
    _Atomic uint64_t deliveries;        /* events written to clients */
    _Atomic uint64_t gaps, refused;
    _Atomic uint64_t requests_refused;  /* malformed or too large, before anyone read them */
    _Atomic uint64_t request_timeouts;  /* that did not arrive in time */
    _Atomic uint64_t rows_bytes;        /* taken now of the setting of that name */
};

struct http_context {
    struct http_settings settings;
    struct source *sources[CONTEXT_SOURCES_MAX];
    unsigned source_count;
    struct mailbox *loops[CONTEXT_LOOPS_MAX]; /* by the loop's index */
    unsigned loop_count;
    struct job_queue *jobs;
    struct census *census;
    struct http_counters counters;
    atomic_bool draining;
};

#endif
