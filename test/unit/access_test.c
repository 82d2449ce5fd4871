/* access - who asks, what they may, and which service publishes: the whole library through its door. */
#include "access.h"
#include "buffer.h"
#include "forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char secret[] = "a secret of more than thirty-two bytes";
static const int64_t now_ms = 1790000000000;

static const char *const anonymous[] = {"logs:public:*"};
static const char *const everyone[] = {"alerts:{user}", "logs:*:{workspace}:*", "logs:public:*"};
static const char *const of_ann[] = {"logs:etl:w1:*", "dashboards:{user}"};
static const struct access_rule users[] = {{"zoe", of_ann, 1}, {"ann", of_ann, 2}};

static char *hash_a, *hash_b, *hash_c, *hash_admin;
static struct access_options options;
static struct access *access_all;

static struct access *build(const struct access_options *from)
{
    struct error err;
    struct access *access = access_new(from, &err);
    if (!access) {
        fail_msg("%s", err.text);
    }
    return access;
}

static char *sha256_of(const char *token)
{
    unsigned char bytes[32];
    struct buffer out = BUFFER_INIT;
    assert_int_equal(EVP_Digest(token, strlen(token), bytes, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < sizeof bytes; i++) {
        buffer_printf(&out, "%02X", bytes[i]);
    }
    buffer_text(&out);
    return out.data;
}

static int begin(void **state)
{
    (void)state;
    static struct ip_range proxies[2];
    static const char *publish_a[] = {"logs:*", "metrics:*:cpu"}, *publish_b[] = {"alerts:*"};
    static const char *tokens_a[2], *tokens_b[1];
    static struct access_service_options services[2];
    struct error err;
    hash_a = sha256_of("token-a");
    hash_b = sha256_of("token-b");
    hash_c = sha256_of("token-c");
    hash_admin = sha256_of("token-admin");
    tokens_a[0] = hash_a;
    tokens_a[1] = hash_b;
    tokens_b[0] = hash_c;
    services[0] = (struct access_service_options){"etl-service", "etl", tokens_a, 2, publish_a, 2};
    services[1] = (struct access_service_options){"alerts", NULL, tokens_b, 1, publish_b, 1};
    ip_range_parse("10.0.0.0/8", &proxies[0], &err);
    ip_range_parse("::1", &proxies[1], &err);
    options = (struct access_options){
        .anonymous = anonymous,
        .anonymous_count = 1,
        .jwt_secret = secret,
        .grants_claim = "channels",
        .ticket_secret = secret,
        .cookie = "tailwater",
        .proxies = proxies,
        .proxy_count = 2,
        .users = users,
        .user_count = 2,
        .everyone = everyone,
        .everyone_count = 3,
        .services = services,
        .service_count = 2,
        .admin_token_sha256 = hash_admin,
    };
    access_all = build(&options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    access_unref(access_all);
    free(hash_a);
    free(hash_b);
    free(hash_c);
    free(hash_admin);
    return 0;
}

/* --- who ------------------------------------------------------------------------------------------- */

static char *token_of(const char *payload)
{
    return forge_hs256("{\"alg\":\"HS256\"}", payload, secret, strlen(secret));
}

static struct identity *ask(const struct access *access, struct access_request request, enum access_outcome expected,
                            const char *sentence)
{
    struct identity *identity;
    struct error err = {.text = ""};
    request.now_ms = now_ms;
    assert_int_equal(access_identify(access, &request, &identity, &err), expected);
    assert_string_equal(err.text, sentence);
    assert_true((expected == ACCESS_GRANTED) == (identity != NULL));
    return identity;
}

static void granted(struct access_request request, enum identity_kind kind, const char *user)
{
    struct identity *identity = ask(access_all, request, ACCESS_GRANTED, "");
    assert_int_equal(identity->kind, kind);
    assert_true(user ? identity->user && strcmp(identity->user, user) == 0 : !identity->user);
    identity_unref(identity);
}

static void refused(struct access_request request, const char *sentence)
{
    ask(access_all, request, ACCESS_INVALID, sentence);
}

static void test_order(void **state)
{
    (void)state;
    char *ann = token_of("{\"sub\":\"ann\"}"), *bob = token_of("{\"sub\":\"bob\"}");
    char *bearer = forge_text("bEaReR %s", ann), *cookie = forge_text("a=b; tailwater=%s", bob);
    struct identity *carol = identity_new(IDENTITY_TOKEN, "carol", NULL);
    char *ticket = access_ticket(access_all, carol, NULL, now_ms);
    struct access_request request = {.authorization = bearer, .cookies = cookie, .ticket = ticket, .user = "dan",
                                     .workspace = "w", .subscription = "s"};
    granted(request, IDENTITY_TOKEN, "ann");
    request.authorization = NULL;
    granted(request, IDENTITY_TICKET, "carol");
    request.ticket = NULL;
    granted(request, IDENTITY_TOKEN, "bob");
    request.cookies = "a=b; Tailwater=x";
    granted(request, IDENTITY_PROXY, "dan");
    request.user = NULL; /* a workspace alone is nobody */
    granted(request, IDENTITY_ANONYMOUS, NULL);
    identity_unref(carol);
    free(ann);
    free(bob);
    free(bearer);
    free(cookie);
    free(ticket);
}

/* What is not good is never looked past, and nobody becomes anonymous by it. */
static void test_no_way_around(void **state)
{
    (void)state;
    static const char form[] = "the Authorization header is not of the form \"Bearer TOKEN\"";
    char *ann = token_of("{\"sub\":\"ann\"}");
    char *cookie = forge_text("tailwater=%s", ann), *twice = forge_text("tailwater=%s; tailwater=%s", ann, ann);
    static const char *const forms[] = {"",        "Bearer",      "Bearer ",     "Bearer  x", "Basic YTpi", "x",
                                        "Bearer\tx", "Bearer x y", "Bearer x ",  " Bearer x", "Bearer x,y\x7f"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        refused((struct access_request){.authorization = forms[i], .cookies = cookie, .user = "dan"}, form);
    }
    refused((struct access_request){.authorization = "Bearer x", .cookies = cookie},
            "the token is refused: it is not a signed token in its compact form");
    refused((struct access_request){.ticket = "x", .subscription = "s", .cookies = cookie}, "the ticket is not good");
    refused((struct access_request){.ticket = ann, .subscription = "s"}, "the ticket is not good");
    refused((struct access_request){.ticket = "x", .cookies = cookie}, "a ticket opens a stream and nothing else");
    refused((struct access_request){.cookies = twice}, "the cookie of the token is there twice");
    refused((struct access_request){.cookies = "tailwater=", .user = "dan"},
            "the token is refused: it is not a signed token in its compact form");
    refused((struct access_request){.user = ""}, "X-User-Id does not name a user");
    refused((struct access_request){.user = "a\x01"}, "X-User-Id does not name a user");
    refused((struct access_request){.user = "\xff"}, "X-User-Id does not name a user");
    refused((struct access_request){.user = "a", .workspace = "\n"}, "X-Workspace-Id does not name a workspace");
    free(ann);
    free(cookie);
    free(twice);
}

static void test_giant(void **state)
{
    (void)state;
    enum { GIANT = 5 * 1024 * 1024 };
    char *giant = memory_new(GIANT + 1);
    memset(giant, 'a', GIANT);
    memcpy(giant, "Bearer ", 7);
    giant[GIANT] = '\0';
    refused((struct access_request){.authorization = giant}, "the token is too long");
    memcpy(giant, "tailwater=", 10);
    refused((struct access_request){.cookies = giant}, "the token is too long");
    refused((struct access_request){.ticket = giant, .subscription = "s"}, "the ticket is not good");
    memcpy(giant, "Bearer xxx", 10);
    assert_null(access_find_service(access_all, giant));
    assert_false(access_is_admin(access_all, giant));
    free(giant);
}

static void test_nothing_configured(void **state)
{
    (void)state;
    struct access_options bare = {.grants_claim = "channels"};
    struct access *access = build(&bare);
    struct identity *ann = identity_new(IDENTITY_TOKEN, "ann", NULL);
    ask(access, (struct access_request){0}, ACCESS_MISSING, "a token is needed");
    ask(access, (struct access_request){.authorization = "Bearer x"}, ACCESS_INVALID, "tokens are not accepted here");
    ask(access, (struct access_request){.ticket = "x", .subscription = "s"}, ACCESS_INVALID,
        "tickets are off: no ticket secret is configured");
    ask(access, (struct access_request){.cookies = "tailwater=x"}, ACCESS_MISSING, "a token is needed");
    assert_false(access_has_tickets(access));
    assert_null(access_ticket(access, ann, NULL, now_ms));
    assert_null(access_find_service(access, "Bearer token-a"));
    assert_false(access_is_admin(access, "Bearer token-admin"));
    assert_false(access_is_open(access));
    identity_unref(ann);
    access_unref(access);
}

static void test_ticket_expired(void **state)
{
    (void)state;
    struct identity *ann = identity_new(IDENTITY_PROXY, "ann", NULL);
    char *ticket = access_ticket(access_all, ann, NULL, now_ms - 31000);
    ask(access_all, (struct access_request){.ticket = ticket, .subscription = "s"}, ACCESS_TICKET_EXPIRED,
        "the ticket has expired");
    free(ticket);
    ticket = access_ticket(access_all, ann, "s", now_ms - 31000);
    granted((struct access_request){.ticket = ticket, .subscription = "s"}, IDENTITY_TICKET, "ann");
    refused((struct access_request){.ticket = ticket, .subscription = "t"}, "the ticket renews another subscription");
    free(ticket);
    identity_unref(ann);
}

static void test_proxies(void **state)
{
    (void)state;
    static const char *const trusted[] = {"10.1.2.3", "::ffff:10.1.2.3", "::1"};
    static const char *const others[] = {"11.0.0.1", "::2", "127.0.0.1"};
    for (size_t i = 0; i < 3; i++) {
        struct ip_address address;
        ip_address_parse(trusted[i], strlen(trusted[i]), &address);
        assert_true(access_trusts_proxy(access_all, &address));
        ip_address_parse(others[i], strlen(others[i]), &address);
        assert_false(access_trusts_proxy(access_all, &address));
    }
}

/* --- what ------------------------------------------------------------------------------------------ */

static void may_read(const struct access *access, const struct identity *identity, const char *expected)
{
    char **patterns;
    struct buffer text = BUFFER_INIT;
    unsigned count = access_patterns(access, identity, &patterns);
    for (unsigned i = 0; i < count; i++) {
        buffer_printf(&text, "%s%s", i ? " " : "", patterns[i]);
    }
    assert_string_equal(buffer_text(&text), expected);
    memory_free_texts(patterns, count);
    buffer_fini(&text);
}

static void user_may_read(const char *user, const char *workspace, const char *expected)
{
    struct identity *identity = identity_new(IDENTITY_PROXY, user, workspace);
    may_read(access_all, identity, expected);
    identity_unref(identity);
}

static void test_patterns(void **state)
{
    (void)state;
    user_may_read("bob", NULL, "alerts:bob logs:public:*");
    user_may_read("bob", "w9", "alerts:bob logs:*:w9:* logs:public:*");
    user_may_read("ann", "w9", "alerts:ann dashboards:ann logs:*:w9:* logs:etl:w1:* logs:public:*");
    user_may_read("Ann", NULL, "alerts:Ann logs:public:*");
    /* Whatever an identity is called, it is one segment and no pattern. */
    user_may_read("*", "*", "alerts:%2A logs:*:%2A:* logs:public:*");
    user_may_read("a:b", "x,y", "alerts:a%3Ab logs:*:x%2Cy:* logs:public:*");
    user_may_read("a b%", "{user}", "alerts:a%20b%25 logs:*:{user}:* logs:public:*");
    char *giant = forge_text("%0200d", 1); /* no segment can hold it */
    user_may_read(giant, "w1", "logs:*:w1:* logs:public:*");
    free(giant);
    struct identity *nobody = identity_new(IDENTITY_ANONYMOUS, NULL, NULL);
    may_read(access_all, nobody, "logs:public:*");
    identity_unref(nobody);
}

static void test_claimed(void **state)
{
    (void)state;
    char *token = token_of("{\"sub\":\"bob\",\"workspace\":\"w2\","
                           "\"channels\":[\"logs:x:*\",\"logs:public:*\",\"{user}\"]}");
    char *bearer = forge_text("Bearer %s", token);
    struct identity *identity = ask(access_all, (struct access_request){.authorization = bearer}, ACCESS_GRANTED, "");
    /* A claim is taken as it is: braces in it stand for nothing. */
    may_read(access_all, identity, "alerts:bob logs:*:w2:* logs:public:* logs:x:* {user}");
    identity_unref(identity);
    free(token);
    free(bearer);
}

static void test_open(void **state)
{
    (void)state;
    struct access_options bare = {.open = true};
    struct access *access = build(&bare);
    struct identity *identity =
        ask(access, (struct access_request){.authorization = "Bearer x", .user = "ann"}, ACCESS_GRANTED, "");
    assert_true(access_is_open(access));
    assert_int_equal(identity->kind, IDENTITY_OPEN);
    may_read(access, identity, "*");
    may_read(access_all, identity, ""); /* what was open is not any more */
    assert_null(access_ticket(access_all, identity, NULL, now_ms));
    identity_unref(identity);
    access_unref(access);
}

/* --- services -------------------------------------------------------------------------------------- */

static void test_services(void **state)
{
    (void)state;
    const struct access_service *etl = access_find_service(access_all, "Bearer token-a");
    assert_non_null(etl);
    assert_string_equal(etl->name, "etl-service");
    assert_string_equal(etl->service, "etl");
    assert_ptr_equal(access_find_service(access_all, "bearer token-b"), etl); /* the second of a rotation */
    const struct access_service *alerts = access_find_service(access_all, "Bearer token-c");
    assert_string_equal(alerts->service, "alerts");
    static const char *const wrong[] = {"Bearer token-d",  "Bearer token-", "Bearer token-aa", "token-a",
                                        "Bearer  token-a", "Bearer token-admin", "Bearer token-a ", "Basic token-a", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(access_find_service(access_all, wrong[i]));
    }
    assert_null(access_find_service(access_all, NULL));
    char *as_hash = forge_text("Bearer %s", hash_a); /* the configuration's text is no token */
    assert_null(access_find_service(access_all, as_hash));
    free(as_hash);
    assert_true(access_may_publish(etl, "logs:etl:w", 10));
    assert_true(access_may_publish(etl, "metrics:w1:cpu", 14));
    assert_false(access_may_publish(etl, "metrics:w1:ram", 14));
    assert_false(access_may_publish(alerts, "logs:etl:w", 10));
    assert_int_equal(access_service_count(access_all), 2);
    assert_ptr_equal(access_service_at(access_all, 1), alerts);
    assert_true(access_is_admin(access_all, "Bearer token-admin"));
    assert_false(access_is_admin(access_all, "Bearer token-a"));
    assert_false(access_is_admin(access_all, NULL));
}

/* --- making ---------------------------------------------------------------------------------------- */

static void test_refused(void **state)
{
    (void)state;
    struct error err;
    struct access_options wrong = options;
    wrong.jwt_secret = "short";
    assert_null(access_new(&wrong, &err));
    assert_string_equal(err.text, "auth.jwt.secret: it has 5 bytes; a secret for HS256 needs at least 32");
    wrong = options;
    wrong.ticket_secret = "short";
    assert_null(access_new(&wrong, &err));
    assert_string_equal(err.text, "auth.ticket_secret: it has 5 bytes; at least 32 are needed");
    wrong = options;
    wrong.admin_token_sha256 = "token-admin";
    assert_null(access_new(&wrong, &err));
    assert_string_equal(err.text, "auth.admin_token_sha256: expected 64 hex digits");
    wrong = options;
    wrong.jwks_file = "/nowhere/jwks.json";
    assert_null(access_new(&wrong, &err));
    assert_string_equal(err.text, "auth.jwt.jwks_file: cannot read /nowhere/jwks.json: No such file or directory");
}

static void test_jwks_file(void **state)
{
    (void)state;
    char file[] = "/tmp/tailwater-jwks-XXXXXX";
    int fd = mkstemp(file);
    struct error err;
    struct access_options with = options;
    with.jwks_file = file;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{\"keys\":[", 9), 9);
    assert_null(access_new(&with, &err));
    char *expected = forge_text("auth.jwt.jwks_file: %s: it is not JSON (line 1)", file);
    assert_string_equal(err.text, expected);
    free(expected);

    EVP_PKEY *key = forge_ec("P-256");
    char *jwk = forge_jwk(key, "\"kid\":\"e\","), *rest = forge_text("{\"kty\":\"OKP\"},%s]}", jwk);
    assert_int_equal(write(fd, rest, strlen(rest)), strlen(rest));
    struct access *access = build(&with);
    assert_int_equal(access_note_count(access), 1);
    assert_string_equal(access_note_at(access, 0),
                        "key 1 is left out: EdDSA is not supported by this build's JOSE library");
    char *token = forge_token("{\"alg\":\"ES256\",\"kid\":\"e\"}", "{\"sub\":\"ann\"}", FORGE_ES256, key);
    char *bearer = forge_text("Bearer %s", token);
    identity_unref(ask(access, (struct access_request){.authorization = bearer}, ACCESS_GRANTED, ""));
    refused((struct access_request){.authorization = bearer}, "no key fits the token's algorithm and kid");
    access_unref(access);
    EVP_PKEY_free(key);
    free(jwk);
    free(rest);
    free(token);
    free(bearer);
    close(fd);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_no_way_around), cmocka_unit_test(test_giant),
        cmocka_unit_test(test_nothing_configured), cmocka_unit_test(test_ticket_expired),
        cmocka_unit_test(test_proxies),
        cmocka_unit_test(test_patterns),       cmocka_unit_test(test_claimed),       cmocka_unit_test(test_open),
        cmocka_unit_test(test_services),       cmocka_unit_test(test_refused),       cmocka_unit_test(test_jwks_file),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
