/*
 * serve - the composition root: makes everything in order, runs until a signal, ends it in reverse.
 * Thread: main.
 */
#ifndef TAILWATER_APP_SERVE_H
#define TAILWATER_APP_SERVE_H

#include "config.h"

/* Serve until SIGTERM or SIGINT. Returns the exit status. */
int serve_run(const struct config *config);

#endif
