/*
 * head_inside - the inside of head_check for its own files: head_check.c (request line, feeding), head_fields.c (header
 * fields), head_body.c (bodies). Each state has one function that takes a byte and returns the next state.
 */
#ifndef TAILWATER_HTTP_HEAD_INSIDE_H
#define TAILWATER_HTTP_HEAD_INSIDE_H

#include "head_check.h"

#include <string.h>
#include <strings.h>

/* In this order: the request line, the fields, the body, where feeding stops. */
enum head_state {
    STATE_START,
    STATE_EMPTY_LF,
    STATE_METHOD,
    STATE_TARGET_START,
    STATE_TARGET_STAR,
    STATE_SCHEME,
    STATE_SCHEME_SLASHES,
    STATE_AUTHORITY_START,
    STATE_AUTHORITY,
    STATE_ADDRESS,
    STATE_ADDRESS_END,
    STATE_PORT,
    STATE_TARGET_SLASH,
    STATE_TARGET_SLASHES,
    STATE_TARGET,
    STATE_VERSION,
    STATE_LINE_LF,
    STATE_FIELD_START,
    STATE_NAME,
    STATE_VALUE,
    STATE_VALUE_LF,
    STATE_HEAD_LF,
    STATE_BODY,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_LF,
    STATE_CHUNK_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILER,
    STATE_TRAILER_LF,
    STATE_EMPTY_LINE,
    STATE_DONE,
    STATE_REFUSED,
};

/* Refusals that more than one file gives. */
extern const struct head_refusal head_bare_cr, head_too_long, head_body_too_long;

/* What matters of a method. */
enum head_kind { KIND_UNKNOWN, KIND_BODYLESS, KIND_OPTIONS, KIND_BODY };

#define MALFORMED(name, text) static const struct head_refusal name = {400, "malformed_request", text}

static inline enum head_state head_refuse(struct head_check *c, const struct head_refusal *refusal)
{
    c->refusal = refusal;
    return STATE_REFUSED;
}

static inline bool is_digit(unsigned char b)
{
    return b >= '0' && b <= '9';
}

static inline bool is_letter(unsigned char b)
{
    return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
}

static inline bool is_token(unsigned char b)
{
    return is_letter(b) || is_digit(b) || (b && strchr("!#$%&'*+-.^_`|~", b));
}

/* Of a registered name or an IPv4 address (RFC 3986). */
static inline bool is_name(unsigned char b)
{
    return is_letter(b) || is_digit(b) || (b && strchr("-._~%!$&'()*+,;=", b));
}

static inline void word_add(struct head_check *c, unsigned char b)
{
    if (c->word_len < HEAD_WORD_BYTES) {
        c->word[c->word_len++] = (char)b;
    }
}

/* A full word may have been longer: it is none that we know. */
static inline bool word_is(const struct head_check *c, const char *text)
{
    size_t len = strlen(text);
    return c->word_len == len && strncasecmp(c->word, text, len) == 0;
}

/* The next state after a byte in STATE_FIELD_START to STATE_HEAD_LF. */
enum head_state head_fields_step(struct head_check *check, unsigned char b);

/* The same in the states of a body that are not data. */
enum head_state head_body_step(struct head_check *check, unsigned char b);

/* In STATE_VALUE: pass over bytes that change nothing; returns how many. */
size_t head_value_skip(struct head_check *check, const unsigned char *bytes, size_t len);

/* In STATE_BODY and STATE_CHUNK_DATA: pass over data; returns how much of it belongs to the body. */
size_t head_body_skip(struct head_check *check, size_t len);

#endif
