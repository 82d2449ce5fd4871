/*
 * tailwater-produce - inserts numbered log documents through libmongoc at a fixed rate and prints what it reached.
 *
 *   {workspace_id: "w<i>", workflow_id: "f<i>", seq, sent_us, level, timestamp, message}
 *
 * Document n goes to channel i = n mod channels; seq counts within a channel; sent_us is the wall clock just before the
 * insert [us]. One thread, one connection, one insert at a time: per channel the database's order is ours.
 */
#include "histogram.h"
#include "wall.h"

#include <getopt.h>
#include <jansson.h>
#include <mongoc/mongoc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MESSAGE_MAX = 1 << 20, BATCH_MAX = 1000 };

struct plan {
    const char *uri, *database, *collection, *write_concern;
    double rate; /* documents a second; 0 = as fast as it goes */
    double seconds;
    uint64_t count; /* documents in all; 0 = until the time is over */
    uint64_t first_seq;
    unsigned batch, channels, bytes;
    const char *initiate; /* name of the replica set to make, or NULL */
};

struct totals {
    uint64_t inserted, failed;
    double wall_s;
    struct histogram latency; /* of one insert command */
    bson_error_t error;       /* the last one */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static const char usage[] =
    "tailwater-produce: inserts numbered log documents at a fixed rate\n"
    "\n"
    "  --uri URI              mongodb://127.0.0.1:27017/\n"
    "  --database NAME        (default logs)\n"
    "  --collection NAME      (default etl)\n"
    "  --rate R               documents a second; 0: as fast as it goes (default 100)\n"
    "  --batch B              documents an insert (default 1)\n"
    "  --channels K           spread over workspaces w0..w<K-1> (default 1)\n"
    "  --seconds S            (default 10)\n"
    "  --count N              end after N documents\n"
    "  --first-seq N          where the numbering of each channel begins (default 1)\n"
    "  --bytes N              length of the message (default 300)\n"
    "  --write-concern W      majority or 1 (default majority)\n"
    "  --initiate SET         first make a fresh mongod (--replSet SET) a replica set of its own and wait until it is\n"
    "                         the primary; the URI should say directConnection=true\n";

static double mono_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_until(double at_s)
{
    struct timespec at = {(time_t)at_s, (long)((at_s - (double)(time_t)at_s) * 1e9)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* --- the command line ------------------------------------------------------------------------------------------- */

static const struct option options[] = {
    {"uri", required_argument, NULL, 'u'},       {"database", required_argument, NULL, 'd'},
    {"collection", required_argument, NULL, 'c'}, {"rate", required_argument, NULL, 'r'},
    {"batch", required_argument, NULL, 'b'},     {"channels", required_argument, NULL, 'k'},
    {"seconds", required_argument, NULL, 's'},   {"count", required_argument, NULL, 'n'},
    {"first-seq", required_argument, NULL, 'f'}, {"bytes", required_argument, NULL, 'B'},
    {"write-concern", required_argument, NULL, 'w'}, {"initiate", required_argument, NULL, 'i'},
    {"help", no_argument, NULL, 'h'},            {NULL, 0, NULL, 0},
};

static void parse_text(struct plan *plan, int option, const char *value)
{
    switch (option) {
    case 'u':
        plan->uri = value;
        break;
    case 'd':
        plan->database = value;
        break;
    case 'c':
        plan->collection = value;
        break;
    case 'w':
        plan->write_concern = value;
        break;
    default:
        plan->initiate = value;
        break;
    }
}

static int parse_number(struct plan *plan, int option, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !(number >= 0 && number <= 1e12)) {
        fprintf(stderr, "tailwater-produce: not a number: %s\n", value);
        return -1;
    }
    switch (option) {
    case 'r':
        plan->rate = number;
        break;
    case 's':
        plan->seconds = number;
        break;
    case 'n':
        plan->count = (uint64_t)number;
        break;
    case 'f':
        plan->first_seq = (uint64_t)number;
        break;
    case 'b':
        plan->batch = number <= BATCH_MAX ? (unsigned)number : BATCH_MAX;
        break;
    case 'k':
        plan->channels = number <= 1e6 ? (unsigned)number : 1000000;
        break;
    default:
        plan->bytes = number <= MESSAGE_MAX ? (unsigned)number : MESSAGE_MAX;
        break;
    }
    return 0;
}

/* 0 done, 1 help was printed, -1 with a sentence on stderr. */
static int parse(struct plan *plan, int argc, char **argv)
{
    *plan = (struct plan){.uri = "mongodb://127.0.0.1:27017/", .database = "logs", .collection = "etl",
                          .write_concern = "majority", .rate = 100, .seconds = 10, .first_seq = 1, .batch = 1,
                          .channels = 1, .bytes = 300};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 1;
        }
        if (option == '?') {
            return -1;
        }
        if (strchr("udcwi", option)) {
            parse_text(plan, option, optarg);
        } else if (parse_number(plan, option, optarg) < 0) {
            return -1;
        }
    }
    if (optind < argc || plan->batch == 0 || plan->channels == 0) {
        fputs("tailwater-produce: see --help\n", stderr);
        return -1;
    }
    return 0;
}

/* --- the replica set -------------------------------------------------------------------------------------------- */

static bool is_primary(mongoc_client_t *client)
{
    bson_t reply;
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1));
    bson_iter_t iter;
    bool primary = mongoc_client_command_simple(client, "admin", hello, NULL, &reply, NULL) &&
                   bson_iter_init_find(&iter, &reply, "isWritablePrimary") && bson_iter_as_bool(&iter);
    bson_destroy(&reply);
    bson_destroy(hello);
    return primary;
}

