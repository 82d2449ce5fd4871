/*
 * routes - the one table of paths: which methods each takes and who answers. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_ROUTES_H
#define TAILWATER_HTTP_ROUTES_H

#include "exchange.h"

/* exchange_handler_fn for a server; arg: struct loop. */
void routes_handle(struct exchange *exchange, void *loop);

#endif
