/* config_auth - `auth:` of the configuration: what ends open mode, what is refused and where, and what it makes. */
#include "config.h"
#include "config_auth.h"
#include "forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "a secret of more than thirty-two bytes"
#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char file[] = "/tmp/tailwater-config-XXXXXX";
static char secret_file[] = "/tmp/tailwater-secret-XXXXXX";

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

static int begin(void **state)
{
    (void)state;
    for (char **at = environ; *at;) {
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
        bool is_ours = strncmp(name, "TAILWATER_", 10) == 0;
        at = is_ours ? environ : at + 1;
        if (is_ours) {
            unsetenv(name);
        }
    }
    chmod(secret_file, 0600);
    return setenv("MONGODB_URI", "mongodb://127.0.0.1:27017/shop", 1);
}

static struct config *accept_flags(const char *text, const char *const *flags)
{
    struct config *config;
    struct error err;
    write_file(file, text);
    if (config_load(file, flags, &config, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return config;
}

static struct config *accept_config(const char *text)
{
    return accept_flags(text, NULL);
}

/* Two times "@" in a sentence stands for the file's name, "$" for the secret file's. */
static void refuse(const char *text, const char *expected)
{
    struct config *config;
    struct error err;
    struct buffer sentence = BUFFER_INIT;
    write_file(file, text);
    assert_int_equal(config_load(file, NULL, &config, &err), -1);
    assert_null(config);
    for (const char *p = expected; *p; p++) {
        if (*p == '@' || *p == '$') {
            buffer_append_text(&sentence, *p == '@' ? file : secret_file);
        } else {
            buffer_append_byte(&sentence, *p);
        }
    }
    assert_string_equal(err.text, buffer_text(&sentence));
    buffer_fini(&sentence);
}

/* --- open mode ------------------------------------------------------------------------------------- */

static void expect_closed(struct config *config)
{
    assert_true(config->has_auth);
    assert_false(config->open_mode);
    assert_false(access_is_open(config->access));
    config_free(config);
}

static void test_open(void **state)
{
    (void)state;
    struct config *config = accept_config("grants_max_age_s: 5\npublish_collection: x\ntest_endpoints: false\n");
    assert_false(config->has_auth);
    assert_true(config->open_mode);
    assert_true(access_is_open(config->access));
    config_free(config);
    config = accept_config("listen: 0.0.0.0:80\ninsecure: true\n");
    assert_false(config->open_mode); /* no check of Host, but everyone reads */
    assert_true(access_is_open(config->access));
    config_free(config);
}

static void test_any_key_ends_it(void **state)
{
    (void)state;
    expect_closed(accept_config("auth: { anonymous: [\"logs:*\"] }\n"));
    expect_closed(accept_config("auth:\n  proxies: [127.0.0.1/32]\n"));
    static const char *const flags[] = {"auth.anonymous=logs:*", NULL};
    expect_closed(accept_flags("", flags));
    setenv("TAILWATER_AUTH_JWT_SECRET", SECRET, 1);
    expect_closed(accept_config(""));
    unsetenv("TAILWATER_AUTH_JWT_SECRET");
    /* What says nothing, or nothing that anyone could use, is an error rather than an open door. */
    static const char nobody[] = "@:1: auth: nobody could ever read or publish; configure auth.jwt, auth.proxies, "
                                 "auth.anonymous or auth.services";
    refuse("auth:\n", nobody);
    refuse("auth: {}\n", nobody);
    refuse("auth: { anonymous: [] }\n", nobody);
    refuse("auth: { cookie: x, jwt: { issuer: x } }\n", nobody);
    refuse("auth: { admin_token_sha256: " HASH_A " }\n", nobody);
    setenv("TAILWATER_AUTH_COOKIE", "x", 1);
    refuse("", "auth: nobody could ever read or publish; configure auth.jwt, auth.proxies, auth.anonymous or "
               "auth.services");
    unsetenv("TAILWATER_AUTH_COOKIE");
}

static void test_other_machines(void **state)
{
    (void)state;
    struct config *config = accept_config("listen: 0.0.0.0:80\nauth: { jwt: { secret: " SECRET " } }\n");
    assert_int_equal(config->warning_count, 0);
    config_free(config);
    config = accept_config("listen: 0.0.0.0:80\nauth: { anonymous: [\"logs:*\", \"*\"] }\n");
    assert_int_equal(config->warning_count, 1);
    assert_string_equal(config->warnings[0],
                        "auth.anonymous holds *: everyone who can reach the listener may read everything");
    config_free(config);
    config = accept_config("auth: { anonymous: [\"*\"] }\n");
    assert_int_equal(config->warning_count, 0);
    config_free(config);
}

/* --- values ---------------------------------------------------------------------------------------- */

static void test_values_refused(void **state)
{
    (void)state;
    refuse("auth:\n  anonymous:\n    - logs:*\n    - a::b\n",
           "@:4: auth.anonymous[1]: not a pattern: a segment is empty");
    refuse("auth:\n  anonymous: [\"a:{user}\"]\n",
           "@:2: auth.anonymous[0]: not a pattern: nobody in particular has a {user} or {workspace}");
    refuse("auth:\n  grants:\n    everyone:\n      - a:x{user}\n",
           "@:4: auth.grants.everyone[0]: not a pattern: a placeholder is a whole segment, {user} or {workspace}");
    refuse("auth:\n  proxies: [10.0.0.0/8,\n 10.0.0.1/8]\n",
           "@:3: auth.proxies[1]: \"10.0.0.1/8\": the address has bits behind its prefix");
    refuse("auth:\n  proxies: [proxy.example]\n",
           "@:2: auth.proxies[0]: \"proxy.example\" is not an address, nor a range such as 10.0.0.0/8");
    refuse("auth:\n  jwt:\n    secret: short\n",
           "@:3: auth.jwt.secret: it has 5 bytes; at least 32 are needed (openssl rand -hex 32 makes one)");
    refuse("auth:\n  ticket_secret: short\n",
           "@:2: auth.ticket_secret: it has 5 bytes; at least 32 are needed (openssl rand -hex 32 makes one)");
    refuse("auth:\n  jwt: { secret: " SECRET ",\n secret_file: /x }\n",
           "@:3: auth.jwt.secret_file: auth.jwt.secret is set as well; keep one of them");
    refuse("auth:\n  cookie: \"a b\"\n",
           "@:2: auth.cookie: a cookie's name has letters, digits and none of the separators of HTTP");
    refuse("auth:\n  admin_token_sha256: token\n",
           "@:2: auth.admin_token_sha256: expected the SHA-256 of a token in 64 hex digits; `tailwater token hash` "
           "makes it");
    static const char *const collections[] = {"grants", "platform.", ".grants", "a.system.b", "a b.c", "a.b$c"};
    for (size_t i = 0; i < sizeof collections / sizeof collections[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "auth:\n  grants_collection: \"%s\"\n", collections[i]);
        refuse(text, "@:2: auth.grants_collection: expected database.collection, such as platform.grants");
    }
    setenv("TAILWATER_AUTH_ANONYMOUS", "logs:*,a b", 1);
    refuse("auth:\n  anonymous: [x]\n", "TAILWATER_AUTH_ANONYMOUS: auth.anonymous[1]: not a pattern: white space, "
                                        "control characters, ',' and '%' must be percent-encoded");
    unsetenv("TAILWATER_AUTH_ANONYMOUS");
}

static void test_unknown_keys(void **state)
{
    (void)state;
    refuse("auth:\n  service: []\n", "@:2: unknown key \"auth.service\" (did you mean \"auth.services\"?)");
    refuse("auth:\n  grants:\n    user: {}\n",
           "@:3: unknown key \"auth.grants.user\" (did you mean \"auth.grants.users\"?)");
    refuse("auth:\n  jwt:\n    secrt: x\n", "@:3: unknown key \"auth.jwt.secrt\" (did you mean \"auth.jwt.secret\"?)");
    refuse("auht: {}\n", "@:1: unknown key \"auht\" (did you mean \"auth\"?)");
    setenv("TAILWATER_AUTH_SERVICES", "[]", 1);
    refuse("", "TAILWATER_AUTH_SERVICES: lists and maps of entries stand in the configuration file");
    unsetenv("TAILWATER_AUTH_SERVICES");
    setenv("TAILWATER_AUTH_JWT_SECRTE", "x", 1);
    refuse("", "unknown environment variable TAILWATER_AUTH_JWT_SECRTE (did you mean TAILWATER_AUTH_JWT_SECRET?)");
    unsetenv("TAILWATER_AUTH_JWT_SECRTE");
}

/* --- users and services ---------------------------------------------------------------------------- */

static void test_users(void **state)
{
    (void)state;
    struct config *config = accept_config("auth:\n"
                                          "  proxies: [127.0.0.1]\n"
                                          "  grants:\n"
                                          "    users:\n"
                                          "      ann: [\"logs:etl:w1:*\", \"alerts:{user}\"]\n"
                                          "      \"b.[x]\": []\n");
    assert_int_equal(config->auth_user_count, 2);
    struct identity *ann = identity_new(IDENTITY_PROXY, "ann", NULL);
    char **patterns;
    assert_int_equal(access_patterns(config->access, ann, &patterns), 2);
    assert_string_equal(patterns[0], "alerts:ann");
    assert_string_equal(patterns[1], "logs:etl:w1:*");
    memory_free_texts(patterns, 2);
    identity_unref(ann);
    config_free(config);
    refuse("auth:\n  grants:\n    users: [ann]\n",
           "@:3: auth.grants.users: expected a map from at most 10000 users to lists of patterns");
    refuse("auth:\n  grants:\n    users:\n      ann: logs\n",
           "@:4: auth.grants.users.ann: expected a list of at most 256 channels and patterns");
    refuse("auth:\n  grants:\n    users:\n      ann:\n        - logs:*\n        - \"*x\"\n",
           "@:6: auth.grants.users.ann[1]: not a pattern: '*' must be a whole segment (a value '*' is written %2A)");
    refuse("auth:\n  grants:\n    users:\n      ann: [5]\n",
           "@:4: auth.grants.users.ann[0]: not a pattern: expected text");
    refuse("auth:\n  grants:\n    users:\n      \"a\\nb\": []\n",
           "@:4: auth.grants.users: a user's name has 1 to 256 bytes and no control characters");
}

static void test_services(void **state)
{
    (void)state;
    struct config *config = accept_config("auth:\n"
                                          "  services:\n"
                                          "    - name: l5-etl-service\n"
                                          "      service: etl\n"
                                          "      token_sha256: [" HASH_A ", " HASH_B "]\n"
                                          "      publish: [\"logs:*\", \"metrics:*\"]\n");
    assert_int_equal(config->auth_service_count, 1);
    const struct access_service *service = access_service_at(config->access, 0);
    assert_string_equal(service->name, "l5-etl-service");
    assert_string_equal(service->service, "etl");
    assert_int_equal(service->publish_count, 2);
    config_free(config);
    static const struct {
        const char *entry, *sentence;
    } cases[] = {
        {"x", "@:1: auth.services[0]: expected { name: …, token_sha256: …, publish: [patterns] }"},
        {"{nam: a}", "@:1: unknown key \"nam\" (did you mean \"name\"?)"},
        {"{publish: [a]}", "@:1: auth.services[0].name: expected 1 to 64 letters, digits, - . or _"},
        {"{name: \"a b\"}", "@:1: auth.services[0].name: expected 1 to 64 letters, digits, - . or _"},
        {"{name: a, token_sha256: x}", "@:1: auth.services[0].token_sha256: expected the SHA-256 of a token in 64 hex "
                                       "digits; `tailwater token hash` makes it"},
        {"{name: a}", "@:1: auth.services[0].token_sha256: expected the SHA-256 of a token in 64 hex digits; "
                      "`tailwater token hash` makes it"},
        {"{name: a, token_sha256: []}",
         "@:1: auth.services[0].token_sha256: expected one, or two while a token is replaced"},
        {"{name: a, token_sha256: [" HASH_A "," HASH_A "]}",
         "@:1: auth.services[0].token_sha256[1]: auth.services[0] has the same token"},
        {"{name: a, token_sha256: " HASH_A "}",
         "@:1: auth.services[0].publish: expected a list of at most 256 channels and patterns"},
        {"{name: a, token_sha256: " HASH_A ", publish: []}",
         "@:1: auth.services[0].publish: without a pattern it may publish nothing"},
        {"{name: a, token_sha256: " HASH_A ", publish: [\"a:{user}\"]}",
         "@:1: auth.services[0].publish[0]: not a pattern: there is nobody whose {user} or {workspace} it could be"},
        {"{name: a, service: \"\", token_sha256: " HASH_A ", publish: [a]}",
         "@:1: auth.services[0].service: expected the label that its mappings have, or the name of a collection"},
        {"{name: a, token_sha256: " HASH_A ", publish: [a]}, {name: a}",
         "@:1: auth.services[1].name: auth.services[0] has the same name"},
        {"{name: a, token_sha256: " HASH_A ", publish: [a]}, {name: b, token_sha256: \"" HASH_A "\"}",
         "@:1: auth.services[1].token_sha256: auth.services[0] has the same token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = forge_text("auth: { services: [%s] }\n", cases[i].entry);
        refuse(text, cases[i].sentence);
        free(text);
    }
    refuse("auth: { admin_token_sha256: " HASH_A ", services: [{name: a, token_sha256: " HASH_A "}] }\n",
           "@:1: auth.services[0].token_sha256: the admin has the same token");
}

/* --- files ----------------------------------------------------------------------------------------- */

static void test_secret_files(void **state)
{
    (void)state;
    struct error err;
    struct buffer secret = BUFFER_INIT;
    char *text = forge_text("auth:\n  jwt:\n    secret_file: %s\n  ticket_secret_file: %s\n", secret_file, secret_file);
    write_file(secret_file, SECRET "\n");
    struct config *config = accept_config(text);
    assert_int_equal(config->warning_count, 0);
    assert_true(access_has_tickets(config->access));
    assert_int_equal(config_auth_jwt_secret(config, &secret, &err), 0);
    assert_string_equal(buffer_text(&secret), SECRET);
    buffer_fini(&secret);
    config_free(config);

    chmod(secret_file, 0644);
    config = accept_config(text);
    assert_int_equal(config->warning_count, 2);
    assert_non_null(strstr(config->warnings[0], "every user of this machine may read"));
    config_free(config);

    write_file(secret_file, "short\n");
    refuse(text, "@:3: auth.jwt.secret_file: $ holds 5 bytes; at least 32 are needed");
    write_file(secret_file, "\n");
    refuse(text, "@:3: auth.jwt.secret_file: $ is empty");
    free(text);
    refuse("auth:\n  jwt: { jwks_file: /nowhere }\n",
           "@:2: auth.jwt.jwks_file: cannot read /nowhere: No such file or directory");
}

/* …_FILE is the option that names the file, not a second way to set the secret. */
static void test_environment(void **state)
{
    (void)state;
    write_file(secret_file, SECRET "\n");
    setenv("TAILWATER_AUTH_JWT_SECRET_FILE", secret_file, 1);
    setenv("TAILWATER_AUTH_TICKET_SECRET_FILE", secret_file, 1);
    struct config *config = accept_config("");
    assert_string_equal(config->auth_jwt_secret_file, secret_file);
    assert_null(config->auth_jwt_secret);
    assert_true(access_has_tickets(config->access));
    config_free(config);
    setenv("TAILWATER_AUTH_JWT_SECRET", SECRET, 1);
    refuse("",
           "TAILWATER_AUTH_JWT_SECRET_FILE: auth.jwt.secret_file: auth.jwt.secret is set as well; keep one of them");
    unsetenv("TAILWATER_AUTH_JWT_SECRET");
    unsetenv("TAILWATER_AUTH_JWT_SECRET_FILE");
    unsetenv("TAILWATER_AUTH_TICKET_SECRET_FILE");
}

static void test_reload(void **state)
{
    (void)state;
    struct error err;
    struct config *again;
    static const char *const flags[] = {"auth.jwt.secret=" SECRET, NULL};
    struct config *config = accept_flags("auth: { anonymous: [\"a\"] }\n", flags);
    write_file(file, "auth: { anonymous: [\"a\", \"b\"] }\n");
    assert_int_equal(config_reload(config, &again, &err), 0);
    assert_int_equal(again->auth_anonymous_count, 2);
    assert_string_equal(again->auth_jwt_secret, SECRET);
    config_free(again);
    write_file(file, "auth: { anonymous: [\"a b\"] }\n");
    assert_int_equal(config_reload(config, &again, &err), -1);
    assert_int_equal(config->auth_anonymous_count, 1);
    config_free(config);
}

/* Without MongoDB, for `tailwater token`. */
static void test_auth_alone(void **state)
{
    (void)state;
    struct error err;
    struct config *config;
    unsetenv("MONGODB_URI");
    write_file(file, "auth: { jwt: { secret: " SECRET " } }\n");
    assert_int_equal(config_load(file, NULL, &config, &err), -1);
    assert_int_equal(config_load_auth(file, NULL, &config, &err), 0);
    assert_int_equal(config->source_count, 0);
    assert_non_null(config->access);
    config_free(config);
}

static void test_print(void **state)
{
    (void)state;
    struct buffer text = BUFFER_INIT;
    struct config *config = accept_config("auth:\n"
                                          "  anonymous: [\"logs:*\", \"b\"]\n"
                                          "  jwt: { secret: " SECRET ", issuer: me }\n"
                                          "  ticket_secret: \"" SECRET "\"\n"
                                          "  admin_token_sha256: " HASH_B "\n"
                                          "  services: [{name: etl, token_sha256: " HASH_A ", publish: [\"logs:*\"]}]\n"
                                          "  grants: { users: { ann: [a] } }\n");
    config_append_yaml(config, &text);
    const char *printed = buffer_text(&text);
    assert_null(strstr(printed, SECRET));
    assert_null(strstr(printed, HASH_A));
    assert_null(strstr(printed, HASH_B));
    assert_non_null(strstr(printed, "  anonymous: [\"logs:*\", \"b\"] # "));
    assert_non_null(strstr(printed, "\n  jwt:\n    secret: \"(secret)\" # "));
    assert_non_null(strstr(printed, "\n    issuer: \"me\" # "));
    assert_non_null(strstr(printed, "# auth.grants.users: 1 user\n"));
    assert_non_null(strstr(printed, "# auth.services: etl, 1 token(s), publishes logs:*\n"));
    buffer_fini(&text);
    config_free(config);
}

static int make_files(void **state)
{
    (void)state;
    int a = mkstemp(file), b = mkstemp(secret_file);
    return a < 0 || b < 0 ? -1 : close(a) + close(b);
}

static int remove_files(void **state)
{
    (void)state;
    return unlink(file) + unlink(secret_file);
}

#define TEST(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open),         TEST(test_any_key_ends_it), TEST(test_other_machines), TEST(test_values_refused),
        TEST(test_unknown_keys), TEST(test_users),           TEST(test_services),       TEST(test_secret_files),
        TEST(test_environment),  TEST(test_reload),          TEST(test_auth_alone),     TEST(test_print),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
