/*
 * head_check - is what a client sends a request by RFC 9112, byte for byte? Tells where its head ends, where its body
 * ends and so where the next request begins, without keeping any of it.
 *
 * Pure: no I/O, no heap, the same verdict however the bytes are cut. One thread at a time.
 *
 * Refused besides what the RFC refuses, because a parser behind this one reads it differently or not at all: chunk
 * extensions and trailer fields, a tab beside Content-Length or Transfer-Encoding, equal repeated Content-Lengths, a
 * body with HEAD or TRACE, versions other than 1.0 and 1.1, and what would be no host in a target that begins with
 * "//" (the parser would take it for one). Let through although the RFC does not name them: bytes in a target that
 * browsers and curl do send unencoded ({ } | ^ ` [ ] \ " < > and everything above 0x7f).
 */
#ifndef TAILWATER_HTTP_HEAD_CHECK_H
#define TAILWATER_HTTP_HEAD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEAD_FIELDS_MAX = 100, HEAD_WORD_BYTES = 48 };

struct head_limits {
    size_t header_bytes; /* request line and header lines with their ends */
    uint64_t body_bytes; /* of a body, chunk framing not counted */
};

/* Why a request was refused: what to answer. All constant. */
struct head_refusal {
    int status;
    const char *code, *detail; /* "malformed_request", "two Host headers" */
};

enum head_verdict {
    HEAD_IDLE,       /* nothing of a request has come */
    HEAD_EMPTY_LINE, /* the one CRLF that may stand before a request line; all that was fed of this request */
    HEAD_MORE,       /* a head has begun; fine so far */
    HEAD_BODY,       /* the head is complete and valid; its body comes */
    HEAD_DONE,       /* the request is complete; nothing more is taken before head_check_next() */
    HEAD_REFUSED,    /* for good; see refusal */
};

/* To be embedded. Only refusal may be looked at from outside. */
struct head_check {
    const struct head_limits *limits;
    const struct head_refusal *refusal;
    size_t head_bytes;   /* so far */
    uint64_t length;     /* Content-Length; of chunks: all so far */
    uint64_t left;       /* of the body or chunk; while a chunk's size is read, its value so far */
    uint8_t state, kind, field, host;
    uint8_t fields, digits, word_len;
    bool http10, after_empty_line, has_host, has_length, has_codings;
    char word[HEAD_WORD_BYTES]; /* a method, version, name or short value; longer ones are known to be none of ours */
};

/* limits must live as long as the check. */
void head_check_init(struct head_check *check, const struct head_limits *limits);

/* Take up to len bytes; *used is how many were taken: all of them for IDLE, MORE and BODY. */
enum head_verdict head_check_feed(struct head_check *check, const void *data, size_t len, size_t *used);

/* After HEAD_DONE: a new request begins. */
void head_check_next(struct head_check *check);

#endif
