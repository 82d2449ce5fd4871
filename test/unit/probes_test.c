/* probes - what makes a process alive and ready, each alone. */
#include "probes.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct http_context context;

/* Two loops that have just turned, a source that was open, room. */
static void make_fine(struct source *source)
{
    memset(&context, 0, sizeof context);
    context.loop_count = 2;
    context.source_count = 1;
    context.sources[0] = source;
    context.settings.connections_max = 10;
    context.settings.sockets_max = 20;
    atomic_store(&source->status.opened, true);
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&context.figures[i].turned_us, clock_mono_us());
    }
}

static void expect(bool (*probe)(const struct http_context *, bool, struct buffer *), bool is_fine, const char *words)
{
    struct buffer out = BUFFER_INIT;
    assert_int_equal(probe(&context, false, &out), is_fine);
    assert_string_equal(buffer_text(&out), words);
    buffer_fini(&out);
}

static void test_fine(void **state)
{
    make_fine(*state);
    expect(probes_alive, true, "");
    expect(probes_ready, true, "");
    struct buffer out = BUFFER_INIT;
    probes_ready(&context, true, &out);
    assert_string_equal(buffer_text(&out), "[+]loop 0: ok\n[+]loop 1: ok\n[+]drain: no\n"
                                           "[+]room: 0 of 10 streams, 0 of 20 connections\n[+]source logs: ok\n");
    buffer_fini(&out);
}

static void test_stuck(void **state)
{
    make_fine(*state);
    atomic_store(&context.figures[1].turned_us, clock_mono_us() - (PROBES_STUCK_MS + 2500) * 1000LL);
    expect(probes_alive, false, "[-]loop 1: stuck, it has not turned for 7 s\n");
    expect(probes_ready, false, "[-]loop 1: stuck, it has not turned for 7 s\n");
    atomic_store(&context.figures[1].turned_us, clock_mono_us() - (PROBES_STUCK_MS - 1000) * 1000LL);
    expect(probes_alive, true, "");
    atomic_store(&context.figures[1].turned_us, 0); /* not begun */
    expect(probes_alive, true, "");
}

static void test_leaving(void **state)
{
    make_fine(*state);
    atomic_store(&context.leaving, true);
    expect(probes_ready, false, "[-]drain: this instance is shutting down\n");
    expect(probes_alive, true, "");
    atomic_store(&context.leaving, false);
    atomic_store(&context.draining, true);
    expect(probes_ready, false, "[-]drain: this instance is shutting down\n");
}

static void test_full(void **state)
{
    make_fine(*state);
    atomic_store(&context.counters.connections, 10);
    expect(probes_ready, false, "[-]room: 10 of 10 streams, 0 of 20 connections\n");
    expect(probes_alive, true, "");
    atomic_store(&context.counters.connections, 9);
    expect(probes_ready, true, "");
    atomic_store(&context.counters.sockets, 20);
    expect(probes_ready, false, "[-]room: 9 of 10 streams, 20 of 20 connections\n");
}

static void test_source(void **state)
{
    struct source *source = *state;
    make_fine(source);
    atomic_store(&source->status.opened, false);
    expect(probes_ready, false, "[-]source logs: was not open yet\n");
    expect(probes_alive, true, "");
    atomic_store(&source->status.opened, true);
    atomic_store(&source->status.contact_us, 1); /* away for ages */
    expect(probes_ready, true, "");
}

/* The newest sentences of documents without a channel are kept, newest first. */
static void test_samples(void **state)
{
    struct source *source = *state;
    struct source_sample samples[SOURCE_SAMPLES];
    assert_int_equal(source_copy_unroutable(source, samples), 0);
    source_note_unroutable(source, "a");
    source_note_unroutable(source, "b");
    assert_int_equal(source_copy_unroutable(source, samples), 2);
    assert_string_equal(samples[0].text, "b");
    assert_string_equal(samples[1].text, "a");
    for (char c[] = "c"; c[0] <= 'h'; c[0]++) {
        source_note_unroutable(source, c);
    }
    assert_int_equal(source_copy_unroutable(source, samples), SOURCE_SAMPLES);
    assert_string_equal(samples[0].text, "h");
    assert_string_equal(samples[SOURCE_SAMPLES - 1].text, "d");
    assert_int_equal(source->status.unroutable, 8);
}

static int set_up(void **state)
{
    const struct source_options options = {
        .name = "logs", .tag = 'a', .journal = {.max_bytes = 1 << 20}, .catchup = {1, 1 << 20}};
    *state = source_new(&options);
    return 0;
}

static int tear_down(void **state)
{
    source_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fine), cmocka_unit_test(test_stuck),  cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_full), cmocka_unit_test(test_source), cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
