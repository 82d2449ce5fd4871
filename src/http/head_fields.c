/* head_fields - the header fields of a request, and what they say together. */
#include "head_inside.h"

enum { LENGTH_DIGITS_MAX = 18 };

enum field { FIELD_OTHER, FIELD_HOST, FIELD_LENGTH, FIELD_CODINGS, FIELD_EXPECT };

enum host { HOST_LEAD, HOST_NAME, HOST_IP6, HOST_IP6_END, HOST_PORT, HOST_TRAIL, HOST_BAD };

MALFORMED(folded, "a header line begins with white space");
MALFORMED(bad_name, "a header name is empty or no token, or white space stands before its colon");
MALFORMED(bad_value, "a control byte in a header value, or a line that does not end in CR LF");
MALFORMED(bad_host, "the Host header is not a host and port");
MALFORMED(two_hosts, "more than one Host header");
MALFORMED(no_host, "an HTTP/1.1 request needs a Host header");
MALFORMED(bad_length, "Content-Length is not one decimal number");
MALFORMED(two_lengths, "more than one Content-Length");
MALFORMED(two_codings, "more than one Transfer-Encoding header");
MALFORMED(bad_codings, "chunked must be the last transfer coding, once");
MALFORMED(two_framings, "Content-Length and Transfer-Encoding together");
MALFORMED(old_codings, "HTTP/1.0 has no transfer codings");
MALFORMED(no_body_here, "a request with this method has no body");
static const struct head_refusal unknown_coding = {501, "coding_not_implemented",
                                                   "the only transfer coding is chunked"};
static const struct head_refusal expectation = {417, "expectation_failed", "the only expectation is 100-continue"};

static enum field field_of(const struct head_check *c)
{
    if (word_is(c, "host")) {
        return FIELD_HOST;
    }
    if (word_is(c, "content-length")) {
        return FIELD_LENGTH;
    }
    if (word_is(c, "transfer-encoding")) {
        return FIELD_CODINGS;
    }
    return word_is(c, "expect") ? FIELD_EXPECT : FIELD_OTHER;
}

static enum head_state on_name(struct head_check *c, unsigned char b)
{
    if (b == ':' && c->word_len > 0) {
        c->field = (uint8_t)field_of(c);
        c->host = HOST_LEAD;
        c->word_len = 0;
        return STATE_VALUE;
    }
    if (!is_token(b)) {
        return head_refuse(c, &bad_name);
    }
    word_add(c, b);
    return STATE_NAME;
}

static enum head_state on_field_start(struct head_check *c, unsigned char b)
{
    c->word_len = 0;
    if (b == '\r') {
        return STATE_HEAD_LF;
    }
    if (b == ' ' || b == '\t') {
        return head_refuse(c, &folded);
    }
    return ++c->fields > HEAD_FIELDS_MAX ? head_refuse(c, &head_too_long) : on_name(c, b);
}

static enum host host_space(enum host at)
{
    switch (at) {
    case HOST_LEAD:
        return HOST_LEAD;
    case HOST_IP6:
    case HOST_BAD:
        return HOST_BAD;
    default:
        return HOST_TRAIL;
    }
}

static enum host host_step(enum host at, unsigned char b)
{
    bool may_end_name = at == HOST_LEAD || at == HOST_NAME || at == HOST_IP6_END;
    if (b == ' ' || b == '\t') {
        return host_space(at);
    }
    if (b == ':' && may_end_name) {
        return HOST_PORT;
    }
    switch (at) {
    case HOST_LEAD:
        if (b == '[') {
            return HOST_IP6;
        }
        return is_name(b) ? HOST_NAME : HOST_BAD;
    case HOST_NAME:
        return is_name(b) ? HOST_NAME : HOST_BAD;
    case HOST_IP6:
        if (b == ']') {
            return HOST_IP6_END;
        }
        return is_name(b) || b == ':' ? HOST_IP6 : HOST_BAD;
    case HOST_PORT:
        return is_digit(b) ? HOST_PORT : HOST_BAD;
    default:
        return HOST_BAD;
    }
}

static enum head_state end_host(struct head_check *c)
{
    if (c->has_host) {
        return head_refuse(c, &two_hosts);
    }
    c->has_host = true;
    return c->host == HOST_IP6 || c->host == HOST_BAD ? head_refuse(c, &bad_host) : STATE_VALUE_LF;
}

static enum head_state end_length(struct head_check *c)
{
    if (c->has_length) {
        return head_refuse(c, &two_lengths);
    }
    c->has_length = true;
    if (c->word_len == 0 || c->word_len > LENGTH_DIGITS_MAX) {
        return head_refuse(c, c->word_len && c->word_len < HEAD_WORD_BYTES ? &head_body_too_long : &bad_length);
    }
    for (unsigned i = 0; i < c->word_len; i++) {
        c->length = c->length * 10 + (unsigned char)(c->word[i] - '0');
    }
    return STATE_VALUE_LF;
}

