/*
 * tailwater-load - many SSE connections from one thread: opens them, checks and measures what they receive, ends by
 * itself. See load_plan.c for the command line and load.h for the phases.
 */
#include "load.h"

#include "buffer.h"
#include "wall.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    SCOUTS_MAX = 64,
    WAKES_MAX = 512,
    READ_BYTES = 256 * 1024,
    TICK_MS = 5,
    OPENED_A_TICK = 256,      /* so that answers are read while a round is being opened */
    SETTLE_US = 500 * 1000,   /* storm: silence before a phase counts as over */
    FINAL_US = 1000 * 1000,   /* storm: silence after the last one caught up, for doubles to show */
    FRESH_US = 300 * 1000,    /* an event so shortly before the end: the ends of the lanes are not judged */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int raise_file_limit(unsigned sockets)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < sockets + 16) {
        fprintf(stderr, "tailwater-load: %u connections need more open files than ulimit -n allows (%llu)\n", sockets,
                (unsigned long long)limit.rlim_cur);
        return -1;
    }
    return 0;
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

static struct group *group_of(struct load *load, unsigned number)
{
    char target[PLAN_TARGET_MAX];
    if (load_plan_target(&load->plan, number, target) < 0) {
        return group_find(&load->groups, load->plan.target); /* cannot be: the highest number fitted */
    }
    return group_find(&load->groups, target);
}

/* One client a number; in a storm one scout a group besides. */
static int make_clients(struct load *load)
{
    struct group **groups = memory_new(load->plan.clients * sizeof *groups);
    for (unsigned i = 0; i < load->plan.clients; i++) {
        groups[i] = group_of(load, i);
    }
    load->scout_count = load->plan.storm > 0 ? HASH_COUNT(load->groups) : 0;
    load->client_count = load->plan.clients + load->scout_count;
    bool fits = load->scout_count <= SCOUTS_MAX && raise_file_limit(load->client_count) == 0;
    if (fits) {
        load->clients = memory_zero(load->client_count, sizeof *load->clients);
        for (unsigned i = 0; i < load->plan.clients; i++) {
            client_init(&load->clients[i], load, i, groups[i], false);
        }
        unsigned number = load->plan.clients;
        for (struct group *g = load->groups; g && load->scout_count > 0; g = g->hh.next) {
            client_init(&load->clients[number], load, number, g, true);
            number++;
        }
    } else if (load->scout_count > SCOUTS_MAX) {
        fprintf(stderr, "tailwater-load: --storm works with at most %d different targets\n", SCOUTS_MAX);
    }
    free(groups);
    return fits ? 0 : -1;
}

/* How many clients of this round may be open by now. */
static unsigned allowed(const struct load *load, unsigned round)
{
    if (load->plan.connect_rate == 0) {
        return round;
    }
    double due = 1 + (double)(load->now_us - load->phase_us) * 1e-6 * load->plan.connect_rate;
    return due < round ? (unsigned)due : round;
}

/* Open the next clients of this round: everyone at first, all but the scouts when they return. */
static void open_more(struct load *load)
{
    unsigned round = load->phase == LOAD_OPENING ? load->client_count : load->plan.clients;
    unsigned until = allowed(load, round);
    for (unsigned n = 0; n < OPENED_A_TICK && load->next < until && load->opening < load->plan.in_flight; n++) {
        client_open(&load->clients[load->next++]);
    }
}

/* --- phases ----------------------------------------------------------------------------------------------------- */

static void enter(struct load *load, enum load_phase phase, const char *name)
{
    load->phase = phase;
    load->phase_us = load->now_us;
    if (name) {
        report_phase(load, name);
    }
}

static bool quiet_for(const struct load *load, int64_t us)
{
    int64_t last = load->counts.last_event_us > load->phase_us ? load->counts.last_event_us : load->phase_us;
    return load->now_us - last >= us;
}

static bool everyone_has_events(const struct load *load)
{
    for (unsigned i = 0; i < load->client_count; i++) {
        const struct client *client = &load->clients[i];
        size_t len;
        tailwater_sse_parser_last_id(client->stream.parser, &len);
        if (client->stream.state != STREAM_CLOSED && (client->events == 0 || len == 0)) {
            return false;
        }
    }
    return load->live > 0;
}

static void drop_all(struct load *load)
{
    for (unsigned i = 0; i < load->plan.clients; i++) {
        client_close(&load->clients[i]);
    }
    load->storm.dropped_us = load->now_us;
    enter(load, LOAD_AWAY, "dropped");
}

