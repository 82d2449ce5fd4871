/*
 * credential - where in a request a token stands. Pure; any thread; what is found is borrowed from the header.
 */
#ifndef TAILWATER_AUTH_CREDENTIAL_H
#define TAILWATER_AUTH_CREDENTIAL_H

#include <stddef.h>

/* The token of "Bearer TOKEN" (scheme in any case, exactly one space, visible ASCII); NULL when it is not so. */
const char *credential_bearer(const char *authorization, size_t *len);

enum credential_cookie { CREDENTIAL_NO_COOKIE, CREDENTIAL_COOKIE, CREDENTIAL_COOKIES }; /* the last: more than one */

/* The value of the cookie of this name in a Cookie header. Two of one name are told: one may be a stranger's. */
enum credential_cookie credential_cookie(const char *cookies, const char *name, const char **value, size_t *len);

#endif
