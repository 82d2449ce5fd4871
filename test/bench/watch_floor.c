/*
 * tailwater-watch-floor - how soon a bare change stream sees an insert: MongoDB's own share of the latency.
 *
 * One mongoc_change_stream_next() loop on the database (majority, no pipeline, no conversion), from the document's
 * sent_us to the moment that the event is in our hands. Prints {"phase":"open"} when it listens, then the result.
 */
#include "histogram.h"
#include "wall.h"

#include <getopt.h>
#include <jansson.h>
#include <mongoc/mongoc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

struct plan {
    const char *uri, *database;
    double seconds; /* at most */
    double quiet_s; /* end after so long without an event, once there was one; 0 = never */
    uint64_t count; /* end after so many events; 0 = no limit */
};

static const char help[] = "tailwater-watch-floor: insert to event latency of a bare change stream, by sent_us\n"
                           "\n"
                           "  --uri URI, --database NAME (default logs)\n"
                           "  --seconds S (default 30), --quiet S (end so long after the last event), --count N\n";

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int parse(struct plan *plan, int argc, char **argv)
{
    static const struct option options[] = {
        {"uri", required_argument, NULL, 'u'},   {"database", required_argument, NULL, 'd'},
        {"seconds", required_argument, NULL, 's'}, {"quiet", required_argument, NULL, 'q'},
        {"count", required_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *plan = (struct plan){.uri = "mongodb://127.0.0.1:27017/", .database = "logs", .seconds = 30};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'u':
            plan->uri = optarg;
            break;
        case 'd':
            plan->database = optarg;
            break;
        case 's':
            plan->seconds = strtod(optarg, NULL);
            break;
        case 'q':
            plan->quiet_s = strtod(optarg, NULL);
            break;
        case 'n':
            plan->count = strtoull(optarg, NULL, 10);
            break;
        case 'h':
            fputs(help, stdout);
            return 1;
        default:
            return -1;
        }
    }
    return 0;
}

static int64_t sent_us_of(const bson_t *change)
{
    bson_iter_t iter, sent;
    if (bson_iter_init(&iter, change) && bson_iter_find_descendant(&iter, "fullDocument.sent_us", &sent)) {
        return bson_iter_as_int64(&sent);
    }
    return 0;
}

/* Returns 0, or -1 when the stream ended with *error. */
static int watch(const struct plan *plan, mongoc_change_stream_t *stream, struct histogram *latency,
                 bson_error_t *error)
{
    int64_t start_us = wall_us();
    int64_t last_us = 0;
    uint64_t seen = 0;
    while (!interrupted && (double)(wall_us() - start_us) < plan->seconds * 1e6 &&
           (plan->count == 0 || seen < plan->count)) {
        const bson_t *change;
        if (!mongoc_change_stream_next(stream, &change)) {
            if (mongoc_change_stream_error_document(stream, error, NULL)) {
                return -1;
            }
            if (plan->quiet_s > 0 && last_us > 0 && (double)(wall_us() - last_us) > plan->quiet_s * 1e6) {
                return 0;
            }
            continue;
        }
        last_us = wall_us();
        int64_t sent_us = sent_us_of(change);
        if (sent_us > 0) {
            histogram_add(latency, last_us - sent_us);
            seen++;
        }
    }
    return 0;
}

static void print_result(const struct histogram *latency, const char *problem)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    json_t *result = json_pack("{s:s, s:o, s:f, s:s}", "phase", "result", "latency_ms", histogram_json(latency),
                               "own_cpu_s", cpu_s, "error", problem);
    json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fputc('\n', stdout);
    json_decref(result);
}

int main(int argc, char **argv)
{
    static struct histogram latency;
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
        fputs("tailwater-watch-floor: not a MongoDB URI\n", stderr);
        return EXIT_FAILURE;
    }
    mongoc_database_t *database = mongoc_client_get_database(client, plan.database);
    bson_t *opts = BCON_NEW("maxAwaitTimeMS", BCON_INT64(500));
    bson_t pipeline = BSON_INITIALIZER;
    bson_error_t error = {0};
    mongoc_change_stream_t *stream = mongoc_database_watch(database, &pipeline, opts);
    puts("{\"phase\":\"open\"}");
    fflush(stdout);
    int status = watch(&plan, stream, &latency, &error);
    print_result(&latency, status < 0 ? error.message : "");
    mongoc_change_stream_destroy(stream);
    bson_destroy(&pipeline);
    bson_destroy(opts);
    mongoc_database_destroy(database);
    mongoc_client_destroy(client);
    mongoc_cleanup();
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
