/* census - see census.h. */
#include "census.h"

#include "buffer.h"
#include "hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Strangers choose the keys: a seeded hash, so that they cannot choose collisions. */
#undef HASH_FUNCTION
#define HASH_FUNCTION(key, len, value) ((value) = (unsigned)hash_bytes(hash_process_key(), (key), (len)))
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    size_t subscriptions;
    char channel[];
};

struct census {
    pthread_mutex_t lock;
    struct entry *entries;
};

struct census *census_new(void)
{
    struct census *c = memory_zero(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void census_free(struct census *c)
{
    struct entry *e, *next;
    if (!c) {
        return;
    }
    HASH_ITER(hh, c->entries, e, next)
    {
        HASH_DEL(c->entries, e);
        free(e);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void census_add(struct census *c, const char *channel, size_t len)
{
    struct entry *e;
    pthread_mutex_lock(&c->lock);
    HASH_FIND(hh, c->entries, channel, len, e);
    if (!e) {
        e = memory_zero(1, sizeof *e + len);
        memcpy(e->channel, channel, len);
        HASH_ADD_KEYPTR(hh, c->entries, e->channel, len, e);
    }
    e->subscriptions++;
    pthread_mutex_unlock(&c->lock);
}

void census_remove(struct census *c, const char *channel, size_t len)
{
    struct entry *e;
    pthread_mutex_lock(&c->lock);
    HASH_FIND(hh, c->entries, channel, len, e);
    if (e && --e->subscriptions == 0) {
        HASH_DEL(c->entries, e);
        free(e);
    }
    pthread_mutex_unlock(&c->lock);
}

size_t census_count(struct census *c)
{
    pthread_mutex_lock(&c->lock);
    size_t count = HASH_COUNT(c->entries);
    pthread_mutex_unlock(&c->lock);
    return count;
}
