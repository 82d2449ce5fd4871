/* head_check - see head_check.h. Here the request line, and what holds all parts together. */
#include "head_inside.h"

#include <arpa/inet.h>

MALFORMED(bad_method, "the method is no token");
MALFORMED(bad_target, "the request target has no valid form");
MALFORMED(bad_version, "the request line does not end in an HTTP version");
MALFORMED(two_empty_lines, "more than one empty line before the request line");
static const struct head_refusal unknown_method = {501, "method_not_implemented", "this method is not known here"};
static const struct head_refusal other_version = {505, "version_not_supported",
                                                  "the versions are HTTP/1.1 and HTTP/1.0"};
static const struct head_refusal long_line = {414, "target_too_long",
                                              "the request line is longer than limits.header_bytes"};

const struct head_refusal head_bare_cr = {400, "malformed_request", "a line does not end in CR LF"};
const struct head_refusal head_too_long = {431, "headers_too_large",
                                           "the headers are longer than limits.header_bytes, or more than 100"};
const struct head_refusal head_body_too_long = {413, "body_too_large", "the body is larger than limits.body_bytes"};

/* --- the request line ----------------------------------------------------------------------------- */

static bool is_target(unsigned char b)
{
    return b > ' ' && b != 0x7f && b != '#';
}

static enum head_kind kind_of(const struct head_check *c)
{
    static const struct {
        const char *name;
        enum head_kind kind;
    } known[] = {
        {"GET", KIND_BODY}, {"POST", KIND_BODY},   {"HEAD", KIND_BODYLESS}, {"OPTIONS", KIND_OPTIONS},
        {"PUT", KIND_BODY}, {"PATCH", KIND_BODY},  {"DELETE", KIND_BODY},   {"TRACE", KIND_BODYLESS},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (c->word_len == strlen(known[i].name) && memcmp(c->word, known[i].name, c->word_len) == 0) {
            return known[i].kind;
        }
    }
    return KIND_UNKNOWN; /* also CONNECT: this is no proxy */
}

static enum head_state on_method(struct head_check *c, unsigned char b)
{
    if (b == ' ' && c->word_len > 0) {
        c->kind = (uint8_t)kind_of(c);
        c->word_len = 0;
        /* Whatever the target of a method that nobody knows looks like, the answer is 501. */
        return c->kind == KIND_UNKNOWN ? STATE_TARGET : STATE_TARGET_START;
    }
    if (!is_token(b)) {
        return head_refuse(c, &bad_method);
    }
    word_add(c, b);
    return STATE_METHOD;
}

static enum head_state on_start(struct head_check *c, unsigned char b)
{
    if (b == '\r') {
        return c->after_empty_line ? head_refuse(c, &two_empty_lines) : STATE_EMPTY_LF;
    }
    return on_method(c, b);
}

static enum head_state on_empty_lf(struct head_check *c, unsigned char b)
{
    return b == '\n' ? STATE_EMPTY_LINE : head_refuse(c, &head_bare_cr);
}

static enum head_state on_target_start(struct head_check *c, unsigned char b)
{
    if (b == '/') {
        return STATE_TARGET_SLASH;
    }
    if (b == '*' && c->kind == KIND_OPTIONS) {
        return STATE_TARGET_STAR;
    }
    if (!is_letter(b)) {
        return head_refuse(c, &bad_target);
    }
    word_add(c, b);
    return STATE_SCHEME;
}

static enum head_state on_target_star(struct head_check *c, unsigned char b)
{
    return b == ' ' ? STATE_VERSION : head_refuse(c, &bad_target);
}

static enum head_state on_scheme(struct head_check *c, unsigned char b)
{
    if (b == ':') {
        bool known = word_is(c, "http") || word_is(c, "https");
        c->word_len = 0;
        return known ? STATE_SCHEME_SLASHES : head_refuse(c, &bad_target);
    }
    if (!is_letter(b)) {
        return head_refuse(c, &bad_target);
    }
    word_add(c, b);
    return STATE_SCHEME;
}

static enum head_state on_scheme_slashes(struct head_check *c, unsigned char b)
{
    if (b != '/') {
        return head_refuse(c, &bad_target);
    }
    word_add(c, b);
    if (c->word_len < 2) {
        return STATE_SCHEME_SLASHES;
    }
    c->word_len = 0;
    return STATE_AUTHORITY_START;
}

/* Of a host in a target, where nothing needs to be percent-encoded. */
static bool is_host(unsigned char b)
{
    return is_name(b) && b != '%';
}

static enum head_state on_authority_start(struct head_check *c, unsigned char b)
{
    if (b == '[') {
        return STATE_ADDRESS;
    }
    return is_host(b) ? STATE_AUTHORITY : head_refuse(c, &bad_target);
}

/* Behind an authority. */
static enum head_state end_authority(struct head_check *c, unsigned char b)
{
    c->left = 0;
    if (b == ' ') {
        return STATE_VERSION;
    }
    return b == '/' || b == '?' ? STATE_TARGET : head_refuse(c, &bad_target);
}

static enum head_state on_authority(struct head_check *c, unsigned char b)
{
    if (is_host(b)) {
        return STATE_AUTHORITY;
    }
    return b == ':' ? STATE_PORT : end_authority(c, b);
}

static bool is_ipv6(const struct head_check *c)
{
    char text[HEAD_WORD_BYTES + 1] = "";
    struct in6_addr address;
    memcpy(text, c->word, c->word_len);
    return inet_pton(AF_INET6, text, &address) == 1;
}

static enum head_state on_address(struct head_check *c, unsigned char b)
{
    if (b == ']') {
        bool valid = is_ipv6(c);
        c->word_len = 0;
        return valid ? STATE_ADDRESS_END : head_refuse(c, &bad_target);
    }
    if (!is_letter(b) && !is_digit(b) && b != ':' && b != '.') {
        return head_refuse(c, &bad_target);
    }
    word_add(c, b);
    return STATE_ADDRESS;
}

