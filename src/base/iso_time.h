/*
 * iso_time - reading a moment from text: "2026-11-21T09:52:13.021Z", "2026-11-21 09:52:13,021+01:00", "2026-11-21";
 * without a zone UTC. Pure; any thread. (clock.h writes them.)
 */
#ifndef TAILWATER_BASE_ISO_TIME_H
#define TAILWATER_BASE_ISO_TIME_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since 1970 UTC to *wall_ms. Returns 0, or -1 when the text is something else. */
int iso_time_parse(const char *text, size_t len, int64_t *wall_ms);

#endif
