/*
 * grant_template - patterns of the configuration in which {user} and {workspace} stand for an identity's. Each is a
 * whole segment, and its value is percent-encoded: no identity can become a pattern or a second segment. Pure; any thread.
 */
#ifndef TAILWATER_AUTH_GRANT_TEMPLATE_H
#define TAILWATER_AUTH_GRANT_TEMPLATE_H

/* A sentence about what is wrong with it, or NULL. */
const char *grant_template_problem(const char *text);

/* With the values (NULL = there is none) put in. Returns text for free(), or NULL when a value is missing or cannot be
 * a segment, or when the whole becomes too long. */
char *grant_template_fill(const char *text, const char *user, const char *workspace);

#endif
