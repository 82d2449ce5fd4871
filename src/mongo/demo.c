/* demo - see demo.h. */
#include "demo.h"

#include "buffer.h"
#include "clock.h"
#include "database.h"
#include "log.h"
#include "random.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TICK_MS = 20,
    PAUSE_MS = 500,        /* after a failure */
    TIMEOUT_MS = 10000,    /* of finding a server, and of its majority */
    BATCH_MAX = 500,       /* documents a tick */
    BURST = 60,            /* documents of a burst, above the rate */
    BURST_IN = 400,        /* one document in so many begins one */
    FAILURE_PERCENT = 4,   /* of the runs' steps */
    LINE_MAX_BYTES = 256,
};

/* --- what is told ----------------------------------------------------------------------------- */

/* One step of a run; message takes one number. */
struct step {
    const char *level, *name, *message;
    int number_max, duration_max_ms;
};

static const struct step etl_steps[] = {
    {"INFO", "start", "Pipeline started with %d input tables", 12, 20},
    {"DEBUG", "extract", "Opened cursor on customers, batch size %d", 5000, 15},
    {"INFO", "extract", "Extracted %d rows from customers", 48000, 2400},
    {"INFO", "extract", "Extracted %d rows from orders", 190000, 5200},
    {"WARN", "validate", "%d rows without a country code were skipped", 90, 30},
    {"INFO", "transform", "Joined customers and orders into %d rows", 180000, 3900},
    {"DEBUG", "transform", "Spilled %d MB to disk during sort", 700, 800},
    {"INFO", "load", "Loaded %d rows into warehouse.daily_revenue", 180000, 6100},
    {"INFO", "finish", "Pipeline finished, %d checks passed", 40, 25},
};

static const struct step faas_steps[] = {
    {"DEBUG", "init", "Container warm, %d invocations so far", 400, 4},
    {"INFO", "invoke", "Invocation accepted, payload of %d bytes", 9000, 2},
    {"DEBUG", "handler", "Cache answered %d of the keys", 64, 6},
    {"INFO", "handler", "Resized image to %d px", 2048, 310},
    {"WARN", "handler", "Memory at %d MB, limit 256 MB", 250, 3},
    {"INFO", "finish", "Invocation finished, %d ms billed", 420, 2},
};

static const struct step function_steps[] = {
    {"INFO", "trigger", "Triggered by schedule, attempt %d", 3, 3},
    {"DEBUG", "fetch", "GET /v2/rates answered with %d entries", 170, 240},
    {"INFO", "compute", "Recalculated %d prices", 2600, 900},
    {"WARN", "publish", "Slow consumer, queue of %d messages", 500, 40},
    {"INFO", "finish", "Published %d changes", 300, 35},
};

#define STEPS(array) array, (int)(sizeof array / sizeof array[0])

static const struct service {
    const char *collection, *resource_key;
    const char *resources[3];
    const struct step *steps;
    int step_count;
    const char *failure_type, *failure, *stack;
} services[] = {
    {"etl", "workflow_id", {"workflow456", "workflow457", "workflow789"}, STEPS(etl_steps), "LoadError",
     "Warehouse refused the batch: value too long for column \"city\"",
     "LoadError: value too long for column \"city\"\n"
     "    at Loader.flush (/app/etl/loader.js:218:15)\n"
     "    at async Pipeline.load (/app/etl/pipeline.js:96:5)\n"
     "    at async Pipeline.run (/app/etl/pipeline.js:41:7)"},
    {"faas", "function_id", {"thumbnail", "invoice-pdf", "webhook-relay"}, STEPS(faas_steps), "TimeoutError",
     "Handler did not answer within 3000 ms",
     "Traceback (most recent call last):\n"
     "  File \"/srv/runtime/worker.py\", line 133, in invoke\n"
     "    return handler(event, context)\n"
     "  File \"/srv/fn/main.py\", line 27, in handler\n"
     "    body = store.get(key, timeout=3.0)\n"
     "TimeoutError: no answer within 3.0 s"},
    {"functions", "function_id", {"function789", "function790", "price-sync"}, STEPS(function_steps), "HttpError",
     "Rates service answered 502",
     "HttpError: 502 Bad Gateway\n"
     "    at fetchRates (/fn/rates.ts:54:11)\n"
     "    at async main (/fn/index.ts:19:17)"},
};
enum { SERVICES = sizeof services / sizeof services[0], WORKSPACES = 2, RESOURCES = 3 };
static const char *const workspaces[WORKSPACES] = {"workspace123", "workspace789"};

/* --- runs ------------------------------------------------------------------------------------- */

/* One execution after the other of one workflow or function. */
struct run {
    const struct service *service;
    const char *workspace, *resource;
    char execution[32];
    int step;
};

