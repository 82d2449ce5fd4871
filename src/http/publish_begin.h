/*
 * publish_begin - a publisher's request on its way to the blocking threads, once it is known who sent it, and the
 * answer on its way back. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_PUBLISH_BEGIN_H
#define TAILWATER_HTTP_PUBLISH_BEGIN_H

#include "exchange.h"
#include "loop.h"

/*
 * Read the body into a request of which kind, name, label and patterns are set, unless it is a sample; keep the limits;
 * have it stored. Takes the request. Answers what is refused at once.
 */
void publish_begin(struct loop *loop, struct exchange *exchange, struct publish_request *request);

#endif
