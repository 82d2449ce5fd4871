/*
 * lateness - from how late events arrive at the tail: do their writers wait for the journal?
 *
 * A change stream shows what a majority has in its journal. A writer that waits for that (write concern majority, or
 * j:true) has the journal flushed at once, and its event arrives within a few milliseconds. What nobody waits for comes
 * with the next flush, by default every 100 ms: anything between 0 and 100 ms late, all alike probable, about 50 ms in
 * the middle. That shape is what is looked for, not any absolute figure: the clocks of two machines may differ, and
 * a network that is slow but steady moves all figures alike. What is skewed to one side (a machine without processor
 * time, a queue) or wider than a flush can explain has other causes and gives no verdict.
 *
 * Thread: owner only. All zero is an empty one.
 */
#ifndef TAILWATER_CORE_LATENESS_H
#define TAILWATER_CORE_LATENESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LATENESS_SAMPLES = 200 };

struct lateness {
    int32_t late_ms[LATENESS_SAMPLES]; /* a ring: arrival by our clock - wallTime by theirs */
    uint64_t taken;                    /* samples ever */
    int64_t taken_us;                  /* monotonic time of the newest */
};

/* What one answer brought. */
struct lateness_batch {
    const int64_t *moments; /* the different wallTimes [ms] of its events, in their order */
    size_t moment_count;
    size_t events;
};

/*
 * Take an answer that the stream had waited for at the tail: one of its moments becomes a sample. At most four answers
 * a second count, so that a burst does not make the verdict; and none in which many events share each moment: that is
 * one insert of many documents, the first of which rightly wait for the last.
 */
void lateness_take(struct lateness *lateness, const struct lateness_batch *batch, int64_t now_wall_ms,
                   int64_t now_mono_us);

enum lateness_verdict {
    LATENESS_UNKNOWN, /* too few, or a shape that has another cause: what was said before stays */
    LATENESS_PROMPT,  /* writers wait for the journal, or somebody does all the time */
    LATENESS_FLUSHED, /* they do not */
};

/* *typical_ms: how late the middle one is, compared with the earliest. */
enum lateness_verdict lateness_judge(const struct lateness *lateness, int64_t *typical_ms);

#endif
