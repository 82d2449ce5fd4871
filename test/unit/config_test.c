/* config - precedence, lists, checks, and sentences that name the place and never a secret. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/tailwater-config-XXXXXX";
static char secret_file[] = "/tmp/tailwater-secret-XXXXXX";

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

/* An environment with nothing of ours but MONGODB_URI. */
static int begin(void **state)
{
    (void)state;
    static const char *const plain[] = {"MONGODB_URI", "MONGODB_URI_FILE", "PORT", "ALLOWED_ORIGINS", "LOG_LEVEL",
                                        "REDIS_URL"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        unsetenv(plain[i]);
    }
    for (char **at = environ; *at;) {
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
        if (strncmp(name, "TAILWATER_", 10) == 0) {
            unsetenv(name);
            at = environ;
        } else {
            at++;
        }
    }
    return setenv("MONGODB_URI", "mongodb://127.0.0.1:27017/shop", 1);
}

/* Load a text (NULL: no file) with flags (NULL: none). */
static int load(const char *text, const char *const *flags, struct config **config, struct error *err)
{
    if (text) {
        write_file(file, text);
    }
    return config_load(text ? file : NULL, flags, config, err);
}

static struct config *accept_config(const char *text, const char *const *flags)
{
    struct config *config;
    struct error err;
    if (load(text, flags, &config, &err) != 0) {
        fail_msg("%s: %s", text ? text : "(no file)", err.text);
    }
    return config;
}

/* expected: the whole sentence, where "@" stands for the file's name. */
static void refuse_flags(const char *text, const char *const *flags, const char *expected)
{
    struct config *config;
    struct error err;
    assert_int_equal(load(text, flags, &config, &err), -1);
    assert_null(config);
    struct buffer sentence = BUFFER_INIT;
    if (expected[0] == '@') {
        buffer_append_text(&sentence, file);
        expected++;
    }
    buffer_append_text(&sentence, expected);
    assert_string_equal(err.text, buffer_text(&sentence));
    buffer_fini(&sentence);
}

static void refuse(const char *text, const char *expected)
{
    refuse_flags(text, NULL, expected);
}

static void refuse_variable(const char *name, const char *value, const char *expected)
{
    setenv(name, value, 1);
    refuse_flags(NULL, NULL, expected);
    unsetenv(name);
}

/* --- sources ---------------------------------------------------------------------------------- */

static void test_uri_alone(void **state)
{
    (void)state;
    struct config *config = accept_config(NULL, NULL);
    assert_int_equal(config->source_count, 1);
    const struct config_source *source = &config->sources[0];
    assert_string_equal(source->name, "logs");
    assert_int_equal(source->tag, 'a');
    assert_null(source->uri);
    assert_string_equal(source->database, "shop");
    assert_string_equal(source->label, "127.0.0.1:27017/shop");
    assert_non_null(source->mappings);
    assert_string_equal(config_source_uri(config, source), "mongodb://127.0.0.1:27017/shop");
    assert_string_equal(config->listen_host, "127.0.0.1");
    assert_int_equal(config->listen_port, 3002);
    assert_true(config->open_mode);
    assert_int_equal(config->warning_count, 0);
    config_free(config);

    setenv("MONGODB_URI", "mongodb://u:secret@a,b:1/?replicaSet=rs0", 1);
    config = accept_config("", NULL);
    assert_string_equal(config->sources[0].database, "logs");
    assert_string_equal(config->sources[0].label, "a:27017,b:1/logs");
    config_free(config);
    config_free(NULL);
}

