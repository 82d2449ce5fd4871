/* head_body - the framing of a request's body: Content-Length or chunks. */
#include "head_inside.h"

enum { CHUNK_DIGITS_MAX = 16 };

MALFORMED(bad_chunk, "a chunk's size or end is malformed");
MALFORMED(chunk_extension, "chunk extensions are not accepted");
MALFORMED(trailer, "trailer fields are not accepted");

static int hex_value(unsigned char b)
{
    if (is_digit(b)) {
        return b - '0';
    }
    unsigned char lower = b | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static enum head_state on_chunk_size(struct head_check *c, unsigned char b)
{
    int value = hex_value(b);
    if (b == '\r' && c->digits > 0) {
        return STATE_CHUNK_LF;
    }
    if (value < 0 || ++c->digits > CHUNK_DIGITS_MAX) {
        return head_refuse(c, b == ';' ? &chunk_extension : &bad_chunk);
    }
    c->left = c->left * 16 + (uint64_t)value;
    return c->left > c->limits->body_bytes - c->length ? head_refuse(c, &head_body_too_long) : STATE_CHUNK_SIZE;
}

static enum head_state on_chunk_lf(struct head_check *c, unsigned char b)
{
    if (b != '\n') {
        return head_refuse(c, &bad_chunk);
    }
    c->digits = 0;
    c->length += c->left;
    return c->left > 0 ? STATE_CHUNK_DATA : STATE_TRAILER;
}

static enum head_state on_data_cr(struct head_check *c, unsigned char b)
{
    return b == '\r' ? STATE_DATA_LF : head_refuse(c, &bad_chunk);
}

static enum head_state on_data_lf(struct head_check *c, unsigned char b)
{
    return b == '\n' ? STATE_CHUNK_SIZE : head_refuse(c, &bad_chunk);
}

static enum head_state on_trailer(struct head_check *c, unsigned char b)
{
    return b == '\r' ? STATE_TRAILER_LF : head_refuse(c, &trailer);
}

static enum head_state on_trailer_lf(struct head_check *c, unsigned char b)
{
    return b == '\n' ? STATE_DONE : head_refuse(c, &bad_chunk);
}

enum head_state head_body_step(struct head_check *c, unsigned char b)
{
    switch (c->state) {
    case STATE_CHUNK_SIZE:
        return on_chunk_size(c, b);
    case STATE_CHUNK_LF:
        return on_chunk_lf(c, b);
    case STATE_DATA_CR:
        return on_data_cr(c, b);
    case STATE_DATA_LF:
        return on_data_lf(c, b);
    case STATE_TRAILER:
        return on_trailer(c, b);
    default:
        return on_trailer_lf(c, b);
    }
}

size_t head_body_skip(struct head_check *c, size_t len)
{
    size_t n = len < c->left ? len : (size_t)c->left;
    c->left -= n;
    if (c->left == 0) {
        c->state = c->state == STATE_BODY ? STATE_DONE : STATE_DATA_CR;
    }
    return n;
}
