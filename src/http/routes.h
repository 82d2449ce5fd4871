/*
 * routes - the one table of paths: which methods each takes and who answers. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_ROUTES_H
#define TAILWATER_HTTP_ROUTES_H

#include "exchange.h"

/* exchange_handler_fn for a server; arg: struct loop. */
void routes_handle(struct exchange *exchange, void *loop);

/* What stands in place of the path's {parameter}, as sent; borrowed. For endpoints whose path in the table has one. */
struct slice routes_parameter(const struct exchange *exchange);

#endif