static void test_no_uri(void **state)
{
    (void)state;
    unsetenv("MONGODB_URI");
    refuse(NULL, "no MongoDB is configured: set MONGODB_URI (such as mongodb://127.0.0.1:27017/logs), or mongodb.uri "
                 "in "
                 "a file given by --config");
    refuse("sources:\n  - name: x\n",
           "@:2: sources[0]: no MongoDB is configured: set MONGODB_URI (such as mongodb://127.0.0.1:27017/logs), or "
           "mongodb.uri in a file given by --config");
    struct config *config = accept_config("sources: [{ uri: \"mongodb://h/d\" }]\n", NULL);
    assert_string_equal(config_source_uri(config, &config->sources[0]), "mongodb://h/d");
    assert_string_equal(config->sources[0].label, "h:27017/d");
    config_free(config);
}

static void test_sources(void **state)
{
    (void)state;
    struct config *config = accept_config("sources:\n"
                                          "  - name: one\n"
                                          "    database: datashop\n"
                                          "    mappings:\n"
                                          "      - collections: [etl_logs]\n"
                                          "        channel: \"logs:etl:{workspace_id}:{workflow_id}\"\n"
                                          "        labels: { service: etl }\n"
                                          "        match: { level: { $ne: TRACE } }\n"
                                          "  - { name: two, uri: \"mongodb+srv://cluster.example.com/x\" }\n"
                                          "  - { name: three-3_, tag: z }\n",
                                          NULL);
    assert_int_equal(config->source_count, 3);
    assert_string_equal(config->sources[0].database, "datashop");
    assert_string_equal(config->sources[1].label, "cluster.example.com/x");
    assert_int_equal(config->sources[1].tag, 'b');
    assert_int_equal(config->sources[2].tag, 'z');
    assert_string_equal(config->sources[2].database, "shop");
    config_free(config);
    config_free(accept_config("sources:\naliases:\njournal:\n", NULL)); /* headings without content */
}

static void test_sources_refused(void **state)
{
    (void)state;
    refuse("sources: []\n", "@:1: sources: expected a list of at least one source, or no such key");
    refuse("sources: x\n", "@:1: sources: expected a list of at least one source, or no such key");
    refuse("sources:\n  - x\n", "@:2: sources[0]: expected a mapping with name, database and mappings");
    refuse("sources:\n  - name: a\n    databse: x\n", "@:3: unknown key \"databse\" (did you mean \"database\"?)");
    refuse("sources:\n  - database: a\n  - name: b\n", "@:2: sources[0]: a name is missing");
    refuse("sources:\n  - name: a b\n", "@:2: sources[0].name: expected 1 to 32 letters, digits, - or _");
    refuse("sources:\n  - name: 1\n", "@:2: sources[0].name: expected text");
    refuse("sources:\n  - name: a\n  - name: a\n", "@:3: sources[1].name: sources[0] has the same name");
    refuse("sources:\n  - name: a\n    tag: ab\n", "@:3: sources[0].tag: expected one letter from a to z");
    refuse("sources:\n  - name: a\n    tag: b\n  - name: b\n",
           "@:4: sources[1].tag: sources[0] has the tag b already; give each source its own");
    refuse("sources: [{name: a},{name: b},{name: c},{name: d},\n{name: e}]\n",
           "@:2: sources: at most 4; one source can hold many mappings and collections");
    refuse("sources:\n  - name: a\n    database: x.y\n",
           "@:3: sources[0].database: the name of a database may not contain white space, control characters or any of "
           "/ \\ . \" $");
    refuse("sources:\n  - name: a\n    mappings: {}\n", "@:3: sources[0].mappings: expected a list");
}

/* What mapping_set_new() refuses is told with its line. */
static void test_mapping_problem(void **state)
{
    (void)state;
    struct config *config;
    struct error err;
    assert_int_equal(load("sources:\n"
                          "  - name: a\n"
                          "    mappings:\n"
                          "      - collections: [x]\n"
                          "        channel: \"logs:{$collection}:{w}\"\n"
                          "        match:\n"
                          "          $expr: { $gt: [1, 0] }\n",
                          NULL, &config, &err),
                     -1);
    char where[128];
    snprintf(where, sizeof where, "%s:7: sources[0].mappings[0].match", file);
    if (strncmp(err.text, where, strlen(where)) != 0) {
        fail_msg("%s", err.text);
    }
}

