/* main - from the command line to an exit status. */
#include "check.h"
#include "cli.h"
#include "command_token.h"
#include "config.h"
#include "database.h"
#include "demo.h"
#include "healthcheck.h"
#include "log.h"
#include "serve.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t demo_stop;

static void on_signal(int number)
{
    (void)number;
    demo_stop = 1;
}

static int run_demo(const struct config *config, const struct cli *cli)
{
    struct error err;
    struct sigaction action = {.sa_handler = on_signal};
    const struct config_source *source = &config->sources[0];
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int rc = demo_run(config_source_uri(config, source), cli->demo_database ? cli->demo_database : source->database,
                      cli->demo_rate, cli->demo_seconds, &demo_stop, &err);
    if (rc != 0) {
        log_error("demo", "%s", err.text);
    }
    return rc == 0 ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

/* Sentences of the configuration that are no errors. */
static void log_warnings(const struct config *config)
{
    for (unsigned i = 0; i < config->warning_count; i++) {
        log_warn("config", "%s", config->warnings[i]);
    }
}

static int run_command(const struct config *config, const struct cli *cli)
{
    switch (cli->command) {
    case CLI_SERVE:
        return serve_run(config);
    case CLI_CHECK:
        return check_run(config, cli->offline, stdout);
    case CLI_DEMO:
        return run_demo(config, cli);
    case CLI_PRINT_CONFIG:
        config_print(config, stdout);
        return CLI_EXIT_DONE;
    case CLI_TOKEN:
        return command_token_run(config, &cli->token, stdin, stdout, stderr);
    case CLI_HEALTHCHECK:
        return healthcheck_run(config, stdout);
    }
    return CLI_EXIT_USAGE;
}

/* What the command needs of the configuration. */
static int load_config(const struct cli *cli, struct config **config, struct error *err)
{
    bool needs_sources = cli->command != CLI_TOKEN && cli->command != CLI_HEALTHCHECK;
    return needs_sources ? config_load(cli->config_file, cli->flags, config, err)
                         : config_load_auth(cli->config_file, cli->flags, config, err);
}

static enum log_format log_format_of(const struct config *config)
{
    if (strcmp(config->log_format, "json") == 0) {
        return LOG_FORMAT_JSON;
    }
    return strcmp(config->log_format, "text") == 0 ? LOG_FORMAT_TEXT : LOG_FORMAT_AUTO;
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct config *config = NULL;
    struct error err;
    int status = CLI_EXIT_DONE;
    database_library_start();
    int rc = cli_parse(argc, argv, stdout, &cli, &err);
    if (rc < 0) {
        fprintf(stderr, "tailwater: %s\n", err.text);
        status = CLI_EXIT_USAGE;
    } else if (rc == CLI_RUN && cli.token.action == CLI_TOKEN_HASH) {
        status = command_token_run(NULL, &cli.token, stdin, stdout, stderr);
    } else if (rc == CLI_RUN && load_config(&cli, &config, &err) != 0) {
        fprintf(stderr, "tailwater: %s\n", err.text);
        status = CLI_EXIT_CONFIG;
    } else if (rc == CLI_RUN) {
        log_configure((enum log_level)log_level_parse(config->log_level), log_format_of(config));
        if (cli.command != CLI_HEALTHCHECK) { /* which says one line */
            log_warnings(config);
        }
        status = run_command(config, &cli);
    }
    config_free(config);
    cli_fini(&cli);
    database_library_stop();
    return status;
}
