/* load_report - what the load client prints. See load.h. */
#include "load.h"

#include <stdio.h>
#include <sys/resource.h>

static void print_line(json_t *line)
{
    json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fputc('\n', stdout);
    fflush(stdout);
    json_decref(line);
}

void report_phase(const struct load *load, const char *phase)
{
    const struct load_counts *counts = &load->counts;
    double at_s = (double)(load->now_us - load->started_us) / 1e6;
    if (load->plan.json) {
        print_line(json_pack("{s:s, s:f, s:i, s:i, s:i, s:I}", "phase", phase, "at_s", at_s, "ready",
                             (int)counts->ready, "live", (int)load->live, "failed", (int)counts->failed, "events",
                             (json_int_t)counts->events));
    }
    fprintf(stderr, "%8.3f s  %-10s live %u, failed %u, events %llu\n", at_s, phase, load->live, counts->failed,
            (unsigned long long)counts->events);
}

static double own_cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double events_per_s(const struct load_counts *counts)
{
    int64_t span_us = counts->last_event_us - counts->first_event_us;
    return counts->events > 1 && span_us > 0 ? (double)counts->events * 1e6 / (double)span_us : 0;
}

static json_t *failures_json(const struct load_counts *counts)
{
    json_t *failures = json_array();
    for (unsigned i = 0; i < LOAD_STATUSES && counts->failures[i].count > 0; i++) {
        json_array_append_new(failures, json_pack("{s:i, s:s, s:i}", "status", (int)counts->failures[i].status,
                                                  "problem",
                                                  counts->failures[i].problem ? counts->failures[i].problem : "",
                                                  "count", (int)counts->failures[i].count));
    }
    return failures;
}

static json_t *named_json(const struct load_counts *counts)
{
    json_t *named = json_object();
    for (unsigned i = 0; i < NAMED_COUNT; i++) {
        json_object_set_new(named, named_events[i], json_integer((json_int_t)counts->named[i]));
    }
    return named;
}

/* When the last of those that caught up had done so; 0 when nobody has. */
static double storm_last_s(const struct load_storm *storm)
{
    return storm->caught_up > 0 ? (double)(storm->caught_up_us - storm->returned_us) / 1e6 : 0;
}

static json_t *storm_json(const struct load *load)
{
    const struct load_storm *storm = &load->storm;
    return json_pack("{s:i, s:i, s:I, s:f, s:o}", "clients", (int)load->plan.clients, "caught_up",
                     (int)storm->caught_up, "missed_events", (json_int_t)storm->missed, "last_s", storm_last_s(storm),
                     "each_ms", histogram_json(&storm->each));
}

static json_t *result_json(const struct load *load)
{
    const struct load_counts *counts = &load->counts;
    json_t *result =
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "phase", "result", "clients", (int)load->plan.clients,
                  "targets", (int)HASH_COUNT(load->groups), "ready", (int)counts->ready, "failed",
                  (int)counts->failed, "ended", (int)counts->ended, "live", (int)load->live);
    json_object_set_new(result, "events", json_integer((json_int_t)counts->events));
    json_object_set_new(result, "unnumbered", json_integer((json_int_t)counts->unnumbered));
    json_object_set_new(result, "events_per_s", json_real(events_per_s(counts)));
    json_object_set_new(result, "bytes", json_integer((json_int_t)counts->bytes));
    json_object_set_new(result, "missing", json_integer((json_int_t)counts->verdict.missing));
    json_object_set_new(result, "doubles", json_integer((json_int_t)counts->verdict.doubles));
    json_object_set_new(result, "disorder", json_integer((json_int_t)counts->verdict.disorder));
    json_object_set_new(result, "latency_ms", histogram_json(&counts->latency));
    json_object_set_new(result, "connect_ms", histogram_json(&counts->connect));
    json_object_set_new(result, "failures", failures_json(counts));
    json_object_set_new(result, "named", named_json(counts));
    if (load->plan.storm > 0) {
        json_object_set_new(result, "storm", storm_json(load));
    }
    json_object_set_new(result, "own_cpu_s", json_real(own_cpu_s()));
    return result;
}

static void print_durations(const char *name, const struct histogram *h)
{
    if (h->count > 0) {
        fprintf(stderr, "%-10s p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", name,
                (double)histogram_quantile(h, 0.5) / 1e3, (double)histogram_quantile(h, 0.99) / 1e3,
                (double)h->max_us / 1e3);
    }
}

static void print_table(const struct load *load)
{
    const struct load_counts *counts = &load->counts;
    fprintf(stderr, "clients    %u, ready %u, failed %u, ended by the server %u, live at the end %u\n",
            load->plan.clients, counts->ready, counts->failed, counts->ended, load->live);
    for (unsigned i = 0; i < LOAD_STATUSES && counts->failures[i].count > 0; i++) {
        const char *problem = counts->failures[i].problem;
        if (problem) {
            fprintf(stderr, "           %u x %s\n", counts->failures[i].count, problem);
        } else {
            fprintf(stderr, "           %u x status %u\n", counts->failures[i].count, counts->failures[i].status);
        }
    }
    fprintf(stderr, "events     %llu, %.0f/s; missing %llu, doubles %llu, disorder %llu; gaps told %llu\n",
            (unsigned long long)counts->events, events_per_s(counts), (unsigned long long)counts->verdict.missing,
            (unsigned long long)counts->verdict.doubles, (unsigned long long)counts->verdict.disorder,
            (unsigned long long)counts->named[NAMED_GAP]);
    print_durations("latency", &counts->latency);
    print_durations("connect", &counts->connect);
    if (load->plan.storm > 0) {
        fprintf(stderr, "storm      %u of %u caught up, the last one after %.3f s\n", load->storm.caught_up,
                load->plan.clients, storm_last_s(&load->storm));
        print_durations("catch-up", &load->storm.each);
    }
}

void report_result(struct load *load)
{
    for (unsigned i = 0; i < load->client_count; i++) {
        load->counts.bytes += load->clients[i].stream.bytes;
        load->clients[i].stream.bytes = 0;
    }
    if (load->plan.json) {
        print_line(result_json(load));
    }
    print_table(load);
}
