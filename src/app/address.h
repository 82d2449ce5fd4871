/*
 * address - "host:port" of a listener. Pure: no look-up of names. Any thread.
 */
#ifndef TAILWATER_APP_ADDRESS_H
#define TAILWATER_APP_ADDRESS_H

#include "error.h"

#include <stdbool.h>

struct address {
    char host[128]; /* without brackets */
    int port;       /* 0..65535; 0 lets the system choose */
    bool loopback;  /* only this machine can connect */
};

/* Parse "127.0.0.1:3002", "[::1]:3002" or "name:3002". Returns 0, or -1 with what is wrong. */
int address_parse(const char *text, struct address *out, struct error *err);

/* 127.0.0.0/8, ::1 (also as ::ffff:127.x.x.x) and the name localhost. */
bool address_is_loopback(const char *host);

#endif