static enum head_state on_address_end(struct head_check *c, unsigned char b)
{
    return b == ':' ? STATE_PORT : end_authority(c, b);
}

static enum head_state on_port(struct head_check *c, unsigned char b)
{
    if (!is_digit(b)) {
        return end_authority(c, b);
    }
    c->left = c->left * 10 + b - '0';
    return c->left <= 65535 ? STATE_PORT : head_refuse(c, &bad_target);
}

static enum head_state on_target(struct head_check *c, unsigned char b)
{
    if (b == ' ') {
        return STATE_VERSION;
    }
    return is_target(b) ? STATE_TARGET : head_refuse(c, &bad_target);
}

/* Behind the first slash: a second one would make evhttp look for a host. */
static enum head_state on_target_slash(struct head_check *c, unsigned char b)
{
    return b == '/' ? STATE_TARGET_SLASHES : on_target(c, b);
}

static enum head_state on_target_slashes(struct head_check *c, unsigned char b)
{
    return is_host(b) ? STATE_TARGET_SLASHES : end_authority(c, b);
}

static enum head_state end_line(struct head_check *c)
{
    const char *w = c->word;
    bool is_version = c->word_len == 8 && memcmp(w, "HTTP/", 5) == 0 && is_digit((unsigned char)w[5]) && w[6] == '.' &&
                      is_digit((unsigned char)w[7]);
    if (!is_version) {
        return head_refuse(c, &bad_version);
    }
    if (w[5] != '1' || w[7] > '1') {
        return head_refuse(c, &other_version);
    }
    c->http10 = w[7] == '0';
    return c->kind == KIND_UNKNOWN ? head_refuse(c, &unknown_method) : STATE_LINE_LF;
}

static enum head_state on_version(struct head_check *c, unsigned char b)
{
    if (b == '\r') {
        return end_line(c);
    }
    if (c->word_len == 8 || b <= ' ') { /* at once: evhttp would take a line feed for the end of the line */
        return head_refuse(c, &bad_version);
    }
    word_add(c, b);
    return STATE_VERSION;
}

static enum head_state on_line_lf(struct head_check *c, unsigned char b)
{
    return b == '\n' ? STATE_FIELD_START : head_refuse(c, &head_bare_cr);
}

static enum head_state line_step(struct head_check *c, unsigned char b)
{
    typedef enum head_state step_fn(struct head_check *, unsigned char);
    static step_fn *const steps[] = {
        [STATE_START] = on_start,
        [STATE_EMPTY_LF] = on_empty_lf,
        [STATE_METHOD] = on_method,
        [STATE_TARGET_START] = on_target_start,
        [STATE_TARGET_STAR] = on_target_star,
        [STATE_SCHEME] = on_scheme,
        [STATE_SCHEME_SLASHES] = on_scheme_slashes,
        [STATE_AUTHORITY_START] = on_authority_start,
        [STATE_AUTHORITY] = on_authority,
        [STATE_ADDRESS] = on_address,
        [STATE_ADDRESS_END] = on_address_end,
        [STATE_PORT] = on_port,
        [STATE_TARGET_SLASH] = on_target_slash,
        [STATE_TARGET_SLASHES] = on_target_slashes,
        [STATE_TARGET] = on_target,
        [STATE_VERSION] = on_version,
        [STATE_LINE_LF] = on_line_lf,
    };
    return steps[c->state](c, b);
}

/* --- all together --------------------------------------------------------------------------------- */

static enum head_state step(struct head_check *c, unsigned char b)
{
    if (c->state >= STATE_BODY) {
        return head_body_step(c, b);
    }
    if (++c->head_bytes > c->limits->header_bytes) {
        return head_refuse(c, c->state < STATE_FIELD_START ? &long_line : &head_too_long);
    }
    return c->state < STATE_FIELD_START ? line_step(c, b) : head_fields_step(c, b);
}

static enum head_verdict verdict(const struct head_check *c)
{
    switch (c->state) {
    case STATE_START:
        return HEAD_IDLE;
    case STATE_EMPTY_LINE:
        return HEAD_EMPTY_LINE;
    case STATE_DONE:
        return HEAD_DONE;
    case STATE_REFUSED:
        return HEAD_REFUSED;
    default:
        return c->state < STATE_BODY ? HEAD_MORE : HEAD_BODY;
    }
}

/* Bytes that need not be looked at one by one. */
static size_t skip(struct head_check *c, const unsigned char *bytes, size_t len)
{
    switch (c->state) {
    case STATE_VALUE:
        return head_value_skip(c, bytes, len);
    case STATE_BODY:
    case STATE_CHUNK_DATA:
        return head_body_skip(c, len);
    default:
        return 0;
    }
}

enum head_verdict head_check_feed(struct head_check *c, const void *data, size_t len, size_t *used)
{
    const unsigned char *at = data, *end = at + len;
    if (c->state == STATE_EMPTY_LINE) {
        head_check_next(c);
        c->after_empty_line = true;
    }
    while (at < end && c->state < STATE_EMPTY_LINE) {
        size_t skipped = skip(c, at, (size_t)(end - at));
        if (skipped == 0) {
            c->state = (uint8_t)step(c, *at++);
        }
        at += skipped;
    }
    *used = (size_t)(at - (const unsigned char *)data);
    return verdict(c);
}

void head_check_next(struct head_check *c)
{
    *c = (struct head_check){.limits = c->limits};
}

void head_check_init(struct head_check *c, const struct head_limits *limits)
{
    *c = (struct head_check){.limits = limits};
}
