/*
 * fanout - carrying a source's new frames to this loop's streams: take everything new in the journal, look each channel up
 * in the topic index, push. No locks but the journal's, which is held for copying references.
 * Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_FANOUT_H
#define TAILWATER_HTTP_FANOUT_H

#include "loop.h"

/* Carry everything that is new in all sources; bounded by what was there when it began. */
void fanout_run(struct loop *loop);

#endif
