/*
 * admin - what the endpoints under /admin share: who may use them, and words of JSON. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_ADMIN_H
#define TAILWATER_HTTP_ADMIN_H

#include "exchange.h"
#include "loop.h"

#include <stdbool.h>

/* Does the request carry the admin token? false after a 404 (there is no such token here), a 401, or a 503 while this
 * instance shuts down. */
bool admin_enter(struct loop *loop, struct exchange *exchange);

/* Append ,"name":value for each kind of value; a time of 0 and a text of NULL are null. */
void admin_append_text(struct buffer *out, const char *name, const char *text);
void admin_append_time(struct buffer *out, const char *name, int64_t wall_ms);
void admin_append_number(struct buffer *out, const char *name, int64_t number);

#endif
