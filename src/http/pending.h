/*
 * pending - a client that waits for jobs, or for another loop: its exchange is answered when they come back, or it
 * leaves before; then their answers find nobody. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_PENDING_H
#define TAILWATER_HTTP_PENDING_H

#include "exchange.h"
#include "loop.h"
#include "rights.h"

#include <uthash.h>

struct pending {
    uint64_t number; /* that its jobs carry */
    struct loop *loop;
    struct exchange *exchange;
    unsigned answers_left; /* jobs that are out */
    int status;            /* the best answer so far */
    struct identity *identity; /* who asked, and what the collection granted then: see pending_may_answer(); */
    struct grant_set *grants;  /* one reference each; NULL = is not looked at, nothing was granted */
    UT_hash_handle hh;
};

/* Give the exchange a number for its jobs. rights: whose question it is, borrowed; NULL where nobody's rights matter. */
struct pending *pending_new(struct loop *loop, struct exchange *exchange, const struct rights *rights);

/* There will be no jobs. */
void pending_free(struct pending *pending);

/* The jobs are out: wait. */
void pending_wait(struct pending *pending);

/* Who waits for this job, or under this number; or NULL. */
struct pending *pending_find(struct loop *loop, const struct job *job);
struct pending *pending_find_number(struct loop *loop, uint64_t number);

/* The answer is here: may it still be given? Not when what the collection grants has changed meanwhile: then a 503 was
 * answered, so that the client asks again. */
bool pending_may_answer(struct pending *pending);

/* It was answered. */
void pending_end(struct pending *pending);

/* The loop ends: nobody will be answered any more. */
void pending_forget(struct loop *loop);

#endif
