/*
 * token_hash - SHA-256 of a token: how services' tokens and the admin's rest in the configuration. Any thread.
 */
#ifndef TAILWATER_AUTH_TOKEN_HASH_H
#define TAILWATER_AUTH_TOKEN_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct token_hash {
    uint8_t bytes[32];
};

enum { TOKEN_HASH_TEXT = 65 }; /* 64 hex digits and a NUL */

struct token_hash token_hash_of(const void *token, size_t len);

/* Read 64 hex digits. Returns 0, or -1 when they are not. */
int token_hash_parse(const char *text, struct token_hash *out);

void token_hash_format(const struct token_hash *hash, char out[TOKEN_HASH_TEXT]);

/* In a time that does not depend on how many bytes are the same. */
bool token_hash_is_same(const struct token_hash *a, const struct token_hash *b);

#endif
