/* access_holder - where the newest rules hang (access.h). */
#include "access.h"

#include "buffer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct access_holder {
    pthread_mutex_t lock;
    struct access *access;
    _Atomic uint64_t version;
};

struct access_holder *access_holder_new(struct access *access)
{
    struct access_holder *holder = memory_new(sizeof *holder);
    pthread_mutex_init(&holder->lock, NULL);
    holder->access = access;
    atomic_init(&holder->version, 0);
    return holder;
}

void access_holder_free(struct access_holder *holder)
{
    if (holder) {
        access_unref(holder->access);
        pthread_mutex_destroy(&holder->lock);
        free(holder);
    }
}

struct access *access_holder_get(struct access_holder *holder)
{
    pthread_mutex_lock(&holder->lock);
    struct access *access = access_ref(holder->access);
    pthread_mutex_unlock(&holder->lock);
    return access;
}

void access_holder_put(struct access_holder *holder, struct access *access)
{
    pthread_mutex_lock(&holder->lock);
    struct access *before = holder->access;
    holder->access = access;
    pthread_mutex_unlock(&holder->lock);
    atomic_fetch_add(&holder->version, 1); /* after: who sees it gets these rules */
    access_unref(before);
}

uint64_t access_holder_version(const struct access_holder *holder)
{
    return atomic_load(&holder->version);
}