static void test_secrets(void **state)
{
    (void)state;
    static const char hint[] =
        "not a valid MongoDB connection string (mongodb://user:password@host:27017/database); characters such as @ : / "
        "% in user and password must be percent-encoded";
    static const char *const uris[] = {
        "mongodb://u:secret@", "mongodb://u:p@secret@h/",  "mongodb://u:se/cret@h/", "mongodb://u:12/secret@h/db",
        "mongodb://h/u:secret@db", "mongodb://u:%zzsecret@h", "http://u:secret@h",
    };
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        char expected[512];
        snprintf(expected, sizeof expected, "MONGODB_URI: mongodb.uri: %s", hint);
        refuse_variable("MONGODB_URI", uris[i], expected);
    }
    begin(NULL);
    refuse("sources:\n  - name: a\n    uri: http://h\n",
           "@:3: sources[0].uri: not a valid MongoDB connection string: Invalid URI Schema, expecting 'mongodb://' or "
           "'mongodb+srv://'");
    setenv("MONGODB_URI", "mongodb://u:secret@h/shop", 1);
    struct config *config = accept_config("listen: 127.0.0.1:1\n", NULL);
    struct buffer shown = BUFFER_INIT;
    config_append_yaml(config, &shown);
    assert_null(strstr(buffer_text(&shown), "secret@"));
    assert_non_null(strstr(buffer_text(&shown), "  uri: \"(secret)\" # MONGODB_URI\n"));
    assert_non_null(strstr(buffer_text(&shown), "  age_s: 3600 # default\n"));
    buffer_fini(&shown);
    config_free(config);
}

/* --- precedence ------------------------------------------------------------------------------- */

static void test_precedence(void **state)
{
    (void)state;
    static const char text[] = "heartbeat_s: 10\nretry_ms: 1000\njournal: { bytes: 1MiB, age_s: 60 }\nport: 4000\n"
                               "insecure: no\nlog:\n  level: error\n";
    static const char *const flags[] = {"journal.bytes=4m", "retry_ms=4000", "retry_ms=5000", NULL};
    setenv("TAILWATER_RETRY_MS", "2000", 1);
    setenv("TAILWATER_JOURNAL_AGE_S", "120", 1);
    setenv("TAILWATER_JOURNAL_WARM_S", "", 1); /* empty: not set */
    setenv("PORT", "5000", 1);
    setenv("LOG_LEVEL", "DEBUG", 1);
    setenv("ALLOWED_ORIGINS", "https://A.example:443, http://b:8080", 1);
    struct config *config = accept_config(text, flags);
    assert_int_equal(config->heartbeat_s, 10);
    assert_int_equal(config->retry_ms, 5000);
    assert_int_equal(config->journal_bytes, 4 << 20);
    assert_int_equal(config->journal_age_s, 120);
    assert_int_equal(config->journal_warm_s, 60);
    assert_int_equal(config->listen_port, 5000);
    assert_string_equal(config->log_level, "debug");
    assert_int_equal(config->allowed_origin_count, 2);
    assert_string_equal(config->allowed_origins[0], "https://a.example");
    assert_string_equal(config->allowed_origins[1], "http://b:8080");
    config_free(config);
    setenv("TAILWATER_PORT", "6000", 1); /* the more specific name wins */
    config = accept_config(text, NULL);
    assert_int_equal(config->listen_port, 6000);
    config_free(config);
}

