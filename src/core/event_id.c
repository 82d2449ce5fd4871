/* event_id - see event_id.h. */
#include "event_id.h"

#include "buffer.h"
#include "hash.h"

#include <string.h>

enum { HASH_DIGITS = 12, TIME_DIGITS = 16 };

static void put_hex(char *out, uint64_t value, int digits)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = hex[value & 15];
        value >>= 4;
    }
}

static int get_hex(const char *text, int digits, uint64_t *out)
{
    uint64_t value = 0;
    for (int i = 0; i < digits; i++) {
        char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9') {
            digit = (unsigned)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (unsigned)(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            digit = (unsigned)(c - 'A' + 10);
        } else {
            return -1;
        }
        value = value << 4 | digit;
    }
    *out = value;
    return 0;
}

size_t event_id_format(struct event_id id, char out[EVENT_ID_TEXT_LEN])
{
    put_hex(out, id.cluster_time, TIME_DIGITS);
    if (event_id_is_position(id)) {
        return EVENT_ID_POSITION_LEN;
    }
    out[TIME_DIGITS] = '-';
    put_hex(out + TIME_DIGITS + 1, (uint64_t)id.hash, HASH_DIGITS);
    return EVENT_ID_TEXT_LEN;
}

/* A raw token is the hex of a KeyString that begins with the type byte 82 and the cluster time. */
static int parse_raw_token(const char *text, size_t len, struct event_id *out)
{
    uint64_t time, ignored;
    if (len < 2 + TIME_DIGITS + 2 || len > EVENT_ID_TOKEN_MAX || len % 2 != 0 || memcmp(text, "82", 2) != 0 ||
        get_hex(text + 2, TIME_DIGITS, &time) != 0) {
        return -1;
    }
    for (size_t i = 2 + TIME_DIGITS; i < len; i++) {
        if (get_hex(text + i, 1, &ignored) != 0) {
            return -1;
        }
    }
    *out = event_id_position(time);
    return time ? 0 : -1;
}

int event_id_parse(const char *text, size_t len, struct event_id *out)
{
    uint64_t time, hash;
    if (len != EVENT_ID_POSITION_LEN && len != EVENT_ID_TEXT_LEN) {
        return parse_raw_token(text, len, out);
    }
    if (get_hex(text, TIME_DIGITS, &time) != 0 || time == 0) {
        return -1;
    }
    if (len == EVENT_ID_POSITION_LEN) {
        *out = event_id_position(time);
        return 0;
    }
    if (text[TIME_DIGITS] != '-' || get_hex(text + TIME_DIGITS + 1, HASH_DIGITS, &hash) != 0) {
        return -1;
    }
    *out = (struct event_id){time, (int64_t)hash};
    return 0;
}

int64_t event_id_hash(const char *ns, size_t ns_len, const void *key, size_t key_len, char operation,
                      uint32_t ordinal)
{
    /* Fixed and public: the same event has the same id on every instance. The parts are chained, each under the
     * hash of what came before, so that their borders cannot be shifted against one another. */
    static const struct hash_key fixed = {0x7461696c77617465u, 0x6576656e742d6964u};
    struct {
        char operation;
        unsigned char ordinal[4];
    } tail = {operation, {(unsigned char)ordinal, (unsigned char)(ordinal >> 8), (unsigned char)(ordinal >> 16),
                          (unsigned char)(ordinal >> 24)}};
    struct hash_key key1 = {hash_bytes(&fixed, ns, ns_len), fixed.k1};
    struct hash_key key2 = {hash_bytes(&key1, key, key_len), fixed.k1};
    return (int64_t)(hash_bytes(&key2, &tail, sizeof tail) & 0xffffffffffffu);
}
