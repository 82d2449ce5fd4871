/* source - see source.h. */
#include "source.h"

#include "buffer.h"
#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AWAY_AFTER_US = 5000000 };

struct source *source_new(const struct source_options *options)
{
    struct source *s = memory_zero(1, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", options->name);
    s->tag = options->tag;
    s->index = options->index;
    s->journal = journal_new(options->journal);
    s->catalog = catalog_new();
    s->notices = notices_new(options->name);
    s->catchup = catchup_new(s->journal, options->catchup);
    atomic_init(&s->status.lag_ms, -1);
    pthread_mutex_init(&s->error_lock, NULL);
    return s;
}

void source_free(struct source *s)
{
    if (!s) {
        return;
    }
    catchup_free(s->catchup);
    notices_free(s->notices);
    catalog_free(s->catalog);
    journal_free(s->journal);
    pthread_mutex_destroy(&s->error_lock);
    free(s);
}

void source_set_state(struct source *s, enum source_state state)
{
    atomic_store(&s->status.state, (int)state);
}

const char *source_state_name(enum source_state state)
{
    static const char *const names[] = {"opening", "scanning", "streaming", "polling", "backing-off", "stopped"};
    return names[state];
}

const char *source_polling_sentence(enum source_polling polling)
{
    switch (polling) {
    case SOURCE_POLLS_STANDALONE:
        return "change streams need a replica set, so the collections are polled: order and completeness are not "
               "promised and no client can resume; start mongod with --replSet and run rs.initiate() once";
    case SOURCE_POLLS_VIEWS:
        return "views and time-series collections have no change stream, so they are polled: order and completeness "
               "are not promised and no client can resume; log into plain collections of a replica set (rs.initiate())";
    case SOURCE_FOLLOWS_STREAM:
        break;
    }
    return NULL;
}

bool source_can_resume(const struct source *s, struct event_id point)
{
    return !atomic_load(&s->status.polling) && point.cluster_time >= atomic_load(&s->status.mode_since);
}

void source_note_error(struct source *s, const char *sentence)
{
    atomic_fetch_add(&s->status.errors, 1);
    pthread_mutex_lock(&s->error_lock);
    snprintf(s->last_error, sizeof s->last_error, "%s", sentence);
    pthread_mutex_unlock(&s->error_lock);
}

void source_copy_error(struct source *s, char out[256])
{
    pthread_mutex_lock(&s->error_lock);
    memcpy(out, s->last_error, sizeof s->last_error);
    pthread_mutex_unlock(&s->error_lock);
}

void source_note_unroutable(struct source *s, const char *sentence)
{
    atomic_fetch_add(&s->status.unroutable, 1);
    pthread_mutex_lock(&s->error_lock);
    struct source_sample *sample = &s->unroutable[s->unroutable_count++ % SOURCE_SAMPLES];
    sample->at_ms = clock_wall_ms();
    snprintf(sample->text, sizeof sample->text, "%s", sentence);
    pthread_mutex_unlock(&s->error_lock);
}

unsigned source_copy_unroutable(struct source *s, struct source_sample out[SOURCE_SAMPLES])
{
    pthread_mutex_lock(&s->error_lock);
    unsigned count = s->unroutable_count < SOURCE_SAMPLES ? (unsigned)s->unroutable_count : SOURCE_SAMPLES;
    for (unsigned i = 0; i < count; i++) {
        out[i] = s->unroutable[(s->unroutable_count - 1 - i) % SOURCE_SAMPLES];
    }
    pthread_mutex_unlock(&s->error_lock);
    return count;
}

void source_note_cluster_time(struct source *s, uint64_t cluster_time)
{
    int64_t now_us = clock_mono_us();
    if (cluster_time >= atomic_load(&s->status.cluster_time)) {
        atomic_store(&s->status.cluster_time, cluster_time);
        atomic_store(&s->status.cluster_seen_us, now_us);
    }
    atomic_store(&s->status.contact_us, now_us);
}

bool source_is_away(struct source *s)
{
    int64_t contact_us = atomic_load(&s->status.contact_us);
    return contact_us != 0 && clock_mono_us() - contact_us > AWAY_AFTER_US;
}

uint32_t source_cluster_seconds(struct source *s)
{
    uint64_t seen = atomic_load(&s->status.cluster_time);
    if (!seen) {
        return 0;
    }
    int64_t since_us = clock_mono_us() - atomic_load(&s->status.cluster_seen_us);
    return (uint32_t)(seen >> 32) + (uint32_t)(since_us / 1000000);
}

int64_t source_oplog_window_s(struct source *s)
{
    if (atomic_load(&s->status.polling)) {
        return -1;
    }
    uint64_t first = atomic_load(&s->status.oplog_first), last = atomic_load(&s->status.oplog_last);
    return first && last >= first ? (int64_t)((last >> 32) - (first >> 32)) : -1;
}
