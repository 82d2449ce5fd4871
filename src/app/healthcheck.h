/*
 * healthcheck - `tailwater healthcheck`: ask the listener of this configuration for /health, from the same machine; for
 * images that have no curl. Thread: main.
 */
#ifndef TAILWATER_APP_HEALTHCHECK_H
#define TAILWATER_APP_HEALTHCHECK_H

#include "config.h"

#include <stdio.h>

/*
 * config: as config_load_auth() gives it. Writes one line to out: who was asked, and the answer or why there was none.
 * Returns the program's exit code: CLI_EXIT_DONE for 200 (healthy and degraded), else CLI_EXIT_FAILED, after 5 s at the
 * latest. The certificate of a TLS listener is not judged: its name is not that of the loopback.
 */
int healthcheck_run(const struct config *config, FILE *out);

#endif
