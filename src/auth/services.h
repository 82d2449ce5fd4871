/*
 * services - who may publish: named tokens, kept as SHA-256. Built by one thread, then constant.
 */
#ifndef TAILWATER_AUTH_SERVICES_H
#define TAILWATER_AUTH_SERVICES_H

#include "access.h"
#include "token_hash.h"

struct service_token {
    struct token_hash hash;
    unsigned service; /* index */
};

struct services {
    struct access_service *list;
    unsigned count;
    struct service_token *tokens;
    unsigned token_count;
};

/* Copy. Returns 0, or -1 with *err when a hash is none. */
int services_init(struct services *services, const struct access_service_options *options, unsigned count,
                  struct error *err);
void services_fini(struct services *services);

/* Whose token it is, or NULL. All hashes are compared, whichever fits. */
const struct access_service *services_find(const struct services *services, const char *token, size_t len);

#endif
