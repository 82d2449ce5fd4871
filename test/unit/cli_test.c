/* cli - the command line. */
#include "cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ARGS_MAX = 16 };

/* Parse a line split at spaces; *said: what was written (freed by the caller). */
static int parse(const char *line, struct cli *cli, char **said, struct error *err)
{
    static char copy[256];
    static char *argv[ARGS_MAX + 1];
    int argc = 0;
    strcpy(copy, line);
    for (char *word = strtok(copy, " "); word && argc < ARGS_MAX; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    size_t len;
    FILE *out = open_memstream(said, &len);
    int rc = cli_parse(argc, argv, out, cli, err);
    fclose(out);
    return rc;
}

static struct cli accept_line(const char *line)
{
    struct cli cli;
    struct error err;
    char *said;
    int rc = parse(line, &cli, &said, &err);
    if (rc != CLI_RUN) {
        fail_msg("%s: %s", line, rc < 0 ? err.text : "answered");
    }
    assert_string_equal(said, "");
    free(said);
    return cli;
}

static void refuse(const char *line, const char *sentence)
{
    struct cli cli;
    struct error err;
    char *said;
    assert_int_equal(parse(line, &cli, &said, &err), -1);
    if (strcmp(err.text, sentence) != 0) {
        fail_msg("%s: \"%s\"", line, err.text);
    }
    free(said);
    cli_fini(&cli);
}

static void answers(const char *line, const char *text)
{
    struct cli cli;
    struct error err;
    char *said;
    assert_int_equal(parse(line, &cli, &said, &err), CLI_ANSWERED);
    assert_non_null(strstr(said, text));
    free(said);
    cli_fini(&cli);
}

static void test_commands(void **state)
{
    (void)state;
    assert_int_equal(accept_line("tailwater").command, CLI_SERVE);
    assert_int_equal(accept_line("tailwater serve").command, CLI_SERVE);
    assert_int_equal(accept_line("tailwater check").command, CLI_CHECK);
    assert_int_equal(accept_line("tailwater print-config").command, CLI_PRINT_CONFIG);
    assert_int_equal(accept_line("tailwater healthcheck").command, CLI_HEALTHCHECK);
    assert_true(accept_line("tailwater check --offline").offline);
    assert_true(accept_line("tailwater --offline check").offline);
    struct cli cli = accept_line("tailwater demo --rate=20 --seconds 3 --database=shop");
    assert_int_equal(cli.command, CLI_DEMO);
    assert_int_equal(cli.demo_rate, 20);
    assert_int_equal(cli.demo_seconds, 3);
    assert_string_equal(cli.demo_database, "shop");
    cli = accept_line("tailwater demo");
    assert_int_equal(cli.demo_rate, 5);
    assert_int_equal(cli.demo_seconds, 0);
    assert_null(cli.demo_database);
}

static void test_token(void **state)
{
    (void)state;
    struct cli cli = accept_line("tailwater token make --user ann --workspace=w1 --channels a,b --expires=15m");
    assert_int_equal(cli.command, CLI_TOKEN);
    assert_int_equal(cli.token.action, CLI_TOKEN_MAKE);
    assert_string_equal(cli.token.user, "ann");
    assert_string_equal(cli.token.workspace, "w1");
    assert_string_equal(cli.token.channels, "a,b");
    assert_int_equal(cli.token.expires_s, 900);
    cli = accept_line("tailwater token make --user ann");
    assert_int_equal(cli.token.expires_s, 3600);
    assert_null(cli.token.workspace);
    cli = accept_line("tailwater token check --config a.yaml eyJ.e30.x");
    assert_int_equal(cli.token.action, CLI_TOKEN_CHECK);
    assert_string_equal(cli.token.text, "eyJ.e30.x");
    assert_string_equal(accept_line("tailwater token check -").token.text, "-");
    assert_null(accept_line("tailwater token check").token.text);
    assert_true(accept_line("tailwater token hash --new").token.fresh);
    static const struct {
        const char *text;
        int64_t seconds;
    } durations[] = {{"1", 1}, {"90s", 90}, {"2h", 7200}, {"30d", 2592000}, {"3650d", 315360000}};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "tailwater token make --user a --expires %s", durations[i].text);
        assert_int_equal(accept_line(line).token.expires_s, durations[i].seconds);
    }
}

