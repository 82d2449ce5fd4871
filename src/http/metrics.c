/* metrics - see metrics.h. */
#include "metrics.h"

#include "exchange.h"
#include "log.h"
#include "probes.h"
#include "process_figures.h"
#include "tls.h"

#include <event2/event.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/crypto.h>
#include <string.h>

/* --- how to read one number ------------------------------------------------------------------------ */

static double figure(const _Atomic uint64_t *at)
{
    return (double)atomic_load_explicit(at, memory_order_relaxed);
}

/* Below zero: not known. */
static double seconds_of_ms(int64_t ms)
{
    return ms < 0 ? FIGURE_UNKNOWN : (double)ms / 1000;
}

static double is_ready(const struct http_context *c)
{
    struct buffer words = BUFFER_INIT;
    bool ready = probes_ready(c, false, &words);
    buffer_fini(&words);
    return ready;
}

static double is_up(struct source *s)
{
    int state = atomic_load(&s->status.state);
    bool follows = state == SOURCE_SCANNING || state == SOURCE_STREAMING || state == SOURCE_POLLING;
    return follows && !source_is_away(s);
}

static int64_t window_ms(struct source *s)
{
    int64_t window_s = source_oplog_window_s(s);
    return window_s < 0 ? -1 : window_s * 1000;
}

static struct journal_state journal_of(struct source *s)
{
    struct journal_state state;
    journal_state(s->journal, &state);
    return state;
}

static double journal_events(struct source *s)
{
    struct journal_state state = journal_of(s);
    return (double)(state.next - state.first);
}

static double journal_span(struct source *s)
{
    struct journal_state state = journal_of(s);
    bool has_any = state.floor && state.complete > state.floor;
    return has_any ? (double)(state.complete >> 32) - (double)(state.floor >> 32) : 0;
}

static double behind(struct source *s)
{
    uint32_t now_s = source_cluster_seconds(s);
    uint64_t complete = journal_of(s).complete;
    if (!now_s || !complete) {
        return FIGURE_UNKNOWN;
    }
    double by = (double)now_s - (double)(complete >> 32);
    return by > 0 ? by : 0;
}

static double catchup_sweeps(struct source *s)
{
    unsigned sweeps, waiting;
    catchup_count(s->catchup, &sweeps, &waiting);
    return sweeps;
}

static double catchup_waiting(struct source *s)
{
    unsigned sweeps, waiting;
    catchup_count(s->catchup, &sweeps, &waiting);
    return waiting;
}

static double sent_bytes(const struct http_context *c)
{
    double sum = 0;
    for (unsigned i = 0; i < c->loop_count; i++) {
        sum += figure(&c->figures[i].sent_bytes);
    }
    return sum;
}

/* --- writing --------------------------------------------------------------------------------------- */

static void append_number(struct buffer *out, double value)
{
    if (value == floor(value) && fabs(value) < 1e15) {
        buffer_printf(out, " %.0f\n", value);
    } else {
        buffer_printf(out, " %.9g\n", value);
    }
}

/* One sample with a label; what is not known is left out. */
static void append_labelled(struct buffer *out, const char *name, const char *label, const char *value, double number)
{
    if (!isnan(number)) {
        buffer_printf(out, "%s{%s=\"%s\"}", name, label, value);
        append_number(out, number);
    }
}

static void append_value(struct buffer *out, const char *name, double number)
{
    if (!isnan(number)) {
        buffer_append_text(out, name);
        append_number(out, number);
    }
}

/* --- several samples ------------------------------------------------------------------------------- */

static void write_build(struct http_context *c, const char *name, struct buffer *out)
{
    buffer_printf(out, "%s{version=\"%s\",libmongoc=\"%s\",libevent=\"%s\",openssl=\"%s\"} 1\n", name,
                  c->settings.version, c->settings.driver_version, event_get_version(),
                  OpenSSL_version(OPENSSL_VERSION_STRING));
}

static void write_states(struct http_context *c, const char *name, struct buffer *out)
{
    for (unsigned i = 0; i < c->source_count; i++) {
        int is = atomic_load(&c->sources[i]->status.state);
        for (int state = SOURCE_OPENING; state <= SOURCE_STOPPED; state++) {
            buffer_printf(out, "%s{source=\"%s\",state=\"%s\"} %d\n", name, c->sources[i]->name,
                          source_state_name((enum source_state)state), state == is);
        }
    }
}

static void write_notices(struct http_context *c, const char *name, struct buffer *out)
{
    struct notice_count counts[NOTICE_CODES];
    for (unsigned i = 0; i < c->source_count; i++) {
        notices_count(c->sources[i]->notices, counts);
        for (unsigned code = 0; code < NOTICE_CODES; code++) {
            buffer_printf(out, "%s{source=\"%s\",code=\"%s\"} %zu\n", name, c->sources[i]->name,
                          notice_code_name(code), counts[code].count);
        }
    }
}

