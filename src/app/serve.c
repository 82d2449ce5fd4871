/* serve - see serve.h. */
#include "serve.h"

#include "access_reload.h"
#include "buffer.h"
#include "check.h"
#include "cli.h"
#include "hardening.h"
#include "job_pool.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "ops.h"
#include "probes.h"
#include "publishing.h"
#include "settings.h"
#include "sweep.h"
#include "tls.h"
#include "watcher.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOPS_MAX = 64,
    STOP_TIME_S = 30, /* behind drain_delay_s, told to the service manager */
    STOP_LIMIT_S = 3, /* for everything to end; a server that does not answer is not waited for longer */
};

/* One source with its threads. */
struct running_source {
    struct database *database;
    struct source *source;
    struct watcher *watcher;
    struct sweep_threads *sweeps;
};

struct app {
    const struct config *config;
    struct http_context context;
    struct settings_lists lists;
    struct job_source job_sources[CONFIG_SOURCES_MAX];
    struct running_source sources[CONFIG_SOURCES_MAX];
    struct job_pool *job_pool;
    struct publishing *publishing;
    struct access_reload *access_reload;
    struct loop *loops[LOOPS_MAX];
    unsigned loop_count;
    struct ops *ops; /* NULL = no such listener */
    struct notify notify;
};

/* --- making ---------------------------------------------------------------------------------------- */

/* Checked when the configuration was read; the files may have changed since. */
static int make_tls(struct app *app, struct error *err)
{
    const struct config *c = app->config;
    if (!c->tls_certificate_file) {
        return 0;
    }
    app->context.tls = tls_new(c->tls_certificate_file, c->tls_key_file, err);
    return app->context.tls ? 0 : -1;
}

static unsigned wanted_loops(const struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t wanted = config->loops > 0 ? config->loops : cores > 0 ? cores : 1;
    return wanted > LOOPS_MAX ? LOOPS_MAX : (unsigned)wanted;
}

/* For the admin to see. */
static void show_config(struct app *app)
{
    struct buffer text = BUFFER_INIT;
    config_append_json(app->config, access_reload_config(app->access_reload), access_reload_takes, &text);
    shared_text_set(app->context.config, &text);
}

static void make_access(struct app *app)
{
    app->context.access = access_holder_new(access_ref(app->config->access));
    app->access_reload = access_reload_new(app->config, app->context.access);
    app->context.config = shared_text_new();
    show_config(app);
}

static struct event_builder_options build_options(const struct config *c)
{
    return (struct event_builder_options){
        .style = strcmp(c->json, "relaxed") == 0 ? JSON_STYLE_RELAXED : JSON_STYLE_PLAIN,
        .max_event_bytes = (size_t)c->max_event_bytes,
    };
}

/* Followed by the first source. */
static void make_grants(struct app *app)
{
    const struct config *c = app->config;
    if (c->auth_grants_collection) {
        app->context.grants = grant_book_new(c->grants_max_age_s * 1000000, (size_t)c->limits_grants_bytes);
    }
}

static int make_source(struct app *app, unsigned index, struct error *err)
{
    const struct config *c = app->config;
    const struct config_source *configured = &c->sources[index];
    struct running_source *running = &app->sources[index];
    struct source_options options = {
        .name = configured->name,
        .tag = configured->tag,
        .index = index,
        .journal = {.max_bytes = (size_t)c->journal_bytes, .max_age_us = c->journal_age_s * 1000000},
        .catchup = {.max_sweeps = (unsigned)c->catchup_max, .window_bytes = (size_t)c->catchup_window_bytes},
    };
    running->database = database_new(config_source_uri(c, configured), c->mongodb_max_await_ms, err);
    if (!running->database) {
        return -1;
    }
    running->source = source_new(&options);
    database_count(running->database, &running->source->status.commands, &running->source->status.command_failures);
    app->context.sources[index] = running->source;
    app->job_sources[index] = (struct job_source){running->database, configured->mappings};
    app->context.source_count = index + 1;
    return 0;
}

/* A server that can be reached but will never give change streams: refuse to start, in words. One that cannot be reached
 * may come back: serve, degraded. */
static int check_sources(struct app *app, struct error *err)
{
    for (unsigned i = 0; i < app->context.source_count; i++) {
        enum source_polling polls;
        int rc = check_source(app->config, &app->config->sources[i], app->sources[i].database, &polls, err);
        atomic_store(&app->sources[i].source->status.polling, (int)polls); /* so that the first `ready` tells it, too */
        if (rc < 0) {
            return error_prefix(err, "source %s", app->config->sources[i].name);
        }
        if (rc > 0) {
            log_warn("serve", "source %s: MongoDB cannot be reached yet (%s); starting all the same",
                     app->config->sources[i].name, err->text);
        }
    }
    return 0;
}

static int make_loops(struct app *app, struct error *err)
{
    for (unsigned i = 0; i < wanted_loops(app->config); i++) {
        app->loops[i] = loop_new(i, &app->context, err);
        if (!app->loops[i]) {
            return -1;
        }
        app->loop_count = i + 1;
    }
    return 0;
}

