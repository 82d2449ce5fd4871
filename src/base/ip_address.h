/*
 * ip_address - addresses of the Internet Protocol and ranges of them ("10.0.0.0/8"), as values.
 *
 * IPv4 is kept as IPv6 with the prefix ::ffff:0:0/96, so that one comparison serves both and "::ffff:10.0.0.1" is the
 * same address as "10.0.0.1". Pure functions, any thread.
 */
#ifndef TAILWATER_BASE_IP_ADDRESS_H
#define TAILWATER_BASE_IP_ADDRESS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { IP_ADDRESS_TEXT_MAX = 46 }; /* with NUL */

struct ip_address {
    uint8_t bytes[16];
};

struct ip_range {
    struct ip_address first;
    unsigned bits; /* of 128 that must be the same */
};

/* Read "127.0.0.1", "::1" or "[::1]"; no port. Returns 0, or -1 when it is none. */
int ip_address_parse(const char *text, size_t len, struct ip_address *out);

/* Of a peer; an unknown family (a Unix socket) gives "::". */
struct ip_address ip_address_of(const struct sockaddr *address);

/* As text, IPv4 in dots. */
void ip_address_format(const struct ip_address *address, char out[IP_ADDRESS_TEXT_MAX]);

/* What one customer has of the Internet: an IPv4 address, an IPv6 network of 64 bits. To be counted by. */
struct ip_address ip_address_site(const struct ip_address *address);

bool ip_address_is_loopback(const struct ip_address *address);

/* Read "10.0.0.0/8", "fd00::/8" or a single address. Bits behind the prefix must be 0. Returns 0, or -1 with *err. */
int ip_range_parse(const char *text, struct ip_range *out, struct error *err);

bool ip_range_has(const struct ip_range *range, const struct ip_address *address);

#endif
