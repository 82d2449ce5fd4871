/* hash - see hash.h. */
#include "hash.h"

#include "random.h"

#include <pthread.h>
#include <string.h>

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t load_little_endian(const unsigned char *p, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)p[i] << (8 * i);
    }
    return word;
}

uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t v[4] = {0x736f6d6570736575u ^ key->k0, 0x646f72616e646f6du ^ key->k1, 0x6c7967656e657261u ^ key->k0,
                     0x7465646279746573u ^ key->k1};
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word = load_little_endian(p, 8);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)len << 56 | load_little_endian(p, left);
    v[3] ^= last;
    sip_round(v);
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct hash_key process_key;

static void make_process_key(void)
{
    random_bytes(&process_key, sizeof process_key);
}

const struct hash_key *hash_process_key(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_process_key);
    return &process_key;
}