static void write_kinds(struct http_context *c, const char *name, struct buffer *out)
{
    double pulling = 0, catching_up = 0, reading = 0;
    for (unsigned i = 0; i < c->loop_count; i++) {
        pulling += figure(&c->figures[i].pulling);
        catching_up += figure(&c->figures[i].catching_up);
        reading += figure(&c->figures[i].reading);
    }
    append_labelled(out, name, "state", "pulling", pulling);
    append_labelled(out, name, "state", "catching-up", catching_up);
    append_labelled(out, name, "state", "reading", reading);
}

static void write_expiry(struct http_context *c, const char *name, struct buffer *out)
{
    if (c->tls) {
        append_value(out, name, (double)tls_expiry_s(c->tls));
    }
}

static void write_latency(struct http_context *c, const char *name, struct buffer *out)
{
    double below = 0, sum_ms = 0;
    for (unsigned b = 0; b < LATENCY_BUCKETS; b++) {
        for (unsigned i = 0; i < c->loop_count; i++) {
            below += figure(&c->figures[i].latency[b]);
        }
        if (b < LATENCY_BUCKETS - 1) {
            buffer_printf(out, "%s_bucket{le=\"%g\"} %.0f\n", name, (double)loop_latency_bounds_ms[b] / 1000, below);
        }
    }
    for (unsigned i = 0; i < c->loop_count; i++) {
        sum_ms += figure(&c->figures[i].latency_ms);
    }
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %.0f\n%s_sum %.3f\n%s_count %.0f\n", name, below, name, sum_ms / 1000,
                  name, below);
}

static void write_reasons(struct http_context *c, enum reason_kind kind, const char *name, struct buffer *out)
{
    const char *code;
    for (unsigned i = 0; (code = reason_at(kind, i)); i++) {
        append_labelled(out, name, "reason", code, figure(&c->counters.reasons.counts[kind][i]));
    }
}

static void write_gaps(struct http_context *c, const char *name, struct buffer *out)
{
    write_reasons(c, REASON_GAP, name, out);
}

static void write_resumes(struct http_context *c, const char *name, struct buffer *out)
{
    write_reasons(c, REASON_RESUMED, name, out);
}

static void write_refusals(struct http_context *c, const char *name, struct buffer *out)
{
    write_reasons(c, REASON_REFUSED, name, out);
}

static void write_goaways(struct http_context *c, const char *name, struct buffer *out)
{
    write_reasons(c, REASON_SENT_AWAY, name, out);
}

static void write_answers(struct http_context *c, const char *name, struct buffer *out)
{
    for (unsigned status = 0; status < HTTP_STATUS_END; status++) {
        double count = figure(&c->counters.answers[status]);
        if (count > 0 || status == 200) {
            buffer_printf(out, "%s{code=\"%u\"}", name, status);
            append_number(out, count);
        }
    }
}

static void write_grants(struct http_context *c, const char *name, struct buffer *out)
{
    if (c->grants) {
        append_value(out, name, grant_book_state(c->grants) == GRANTS_CURRENT);
    }
}

static void write_log_lines(struct http_context *c, const char *name, struct buffer *out)
{
    (void)c;
    for (int level = LOG_LEVEL_TRACE; level <= LOG_LEVEL_ERROR; level++) {
        append_labelled(out, name, "level", log_level_name((enum log_level)level),
                        (double)log_lines((enum log_level)level));
    }
}

static void write_loops(struct http_context *c, const char *name, struct buffer *out)
{
    for (unsigned i = 0; i < c->loop_count; i++) {
        buffer_printf(out, "%s{loop=\"%u\"}", name, i);
        append_number(out, (double)probes_still_us(c, i) / 1e6);
    }
}

/* --- the table ------------------------------------------------------------------------------------- */

#define METRIC_VALUE(type, id, unit, expression, help)                                                               \
    static void append_##id(struct http_context *c, const char *as, struct buffer *out)                              \
    {                                                                                                                  \
        (void)c;                                                                                                       \
        append_value(out, as, expression);                                                                             \
    }
#define METRIC_SOURCE(type, id, unit, expression, help)                                                              \
    static double read_##id(struct source *s)                                                                          \
    {                                                                                                                  \
        return expression;                                                                                             \
    }                                                                                                                  \
    static void append_##id(struct http_context *c, const char *as, struct buffer *out)                              \
    {                                                                                                                  \
        for (unsigned i = 0; i < c->source_count; i++) {                                                               \
            append_labelled(out, as, "source", c->sources[i]->name, read_##id(c->sources[i]));                       \
        }                                                                                                              \
    }
#define METRIC_LIST(type, id, unit, function, help)
#include "metrics.def"

struct metric {
    const char *name, *type, *help;
    void (*append)(struct http_context *context, const char *name, struct buffer *out);
};

#define METRIC_VALUE(type, id, unit, expression, help) {#id, #type, help, append_##id},
#define METRIC_SOURCE(type, id, unit, expression, help) {#id, #type, help, append_##id},
#define METRIC_LIST(type, id, unit, function, help) {#id, #type, help, function},
static const struct metric table[] = {
#include "metrics.def"
};

void metrics_append(struct http_context *context, struct buffer *out)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct metric *m = &table[i];
        buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
        m->append(context, m->name, out);
    }
}
