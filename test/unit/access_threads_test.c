/*
 * access_threads - one set of rules used by several threads while the main thread puts new ones: what the loops do when
 * keys change. Says most under the thread sanitizer.
 */
#include "access.h"
#include "forge.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 200, TOKENS = 5 };

static const char secret[] = "a secret of more than thirty-two bytes";
static const int64_t now_ms = 1790000000000;

static struct access_holder *holder;
static char *bearers[TOKENS]; /* the last one is wrong */
static _Atomic unsigned wrong;

static struct access *make(const char *file)
{
    struct error err;
    struct access_options options = {.jwt_secret = secret, .jwks_file = file, .ticket_secret = secret,
                                     .grants_claim = "channels"};
    return access_new(&options, &err);
}

static void check(const struct access *access, const char *bearer, bool good)
{
    struct access_request request = {.authorization = bearer, .now_ms = now_ms};
    struct identity *identity;
    struct error err;
    enum access_outcome outcome = access_identify(access, &request, &identity, &err);
    wrong += (outcome == ACCESS_GRANTED) != good;
    if (identity) {
        char *ticket = access_ticket(access, identity, "s", now_ms);
        struct access_request again = {.ticket = ticket, .subscription = "s", .now_ms = now_ms};
        identity_unref(identity);
        wrong += access_identify(access, &again, &identity, &err) != ACCESS_GRANTED;
        identity_unref(identity);
        free(ticket);
    }
    wrong += ERR_peek_error() != 0;
}

static void *loop(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        struct access *access = access_holder_get(holder);
        for (int j = 0; j < TOKENS; j++) {
            check(access, bearers[j], j < TOKENS - 1);
        }
        access_unref(access);
    }
    return NULL;
}

static char *bearer_of(char *token)
{
    char *bearer = forge_text("Bearer %s", token);
    free(token);
    return bearer;
}

static void write_set(const char *file, char *first, char *second)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fprintf(f, "{\"keys\":[%s,%s]}", first, second);
    fclose(f);
    free(first);
    free(second);
}

static void test_threads(void **state)
{
    (void)state;
    char file[] = "/tmp/tailwater-jwks-XXXXXX";
    close(mkstemp(file));
    EVP_PKEY *rsa = forge_rsa(2048), *ec = forge_ec("P-256");
    static const char payload[] = "{\"sub\":\"ann\",\"channels\":[\"logs:*\"]}";
    write_set(file, forge_jwk(rsa, ""), forge_jwk(ec, ""));
    bearers[0] = bearer_of(forge_hs256("{\"alg\":\"HS256\"}", payload, secret, strlen(secret)));
    bearers[1] = bearer_of(forge_token("{\"alg\":\"RS256\"}", payload, FORGE_RS256, rsa));
    bearers[2] = bearer_of(forge_token("{\"alg\":\"PS256\"}", payload, FORGE_PS256, rsa));
    bearers[3] = bearer_of(forge_token("{\"alg\":\"ES256\"}", payload, FORGE_ES256, ec));
    bearers[4] = bearer_of(forge_token("{\"alg\":\"PS256\"}", payload, FORGE_RS256, rsa));
    holder = access_holder_new(make(file));

    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, loop, NULL), 0);
    }
    for (int i = 0; i < 20; i++) {
        struct access *access = make(file);
        assert_non_null(access);
        access_holder_put(holder, access);
        assert_int_equal(access_holder_version(holder), i + 1);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(wrong, 0);
    access_holder_free(holder);
    for (int i = 0; i < TOKENS; i++) {
        free(bearers[i]);
    }
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
