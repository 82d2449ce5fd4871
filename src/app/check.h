/*
 * check - does this configuration work: connects to every source's MongoDB and says what it finds, in words.
 * Thread: main.
 */
#ifndef TAILWATER_APP_CHECK_H
#define TAILWATER_APP_CHECK_H

#include "config.h"
#include "database.h"
#include "source.h"

#include <stdio.h>

/*
 * How will this source be followed? *polls is SOURCE_FOLLOWS_STREAM, or why it will be polled (mode: auto). Returns 0,
 * 1 when the deployment could not be reached (which may pass), or -1 when it cannot be followed as things are (a
 * standalone server, no rights); *err says why and what to do.
 */
int check_source(const struct config *config, const struct config_source *source, struct database *database,
                 enum source_polling *polls, struct error *err);

/* The `check` command: prints a line for each source. Returns the exit status. */
int check_run(const struct config *config, bool offline, FILE *out);

#endif
