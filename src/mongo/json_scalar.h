/*
 * json_scalar - JSON's scalars, written fast: a change stream's documents consist of little else.
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_JSON_SCALAR_H
#define TAILWATER_MONGO_JSON_SCALAR_H

#include "buffer.h"

#include <stddef.h>
#include <stdint.h>

/* Append a string with its quotes, escaped and repaired as by buffer_append_json(). */
void json_append_string(struct buffer *out, const char *text, size_t len);

/* Write an integer in decimal; returns its length (no NUL). */
enum { JSON_INT_MAX = 20 };
size_t json_format_int(int64_t value, char out[JSON_INT_MAX]);

/* Append an integer. */
void json_append_int(struct buffer *out, int64_t value);

/* Append a finite number: the shortest text that reads back as the same double, always with a '.' or an exponent. */
void json_append_double(struct buffer *out, double value);

/* Append a moment as clock_format_iso() writes it, without quotes. Much faster for many moments of the same day. */
void json_append_time(struct buffer *out, int64_t wall_ms);

/* Append base64, without quotes. */
void json_append_base64(struct buffer *out, const uint8_t *data, size_t len);

/* Write the canonical text of a UUID; no NUL. */
enum { JSON_UUID_LEN = 36 };
void json_format_uuid(const uint8_t bytes[16], char out[JSON_UUID_LEN]);

#endif
