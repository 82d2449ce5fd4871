/*
 * pending - a client that waits for jobs, or for another loop: its exchange is answered when they come back, or it
 * leaves before; then their answers find nobody. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_PENDING_H
#define TAILWATER_HTTP_PENDING_H

#include "exchange.h"
#include "loop.h"

#include <uthash.h>

struct pending {
    uint64_t number; /* that its jobs carry */
    struct loop *loop;
    struct exchange *exchange;
    unsigned answers_left; /* jobs that are out */
    int status;            /* the best answer so far */
    UT_hash_handle hh;
};

/* Give the exchange a number for its jobs. free() it when there will be none. */
struct pending *pending_new(struct loop *loop, struct exchange *exchange);

/* The jobs are out: wait. */
void pending_wait(struct pending *pending);

/* Who waits for this job, or under this number; or NULL. */
struct pending *pending_find(struct loop *loop, const struct job *job);
struct pending *pending_find_number(struct loop *loop, uint64_t number);

/* It was answered. */
void pending_end(struct pending *pending);

/* The loop ends: nobody will be answered any more. */
void pending_forget(struct loop *loop);

#endif
