/* tally - see tally.h. */
#include "tally.h"

#include "buffer.h"
#include "seeded_table.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct tally_entry {
    uint64_t count;
    UT_hash_handle hh;
    char key[];
};

struct tally {
    pthread_mutex_t lock;
    struct tally_entry *entries;
};

struct tally *tally_new(void)
{
    struct tally *tally = memory_zero(1, sizeof *tally);
    pthread_mutex_init(&tally->lock, NULL);
    return tally;
}

static void forget(struct tally *tally, struct tally_entry *entry)
{
    HASH_DELETE(hh, tally->entries, entry);
    free(entry);
}

void tally_free(struct tally *tally)
{
    struct tally_entry *entry, *next;
    if (!tally) {
        return;
    }
    HASH_ITER(hh, tally->entries, entry, next)
    {
        forget(tally, entry);
    }
    pthread_mutex_destroy(&tally->lock);
    free(tally);
}

static struct tally_entry *find(const struct tally *tally, const void *key, size_t len)
{
    struct tally_entry *entry;
    HASH_FIND(hh, tally->entries, key, len, entry);
    return entry;
}

static struct tally_entry *make(struct tally *tally, const void *key, size_t len)
{
    struct tally_entry *entry = memory_zero(1, sizeof *entry + len);
    memcpy(entry->key, key, len);
    HASH_ADD_KEYPTR(hh, tally->entries, entry->key, len, entry);
    return entry;
}

int tally_add(struct tally *tally, const void *key, size_t len, uint64_t max)
{
    pthread_mutex_lock(&tally->lock);
    struct tally_entry *entry = find(tally, key, len);
    bool is_full = entry && max && entry->count >= max;
    if (!is_full) {
        entry = entry ? entry : make(tally, key, len);
        entry->count++;
    }
    pthread_mutex_unlock(&tally->lock);
    return is_full ? -1 : 0;
}

void tally_remove(struct tally *tally, const void *key, size_t len)
{
    pthread_mutex_lock(&tally->lock);
    struct tally_entry *entry = find(tally, key, len);
    if (entry && --entry->count == 0) {
        forget(tally, entry);
    }
    pthread_mutex_unlock(&tally->lock);
}

size_t tally_keys(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    size_t count = HASH_COUNT(tally->entries);
    pthread_mutex_unlock(&tally->lock);
    return count;
}

uint64_t tally_count(struct tally *tally, const void *key, size_t len)
{
    pthread_mutex_lock(&tally->lock);
    struct tally_entry *entry = find(tally, key, len);
    uint64_t count = entry ? entry->count : 0;
    pthread_mutex_unlock(&tally->lock);
    return count;
}

void tally_visit(struct tally *tally, void (*visit)(const char *key, size_t len, uint64_t count, void *arg), void *arg)
{
    struct tally_entry *entry, *next;
    pthread_mutex_lock(&tally->lock);
    HASH_ITER(hh, tally->entries, entry, next)
    {
        visit(entry->key, entry->hh.keylen, entry->count, arg);
    }
    pthread_mutex_unlock(&tally->lock);
}
