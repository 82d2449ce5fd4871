/*
 * publish - what a publisher wants stored: the items of one request on their way from a loop to a blocking thread, and
 * how many of them were. Who may publish was checked by the loop; whether an item may go to its channel is checked
 * where its document is made (mongo/publish.h). Thread: one owner at a time, as its job.
 */
#ifndef TAILWATER_CORE_PUBLISH_H
#define TAILWATER_CORE_PUBLISH_H

#include "frame.h"
#include "publish_gate.h"

#include <stdbool.h>
#include <stddef.h>

enum publish_kind {
    PUBLISH_LOGS,   /* {service, workspace_id, workflow_id, logData}: into a mapping's collection */
    PUBLISH_EVENTS, /* {channel, event, data}: into tailwater's own */
};

enum { PUBLISH_ITEMS_MAX = 1000 };

struct publish_request {
    enum publish_kind kind;
    bool is_batch;          /* answered item by item, also when it has only one */
    bool is_sample;         /* no items: make up one log for the first mapping */
    char *name, *label;     /* the service; NULL = the test endpoints, which may publish everywhere */
    char **patterns;        /* that the service may publish to */
    unsigned pattern_count;
    char *body;
    struct slice *items;    /* JSON texts within the body, 1 to PUBLISH_ITEMS_MAX */
    size_t item_count;
    struct publish_gate *gate; /* that counts held_bytes; NULL = none */
    size_t held_bytes;
    /* the answer */
    size_t inserted, repeated, failed; /* items */
};

/* Also tells the gate that its bytes are gone. NULL is fine. */
void publish_request_free(struct publish_request *request);

/* May the request's service publish to this valid channel? */
bool publish_request_may(const struct publish_request *request, struct slice channel);

/* How long is the JSON object that the text begins with? By its brackets and strings alone, it need not be valid; 0
 * when it does not begin or does not end. */
size_t publish_object_length(struct slice text);

#endif