static void test_value_files(void **state)
{
    (void)state;
    unsetenv("MONGODB_URI");
    write_file(secret_file, "mongodb://u:secret@filehost/shop\n");
    setenv("MONGODB_URI_FILE", secret_file, 1);
    struct config *config = accept_config(NULL, NULL);
    assert_string_equal(config->sources[0].label, "filehost:27017/shop");
    config_free(config);
    setenv("MONGODB_URI", "mongodb://h", 1);
    refuse(NULL, "both MONGODB_URI and MONGODB_URI_FILE are set; unset one of them");
    unsetenv("MONGODB_URI");
    setenv("MONGODB_URI_FILE", "/nonexistent/x", 1);
    refuse(NULL, "MONGODB_URI_FILE: cannot read /nonexistent/x: No such file or directory");
    setenv("MONGODB_URI_FILE", "/dev/null", 1);
    refuse(NULL, "MONGODB_URI_FILE: /dev/null is empty");
    begin(NULL);
    write_file(secret_file, "7\n");
    setenv("TAILWATER_HEARTBEAT_S_FILE", secret_file, 1);
    config = accept_config(NULL, NULL);
    assert_int_equal(config->heartbeat_s, 7);
    config_free(config);
}

static void test_config_variable(void **state)
{
    (void)state;
    write_file(file, "heartbeat_s: 11\n");
    setenv("TAILWATER_CONFIG", file, 1);
    struct config *config = accept_config(NULL, NULL);
    assert_int_equal(config->heartbeat_s, 11);
    config_free(config);
}

static void test_environment(void **state)
{
    (void)state;
    refuse_variable("TAILWATER_JOURNAL_BYTE", "1",
                    "unknown environment variable TAILWATER_JOURNAL_BYTE (did you mean TAILWATER_JOURNAL_BYTES?)");
    refuse_variable("TAILWATER_XYZZY_PLUGH", "1",
                    "unknown environment variable TAILWATER_XYZZY_PLUGH; `tailwater help options` lists all");
    refuse_variable("TAILWATER_SOURCES", "[]",
                    "TAILWATER_SOURCES: lists and maps of entries stand in the configuration file");
    refuse_variable("PORT", "http", "PORT: port: expected a whole number, 0 to 65535");
    refuse_variable("TAILWATER_LIMITS_QUEUE_BYTES", "1",
                    "TAILWATER_LIMITS_QUEUE_BYTES: limits.queue_bytes: expected a number of bytes (also with KiB, "
                    "MiB or "
                    "GiB), 16KiB to 64MiB");
    setenv("REDIS_URL", "redis://:secret@r", 1);
    struct config *config = accept_config(NULL, NULL);
    assert_int_equal(config->warning_count, 1);
    assert_string_equal(config->warnings[0], "REDIS_URL is ignored: MongoDB is the bus");
    config_free(config);
}

static void test_kubernetes_variables(void **state)
{
    (void)state;
    setenv("TAILWATER_PORT", "tcp://10.0.0.1:3002", 1);
    setenv("TAILWATER_SERVICE_HOST", "10.0.0.1", 1);
    setenv("TAILWATER_SERVICE_PORT_HTTP", "3002", 1);
    setenv("TAILWATER_PORT_3002_TCP_ADDR", "10.0.0.1", 1);
    setenv("TAILWATER_OPS_PORT", "tcp://10.0.0.2:3003", 1);
    setenv("TAILWATER_OPS_PORT_3003_TCP", "tcp://10.0.0.2:3003", 1);
    struct config *config = accept_config(NULL, NULL);
    assert_int_equal(config->listen_port, 3002);
    config_free(config);
}

/* --- checks ----------------------------------------------------------------------------------- */

