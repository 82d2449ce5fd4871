/* ticket - an identity in a URL: how long, for what, and that nothing else is taken for one. */
#include "access.h"
#include "buffer.h"
#include "forge.h"
#include "ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/hmac.h>

#include <cmocka.h>

static const char secret[] = "a secret of more than thirty-two bytes";
static const int64_t made_ms = 1790000000000;
static struct ticket_key *key;

static int begin(void **state)
{
    (void)state;
    struct error err;
    key = ticket_key_new(secret, &err);
    return key ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    ticket_key_free(key);
    return ERR_peek_error() == 0 ? 0 : -1;
}

static struct identity *ann(int64_t expires_ms)
{
    struct identity *identity = identity_new(IDENTITY_TOKEN, "ann", "w1");
    identity->claimed = memory_zero(2, sizeof *identity->claimed);
    identity->claimed[0] = memory_text("logs:etl:*");
    identity->claimed[1] = memory_text("metrics:w1");
    identity->claimed_count = 2;
    identity->expires_ms = expires_ms;
    return identity;
}

static char *make(int64_t expires_ms, const char *subscription)
{
    struct identity *identity = ann(expires_ms);
    char *ticket = ticket_make(key, identity, subscription, made_ms);
    identity_unref(identity);
    assert_non_null(ticket);
    return ticket;
}

static void expect(const char *ticket, const char *subscription, int64_t after_ms, enum ticket_outcome expected,
                   const char *sentence)
{
    struct identity *identity = NULL;
    struct error err = {.text = ""};
    assert_int_equal(ticket_check(key, ticket, subscription, made_ms + after_ms, &identity, &err), expected);
    assert_string_equal(err.text, sentence);
    assert_true((expected == TICKET_GOOD) == (identity != NULL));
    identity_unref(identity);
}

#define EXPIRED "the ticket has expired"
#define BAD "the ticket is not good"
#define OTHER "the ticket renews another subscription"

static void test_who(void **state)
{
    (void)state;
    char *ticket = make(made_ms + 3600000, NULL);
    struct identity *identity;
    struct error err;
    assert_int_equal(ticket_check(key, ticket, "logs:*", made_ms, &identity, &err), TICKET_GOOD);
    assert_int_equal(identity->kind, IDENTITY_TICKET);
    assert_string_equal(identity->user, "ann");
    assert_string_equal(identity->workspace, "w1");
    assert_int_equal(identity->claimed_count, 2);
    assert_string_equal(identity->claimed[0], "logs:etl:*");
    assert_string_equal(identity->claimed[1], "metrics:w1");
    assert_int_equal(identity->expires_ms, made_ms + 3600000);
    /* A ticket of a ticket is the same person's, and ends no later. */
    char *second = ticket_make(key, identity, "x", made_ms + 1000);
    identity_unref(identity);
    expect(second, "x", 3600000, TICKET_GOOD, "");
    expect(second, "x", 3601000, TICKET_EXPIRED, EXPIRED);
    free(second);
    free(ticket);
}

static void test_stolen(void **state)
{
    (void)state;
    char *ticket = make(made_ms + 3600000, NULL);
    expect(ticket, "logs:*", 0, TICKET_GOOD, "");
    expect(ticket, "anything", 30000, TICKET_GOOD, "");
    expect(ticket, "logs:*", 30999, TICKET_GOOD, "");
    expect(ticket, "logs:*", 31000, TICKET_EXPIRED, EXPIRED);
    expect(ticket, "logs:*", 3600000, TICKET_EXPIRED, EXPIRED);
    expect(ticket, "logs:*", 3601000, TICKET_EXPIRED, EXPIRED);
    free(ticket);
}

static void test_renewing(void **state)
{
    (void)state;
    char *ticket = make(made_ms + 3600000, "logs:etl:*|q=a");
    expect(ticket, "logs:etl:*|q=a", 60000, TICKET_GOOD, "");
    expect(ticket, "logs:etl:*|q=a", 3600999, TICKET_GOOD, "");
    expect(ticket, "logs:etl:*|q=a", 3601000, TICKET_EXPIRED, EXPIRED);
    expect(ticket, "logs:etl:*|q=b", 0, TICKET_BAD, OTHER);
    expect(ticket, "", 0, TICKET_BAD, OTHER);
    expect(ticket, "logs:*", 9999999999, TICKET_BAD, OTHER);
    free(ticket);
    /* At most a day, though the login lasts a week. */
    ticket = make(made_ms + 7 * 86400000LL, "s");
    expect(ticket, "s", 86400999, TICKET_GOOD, "");
    expect(ticket, "s", 86401000, TICKET_EXPIRED, EXPIRED);
    free(ticket);
}