struct demo {
    mongoc_client_t *client;
    mongoc_collection_t *collections[SERVICES];
    struct run runs[SERVICES * WORKSPACES * RESOURCES];
    int run_count;
    bson_t *batch[SERVICES][BATCH_MAX];
    int batched[SERVICES];
    int burst; /* documents left of it */
    int burst_run;
    int64_t written;
};

static bool one_in(int64_t n)
{
    return random_between(1, n) == 1;
}

static void begin_execution(struct run *run)
{
    char hex[17];
    random_hex(hex, 8);
    snprintf(run->execution, sizeof run->execution, "exec-%s", hex);
    run->step = 0;
}

static void make_runs(struct demo *demo)
{
    for (int s = 0; s < SERVICES; s++) {
        for (int w = 0; w < WORKSPACES; w++) {
            for (int r = 0; r < RESOURCES; r++) {
                struct run *run = &demo->runs[demo->run_count++];
                *run = (struct run){.service = &services[s], .workspace = workspaces[w],
                                    .resource = services[s].resources[r]};
                begin_execution(run);
            }
        }
    }
}

/* Most of what happens, happens to the first workflow of the first workspace: there is always something to see. */
static struct run *pick_run(struct demo *demo)
{
    if (demo->burst > 0) {
        demo->burst--;
        return &demo->runs[demo->burst_run];
    }
    int picked = one_in(3) ? 0 : (int)random_between(0, demo->run_count - 1);
    if (one_in(BURST_IN)) {
        demo->burst = BURST;
        demo->burst_run = picked;
    }
    return &demo->runs[picked];
}

/* --- documents -------------------------------------------------------------------------------- */

static bson_t *new_document(const struct run *run, const char *level, const char *message)
{
    bson_t *doc = bson_new();
    BSON_APPEND_UTF8(doc, "workspace_id", run->workspace);
    BSON_APPEND_UTF8(doc, run->service->resource_key, run->resource);
    BSON_APPEND_UTF8(doc, "execution_id", run->execution);
    BSON_APPEND_UTF8(doc, "level", level);
    BSON_APPEND_DATE_TIME(doc, "timestamp", clock_wall_ms());
    BSON_APPEND_UTF8(doc, "message", message);
    return doc;
}

static bson_t *failure_document(struct run *run)
{
    const struct service *service = run->service;
    bson_t *doc = new_document(run, "ERROR", service->failure);
    BSON_APPEND_UTF8(doc, "step", service->steps[run->step].name);
    BSON_APPEND_UTF8(doc, "status", "failed");
    BSON_APPEND_INT64(doc, "duration_ms", random_between(50, 9000));
    bson_t error;
    BSON_APPEND_DOCUMENT_BEGIN(doc, "error", &error);
    BSON_APPEND_UTF8(&error, "type", service->failure_type);
    BSON_APPEND_UTF8(&error, "message", service->failure);
    BSON_APPEND_UTF8(&error, "stack", service->stack);
    bson_append_document_end(doc, &error);
    begin_execution(run);
    return doc;
}

/* The table's messages are formats with exactly one %d. */
static void format_message(const struct step *step, char out[LINE_MAX_BYTES])
{
    const char *place = strstr(step->message, "%d");
    int head = place ? (int)(place - step->message) : (int)strlen(step->message);
    snprintf(out, LINE_MAX_BYTES, "%.*s%" PRId64 "%s", head, step->message, random_between(1, step->number_max),
             place ? place + 2 : "");
}

static bson_t *step_document(struct run *run)
{
    const struct step *step = &run->service->steps[run->step];
    char message[LINE_MAX_BYTES];
    format_message(step, message);
    bson_t *doc = new_document(run, step->level, message);
    bool last = run->step == run->service->step_count - 1;
    BSON_APPEND_UTF8(doc, "step", step->name);
    BSON_APPEND_UTF8(doc, "status", last ? "succeeded" : "running");
    BSON_APPEND_INT64(doc, "duration_ms", random_between(1, step->duration_max_ms));
    run->step++;
    if (last) {
        begin_execution(run);
    }
    return doc;
}

static void add_document(struct demo *demo)
{
    struct run *run = pick_run(demo);
    bson_t *doc = run->step > 0 && one_in(100 / FAILURE_PERCENT) ? failure_document(run) : step_document(run);
    int s = (int)(run->service - services);
    demo->batch[s][demo->batched[s]++] = doc;
}

/* --- writing ---------------------------------------------------------------------------------- */

static mongoc_uri_t *open_uri(const char *text, struct error *err)
{
    bson_error_t reason;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &reason);
    if (!uri) {
        error_set(err, "the connection string cannot be used"); /* the driver's reason may quote a password */
        return NULL;
    }
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, TIMEOUT_MS);
    return uri;
}

