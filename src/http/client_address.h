/*
 * client_address - from which address a request really comes: its connection's other end or, where that is a trusted
 * proxy, what X-Forwarded-For tells. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_CLIENT_ADDRESS_H
#define TAILWATER_HTTP_CLIENT_ADDRESS_H

#include "access.h"
#include "exchange.h"
#include "ip_address.h"

/*
 * The peer; of a trusted one the rightmost address of X-Forwarded-For (all headers of that name are one list) that is
 * no trusted proxy itself, or the leftmost when all are. The peer, too, when there is no such header, or no address where
 * the proxies should have written one.
 */
struct ip_address client_address_of(const struct exchange *exchange, const struct access *access);

#endif
