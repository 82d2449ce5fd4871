/*
 * access_inside - what access.c, access_identify.c and access_patterns.c share; for them only.
 */
#ifndef TAILWATER_AUTH_ACCESS_INSIDE_H
#define TAILWATER_AUTH_ACCESS_INSIDE_H

#include "access.h"
#include "jwt.h"
#include "services.h"
#include "ticket.h"

/* Texts of our own. */
struct access_texts {
    char **texts;
    unsigned count;
};

/* What the configuration grants to a user; templates. */
struct access_user {
    char *name;
    struct access_texts patterns;
};

struct access {
    _Atomic uint32_t refs;
    bool open;
    struct access_texts anonymous, everyone;
    struct access_user *users; /* by name */
    unsigned user_count;
    struct jwt_keys keys;
    struct jwt_rules rules;
    struct ticket_key *tickets; /* NULL = off */
    char *cookie;               /* NULL = none */
    struct ip_range *proxies;
    unsigned proxy_count;
    struct services services;
    bool has_admin;
    struct token_hash admin;
};

#endif
