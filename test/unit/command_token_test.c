/* command_token - tokens made, examined and hashed on the command line. */
#include "buffer.h"
#include "command_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define AUTH "auth:\n  jwt: { secret: a secret of more than thirty-two bytes, issuer: me }\n"

static char file[] = "/tmp/tailwater-config-XXXXXX";
static char *said, *complained;

static struct config *load(const char *text)
{
    struct config *config;
    struct error err;
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    if (config_load_auth(file, NULL, &config, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return config;
}

/* What it says is in said and complained until the next run. */
static int run(const struct config *config, struct cli_token command, const char *input)
{
    size_t out_len, err_len;
    free(said);
    free(complained);
    FILE *out = open_memstream(&said, &out_len), *err_out = open_memstream(&complained, &err_len), *in = tmpfile();
    assert_true(out && err_out && in);
    fputs(input, in);
    rewind(in);
    int status = command_token_run(config, &command, in, out, err_out);
    fclose(in);
    fclose(out);
    fclose(err_out);
    return status;
}

static char *made(const struct config *config, struct cli_token command)
{
    command.action = CLI_TOKEN_MAKE;
    command.expires_s = command.expires_s ? command.expires_s : 60;
    assert_int_equal(run(config, command, ""), CLI_EXIT_DONE);
    assert_string_equal(complained, "");
    said[strcspn(said, "\n")] = '\0';
    return memory_text(said);
}

static void test_make_and_check(void **state)
{
    (void)state;
    struct config *config = load(AUTH "  grants: { everyone: [\"alerts:{user}\"] }\n  grants_collection: a.b\n");
    char *token = made(config, (struct cli_token){.user = "ann", .workspace = "w1", .channels = "logs:*,x"});
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_CHECK, .text = token}, ""), CLI_EXIT_DONE);
    assert_memory_equal(said, "user: ann\nworkspace: w1\nexpires: 20", 35);
    assert_non_null(strstr(said, "may read:\n  alerts:ann\n  logs:*\n  x\nand what a.b says of this user\n"));
    char *line = memory_text(said);
    char *input = memory_new(strlen(token) + 2);
    sprintf(input, "%s\n", token);
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_CHECK, .text = "-"}, input), CLI_EXIT_DONE);
    assert_memory_equal(said, line, 20);
    token[strlen(token) - 10] ^= 1;
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_CHECK, .text = token}, ""), CLI_EXIT_FAILED);
    assert_string_equal(said, "");
    assert_non_null(strstr(complained, "tailwater: the token"));
    assert_null(strstr(complained, token));
    free(token);
    free(line);
    free(input);
    config_free(config);
}

static void test_make_refused(void **state)
{
    (void)state;
    struct config *config = load(AUTH);
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_MAKE, .user = "a", .channels = "a,b c"}, ""),
                     CLI_EXIT_FAILED);
    assert_non_null(strstr(complained, "--channels: entry 2 is not a channel or pattern"));
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_MAKE, .user = ""}, ""), CLI_EXIT_FAILED);
    assert_non_null(strstr(complained, "--user: expected"));
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_MAKE, .user = "a", .workspace = "\n"}, ""),
                     CLI_EXIT_FAILED);
    assert_non_null(strstr(complained, "--workspace: expected"));
    config_free(config);
    config = load("auth: { anonymous: [a] }\n");
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_MAKE, .user = "a"}, ""), CLI_EXIT_FAILED);
    assert_string_equal(complained,
                        "tailwater: auth.jwt.secret is not configured: it is what tokens are signed with\n");
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_CHECK, .text = "a.b.c"}, ""), CLI_EXIT_FAILED);
    assert_string_equal(complained, "tailwater: tokens are not accepted here\n");
    config_free(config);
    config = load("");
    assert_int_equal(run(config, (struct cli_token){.action = CLI_TOKEN_CHECK, .text = "a.b.c"}, ""), CLI_EXIT_FAILED);
    assert_string_equal(complained,
                        "tailwater: no auth is configured: everyone may read, and tokens are not looked at\n");
    config_free(config);
}

static void test_hash(void **state)
{
    (void)state;
    struct cli_token command = {.action = CLI_TOKEN_HASH};
    assert_int_equal(run(NULL, command, "abc\n"), CLI_EXIT_DONE); /* a vector of FIPS 180-2 */
    assert_string_equal(said, "token_sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
    assert_non_null(strstr(complained, "can be guessed"));
    static const char *const wrong[] = {"", "\n", "a b\n", "a\nb\n", "\xc3\xa4\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(run(NULL, command, wrong[i]), CLI_EXIT_FAILED);
        assert_string_equal(said, "");
    }
    command.fresh = true;
    assert_int_equal(run(NULL, command, ""), CLI_EXIT_DONE);
    assert_memory_equal(said, "token: ", 7);
    char token[65], shown[65];
    assert_int_equal(sscanf(said, "token: %64s token_sha256: %64s", token, shown), 2);
    command.fresh = false;
    assert_int_equal(run(NULL, command, token), CLI_EXIT_DONE);
    assert_non_null(strstr(said, shown));
    assert_string_equal(complained, "");
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    free(said);
    free(complained);
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_and_check),
        cmocka_unit_test(test_make_refused),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