static void test_unknown_keys(void **state)
{
    (void)state;
    refuse("listen: 127.0.0.1:1\njournal:\n  byte: 1\n",
           "@:3: unknown key \"journal.byte\" (did you mean \"journal.bytes\"?)");
    refuse("jornal:\n  bytes: 1\n", "@:1: unknown key \"jornal\" (did you mean \"journal\"?)");
    refuse("source: []\n", "@:1: unknown key \"source\" (did you mean \"sources\"?)");
    refuse("\n\nqueue_bytes: 1\n", "@:3: unknown key \"queue_bytes\" (did you mean \"limits.queue_bytes\"?)");
    refuse("\"x\\ny\": 1\n", "@:1: unknown key \"x?y\"");
    refuse("journal: 5\n", "@:1: journal: expected a section of keys");
    refuse("- a\n", "@:1: expected keys such as \"mongodb:\" and \"sources:\"");
    refuse("just text\n", "@:1: expected keys such as \"mongodb:\" and \"sources:\"");
    refuse("heartbeat_s:\n", "@:1: heartbeat_s: expected a whole number, 1 to 3600 s");
    refuse("journal:\n  bytes: 5\n",
           "@:2: journal.bytes: expected a number of bytes (also with KiB, MiB or GiB), 64KiB to 16GiB");
    refuse("mongodb:\n  uri: [secret]\n", "@:2: mongodb.uri: expected text");
    static const char *const flag[] = {"journal.byte=1", NULL};
    refuse_flags(NULL, flag, "unknown option --journal.byte (did you mean --journal.bytes?)");
    static const char *const range[] = {"heartbeat_s=0", NULL};
    refuse_flags(NULL, range, "flag: heartbeat_s: expected a whole number, 1 to 3600 s");
}

static void test_ops_listener(void **state)
{
    (void)state;
    struct config *c = accept_config("heartbeat_s: 5\n", NULL);
    assert_null(c->ops_listen);
    assert_string_equal(c->ops_host, "");
    config_free(c);
    c = accept_config("ops_listen: \"[::1]:3003\"\n", NULL);
    assert_string_equal(c->ops_host, "::1");
    assert_int_equal(c->ops_port, 3003);
    config_free(c);
    refuse("heartbeat_s: 5\nops_listen: 127.0.0.1\n", "@:2: ops_listen: expected host:port, such as 127.0.0.1:3002");
    refuse("heartbeat_s: 5\nops_listen: 127.0.0.1:3002\n",
           "@:2: ops_listen: must be another address or port than listen");
    refuse_variable("TAILWATER_OPS_LISTEN", "127.0.0.1:3002",
                    "TAILWATER_OPS_LISTEN: ops_listen: must be another address or port than listen");
}

static void test_listener(void **state)
{
    (void)state;
    refuse("x_: 1\nlisten: a\n", "@:1: unknown key \"x_\"");
    refuse("\nlisten: a\n", "@:2: listen: expected host:port, such as 127.0.0.1:3002");
    refuse("listen: 0.0.0.0:80\n",
           "@:1: listen: 0.0.0.0 can be reached by other machines and there is no authentication: configure auth, "
           "listen on a loopback address (127.0.0.1:80), or set insecure: true to serve everyone");
    struct config *config = accept_config("listen: 0.0.0.0:80\ninsecure: true\n", NULL);
    assert_false(config->open_mode);
    assert_int_equal(config->warning_count, 1);
    config_free(config);
    config = accept_config("listen: localhost:80\n", NULL);
    assert_true(config->open_mode);
    config_free(config);
    config = accept_config("listen: \"[::1]:80\"\nport: 81\n", NULL);
    assert_string_equal(config->listen_host, "::1");
    assert_int_equal(config->listen_port, 81);
    config_free(config);
}

