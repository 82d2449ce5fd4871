/*
 * publish_request - the body of a publisher's request, cut into items: one JSON object, an array of them, or NDJSON, a
 * line each. What an item holds is read where it is stored. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_PUBLISH_REQUEST_H
#define TAILWATER_HTTP_PUBLISH_REQUEST_H

#include "error.h"
#include "publish.h"

enum publish_body {
    PUBLISH_BODY_OTHER, /* nothing that a page of another site could not send, too */
    PUBLISH_BODY_JSON,
    PUBLISH_BODY_NDJSON,
};

/* What a Content-Type means; NULL is PUBLISH_BODY_OTHER. */
enum publish_body publish_body_of(const char *content_type);

/*
 * Copy the body and cut it: body, items, item_count and is_batch of an otherwise fresh request. Returns 0, or -1 with
 * *err: no item, too many, or an array that is none.
 */
int publish_request_read(struct publish_request *request, enum publish_body kind, struct slice body, struct error *err);

#endif
