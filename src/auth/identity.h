/*
 * identity - who asks: what a token, a ticket, a cookie or a trusted proxy says about a reader. Immutable, shared by
 * reference, any thread.
 */
#ifndef TAILWATER_AUTH_IDENTITY_H
#define TAILWATER_AUTH_IDENTITY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { IDENTITY_CLAIMED_MAX = 256 }; /* channels and patterns of a claim; a token with more is refused */

enum identity_kind {
    IDENTITY_OPEN,      /* open mode: everyone may read everything */
    IDENTITY_ANONYMOUS, /* nobody in particular: what `anonymous` grants */
    IDENTITY_TOKEN,     /* a JWT in Authorization or the cookie */
    IDENTITY_TICKET,
    IDENTITY_PROXY,     /* X-User-Id of a trusted proxy */
};

struct identity {
    _Atomic uint32_t refs;
    enum identity_kind kind;
    char *user;          /* UTF-8 of 1 to GRANTS_USER_MAX bytes; NULL for open and anonymous */
    char *workspace;     /* NULL = none */
    char **claimed;      /* valid channels and patterns from the token's claim */
    unsigned claimed_count;
    int64_t expires_ms;  /* wall clock: the token's exp (without skew); 0 = never */
};

/* One reference. The texts (NULL = none) are copied; claims and expiry are the caller's to fill in. */
struct identity *identity_new(enum identity_kind kind, const char *user, const char *workspace);

/* Can this be the name of a user or workspace? 1 to GRANTS_USER_MAX bytes of UTF-8 without control characters. */
bool identity_name_fits(const char *name);

struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity); /* NULL is fine */

/* Same user and workspace of a known user; all anonymous ones are the same to each other, and all of open mode. */
bool identity_is_same(const struct identity *a, const struct identity *b);

/* "token", "proxy", …: for logs and admin pages. */
const char *identity_kind_name(enum identity_kind kind);

#endif