static bool scouts_have_seen(const struct load *load, uint64_t events)
{
    for (const struct group *g = load->groups; g; g = g->hh.next) {
        if (g->away_events < events) {
            return false;
        }
    }
    return true;
}

static void return_all(struct load *load)
{
    for (struct group *g = load->groups; g; g = g->hh.next) {
        for (struct lane *lane = g->lanes; lane; lane = lane->hh.next) {
            lane->target_seq = lane->last_seq;
        }
    }
    for (unsigned i = 0; i < load->plan.clients; i++) {
        load->clients[i].pending = tracks_pending(&load->clients[i].tracks, load->clients[i].group);
        load->storm.missed += load->clients[i].pending;
    }
    load->next = 0;
    load->storm.returned_us = load->now_us;
    enter(load, LOAD_RETURNING, "returning");
}

/* A run without a storm: until it is quiet or nobody is left. */
static void tick_running(struct load *load)
{
    const struct load_plan *plan = &load->plan;
    if (load->live == 0) {
        enter(load, LOAD_OVER, NULL);
    } else if (plan->storm > 0) {
        if (everyone_has_events(load) && quiet_for(load, SETTLE_US)) {
            drop_all(load);
        }
    } else if (plan->quiet_s > 0 && load->counts.events > 0 && quiet_for(load, (int64_t)(plan->quiet_s * 1e6))) {
        enter(load, LOAD_OVER, NULL);
    }
}

static bool someone_is_catching_up(const struct load *load)
{
    for (unsigned i = 0; i < load->plan.clients; i++) {
        if (load->clients[i].stream.state != STREAM_CLOSED && !load->clients[i].caught_up) {
            return true;
        }
    }
    return false;
}

static void tick_returning(struct load *load)
{
    open_more(load);
    if (load->next == load->plan.clients && quiet_for(load, FINAL_US) && !someone_is_catching_up(load)) {
        enter(load, LOAD_OVER, NULL);
    }
}

static void tick(struct load *load)
{
    load->now_us = wall_us();
    if (interrupted || load->now_us - load->started_us > (int64_t)(load->plan.seconds * 1e6)) {
        enter(load, LOAD_OVER, NULL);
        return;
    }
    switch (load->phase) {
    case LOAD_OPENING:
        open_more(load);
        if (load->next == load->client_count && load->opening == 0) {
            enter(load, LOAD_RUNNING, "ready");
        }
        return;
    case LOAD_RUNNING:
        tick_running(load);
        return;
    case LOAD_AWAY:
        if (scouts_have_seen(load, load->plan.storm) && quiet_for(load, SETTLE_US)) {
            return_all(load);
        }
        return;
    case LOAD_RETURNING:
        tick_returning(load);
        return;
    case LOAD_OVER:
        return;
    }
}

static void run(struct load *load, char *memory)
{
    static struct epoll_event wakes[WAKES_MAX];
    int64_t ticked_us = 0;
    load->started_us = load->phase_us = load->now_us = wall_us();
    while (load->phase != LOAD_OVER) {
        int n = epoll_wait(load->epoll, wakes, WAKES_MAX, TICK_MS);
        for (int i = 0; i < n; i++) {
            client_wake(wakes[i].data.ptr, memory, READ_BYTES);
        }
        bool opening = load->phase == LOAD_OPENING || load->phase == LOAD_RETURNING;
        load->now_us = wall_us();
        if (opening || n <= 0 || load->now_us - ticked_us >= TICK_MS * 1000) {
            tick(load);
            ticked_us = load->now_us;
        }
    }
}

/* What only the end shows; the scouts are no measure of the server's. */
static void judge(struct load *load)
{
    bool ends = load->now_us - load->counts.last_event_us > FRESH_US;
    for (unsigned i = 0; i < load->plan.clients; i++) {
        const struct client *client = &load->clients[i];
        bool at_end = ends && client->stream.state != STREAM_CLOSED;
        tracks_judge(&client->tracks, client->group, client->ready_us, at_end, &load->counts.verdict);
    }
}

int main(int argc, char **argv)
{
    static struct load load;
    int parsed = load_plan_parse(&load.plan, argc, argv);
    if (parsed != 0) {
        return parsed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    if (make_clients(&load) < 0) {
        groups_free(&load.groups);
        return EXIT_FAILURE;
    }
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    char *memory = memory_new(READ_BYTES);
    run(&load, memory);
    judge(&load);
    report_result(&load);
    for (unsigned i = 0; i < load.client_count; i++) {
        client_fini(&load.clients[i]);
    }
    close(load.epoll);
    groups_free(&load.groups);
    free(load.clients);
    free(memory);
    return load.counts.ready > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