static void test_aliases(void **state)
{
    (void)state;
    struct config *config = accept_config("aliases:\n"
                                          "  - path: /api/dapadmin/l5-etl/sse/logs/stream\n"
                                          "    channel: \"logs:etl:{workspace_id}:{workflow_id}\"\n"
                                          "  - { path: /all, channel: \"logs:*\" }\n",
                                          NULL);
    assert_int_equal(config->alias_count, 2);
    assert_string_equal(config->aliases[0].path, "/api/dapadmin/l5-etl/sse/logs/stream");
    assert_string_equal(config->aliases[1].channel, "logs:*");
    config_free(config);
    refuse("aliases: x\n", "@:1: aliases: expected a list of at most 256 entries");
    refuse("aliases:\n  - x\n", "@:2: aliases[0]: expected { path: /…, channel: \"…\" }, both texts");
    refuse("aliases:\n  - path: /x\n", "@:2: aliases[0]: expected { path: /…, channel: \"…\" }, both texts");
    refuse("aliases:\n  - pat: /x\n", "@:2: unknown key \"pat\" (did you mean \"path\"?)");
    refuse("aliases: [{path: x, channel: y}]\n", "@:1: aliases[0].path: a path begins with / and has at most 512 "
                                                 "bytes");
    refuse("aliases: [{path: /health, channel: y}]\n", "@:1: aliases[0].path: the path is one of tailwater's own");
    refuse("aliases: [{path: /a, channel: y},\n {path: /a, channel: y}]\n",
           "@:2: aliases[1].path: aliases[0] has the same path");
    refuse("aliases: [{path: \"/a?b=c\", channel: y}]\n",
           "@:1: aliases[0].path: a path has neither query nor white space nor any of # \" < > \\ ^ ` { | }");
    static const char *const templates[] = {"a:{B}", "a:{}", "a:x{b}", "a:{b}{c}", "a:{b", "a:b}"};
    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "aliases: [{path: /a, channel: \"%s\"}]\n", templates[i]);
        refuse(text, "@:1: aliases[0].channel: a placeholder is a whole segment of small letters and _, such as "
                     "{workspace_id}");
    }
    refuse("aliases: [{path: /a, channel: \"a::b\"}]\n", "@:1: aliases[0].channel: not a channel: a segment is empty");
    refuse("aliases: [{path: /a, channel: \"\"}]\n", "@:1: aliases[0].channel: not a channel: it is empty");
    refuse("aliases: [{path: /a, channel: \"a:\"}]\n", "@:1: aliases[0].channel: not a channel: a segment is empty");
    refuse("aliases: [{path: /a, channel: \"1:2:3:4:5:6:7:8:{b}\"}]\n",
           "@:1: aliases[0].channel: not a channel: it has more than 8 segments");
}

static void test_origins(void **state)
{
    (void)state;
    struct config *config = accept_config("allowed_origins: [\"http://[::1]:80\", \"HTTP://X:8080\", "
                                          "app://local.host]\n",
                                          NULL);
    assert_string_equal(config->allowed_origins[0], "http://[::1]");
    assert_string_equal(config->allowed_origins[1], "http://x:8080");
    assert_string_equal(config->allowed_origins[2], "app://local.host");
    config_free(config);
    config = accept_config("allowed_origins: \"*\"\n", NULL);
    assert_string_equal(config->allowed_origins[0], "*");
    config_free(config);
    static const char *const wrong[] = {"https://",      "https://a/",     "a.example",      "https://a:0",
                                        "https://a:",    "https://a:65536", "https://u@a",   "https://a?b",
                                        "https://*.a",   "//a",            "https://[::1",   "https://a b",
                                        "://a",          "https:a"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "allowed_origins:\n  - \"%s\"\n", wrong[i]);
        refuse(text, "@:1: allowed_origins: entry 1: expected scheme://host or scheme://host:port, without path, "
                     "such as "
                     "https://app.example.com");
    }
    refuse_variable("ALLOWED_ORIGINS", "http://a,null",
                    "ALLOWED_ORIGINS: allowed_origins: entry 2: \"null\" is every sandboxed frame and local file, and "
                    "cannot be allowed");
    refuse("allowed_origins: [\"http://a\", \"*\"]\n",
           "@:1: allowed_origins: entry 2: * allows all and must stand alone");
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
        TEST(test_uri_alone),      TEST(test_no_uri),          TEST(test_sources),     TEST(test_sources_refused),
        TEST(test_mapping_problem), TEST(test_secrets),        TEST(test_precedence),  TEST(test_value_files),
        TEST(test_config_variable), TEST(test_environment),    TEST(test_kubernetes_variables),
        TEST(test_unknown_keys),   TEST(test_ops_listener),         TEST(test_listener),    TEST(test_aliases),
        TEST(test_origins),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
