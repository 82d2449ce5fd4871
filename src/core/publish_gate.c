/* publish_gate - see publish_gate.h. */
#include "publish_gate.h"

#include "buffer.h"
#include "rate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct service {
    struct rate rate;
    UT_hash_handle hh;
    char name[];
};

struct publish_gate {
    pthread_mutex_t lock;
    struct service *services;
    size_t bytes, max_bytes;
};

struct publish_gate *publish_gate_new(size_t max_bytes)
{
    struct publish_gate *gate = memory_zero(1, sizeof *gate);
    pthread_mutex_init(&gate->lock, NULL);
    gate->max_bytes = max_bytes;
    return gate;
}

void publish_gate_free(struct publish_gate *gate)
{
    struct service *s, *next;
    if (!gate) {
        return;
    }
    HASH_ITER(hh, gate->services, s, next)
    {
        HASH_DEL(gate->services, s);
        free(s);
    }
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

static struct service *service_of(struct publish_gate *gate, const char *name)
{
    struct service *s;
    HASH_FIND_STR(gate->services, name, s);
    if (!s) {
        size_t len = strlen(name);
        s = memory_zero(1, sizeof *s + len + 1);
        memcpy(s->name, name, len);
        HASH_ADD_STR(gate->services, name, s);
    }
    return s;
}

bool publish_gate_take(struct publish_gate *gate, const char *service, uint64_t max_per_s, uint64_t count,
                       int64_t now_us)
{
    pthread_mutex_lock(&gate->lock);
    bool taken = rate_take(&service_of(gate, service)->rate, max_per_s, count, now_us);
    pthread_mutex_unlock(&gate->lock);
    return taken;
}

bool publish_gate_enter(struct publish_gate *gate, size_t bytes)
{
    pthread_mutex_lock(&gate->lock);
    bool room = gate->bytes == 0 || (bytes <= gate->max_bytes && gate->bytes <= gate->max_bytes - bytes);
    gate->bytes += room ? bytes : 0;
    pthread_mutex_unlock(&gate->lock);
    return room;
}

void publish_gate_leave(struct publish_gate *gate, size_t bytes)
{
    pthread_mutex_lock(&gate->lock);
    gate->bytes -= bytes;
    pthread_mutex_unlock(&gate->lock);
}
