/*
 * access - the rules of who may do what: keys, tickets, proxies, anonymous patterns, grants of the configuration,
 * services and the admin token (CONTRACT section 6). One immutable value, made from the configuration (and made anew when a key
 * file changes), shared by reference; what the grants collection says is not in it (core/grants.h).
 *
 * access_holder is where the newest one hangs: the main thread puts, loops take a reference for each request. One
 * mutex, a leaf in the lock order. All functions take borrowed texts, never log a credential, and take time that does not
 * depend on how much of a secret was guessed.
 */
#ifndef TAILWATER_AUTH_ACCESS_H
#define TAILWATER_AUTH_ACCESS_H

#include "error.h"
#include "identity.h"
#include "ip_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACCESS_CREDENTIAL_MAX = 16384, /* bytes of a token; a longer one is refused unread */
    ACCESS_SECRET_MIN = 32,        /* bytes: as many as HS256 gives (RFC 7518 section 3.2) */
};

/* A name with patterns. */
struct access_rule {
    const char *name;
    const char *const *patterns;
    unsigned count;
};

struct access_service_options {
    const char *name, *service; /* service: the label it publishes for; NULL = its name */
    const char *const *tokens_sha256; /* 1 or 2, each 64 hex digits */
    unsigned token_count;
    const char *const *publish; /* patterns */
    unsigned publish_count;
};

/* Everything borrowed for the call of access_new(). */
struct access_options {
    bool open;                        /* open mode: everyone reads everything; the rest is empty then */
    const char *const *anonymous;     /* patterns */
    unsigned anonymous_count;
    const char *jwt_secret;           /* HS256; NULL = none */
    const char *jwks_file;            /* read by access_new(); NULL = none */
    const char *issuer, *audience;    /* NULL = any */
    const char *grants_claim;
    int64_t skew_s;
    const char *ticket_secret;        /* NULL = tickets are off */
    const char *cookie;               /* NULL = no cookie is read */
    const struct ip_range *proxies;
    unsigned proxy_count;
    const struct access_rule *users;  /* grants of the configuration by user */
    unsigned user_count;
    const char *const *everyone;      /* may hold {user} and {workspace} as whole segments, as may those of users */
    unsigned everyone_count;
    const struct access_service_options *services;
    unsigned service_count;
    const char *admin_token_sha256;   /* NULL = no admin */
};

struct access;

/* Reads the JWKS file. Returns NULL with *err, which names the option or file, never a secret. */
struct access *access_new(const struct access_options *options, struct error *err);
struct access *access_ref(struct access *access);
void access_unref(struct access *access); /* NULL is fine */

bool access_is_open(const struct access *access);

/* Sentences for the operator: keys of the JWKS file that are left out, and why. */
unsigned access_note_count(const struct access *access);
const char *access_note_at(const struct access *access, unsigned index);

/* --- readers --------------------------------------------------------------------------------------- */

/* What a request shows; NULL = not there. */
struct access_request {
    const char *authorization; /* the header's value */
    const char *cookies;       /* the Cookie header's value; the caller has checked that the Origin may use it */
    const char *ticket;        /* the parameter's value */
    const char *subscription;  /* what a renewing ticket must be bound to; NULL where tickets are no way in */
    const char *user, *workspace; /* X-User-Id, X-Workspace-Id, only where the peer is a trusted proxy */
    int64_t now_ms;            /* wall clock */
};

enum access_outcome {
    ACCESS_GRANTED = 0,
    ACCESS_MISSING,        /* 401: no credential, and nobody in particular may read nothing */
    ACCESS_INVALID,        /* 401: a credential that is not good; never taken for an anonymous reader */
    ACCESS_TICKET_EXPIRED, /* temporary: the page asks for another one */
};

/*
 * Who asks? Authorization comes first, then ticket, cookie, proxy headers, anonymous. Returns an outcome; for
 * ACCESS_GRANTED *out is one reference, else *err holds a sentence that may be shown to the client.
 */
enum access_outcome access_identify(const struct access *access, const struct access_request *request,
                                    struct identity **out, struct error *err);

/* Does the configuration trust this peer as a proxy? */
bool access_trusts_proxy(const struct access *access, const struct ip_address *peer);

/*
 * What an identity may read without the grants collection: claim, configuration, or `anonymous`; open mode gives "*".
 * Placeholders are filled, percent-encoded; where there is no value the pattern is left out. The texts are the caller's
 * (memory_free_texts()); returns how many.
 */
unsigned access_patterns(const struct access *access, const struct identity *identity, char ***out);

/* --- tickets --------------------------------------------------------------------------------------- */

enum { ACCESS_TICKET_S = 30, ACCESS_RENEW_MAX_S = 86400, ACCESS_TICKET_BYTES_MAX = 4096 };

bool access_has_tickets(const struct access *access);

/*
 * A ticket for this identity. subscription: NULL for one that opens any stream within ACCESS_TICKET_S; else one that
 * renews exactly this subscription, until the identity expires, at most ACCESS_RENEW_MAX_S. Where the identity never
 * expires, what is opened with its tickets does after ACCESS_RENEW_MAX_S: a stolen one cannot be renewed for ever.
 * Returns text for free(), or NULL when tickets are off, the identity is anonymous or its claim is too large for a URL.
 */
char *access_ticket(const struct access *access, const struct identity *identity, const char *subscription,
                    int64_t now_ms);

/* --- services and admin ---------------------------------------------------------------------------- */

struct access_service {
    char *name, *service;
    char **publish; /* patterns */
    unsigned publish_count;
};

/* The service whose token "Bearer …" this is, borrowed from access; NULL = none. */
const struct access_service *access_find_service(const struct access *access, const char *authorization);

/* May it publish to this valid channel? */
bool access_may_publish(const struct access_service *service, const char *channel, size_t len);

/* All services' publish patterns: what channels may come about through publishing. */
unsigned access_service_count(const struct access *access);
const struct access_service *access_service_at(const struct access *access, unsigned index);

/* Is there an admin token? */
bool access_has_admin(const struct access *access);

/* Is this "Bearer …" the admin token's? False when there is none. */
bool access_is_admin(const struct access *access, const char *authorization);

/* --- the newest one ---------------------------------------------------------------------------------- */

struct access_holder;

struct access_holder *access_holder_new(struct access *access); /* takes the reference */
void access_holder_free(struct access_holder *holder);           /* NULL is fine */
struct access *access_holder_get(struct access_holder *holder);  /* one reference */
void access_holder_put(struct access_holder *holder, struct access *access); /* takes the reference */

/* How often rules were put: whoever sees another number than last time asks anew what may be read. Never locks. */
uint64_t access_holder_version(const struct access_holder *holder);

#endif
