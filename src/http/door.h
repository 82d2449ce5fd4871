/*
 * door - how many connections of any kind one address may have. A trusted proxy comes in for many clients: its streams
 * are counted by whom it speaks for instead.
 *
 * Any thread; the counts are shared by all loops.
 */
#ifndef TAILWATER_HTTP_DOOR_H
#define TAILWATER_HTTP_DOOR_H

#include "ip_address.h"

enum door_answer {
    DOOR_SHUT,    /* no */
    DOOR_OPEN,    /* come in */
    DOOR_COUNTED, /* come in; door_leave() when it is gone */
};

/* May this peer have one more connection? loop: a struct loop (they are http_server_options.enter and leave). */
enum door_answer door_enter(const struct ip_address *peer, void *loop);

void door_leave(const struct ip_address *peer, void *loop);

#endif
