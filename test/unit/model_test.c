/*
 * The model test: the real journal, catch-up queue, sweeps and feeds between a simulated deployment (model_world) and
 * simulated connections (model_stream), judged by clients that know the whole history (model_client). Single-threaded
 * and deterministic: a failure prints the seed of its world.
 *
 *   TAILWATER_MODEL_SEED=0x… TAILWATER_MODEL_STEPS=100000 model_test
 */
#include "model_client.h"

#include "clock.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_STEPS = 1500000, REST_ROUNDS = 20000 };

/* A whole world with those who look at it. */
struct model {
    struct model_world world;
    struct model_loop loops[MODEL_LOOPS_MAX];
    struct model_client clients[MODEL_CLIENTS_MAX];
    unsigned loop_count, client_count;
};

static void model_init(struct model *m, uint64_t seed, struct model_stats *stats)
{
    struct model_world *w = &m->world;
    model_world_init(w, seed, stats);
    m->loop_count = (unsigned)model_between(w, 1, MODEL_LOOPS_MAX);
    m->client_count = (unsigned)model_between(w, 1, MODEL_CLIENTS_MAX);
    for (unsigned i = 0; i < m->loop_count; i++) {
        model_loop_init(&m->loops[i], w);
    }
    for (unsigned i = 0; i < m->client_count; i++) {
        model_client_init(&m->clients[i], i, w);
    }
    stats->worlds++;
}

static void model_fini(struct model *m)
{
    for (unsigned i = 0; i < m->client_count; i++) {
        if (m->clients[i].stream.is_open) {
            model_client_cut(&m->clients[i]);
        }
    }
    for (unsigned i = 0; i < m->loop_count; i++) {
        model_loop_fini(&m->loops[i]);
    }
    model_world_fini(&m->world);
}

static void client_step(struct model *m)
{
    struct model_world *w = &m->world;
    struct model_client *c = &m->clients[model_between(w, 0, m->client_count - 1)];
    if (!c->stream.is_open) {
        if (model_chance(w, 30)) {
            model_client_connect(c, &m->loops[model_between(w, 0, m->loop_count - 1)]);
        }
    } else if (model_chance(w, 6)) {
        model_client_cut(c);
    } else if (model_chance(w, 20)) {
        model_stream_heartbeat(&c->stream);
    } else {
        model_client_receive(c, (unsigned)model_between(w, 1, 12));
    }
}

static void step(struct model *m)
{
    struct model_world *w = &m->world;
    unsigned what = (unsigned)model_between(w, 0, 999);
    if (what < 250) {
        model_produce(w);
    } else if (what < 253) {
        model_forget(w);
    } else if (what < 400) {
        model_watch(w);
    } else if (what < 600) {
        model_sweep(w, (unsigned)model_between(w, 0, MODEL_SWEEPS_MAX - 1));
    } else if (what < 750) {
        model_loop_run(&m->loops[model_between(w, 0, m->loop_count - 1)]);
    } else {
        client_step(m);
    }
    w->step++;
}

/* One round without new events; how much came to clients. */
static unsigned rest_round(struct model *m)
{
    unsigned received = 0;
    model_watch(&m->world);
    for (unsigned i = 0; i < MODEL_SWEEPS_MAX; i++) {
        model_sweep(&m->world, i);
    }
    for (unsigned i = 0; i < m->loop_count; i++) {
        model_loop_run(&m->loops[i]);
    }
    for (unsigned i = 0; i < m->client_count; i++) {
        received += model_client_receive(&m->clients[i], MODEL_QUEUE_MAX);
    }
    return received;
}

static bool is_at_rest(const struct model *m)
{
    for (unsigned i = 0; i < m->client_count; i++) {
        const struct model_stream *s = &m->clients[i].stream;
        if (s->is_open && (s->feed.state != FEED_LIVE || s->queue_count > 0)) {
            return false;
        }
    }
    return m->world.opened && m->world.watcher.next == m->world.count;
}

/* Nothing new happens any more: everyone must get everything. */
static void come_to_rest(struct model *m)
{
    int quiet = 0;
    m->world.now += 10;
    for (int i = 0; i < REST_ROUNDS && quiet < 4; i++) {
        quiet = rest_round(m) == 0 && is_at_rest(m) ? quiet + 1 : 0;
    }
    for (unsigned i = 0; i < m->client_count; i++) {
        model_client_judge_rest(&m->clients[i]);
    }
}

static void run_world(uint64_t seed, uint64_t steps, struct model_stats *stats)
{
    static struct model m; /* large */
    memset(&m, 0, sizeof m);
    model_init(&m, seed, stats);
    for (uint64_t i = 0; i < steps; i++) {
        step(&m);
    }
    come_to_rest(&m);
    model_fini(&m);
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void print_stats(const struct model_stats *s, uint64_t steps, int64_t took_us)
{
    printf("%" PRIu64 " worlds, %" PRIu64 " steps, %.0f steps/s; %" PRIu64 " events (%" PRIu64 " groups), %" PRIu64
           " losses, %" PRIu64 " of sweeps, %" PRIu64 " sweeps\n",
           s->worlds, steps, (double)steps * 1e6 / (double)(took_us + 1), s->events, s->transactions, s->losses,
           s->sweep_losses, s->sweeps);
    printf("%" PRIu64 " connections received %" PRIu64 " events, %" PRIu64 " gaps, %" PRIu64 " overlaps, %" PRIu64
           " heartbeats; %" PRIu64 " fall-backs, %" PRIu64 " overtaken loops\n",
           s->connects, s->received, s->gaps, s->overlaps, s->marks, s->fall_backs, s->carry_losses);
}

/* The first world has the given seed, so that a failing one can be run alone; the others follow from it. */
static void test_worlds(void **state)
{
    (void)state;
    struct model_stats stats = {0};
    uint64_t fresh, done = 0;
    random_bytes(&fresh, sizeof fresh);
    uint64_t seed = number_from_environment("TAILWATER_MODEL_SEED", fresh);
    uint64_t steps = number_from_environment("TAILWATER_MODEL_STEPS", DEFAULT_STEPS);
    int64_t began_us = clock_mono_us();
    printf("seed 0x%016" PRIx64 "\n", seed);
    for (struct model_world chance = {.random = seed}; done < steps; seed = model_random(&chance)) {
        uint64_t size = 1000 + seed % 9000;
        run_world(seed, size, &stats);
        done += size;
    }
    print_stats(&stats, done, clock_mono_us() - began_us);
    assert_true(stats.received > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worlds),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