/* An identity without an end lends its tickets one of a day: a stolen ticket cannot be renewed for ever. */
static void test_no_end(void **state)
{
    (void)state;
    struct identity *identity;
    struct error err;
    char *ticket = make(0, NULL);
    assert_int_equal(ticket_check(key, ticket, "s", made_ms, &identity, &err), TICKET_GOOD);
    assert_int_equal(identity->expires_ms, made_ms + 86400000);
    char *second = ticket_make(key, identity, "s", made_ms + 80000000);
    expect(second, "s", 86400999, TICKET_GOOD, "");
    expect(second, "s", 86401000, TICKET_EXPIRED, EXPIRED);
    identity_unref(identity);
    free(ticket);
    free(second);
}

static void test_anonymous_and_large(void **state)
{
    (void)state;
    struct identity *nobody = identity_new(IDENTITY_ANONYMOUS, NULL, NULL);
    assert_null(ticket_make(key, nobody, NULL, made_ms));
    identity_unref(nobody);
    struct identity *rich = identity_new(IDENTITY_TOKEN, "ann", NULL);
    enum { COUNT = 200 };
    rich->claimed = memory_zero(COUNT, sizeof *rich->claimed);
    for (; rich->claimed_count < COUNT; rich->claimed_count++) {
        rich->claimed[rich->claimed_count] = forge_text("logs:etl:workspace%u", rich->claimed_count);
    }
    assert_null(ticket_make(key, rich, NULL, made_ms));
    identity_unref(rich);
}

/* --- forged ones ----------------------------------------------------------------------------------- */

static const char payload[] = "{\"sub\":\"ann\",\"end\":1799999999999,\"until\":1799999999999}";
static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"tailwater-ticket+jwt\"}";

static void refuse(char *ticket)
{
    expect(ticket, "s", 0, TICKET_BAD, BAD);
    free(ticket);
}

static void derive(uint8_t derived[32])
{
    static const char label[] = "tailwater ticket 1";
    assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)label, sizeof label - 1, derived,
                         NULL));
}

static void test_forged(void **state)
{
    (void)state;
    uint8_t derived[32];
    derive(derived);
    char *good = forge_hs256(header, payload, derived, sizeof derived);
    expect(good, "s", 0, TICKET_GOOD, "");
    free(good);
    /* A token whose secret is the same is no ticket, whatever it calls itself. */
    refuse(forge_hs256(header, payload, secret, strlen(secret)));
    refuse(forge_hs256("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", payload, derived, sizeof derived));
    refuse(forge_hs256("{\"alg\":\"HS256\"}", payload, derived, sizeof derived));
    refuse(forge_hs256("{\"alg\":\"none\",\"typ\":\"tailwater-ticket+jwt\"}", payload, derived, sizeof derived));
    refuse(forge_hs256("{\"alg\":\"RS256\",\"typ\":\"tailwater-ticket+jwt\"}", payload, derived, sizeof derived));
    refuse(forge_hs256(header, "{\"end\":1799999999999,\"until\":1799999999999}", derived, sizeof derived));
    refuse(forge_hs256(header, "{\"sub\":\"\",\"end\":1799999999999,\"until\":1799999999999}", derived,
                       sizeof derived));
    refuse(strdup(""));
    refuse(strdup("..."));
    char *giant = forge_text("%05000d", 1);
    refuse(giant);
    char *no_times = forge_hs256(header, "{\"sub\":\"ann\"}", derived, sizeof derived);
    expect(no_times, "s", 0, TICKET_EXPIRED, EXPIRED);
    free(no_times);
}

/* Another secret, and a ticket with one byte changed at every place. */
static void test_changed(void **state)
{
    (void)state;
    struct error err;
    struct identity *identity = NULL;
    char *ticket = make(0, NULL);
    struct ticket_key *other = ticket_key_new("another secret of thirty-two bytes or more", &err);
    assert_int_equal(ticket_check(other, ticket, "s", made_ms, &identity, &err), TICKET_BAD);
    ticket_key_free(other);
    for (size_t i = 0; ticket[i]; i++) {
        char was = ticket[i];
        ticket[i] = was == 'x' ? 'y' : 'x';
        expect(ticket, "s", 0, TICKET_BAD, BAD);
        ticket[i] = was;
    }
    expect(ticket, "s", 0, TICKET_GOOD, "");
    free(ticket);
    assert_null(ticket_key_new("short", &err));
    assert_string_equal(err.text, "it has 5 bytes; at least 32 are needed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who),     cmocka_unit_test(test_stolen),
        cmocka_unit_test(test_renewing), cmocka_unit_test(test_no_end),
        cmocka_unit_test(test_anonymous_and_large), cmocka_unit_test(test_forged),
        cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
