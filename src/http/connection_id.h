/*
 * connection_id - the name of a connection: 32 hex digits that nobody guesses, drawn at random. It says, to this
 * process alone, which loop has the connection: the loops share a port, so what a client sends about its connection
 * may arrive at another one. Pure but for the random numbers; any thread.
 */
#ifndef TAILWATER_HTTP_CONNECTION_ID_H
#define TAILWATER_HTTP_CONNECTION_ID_H

#include "frame.h"

#include <stdint.h>

enum { CONNECTION_ID_LEN = 32 };

/* Draw one for this loop of so many, at most 256. It costs some of the 128 random bits: one for two loops, 6 for 64. */
void connection_id_draw(unsigned loop, unsigned loops, char out[CONNECTION_ID_LEN + 1]);

/* Copy what a client sent. Returns 0, or -1 when it cannot be one. */
int connection_id_parse(struct slice text, char out[CONNECTION_ID_LEN + 1]);

/* The loop that has it, if any has. */
unsigned connection_id_loop(const char *id, unsigned loops);

/* The number by which its loop knows it; others may have the same. */
uint64_t connection_id_number(const char *id);

#endif
