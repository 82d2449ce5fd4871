/* token_hash - see token_hash.h. */
#include "token_hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

struct token_hash token_hash_of(const void *token, size_t len)
{
    struct token_hash hash;
    SHA256(token, len, hash.bytes);
    return hash;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int token_hash_parse(const char *text, struct token_hash *out)
{
    if (strlen(text) != TOKEN_HASH_TEXT - 1) {
        return -1;
    }
    for (size_t i = 0; i < sizeof out->bytes; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return -1;
        }
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

void token_hash_format(const struct token_hash *hash, char out[TOKEN_HASH_TEXT])
{
    for (size_t i = 0; i < sizeof hash->bytes; i++) {
        snprintf(out + 2 * i, 3, "%02x", hash->bytes[i]);
    }
}

bool token_hash_is_same(const struct token_hash *a, const struct token_hash *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
