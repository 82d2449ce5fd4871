/*
 * rows_advice - which index would have helped to find some channels in a collection. For rows_read.c.
 * Thread: the owner of the plan's clients.
 */
#ifndef TAILWATER_MONGO_ROWS_ADVICE_H
#define TAILWATER_MONGO_ROWS_ADVICE_H

#include "history_plan.h"

/*
 * Append the sentence for operators about a scan that took too long: an index on the fields of the channel's template
 * that every pattern fixes, then the order field. Nothing where there are no such fields, or where an index begins with
 * one of them already.
 */
void rows_advice_slow(const struct history_plan *plan, const struct history_scan *scan, struct buffer *out);

#endif
