/* access_reload - keys that change while the server runs; a file that cannot be read changes nothing. */
#include "access_reload.h"
#include "clock.h"
#include "forge.h"
#include "log.h"

#include <fcntl.h>
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

static char folder[] = "/tmp/tailwater-reload-XXXXXX";
static char *config_file, *jwks_file;
static struct config *config;
static struct access_holder *holder;
static struct access_reload *reload;
static EVP_PKEY *first, *second;

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

static void write_key(EVP_PKEY *key)
{
    char *jwk = forge_jwk(key, "");
    write_file(jwks_file, jwk);
    free(jwk);
}

/* As after a second: files of the same length written within one tick of the clock are told apart by their time. */
static void later(void)
{
    static time_t passed = 1790000000;
    passed++;
    const struct timespec times[2] = {{passed, 0}, {passed, 0}};
    assert_int_equal(utimensat(AT_FDCWD, jwks_file, times, 0), 0);
}

static bool believes(EVP_PKEY *key)
{
    char *token = forge_token("{\"alg\":\"ES256\"}", "{\"sub\":\"ann\"}", FORGE_ES256, key);
    char *bearer = forge_text("Bearer %s", token);
    struct access *access = access_holder_get(holder);
    struct access_request request = {.authorization = bearer, .now_ms = clock_wall_ms()};
    struct identity *identity;
    struct error err;
    bool granted = access_identify(access, &request, &identity, &err) == ACCESS_GRANTED;
    identity_unref(identity);
    access_unref(access);
    free(token);
    free(bearer);
    return granted;
}

static void write_config(const char *rest)
{
    char *text = forge_text("auth:\n  jwt: { jwks_file: %s }\n%s", jwks_file, rest);
    write_file(config_file, text);
    free(text);
}

static int begin(void **state)
{
    (void)state;
    struct error err;
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    setenv("MONGODB_URI", "mongodb://127.0.0.1:27017/shop", 1);
    assert_non_null(mkdtemp(folder));
    config_file = forge_text("%s/tailwater.yaml", folder);
    jwks_file = forge_text("%s/jwks.json", folder);
    first = forge_ec("P-256");
    second = forge_ec("P-256");
    write_key(first);
    write_config("");
    if (config_load(config_file, NULL, &config, &err) != 0) {
        fail_msg("%s", err.text);
    }
    holder = access_holder_new(access_ref(config->access));
    reload = access_reload_new(config, holder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    access_reload_free(reload);
    access_holder_free(holder);
    config_free(config);
    EVP_PKEY_free(first);
    EVP_PKEY_free(second);
    unlink(config_file);
    unlink(jwks_file);
    free(config_file);
    free(jwks_file);
    return rmdir(folder);
}

static void test_look(void **state)
{
    (void)state;
    assert_false(access_reload_look(reload));
    assert_true(believes(first));
    write_key(second);
    later();
    assert_true(access_reload_look(reload));
    assert_true(believes(second));
    assert_false(believes(first));
    assert_false(access_reload_look(reload));
}

static void test_broken(void **state)
{
    (void)state;
    static const char *const broken[] = {"", "{\"keys\":[", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"OKP\"}]}"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        write_file(jwks_file, broken[i]);
        later();
        assert_false(access_reload_look(reload));
        assert_true(believes(second));
    }
    unlink(jwks_file);
    assert_false(access_reload_look(reload));
    assert_true(believes(second));
    assert_false(access_reload_all(reload));
    assert_true(believes(second));
    write_key(first);
    later();
    assert_true(access_reload_look(reload));
    assert_true(believes(first));
    assert_false(believes(second));
}

/* Another file of the same name, as a rename or a new secret of Kubernetes puts it there. */
static void test_replaced(void **state)
{
    (void)state;
    struct stat before;
    char *other = forge_text("%s.new", jwks_file), *jwk = forge_jwk(second, "");
    assert_int_equal(stat(jwks_file, &before), 0);
    write_file(other, jwk);
    const struct timespec times[2] = {before.st_mtim, before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, other, times, 0), 0);
    assert_int_equal(rename(other, jwks_file), 0);
    assert_true(access_reload_look(reload));
    assert_true(believes(second));
    free(other);
    free(jwk);
}

static unsigned anonymous_patterns(void)
{
    char **patterns;
    struct access *access = access_holder_get(holder);
    struct identity *nobody = identity_new(IDENTITY_ANONYMOUS, NULL, NULL);
    unsigned count = access_patterns(access, nobody, &patterns);
    memory_free_texts(patterns, count);
    identity_unref(nobody);
    access_unref(access);
    return count;
}

static void test_all(void **state)
{
    (void)state;
    assert_int_equal(anonymous_patterns(), 0);
    write_config("  anonymous: [a, b]\n");
    assert_true(access_reload_all(reload));
    assert_int_equal(anonymous_patterns(), 2);
    write_config("  anonymous: [\"a b\"]\n");
    assert_false(access_reload_all(reload));
    assert_int_equal(anonymous_patterns(), 2);
    write_file(config_file, "heartbeat_s: 5\n"); /* no auth: would be open */
    assert_false(access_reload_all(reload));
    assert_int_equal(anonymous_patterns(), 2);
    assert_false(access_reload_look(reload));
    /* What was accepted last is what a change of the keys builds on. */
    write_key(first);
    later();
    assert_true(access_reload_look(reload));
    assert_int_equal(anonymous_patterns(), 2);
}

/* What the log says while it reads everything again. */
static char *reload_log(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *kept = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_true(kept && before >= 0 && dup2(fileno(kept), STDERR_FILENO) >= 0);
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    access_reload_all(reload);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(kept);
    ssize_t got = getdelim(&text, &len, '\0', kept);
    fclose(kept);
    assert_true(got >= 0 || text);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

/* What cannot be taken while running is named; what can is not. */
static void test_rest(void **state)
{
    (void)state;
    write_config("  anonymous: [c]\n  grants_collection: a.b\nheartbeat_s: 7\nallowed_origins: [\"http://a\"]\n");
    char *text = reload_log();
    assert_non_null(strstr(text, "changed, but only taken at the next start: allowed_origins, auth.grants_collection, "
                                 "heartbeat_s\n"));
    free(text);
    assert_int_equal(anonymous_patterns(), 1);
    text = reload_log();
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_rest),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
