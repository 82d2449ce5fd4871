/*
 * level - the names of severities, the same for documents, filters and presets: trace debug verbose info notice warn
 * warning error err severe critical crit fatal alert emerg and their usual variants, in any case.
 * Thread: any, pure.
 */
#ifndef TAILWATER_CORE_LEVEL_H
#define TAILWATER_CORE_LEVEL_H

#include "frame.h"

/* The enum frame_level that a name stands for; FRAME_LEVEL_NONE when unknown. */
uint8_t level_of_name(const char *name, size_t len);

/* The name of the enum frame_level at or below a number: "info" for 30 and 35; "unknown" for FRAME_LEVEL_NONE. */
const char *level_name(uint8_t level);

#endif
