/*
 * fuzz_ticket - tickets. The first byte of an input chooses:
 *   '0'  a ticket, as it is;
 *   '1'  a payload, which is signed here as a ticket;
 *   '2'  an identity by lines (user, workspace, patterns): what its ticket says is the same again.
 */
#include "access.h"
#include "buffer.h"
#include "tailwater/channel.h"
#include "ticket.h"

#include "must.h"

#include <openssl/err.h>
#include <openssl/hmac.h>

static const char secret[] = "a secret of more than thirty-two bytes";
static const int64_t now_ms = 1790000000000;
static struct ticket_key *key;

static void try_ticket(const char *text)
{
    struct identity *identity = NULL;
    struct error err = {.text = ""};
    enum ticket_outcome outcome = ticket_check(key, text, "s", now_ms, &identity, &err);
    must((outcome == TICKET_GOOD) == (identity != NULL), "an identity for a good one only");
    must(outcome == TICKET_GOOD || err.text[0], "a sentence");
    if (identity) {
        must(identity->kind == IDENTITY_TICKET && identity_name_fits(identity->user), "a user");
        must(identity->expires_ms > now_ms - TICKET_SKEW_MS, "a login that has not expired");
        must(identity->claimed_count <= IDENTITY_CLAIMED_MAX, "not too many patterns");
        for (unsigned i = 0; i < identity->claimed_count; i++) {
            const char *pattern = identity->claimed[i];
            must(!tailwater_channel_problem(pattern, strlen(pattern), true), "valid patterns");
        }
    }
    identity_unref(identity);
    must(ERR_peek_error() == 0, "no error left behind");
}

static void append_base64url(struct buffer *out, const void *bytes, size_t len)
{
    char *at = buffer_reserve(out, len * 2 + 8);
    int n = EVP_EncodeBlock((unsigned char *)at, bytes, (int)len);
    while (n > 0 && at[n - 1] == '=') {
        n--;
    }
    for (int i = 0; i < n; i++) {
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    }
    out->len += (size_t)n;
}

static void try_payload(const char *payload, size_t len)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"tailwater-ticket+jwt\"}", label[] = "tailwater ticket 1";
    uint8_t derived[32], signature[32];
    struct buffer ticket = BUFFER_INIT;
    HMAC(EVP_sha256(), secret, sizeof secret - 1, (const uint8_t *)label, sizeof label - 1, derived, NULL);
    append_base64url(&ticket, header, sizeof header - 1);
    buffer_append_byte(&ticket, '.');
    append_base64url(&ticket, payload, len);
    HMAC(EVP_sha256(), derived, sizeof derived, (const uint8_t *)ticket.data, ticket.len, signature, NULL);
    buffer_append_byte(&ticket, '.');
    append_base64url(&ticket, signature, sizeof signature);
    try_ticket(buffer_text(&ticket));
    buffer_fini(&ticket);
}

/* Cut the next line off; an empty text at the end. */
static char *next_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    *text = end ? end + 1 : line + strlen(line);
    if (end) {
        *end = '\0';
    }
    return line;
}

static struct identity *read_identity(char *text)
{
    char *user = next_line(&text), *workspace = next_line(&text);
    if (!identity_name_fits(user) || (workspace[0] && !identity_name_fits(workspace))) {
        return NULL;
    }
    struct identity *identity = identity_new(IDENTITY_PROXY, user, workspace[0] ? workspace : NULL);
    identity->claimed = memory_zero(IDENTITY_CLAIMED_MAX, sizeof *identity->claimed);
    while (*text && identity->claimed_count < IDENTITY_CLAIMED_MAX) {
        char *pattern = next_line(&text);
        if (!tailwater_channel_problem(pattern, strlen(pattern), true)) {
            identity->claimed[identity->claimed_count++] = memory_text(pattern);
        }
    }
    return identity;
}

static void compare(const struct identity *a, const struct identity *b)
{
    must(identity_is_same(a, b), "the same user");
    must(a->claimed_count == b->claimed_count, "as many patterns");
    for (unsigned i = 0; i < a->claimed_count; i++) {
        must(strcmp(a->claimed[i], b->claimed[i]) == 0, "the same patterns");
    }
}

static void round_trip(char *text)
{
    struct identity *identity = read_identity(text), *again = NULL;
    struct error err;
    char *ticket = identity ? ticket_make(key, identity, "s", now_ms) : NULL;
    if (ticket) {
        must(strlen(ticket) <= ACCESS_TICKET_BYTES_MAX, "not too long");
        must(ticket_check(key, ticket, "t", now_ms, &again, &err) == TICKET_BAD, "another subscription");
        must(ticket_check(key, ticket, "s", now_ms, &again, &err) == TICKET_GOOD, "a good ticket");
        compare(identity, again);
    }
    free(ticket);
    identity_unref(identity);
    identity_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    struct error err;
    key = key ? key : ticket_key_new(secret, &err);
    must(key != NULL, "the secret");
    if (len < 1) {
        return 0;
    }
    char *text = must_copy_text(input + 1, len - 1);
    if (input[0] == '1') {
        try_payload(text, len - 1);
    } else if (input[0] == '2') {
        round_trip(text);
    } else {
        try_ticket(text);
    }
    free(text);
    return 0;
}
