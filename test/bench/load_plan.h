/*
 * load_plan - what the load client shall do, from its command line. Constant after load_plan_parse().
 */
#ifndef TAILWATER_BENCH_LOAD_PLAN_H
#define TAILWATER_BENCH_LOAD_PLAN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    PLAN_HEADERS_MAX = 8,
    PLAN_TARGET_MAX = 4096,  /* bytes of a request target */
    PLAN_REQUEST_MAX = 16384 /* bytes of a request head; fits into a fresh socket's send buffer */
};

struct load_plan {
    struct sockaddr_in address; /* always loopback */
    char host[64];              /* for the Host header */
    const char *target;         /* path and query, a template */
    const char *channels;       /* a template, or NULL */
    char channels_text[64];     /* where --channels K puts its template */
    unsigned clients;
    unsigned connect_rate; /* new connections a second; 0 = as fast as in_flight allows */
    unsigned in_flight;    /* connections that are not ready yet, at most */
    double seconds;        /* the whole run, at most [s] */
    double quiet_s;        /* end after so long without an event, once there was one; 0 = never [s] */
    unsigned storm;        /* events that each client misses while away; 0 = no storm */
    bool idle;             /* hold the connections until the time is over */
    bool ready_on_head;    /* the answer's head makes a connection ready (servers without a `ready` event) */
    bool json;             /* JSON lines on stdout, the table on stderr */
    const char *last_id;   /* Last-Event-ID of the first connect, or NULL */
    uint32_t source_first; /* addresses to connect from, host byte order; */
    uint32_t source_count; /* 0 = the kernel's choice */
    const char *headers[PLAN_HEADERS_MAX]; /* "Name: value" */
    unsigned header_count;
};

/* Read the command line. Returns 0; 1 when --help was printed; -1 after a sentence on stderr. */
int load_plan_parse(struct load_plan *plan, int argc, char **argv);

/* The target of client number i: templates expanded, channels percent-encoded. -1: too long or a bad template. */
int load_plan_target(const struct load_plan *plan, unsigned i, char out[PLAN_TARGET_MAX]);

/* The request head; last_id may be empty. Returns its length, 0 when it does not fit. */
size_t load_plan_request(const struct load_plan *plan, const char *target, const char *last_id, size_t last_id_len,
                         char out[PLAN_REQUEST_MAX]);

/* The address that client number i connects from; false: the kernel's choice. */
bool load_plan_source(const struct load_plan *plan, unsigned i, struct sockaddr_in *out);

#endif
