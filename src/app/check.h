/*
 * check - does this configuration work: connects to every source's MongoDB and says what it finds, in words.
 * Thread: main.
 */
#ifndef TAILWATER_APP_CHECK_H
#define TAILWATER_APP_CHECK_H

#include "config.h"
#include "database.h"

#include <stdio.h>

/*
 * Can change streams be had from this deployment? Returns 0, 1 when it could not be reached (which may pass), or -1 when it
 * never will as things are (a standalone server, no rights); *err says why and what to do.
 */
int check_source(const struct config_source *source, struct database *database, struct error *err);

/* The `check` command: prints a line for each source. Returns the exit status. */
int check_run(const struct config *config, bool offline, FILE *out);

#endif