static bool length_is_number(const struct head_check *c)
{
    for (unsigned i = 0; i < c->word_len; i++) {
        if (!is_digit((unsigned char)c->word[i])) {
            return false;
        }
    }
    return true;
}

/* RFC 9112 section 6.1: chunked must be the last coding and not be applied twice; others may stand before it, but we
 * know none. */
static const struct head_refusal *judge_codings(struct head_check *c)
{
    if (c->word_len == HEAD_WORD_BYTES) {
        return &unknown_coding;
    }
    c->word[c->word_len] = '\0';
    const char *comma = strrchr(c->word, ',');
    const char *last = comma ? comma + 1 + strspn(comma + 1, " ") : c->word;
    if (strcasecmp(last, "chunked") != 0 || strcasestr(c->word, "chunked") != last) {
        return &bad_codings;
    }
    return comma ? &unknown_coding : NULL;
}

static enum head_state end_codings(struct head_check *c)
{
    if (c->has_codings) {
        return head_refuse(c, &two_codings);
    }
    c->has_codings = true;
    const struct head_refusal *refusal = judge_codings(c);
    return refusal ? head_refuse(c, refusal) : STATE_VALUE_LF;
}

static enum head_state end_value(struct head_check *c)
{
    while (c->word_len > 0 && c->word_len < HEAD_WORD_BYTES && c->word[c->word_len - 1] == ' ') {
        c->word_len--;
    }
    switch ((enum field)c->field) {
    case FIELD_HOST:
        return end_host(c);
    case FIELD_LENGTH:
        return length_is_number(c) ? end_length(c) : head_refuse(c, &bad_length);
    case FIELD_CODINGS:
        return end_codings(c);
    case FIELD_EXPECT:
        return word_is(c, "100-continue") ? STATE_VALUE_LF : head_refuse(c, &expectation);
    case FIELD_OTHER:
        break;
    }
    return STATE_VALUE_LF;
}

static enum head_state on_value(struct head_check *c, unsigned char b)
{
    if (b == '\r') {
        return end_value(c);
    }
    if ((b < ' ' && b != '\t') || b == 0x7f) {
        return head_refuse(c, &bad_value);
    }
    if (c->field == FIELD_HOST) {
        c->host = (uint8_t)host_step(c->host, b);
    } else if (c->field != FIELD_OTHER && (b != ' ' || c->word_len > 0)) {
        word_add(c, b);
    }
    return STATE_VALUE;
}

static enum head_state on_value_lf(struct head_check *c, unsigned char b)
{
    return b == '\n' ? STATE_FIELD_START : head_refuse(c, &bad_value);
}

static const struct head_refusal *judge_head(const struct head_check *c)
{
    if (!c->has_host && !c->http10) {
        return &no_host;
    }
    if (c->has_codings && c->has_length) {
        return &two_framings;
    }
    if (c->has_codings && c->http10) {
        return &old_codings;
    }
    if ((c->has_codings || c->length > 0) && c->kind == KIND_BODYLESS) {
        return &no_body_here;
    }
    return c->length > c->limits->body_bytes ? &head_body_too_long : NULL;
}

static enum head_state on_head_lf(struct head_check *c, unsigned char b)
{
    const struct head_refusal *refusal = b == '\n' ? judge_head(c) : &head_bare_cr;
    if (refusal) {
        return head_refuse(c, refusal);
    }
    if (c->has_codings) {
        return STATE_CHUNK_SIZE;
    }
    c->left = c->length;
    return c->left > 0 ? STATE_BODY : STATE_DONE;
}

size_t head_value_skip(struct head_check *c, const unsigned char *bytes, size_t len)
{
    size_t n = 0, room = c->limits->header_bytes - c->head_bytes, most = len < room ? len : room;
    if (c->field != FIELD_OTHER) {
        return 0;
    }
    while (n < most && bytes[n] >= ' ' && bytes[n] != 0x7f) {
        n++;
    }
    c->head_bytes += n;
    return n;
}

enum head_state head_fields_step(struct head_check *c, unsigned char b)
{
    switch (c->state) {
    case STATE_FIELD_START:
        return on_field_start(c, b);
    case STATE_NAME:
        return on_name(c, b);
    case STATE_VALUE:
        return on_value(c, b);
    case STATE_VALUE_LF:
        return on_value_lf(c, b);
    default:
        return on_head_lf(c, b);
    }
}