/* Bound before MongoDB is looked for: a port that is taken is told at once. */
static int make_ops(struct app *app, struct error *err)
{
    const struct config *c = app->config;
    if (!c->ops_listen) {
        return 0;
    }
    if (listener_probe(c->ops_host, c->ops_port, "ops_listen", err) != 0) {
        return -1;
    }
    app->ops = ops_new(&app->context, c->ops_host, c->ops_port, err);
    return app->ops ? 0 : -1;
}

static int make(struct app *app, struct error *err)
{
    const struct config *c = app->config;
    settings_make(c, wanted_loops(c), &app->context, &app->lists);
    make_grants(app);
    app->context.jobs = job_queue_new((size_t)c->limits_jobs);
    app->publishing = publishing_new(c, &app->context);
    make_access(app);
    if (make_tls(app, err) != 0 || listener_probe(c->listen_host, c->listen_port, "PORT or listen", err) != 0 ||
        make_ops(app, err) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < c->source_count; i++) {
        if (make_source(app, i, err) != 0) {
            return -1;
        }
    }
    return check_sources(app, err) != 0 ? -1 : make_loops(app, err);
}

/* --- running --------------------------------------------------------------------------------------- */

static void start(struct app *app)
{
    const struct config *c = app->config;
    for (unsigned i = 0; i < app->context.source_count; i++) {
        struct running_source *running = &app->sources[i];
        struct reader_options reader = {
            .database = running->database,
            .mappings = c->sources[i].mappings,
            .build = build_options(c),
            .source = running->source,
        };
        struct watcher_options watcher = {
            .reader = reader,
            .may_poll = strcmp(c->mode, "auto") == 0,
            .poll_interval_ms = c->poll_interval_ms,
            .poll_overlap_s = c->poll_overlap_s,
            .warm = {.seconds = c->journal_warm_s, .bytes = c->journal_bytes},
            .oplog_window_min_s = c->oplog_window_min_s,
            .replay = {(size_t)c->replay_max, (size_t)c->journal_bytes / 4, (size_t)c->scan_max},
            .grants = i == 0 ? app->context.grants : NULL,
        };
        running->watcher = watcher_start(&watcher);
        running->sweeps = sweep_threads_start(&reader, (unsigned)c->catchup_max);
    }
    struct job_pool_options jobs = {
        .queue = app->context.jobs,
        .sources = app->job_sources,
        .source_count = app->context.source_count,
        .build = build_options(c),
        .scan_max = (size_t)c->scan_max,
        .threads = (unsigned)c->mongodb_jobs,
        .name = "tw-job",
    };
    app->job_pool = job_pool_start(&jobs);
    publishing_start(app->publishing, jobs);
    for (unsigned i = 0; i < app->loop_count; i++) {
        loop_start(app->loops[i]);
    }
    if (app->ops) {
        ops_start(app->ops);
    }
}

/* Open connections keep the certificate that they were opened with. */
static void reload_tls(struct app *app)
{
    const struct config *c = app->config;
    struct error err;
    if (tls_reload(app->context.tls, c->tls_certificate_file, c->tls_key_file, &err) != 0) {
        log_error("serve", "SIGHUP: the old certificate stays: %s", err.text);
    } else if (tls_has_expired(app->context.tls)) {
        log_warn("serve", "SIGHUP: the certificate was read again; it has expired, clients will refuse it");
    } else {
        log_info("serve", "SIGHUP: the certificate was read again");
    }
}

/* There are new rules of who may do what. */
static void wake_loops(struct app *app)
{
    for (unsigned i = 0; i < app->loop_count; i++) {
        mailbox_wake(loop_mailbox(app->loops[i]));
    }
}

static void reload(struct app *app)
{
    notify_reloading(&app->notify);
    if (app->context.tls) {
        reload_tls(app);
    }
    bool taken = access_reload_all(app->access_reload);
    atomic_fetch_add(taken ? &app->context.counters.reloads : &app->context.counters.reload_failures, 1);
    if (taken) {
        show_config(app);
        wake_loops(app);
    }
    notify_ready(&app->notify);
}

/* Once a second. A loop that is stuck is not reported as alive, so that the service manager starts the process anew. */
static void report(struct app *app)
{
    unsigned away = 0;
    for (unsigned i = 0; i < app->context.source_count; i++) {
        away += source_is_away(app->context.sources[i]);
    }
    notify_status(&app->notify, "%llu connections%s",
                  (unsigned long long)atomic_load(&app->context.counters.connections),
                  away ? "; MongoDB does not answer" : "");
    struct buffer lines = BUFFER_INIT;
    bool alive = probes_alive(&app->context, false, &lines);
    buffer_fini(&lines);
    if (alive) {
        notify_alive(&app->notify);
    }
}