static void test_token_refused(void **state)
{
    (void)state;
    refuse("tailwater token", "behind token stands make, check or hash");
    refuse("tailwater token mak", "behind token stands make, check or hash");
    refuse("tailwater token make", "token make needs --user");
    refuse("tailwater token make ann --user a", "there is an argument too many behind token");
    refuse("tailwater token check a b", "there is an argument too many behind token");
    refuse("tailwater token hash secret",
           "token hash reads the token from standard input: arguments are seen by every process");
    refuse("tailwater token check --user a", "--user, --workspace, --channels and --expires belong to token make");
    refuse("tailwater --expires 5", "--user, --workspace, --channels and --expires belong to token make");
    refuse("tailwater token make --user a --new", "--new belongs to token hash");
    refuse("tailwater serve -", "options begin with two dashes: --name=value");
    static const char *const durations[] = {"0", "h", "1y", "1.5h", "-1", "3651d", "99999999999"};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "tailwater token make --user a --expires=%s", durations[i]);
        refuse(line, "--expires: expected a duration such as 90s, 15m, 1h or 30d, at most 3650d");
    }
}

static void test_options(void **state)
{
    (void)state;
    struct cli cli = accept_line("tailwater --config=a.yaml serve --journal.bytes=1MiB --heartbeat-s 5 --insecure "
                                 "--allowed_origins= --mongodb.uri=mongodb://h/?a=b");
    assert_string_equal(cli.config_file, "a.yaml");
    assert_int_equal(cli.flag_count, 5);
    assert_string_equal(cli.flags[0], "journal.bytes=1MiB");
    assert_string_equal(cli.flags[1], "heartbeat_s=5");
    assert_string_equal(cli.flags[2], "insecure=true");
    assert_string_equal(cli.flags[3], "allowed_origins=");
    assert_string_equal(cli.flags[4], "mongodb.uri=mongodb://h/?a=b");
    assert_null(cli.flags[5]);
    cli_fini(&cli);
    cli = accept_line("tailwater --config b.yaml --insecure=no");
    assert_string_equal(cli.config_file, "b.yaml");
    assert_string_equal(cli.flags[0], "insecure=no");
    cli_fini(&cli);
}

static void test_answers(void **state)
{
    (void)state;
    answers("tailwater --help", "usage: tailwater [command]");
    answers("tailwater help", "--journal.bytes=64MiB");
    answers("tailwater -h", "Exit codes");
    answers("tailwater demo --help", "usage: tailwater");
    answers("tailwater help options", "# Configuration");
    answers("tailwater help serve", "usage: tailwater");
    answers("tailwater version", "libmongoc ");
    answers("tailwater --version", "tailwater 0.");
    answers("tailwater -V", "libevent ");
}

static void test_refused(void **state)
{
    (void)state;
    refuse("tailwater srve", "unknown command \"srve\" (did you mean \"serve\"?)");
    refuse("tailwater bogus", "unknown command \"bogus\"; there are serve, check, demo, print-config, token, "
                              "healthcheck, help and version");
    refuse("tailwater serve check", "unexpected argument \"check\" behind \"serve\"");
    refuse("tailwater --journal.byte=5", "unknown option --journal.byte (did you mean --journal.bytes?)");
    refuse("tailwater --confg=x", "unknown option --confg (did you mean --config?)");
    refuse("tailwater --xyzzy-xyzzy=1", "unknown option --xyzzy_xyzzy");
    refuse("tailwater --help=1", "--help takes no value");
    refuse("tailwater --config", "--config needs a value");
    refuse("tailwater --heartbeat_s", "--heartbeat_s needs a value");
    refuse("tailwater -x", "options begin with two dashes: --name=value");
    refuse("tailwater --", "an option is written --name=value");
    refuse("tailwater --=x", "an option is written --name=value");
    refuse("tailwater --rate=5", "--rate, --seconds and --database belong to the command demo");
    refuse("tailwater --offline", "--offline belongs to the command check");
    refuse("tailwater demo --rate=0", "--rate: expected a whole number, 1 to 10000");
    refuse("tailwater demo --rate=99999999999999", "--rate: expected a whole number, 1 to 10000");
    refuse("tailwater demo --rate=1.5", "--rate: expected a whole number, 1 to 10000");
    refuse("tailwater demo --database=a.b",
           "--database: the name may not contain white space, control characters or any of / \\ . \" $");
}

/* What may hold a password is never repeated. */
static void test_secrets(void **state)
{
    (void)state;
    refuse("tailwater mongodb://u:secret@h/",
           "an argument is neither a command nor an option (a connection string goes into MONGODB_URI)");
    refuse("tailwater --mongodb://u:secret@h/", "an option is written --name=value");
    refuse("tailwater --mongodb-uri=mongodb://u:secret@h/",
           "unknown option --mongodb_uri (did you mean --mongodb.uri?)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands), cmocka_unit_test(test_options), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_secrets), cmocka_unit_test(test_token),
        cmocka_unit_test(test_token_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
