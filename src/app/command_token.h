/*
 * command_token - `tailwater token`: making and examining readers' tokens for development, and hashing those of
 * services and the admin. Thread: main; no network.
 */
#ifndef TAILWATER_APP_COMMAND_TOKEN_H
#define TAILWATER_APP_COMMAND_TOKEN_H

#include "cli.h"
#include "config.h"

#include <stdio.h>

/*
 * config: as config_load_auth() gives it; not looked at by `hash`, where it may be NULL. Results go to out, sentences
 * about what is wrong to err_out. Returns the program's exit code.
 */
int command_token_run(const struct config *config, const struct cli_token *command, FILE *in, FILE *out, FILE *err_out);

#endif