static void wait_for_signal(struct app *app, const sigset_t *signals)
{
    const struct timespec second = {1, 0};
    int received;
    while ((received = sigtimedwait(signals, NULL, &second)) < 0 || received == SIGHUP) {
        if (received == SIGHUP) {
            reload(app);
        } else if (access_reload_look(app->access_reload)) {
            wake_loops(app);
        }
        report(app);
    }
    atomic_store(&app->context.leaving, true);
    notify_stopping(&app->notify, app->config->drain_delay_s + STOP_TIME_S);
    log_info("serve", "%s: stopping", received == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* Keep serving for drain_delay_s, so that balancers notice; a second signal cuts it short. */
static void drain_delay(const struct app *app, const sigset_t *signals)
{
    struct timespec delay = {app->config->drain_delay_s, 0};
    if (delay.tv_sec > 0) {
        while (sigtimedwait(signals, NULL, &delay) < 0 && errno == EINTR) {
        }
    }
}

static void post_to_loops(struct app *app, enum message_type type)
{
    for (unsigned i = 0; i < app->loop_count; i++) {
        mailbox_post(loop_mailbox(app->loops[i]), (struct message){.type = type});
    }
}

/* --- ending ---------------------------------------------------------------------------------------- */

static void stop_blocking_threads(struct app *app)
{
    job_queue_stop(app->context.jobs);
    publishing_stop(app->publishing);
    for (unsigned i = 0; i < app->context.source_count; i++) {
        watcher_stop(app->sources[i].watcher);
        sweep_threads_stop(app->sources[i].sweeps);
    }
}

static void join_blocking_threads(struct app *app)
{
    job_pool_join(app->job_pool);
    publishing_join(app->publishing);
    for (unsigned i = 0; i < app->context.source_count; i++) {
        watcher_join(app->sources[i].watcher);
        sweep_threads_join(app->sources[i].sweeps);
    }
}

static void unmake(struct app *app)
{
    ops_free(app->ops);
    for (unsigned i = 0; i < app->loop_count; i++) {
        loop_free(app->loops[i]);
    }
    for (unsigned i = 0; i < CONFIG_SOURCES_MAX; i++) {
        database_free(app->sources[i].database); /* counts its last commands into the source */
        source_free(app->sources[i].source);
    }
    grant_book_free(app->context.grants);
    job_queue_free(app->context.jobs);
    publishing_free(app->publishing);
    settings_free(&app->context, &app->lists);
    tls_free(app->context.tls);
    access_reload_free(app->access_reload);
    access_holder_free(app->context.access);
    shared_text_free(app->context.config);
}

/* The driver cannot be interrupted while it waits for a server: leave all the same. */
static void *leave_late(void *unused)
{
    (void)unused;
    sleep(STOP_LIMIT_S);
    log_warn("serve", "MongoDB does not answer; leaving without waiting for it");
    _exit(CLI_EXIT_DONE);
    return NULL;
}

static void limit_stop(void)
{
    pthread_t guard;
    if (pthread_create(&guard, NULL, leave_late, NULL) == 0) {
        pthread_detach(guard);
    }
}

static void stop(struct app *app)
{
    limit_stop();
    atomic_store(&app->context.draining, true);
    post_to_loops(app, MESSAGE_DRAIN);
    post_to_loops(app, MESSAGE_STOP);
    stop_blocking_threads(app);
    for (unsigned i = 0; i < app->loop_count; i++) {
        loop_join(app->loops[i]);
    }
    join_blocking_threads(app);
}

static void announce(const struct config *c)
{
    for (unsigned i = 0; i < c->source_count; i++) {
        log_info("serve", "source %s: %s", c->sources[i].name, c->sources[i].label);
    }
    if (c->open_mode) {
        log_warn("serve", "open mode: no authentication is configured, everyone on this machine may read");
    }
    bool v6 = strchr(c->listen_host, ':') != NULL;
    log_info("serve", "listening on %s://%s%s%s:%d", c->tls_certificate_file ? "https" : "http", v6 ? "[" : "",
             c->listen_host, v6 ? "]" : "", c->listen_port);
    if (c->ops_listen) {
        log_info("serve", "/livez, /readyz and /metrics at http://%s", c->ops_listen);
    }
}

/* libevent would write lines of its own to standard error. */
static void on_libevent_log(int severity, const char *message)
{
    static struct log_limit limit;
    if (severity >= EVENT_LOG_WARN) {
        log_write_limited(&limit, LOG_LEVEL_WARN, "libevent", "%s", message);
    }
}

int serve_run(const struct config *config)
{
    struct app *app = memory_zero(1, sizeof *app);
    struct error err;
    sigset_t signals;
    app->config = config;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: only main takes them */
    hardening_apply(hardening_has_secrets(config));
    event_set_log_callback(on_libevent_log);
    evthread_use_pthreads();
    notify_open(&app->notify);
    int status = CLI_EXIT_DONE;
    if (make(app, &err) != 0) {
        log_error("serve", "%s", err.text);
        status = CLI_EXIT_FAILED;
    } else {
        start(app);
        announce(config);
        notify_ready(&app->notify);
        wait_for_signal(app, &signals);
        drain_delay(app, &signals);
        stop(app);
    }
    unmake(app);
    notify_close(&app->notify);
    free(app);
    return status;
}
