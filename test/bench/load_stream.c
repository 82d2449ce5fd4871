/* load_stream - see load_stream.h. */
#include "load_stream.h"

#include "buffer.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_MAX = 16384,
    EVENT_MAX = 32 * 1024 * 1024, /* a whole document of MongoDB's fits */
};

enum chunk_state {
    CHUNK_SIZE,      /* hex digits */
    CHUNK_EXTENSION, /* rest of that line */
    CHUNK_DATA,
    CHUNK_DATA_END, /* the line end after the data */
    CHUNK_LAST,     /* trailers: whatever comes is of no interest */
};

void stream_init(struct stream *stream, const struct tailwater_sse_handler *handler, void *context)
{
    *stream = (struct stream){.fd = -1};
    stream->parser = tailwater_sse_parser_new(EVENT_MAX, handler, context);
}

void stream_fini(struct stream *stream)
{
    stream_close(stream);
    tailwater_sse_parser_free(stream->parser);
    stream->parser = NULL;
}

void stream_close(struct stream *stream)
{
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    free(stream->head);
    stream->fd = -1;
    stream->state = STREAM_CLOSED;
    stream->head = NULL;
    stream->head_len = 0;
    stream->chunked = false;
    stream->chunk_state = CHUNK_SIZE;
    stream->chunk_left = 0;
    stream->chunk_digits = 0;
    tailwater_sse_parser_reset(stream->parser);
}

static enum stream_outcome fail(struct stream *stream, const char *problem)
{
    stream->problem = problem;
    return STREAM_FAILED;
}

enum stream_outcome stream_open(struct stream *stream, const struct sockaddr_in *target,
                                const struct sockaddr_in *source)
{
    const int on = 1;
    stream->status = 0;
    stream->problem = NULL;
    stream->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd < 0) {
        return fail(stream, errno == EMFILE ? "too many open files" : "no socket");
    }
    setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source) {
        /* The port is chosen at connect(): ports are then free per address and target, not per machine. */
        setsockopt(stream->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(stream->fd, (const struct sockaddr *)source, sizeof *source) < 0) {
            return fail(stream, "bind to the source address");
        }
    }
    if (connect(stream->fd, (const struct sockaddr *)target, sizeof *target) < 0 && errno != EINPROGRESS) {
        return fail(stream, errno == EADDRNOTAVAIL ? "no free port" : "connect");
    }
    stream->state = STREAM_CONNECTING;
    return STREAM_GOING;
}

