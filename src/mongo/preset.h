/*
 * preset - where level, time and message are in a document, and what its levels mean: presets know common loggers, so
 * that most collections need no configuration.
 *
 *   auto      pino-mongodb, winston-mongodb, log4mongo (Python, Java), Serilog, ECS; numbers are pino's
 *   pino      level (10 trace … 60 fatal), time, msg
 *   winston   level, timestamp, message
 *   python    levelname, level, levelno (numbers are Python's: 10 DEBUG … 50 CRITICAL), timestamp, message
 *   log4mongo level, timestamp, message (of log4mongo-java and log4mongo-python; numbers are Python's)
 *   serilog   Level, Timestamp, RenderedMessage
 *   syslog    severity (0 emergency … 7 debug), timestamp, message
 *   generic   level, timestamp, message and nothing else; numbers are pino's
 *
 * Level names are the same everywhere, in any case: trace debug verbose info notice warn warning error err severe
 * critical crit fatal alert emerg and their usual variants.
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_PRESET_H
#define TAILWATER_MONGO_PRESET_H

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

struct preset;

/* By name, or NULL. */
const struct preset *preset_find(const char *name);

/* All names, NULL-terminated. */
const char *const *preset_names(void);

/* Candidate paths in the order in which they are tried, NULL-terminated. */
const char *const *preset_level_paths(const struct preset *preset);
const char *const *preset_time_paths(const struct preset *preset);
const char *const *preset_message_paths(const struct preset *preset);

/* The enum frame_level that a value (name, number, or number as text) stands for; FRAME_LEVEL_NONE when unknown. */
uint8_t preset_level(const struct preset *preset, const bson_iter_t *value);

/*
 * The moment that a value stands for: a date, a number (seconds below 1e11, else milliseconds), text
 * ("2026-11-21T09:52:13.021Z", "2026-11-21 09:52:13,021+01:00"; without a zone UTC), a timestamp or an ObjectId.
 * Returns 0 with *wall_ms, or -1.
 */
int preset_time(const bson_iter_t *value, int64_t *wall_ms);

#endif