/* Waits 30 s at most. */
static int initiate(mongoc_client_t *client, const char *set)
{
    bson_error_t error = {0};
    const char *host = mongoc_uri_get_hosts(mongoc_client_get_uri(client))->host_and_port;
    bson_t *command = BCON_NEW("replSetInitiate", "{", "_id", BCON_UTF8(set), "members", "[", "{", "_id",
                               BCON_INT32(0), "host", BCON_UTF8(host), "}", "]", "}");
    double end_s = mono_s() + 30;
    bool initiated = false;
    while (!is_primary(client)) {
        initiated = initiated || mongoc_client_command_simple(client, "admin", command, NULL, NULL, &error);
        if (mono_s() > end_s || interrupted) {
            fprintf(stderr, "tailwater-produce: no primary: %s\n", error.message);
            bson_destroy(command);
            return -1;
        }
        sleep_until(mono_s() + 0.05);
    }
    bson_destroy(command);
    return 0;
}

/* --- documents -------------------------------------------------------------------------------------------------- */

static bson_t *document_new(const struct plan *plan, uint64_t number, const char *message)
{
    static const char *const levels[] = {"INFO", "DEBUG", "INFO", "WARN", "INFO", "ERROR"};
    unsigned channel = (unsigned)(number % plan->channels);
    char workspace[24], workflow[24];
    snprintf(workspace, sizeof workspace, "w%u", channel);
    snprintf(workflow, sizeof workflow, "f%u", channel);
    uint64_t seq = plan->first_seq + number / plan->channels;
    int64_t now_us = wall_us();
    bson_t *document = bson_new();
    BSON_APPEND_UTF8(document, "workspace_id", workspace);
    BSON_APPEND_UTF8(document, "workflow_id", workflow);
    BSON_APPEND_INT64(document, "seq", (int64_t)seq);
    BSON_APPEND_INT64(document, "sent_us", now_us);
    BSON_APPEND_UTF8(document, "level", levels[seq % (sizeof levels / sizeof levels[0])]);
    BSON_APPEND_DATE_TIME(document, "timestamp", now_us / 1000);
    BSON_APPEND_UTF8(document, "message", message);
    return document;
}

/* Insert documents first .. first + n - 1 with one command. */
static void insert(const struct plan *plan, mongoc_collection_t *collection, const bson_t *opts, const char *message,
                   uint64_t first, unsigned n, struct totals *totals)
{
    bson_t *documents[BATCH_MAX];
    for (unsigned i = 0; i < n; i++) {
        documents[i] = document_new(plan, first + i, message);
    }
    int64_t begun_us = wall_us();
    bool done = n == 1 ? mongoc_collection_insert_one(collection, documents[0], opts, NULL, &totals->error)
                       : mongoc_collection_insert_many(collection, (const bson_t **)(void *)documents, n, opts, NULL,
                                                       &totals->error);
    histogram_add(&totals->latency, wall_us() - begun_us);
    totals->inserted += done ? n : 0;
    totals->failed += done ? 0 : n;
    for (unsigned i = 0; i < n; i++) {
        bson_destroy(documents[i]);
    }
}

static void produce(const struct plan *plan, mongoc_collection_t *collection, struct totals *totals)
{
    static char message[MESSAGE_MAX + 1];
    static const char words[] = "processed batch of records from the source table and wrote them to the target; ";
    for (unsigned i = 0; i < plan->bytes; i++) {
        message[i] = words[i % (sizeof words - 1)];
    }
    bson_t *opts = strcmp(plan->write_concern, "majority") == 0
                       ? BCON_NEW("writeConcern", "{", "w", BCON_UTF8("majority"), "}")
                       : BCON_NEW("writeConcern", "{", "w", BCON_INT32(atoi(plan->write_concern)), "}");
    double start_s = mono_s();
    uint64_t number = 0;
    while (!interrupted && mono_s() - start_s < plan->seconds && (plan->count == 0 || number < plan->count)) {
        uint64_t left = plan->count > 0 ? plan->count - number : plan->batch;
        unsigned n = left < plan->batch ? (unsigned)left : plan->batch;
        if (plan->rate > 0) {
            sleep_until(start_s + (double)number / plan->rate);
        }
        insert(plan, collection, opts, message, number, n, totals);
        number += n;
    }
    totals->wall_s = mono_s() - start_s;
    bson_destroy(opts);
}

static void print_result(const struct plan *plan, const struct totals *totals)
{
    double per_s = totals->wall_s > 0 ? (double)totals->inserted / totals->wall_s : 0;
    json_t *result = json_pack("{s:I, s:I, s:i, s:f, s:f, s:f, s:o, s:s}", "inserted", (json_int_t)totals->inserted,
                               "failed", (json_int_t)totals->failed, "channels", (int)plan->channels, "asked_per_s",
                               plan->rate, "per_s", per_s, "wall_s", totals->wall_s, "insert_ms",
                               histogram_json(&totals->latency), "error", totals->failed ? totals->error.message : "");
    json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fputc('\n', stdout);
    json_decref(result);
}

int main(int argc, char **argv)
{
    static struct totals totals;
    struct plan plan;
    int parsed = parse(&plan, argc, argv);
    if (parsed != 0) {
        return parsed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    mongoc_init();
    mongoc_client_t *client = mongoc_client_new(plan.uri);
    if (!client) {
        fputs("tailwater-produce: not a MongoDB URI\n", stderr);
        return EXIT_FAILURE;
    }
    int status = plan.initiate ? initiate(client, plan.initiate) : 0;
    if (status == 0) {
        mongoc_collection_t *collection = mongoc_client_get_collection(client, plan.database, plan.collection);
        produce(&plan, collection, &totals);
        print_result(&plan, &totals);
        mongoc_collection_destroy(collection);
    }
    mongoc_client_destroy(client);
    mongoc_cleanup();
    return status == 0 && totals.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