static int open_demo(struct demo *demo, const char *uri_text, const char *database, struct error *err)
{
    mongoc_uri_t *uri = open_uri(uri_text, err);
    if (!uri) {
        return -1;
    }
    demo->client = mongoc_client_new_from_uri(uri);
    mongoc_uri_destroy(uri);
    if (!demo->client) {
        return error_set(err, "the connection string cannot be used (does it ask for TLS that is not built in?)");
    }
    mongoc_client_set_error_api(demo->client, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_set_appname(demo->client, "tailwater-demo");
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(concern, TIMEOUT_MS);
    for (int s = 0; s < SERVICES; s++) {
        demo->collections[s] = mongoc_client_get_collection(demo->client, database, services[s].collection);
        mongoc_collection_set_write_concern(demo->collections[s], concern);
    }
    mongoc_write_concern_destroy(concern);
    return 0;
}

static void drop_batches(struct demo *demo)
{
    for (int s = 0; s < SERVICES; s++) {
        for (int i = 0; i < demo->batched[s]; i++) {
            bson_destroy(demo->batch[s][i]);
        }
        demo->batched[s] = 0;
    }
}

static void close_demo(struct demo *demo)
{
    drop_batches(demo);
    for (int s = 0; s < SERVICES; s++) {
        if (demo->collections[s]) {
            mongoc_collection_destroy(demo->collections[s]);
        }
    }
    if (demo->client) {
        mongoc_client_destroy(demo->client);
    }
    free(demo);
}

static int write_batches(struct demo *demo, struct error *err)
{
    for (int s = 0; s < SERVICES; s++) {
        if (demo->batched[s] == 0) {
            continue;
        }
        const bson_t *documents[BATCH_MAX];
        for (int i = 0; i < demo->batched[s]; i++) {
            documents[i] = demo->batch[s][i];
        }
        bson_error_t reason;
        if (!mongoc_collection_insert_many(demo->collections[s], documents, (size_t)demo->batched[s], NULL, NULL,
                                           &reason)) {
            database_error(&reason, err);
            return error_prefix(err, "cannot write into the collection %s", services[s].collection);
        }
        demo->written += demo->batched[s];
    }
    return 0;
}

/* --- pace ------------------------------------------------------------------------------------- */

/* Write `count` documents and the burst that they may have set off. */
static int write_some(struct demo *demo, int count, struct error *err)
{
    for (int i = 0; i < count; i++) {
        add_document(demo);
    }
    int room = BATCH_MAX - count;
    for (int i = 0; i < room && demo->burst > 0; i++) {
        add_document(demo);
    }
    int rc = write_batches(demo, err);
    drop_batches(demo);
    return rc;
}

static void sleep_ms(int ms)
{
    struct timespec time = {0, ms * 1000000L};
    nanosleep(&time, NULL); /* a signal may cut it short: so much the better */
}

/* Documents due now; a backlog of more than a second (the server was away) is dropped. */
static int documents_due(int64_t *credit_us, int64_t *last_us, int64_t rate_per_s)
{
    int64_t now = clock_mono_us();
    *credit_us += (now - *last_us) * rate_per_s;
    *last_us = now;
    const int64_t second = 1000000;
    if (*credit_us > rate_per_s * second) {
        *credit_us = rate_per_s * second;
    }
    int64_t due = *credit_us / second;
    due = due < BATCH_MAX ? due : BATCH_MAX;
    *credit_us -= due * second;
    return (int)due;
}

static int run_demo(struct demo *demo, int64_t rate_per_s, int64_t seconds, const volatile sig_atomic_t *stop,
                    struct error *err)
{
    int64_t last = clock_mono_us();
    int64_t end = seconds ? last + seconds * 1000000 : INT64_MAX;
    int64_t credit = 1000000; /* the first document at once */
    static struct log_limit limit;
    while (!*stop && clock_mono_us() < end) {
        int due = documents_due(&credit, &last, rate_per_s);
        struct error reason;
        if (due && write_some(demo, due, &reason) != 0) {
            if (demo->written == 0) {
                *err = reason;
                return -1;
            }
            log_write_limited(&limit, LOG_LEVEL_WARN, "demo", "%s; trying again", reason.text);
            sleep_ms(PAUSE_MS);
        }
        sleep_ms(TICK_MS);
    }
    return 0;
}

int demo_run(const char *uri, const char *database, int64_t rate_per_s, int64_t seconds,
             const volatile sig_atomic_t *stop, struct error *err)
{
    struct demo *demo = memory_zero(1, sizeof *demo);
    if (open_demo(demo, uri, database, err) != 0) {
        close_demo(demo);
        return -1;
    }
    make_runs(demo);
    log_info("demo", "writing %" PRId64 " documents a second into the collections etl, faas and functions of %s",
             rate_per_s, database);
    int rc = run_demo(demo, rate_per_s, seconds, stop, err);
    if (rc == 0) {
        log_info("demo", "%" PRId64 " documents written", demo->written);
    }
    close_demo(demo);
    return rc;
}
