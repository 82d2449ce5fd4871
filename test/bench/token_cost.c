/* token_cost - what it costs to know who asks: microseconds a token, by algorithm, good and wrong; and a ticket. */
#include "../unit/forge.h"
#include "access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char secret[] = "a secret of more than thirty-two bytes";
static const char payload[] = "{\"sub\":\"ann\",\"exp\":4102444800,\"channels\":[\"logs:etl:w1:*\",\"metrics:w1\"]}";

enum { SECONDS_EACH = 1 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(const char *name, const struct access *access, const struct access_request *request)
{
    struct identity *identity;
    struct error err;
    unsigned count = 0, granted = 0;
    double start = now_s(), spent = 0;
    for (; spent < SECONDS_EACH; count++) {
        granted += access_identify(access, request, &identity, &err) == ACCESS_GRANTED;
        identity_unref(identity);
        spent = now_s() - start;
    }
    printf("%-12s %7.1f us  %s\n", name, spent * 1e6 / count, granted == count ? "granted" : "refused");
}

static void measure_token(const char *name, const struct access *access, char *token)
{
    char *bearer = forge_text("Bearer %s", token);
    measure(name, access, &(struct access_request){.authorization = bearer, .now_ms = 1790000000000});
    free(token);
    free(bearer);
}

static struct access *make(EVP_PKEY *rsa, EVP_PKEY *ec)
{
    char file[] = "/tmp/tailwater-jwks-XXXXXX";
    char *a = forge_jwk(rsa, ""), *b = forge_jwk(ec, ""), *set = forge_text("{\"keys\":[%s,%s]}", a, b);
    int fd = mkstemp(file);
    struct error err;
    struct access_options options = {.jwt_secret = secret, .jwks_file = file, .ticket_secret = secret};
    struct access *access = NULL;
    if (fd >= 0 && write(fd, set, strlen(set)) == (ssize_t)strlen(set)) {
        access = access_new(&options, &err);
    }
    close(fd);
    unlink(file);
    free(a);
    free(b);
    free(set);
    return access;
}

int main(void)
{
    EVP_PKEY *rsa = forge_rsa(2048), *other = forge_rsa(2048), *ec = forge_ec("P-256");
    struct access *access = make(rsa, ec);
    if (!access) {
        return 1;
    }
    measure_token("HS256", access, forge_hs256("{\"alg\":\"HS256\"}", payload, secret, strlen(secret)));
    measure_token("RS256", access, forge_token("{\"alg\":\"RS256\"}", payload, FORGE_RS256, rsa));
    measure_token("PS256", access, forge_token("{\"alg\":\"PS256\"}", payload, FORGE_PS256, rsa));
    measure_token("ES256", access, forge_token("{\"alg\":\"ES256\"}", payload, FORGE_ES256, ec));
    measure_token("HS256 wrong", access, forge_hs256("{\"alg\":\"HS256\"}", payload, "x", 1));
    measure_token("RS256 wrong", access, forge_token("{\"alg\":\"RS256\"}", payload, FORGE_RS256, other));
    measure_token("none", access, forge_signed("{\"alg\":\"none\"}", payload, "x", 1));
    struct identity *ann = identity_new(IDENTITY_PROXY, "ann", "w1");
    char *ticket = access_ticket(access, ann, "s", 1790000000000);
    measure("ticket", access,
            &(struct access_request){.ticket = ticket, .subscription = "s", .now_ms = 1790000000000});
    free(ticket);
    identity_unref(ann);
    access_unref(access);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other);
    EVP_PKEY_free(ec);
    return 0;
}
