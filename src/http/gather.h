/*
 * gather - a question of the admin about connections, which live on all loops: it goes by mailbox from loop to loop and
 * then home, with one owner at a time, so that nothing is locked. Each loop adds what belongs on the page; a kick goes to
 * one loop alone.
 */
#ifndef TAILWATER_HTTP_GATHER_H
#define TAILWATER_HTTP_GATHER_H

#include "connection_id.h"
#include "loop.h"
#include "page.h"

enum gather_sort { GATHER_SINCE, GATHER_EVENTS, GATHER_BYTES, GATHER_QUEUED, GATHER_LAG, GATHER_SORTS };

struct gather {
    struct mailbox *box; /* who wants the answer */
    uint64_t number;     /* and for which exchange */
    unsigned next_loop;
    char connection_id[CONNECTION_ID_LEN + 1]; /* to be sent away; "" = a list is wanted */
    bool was_found;                            /* and it was */
    enum gather_sort sort;
    char *q; /* part of an id, user, workspace, address or channel; NULL = any */
    struct page page;
};

/* The name of an order, for sort=; NULL behind the last. */
const char *gather_sort_name(unsigned index);

/* Any loop: send it on its way. Takes it. */
void gather_send(struct http_context *context, struct gather *gather);

/* A loop it came to: add to it and send it on. Takes it. */
void gather_visit(struct loop *loop, struct gather *gather);

void gather_free(struct gather *gather);

#endif