enum stream_outcome stream_send(struct stream *stream, const char *request, size_t len)
{
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem) {
        return fail(stream, problem == ECONNREFUSED ? "connection refused" : "connect");
    }
    if (send(stream->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) {
        return fail(stream, "send the request");
    }
    stream->state = STREAM_HEAD;
    return STREAM_GOING;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a chunk's framing. Returns -1 when it is not HTTP. */
static int chunk_byte(struct stream *stream, char byte)
{
    int digit = hex_digit(byte);
    switch (stream->chunk_state) {
    case CHUNK_SIZE:
        if (digit >= 0 && stream->chunk_digits < 8) {
            stream->chunk_left = stream->chunk_left << 4 | (unsigned)digit;
            stream->chunk_digits++;
            return 0;
        }
        if (stream->chunk_digits == 0 || digit >= 0) {
            return -1;
        }
        stream->chunk_state = CHUNK_EXTENSION;
        return byte == '\n' ? chunk_byte(stream, byte) : 0;
    case CHUNK_EXTENSION:
        if (byte == '\n') {
            stream->chunk_state = stream->chunk_left > 0 ? CHUNK_DATA : CHUNK_LAST;
        }
        return 0;
    case CHUNK_DATA_END:
        if (byte == '\n') {
            stream->chunk_state = CHUNK_SIZE;
            stream->chunk_digits = 0;
        }
        return byte == '\n' || byte == '\r' ? 0 : -1;
    default:
        return 0;
    }
}

static enum stream_outcome feed(struct stream *stream, const char *bytes, size_t len)
{
    return tailwater_sse_parser_feed(stream->parser, bytes, len) == TAILWATER_SSE_FED
               ? STREAM_GOING
               : fail(stream, "an event that is too large");
}

static enum stream_outcome take_chunks(struct stream *stream, const char *bytes, size_t len)
{
    const char *end = bytes + len;
    while (bytes < end) {
        if (stream->chunk_state == CHUNK_LAST) {
            return STREAM_ENDED;
        }
        if (stream->chunk_state != CHUNK_DATA) {
            if (chunk_byte(stream, *bytes++) < 0) {
                return fail(stream, "not a chunked body");
            }
            continue;
        }
        size_t n = (size_t)(end - bytes);
        n = n < stream->chunk_left ? n : (size_t)stream->chunk_left;
        if (feed(stream, bytes, n) == STREAM_FAILED) {
            return STREAM_FAILED;
        }
        bytes += n;
        stream->chunk_left -= n;
        if (stream->chunk_left == 0) {
            stream->chunk_state = CHUNK_DATA_END;
        }
    }
    return stream->chunk_state == CHUNK_LAST ? STREAM_ENDED : STREAM_GOING;
}

static enum stream_outcome take_body(struct stream *stream, const char *bytes, size_t len)
{
    stream->bytes += len;
    return stream->chunked ? take_chunks(stream, bytes, len) : feed(stream, bytes, len);
}

/* Does the head (from its status line on) hold this header with this word in its value? */
static bool head_has(const char *head, size_t len, const char *name, const char *word)
{
    const char *end = head + len;
    const char *line = memchr(head, '\n', len);
    while (line && ++line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t line_len = (size_t)((next ? next : end) - line);
        size_t name_len = strlen(name);
        if (line_len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0) {
            return memmem(line + name_len, line_len - name_len, word, strlen(word)) != NULL;
        }
        line = next;
    }
    return false;
}

static enum stream_outcome take_head(struct stream *stream, const char *bytes, size_t len)
{
    stream->head = memory_resize(stream->head, stream->head_len + len);
    memcpy(stream->head + stream->head_len, bytes, len);
    stream->head_len += len;
    const char *end = memmem(stream->head, stream->head_len, "\r\n\r\n", 4);
    if (!end) { /* with it may come any amount of the body */
        return stream->head_len <= HEAD_MAX ? STREAM_GOING : fail(stream, "a head that is too large");
    }
    size_t head_len = (size_t)(end - stream->head);
    if (head_len < 12 || memcmp(stream->head, "HTTP/1.", 7) != 0) {
        return fail(stream, "not HTTP/1");
    }
    stream->status = (unsigned)strtoul(stream->head + 9, NULL, 10);
    if (stream->status != 200) {
        return STREAM_FAILED;
    }
    stream->chunked = head_has(stream->head, head_len, "Transfer-Encoding", "chunked");
    stream->state = STREAM_BODY;

    char *head = stream->head;
    size_t rest = stream->head_len - head_len - 4;
    stream->head = NULL;
    stream->head_len = 0;
    enum stream_outcome outcome = rest > 0 ? take_body(stream, head + head_len + 4, rest) : STREAM_GOING;
    free(head);
    return outcome;
}

enum stream_outcome stream_read(struct stream *stream, char *memory, size_t len)
{
    ssize_t n = recv(stream->fd, memory, len, 0);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            return STREAM_GOING;
        }
        return stream->state == STREAM_BODY ? STREAM_ENDED : fail(stream, "reset before the answer");
    }
    if (n == 0) {
        return stream->state == STREAM_BODY ? STREAM_ENDED : fail(stream, "closed before the answer");
    }
    return stream->state == STREAM_HEAD ? take_head(stream, memory, (size_t)n) : take_body(stream, memory, (size_t)n);
}
