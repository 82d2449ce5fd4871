/*
 * cli - the command line: tailwater [command] [--config FILE] [--name=value …].
 *
 * Thread: main.
 */
#ifndef TAILWATER_APP_CLI_H
#define TAILWATER_APP_CLI_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How the program ends. */
enum cli_exit {
    CLI_EXIT_DONE = 0,
    CLI_EXIT_FAILED = 1,  /* at run time */
    CLI_EXIT_USAGE = 2,   /* the command line */
    CLI_EXIT_CONFIG = 78, /* the configuration (EX_CONFIG of sysexits) */
};

enum cli_command { CLI_SERVE, CLI_CHECK, CLI_DEMO, CLI_PRINT_CONFIG, CLI_TOKEN, CLI_HEALTHCHECK };

enum cli_token_action { CLI_TOKEN_NONE, CLI_TOKEN_MAKE, CLI_TOKEN_CHECK, CLI_TOKEN_HASH };

/* What follows `token`; texts belong to argv. */
struct cli_token {
    enum cli_token_action action;
    const char *user, *workspace, *channels; /* make: NULL = not given; channels: with commas */
    int64_t expires_s;                       /* make */
    const char *text;                        /* check: the token, a secret; NULL or "-": standard input */
    bool fresh;                              /* hash: make a new one */
};

struct cli {
    enum cli_command command;
    const char *config_file; /* NULL: none; belongs to argv */
    const char **flags;      /* "name=value", NULL-terminated, for config_load() */
    unsigned flag_count;
    bool offline;            /* check: do not connect */
    int64_t demo_rate;       /* documents a second, 1..10000 */
    int64_t demo_seconds;    /* 0: until stopped */
    const char *demo_database; /* NULL: that of the first source; belongs to argv */
    struct cli_token token;
};

enum cli_outcome {
    CLI_RUN = 0,      /* carry out cli->command */
    CLI_ANSWERED = 1, /* help or version is written to out: exit with CLI_EXIT_DONE */
};

/*
 * Parse. Returns a cli_outcome, or -1 with a sentence about the command line (exit with CLI_EXIT_USAGE): values are
 * never quoted in it, they may be secrets. Names of options are checked here, values by config_load(). argv is borrowed
 * for the life of *cli; cli_fini() releases the rest, after any outcome.
 */
int cli_parse(int argc, char **argv, FILE *out, struct cli *cli, struct error *err);
void cli_fini(struct cli *cli);

#endif
