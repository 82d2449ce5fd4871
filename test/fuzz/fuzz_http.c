/*
 * fuzz_http - a connection's bytes through the guard and evhttp, over loopback, with handlers that answer at once or
 * later or stream: nobody crashes, and evhttp hands out exactly the requests that head_check sees, with bodies of that
 * length, in that order; fewer only when the server has closed the connection or made it a stream. evhttp refuses
 * nothing by itself, in its own words. The first byte of an input seeds the cuts. A target's first letter chooses the
 * handler: /d later, /s stream.
 */
#include "exchange.h"
#include "head_check.h"

#include "must.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS_MAX = 256, TURNS_MAX = 2000 };

static struct event_base *base;
static struct http_server *server;
static struct sockaddr_in address;
static _Atomic uint64_t refused, timeouts, sockets, sockets_refused, handshake_failures, queued;

/* Of the run: body lengths as head_check sees them and as the handler gets them. */
static size_t expected[REQUESTS_MAX], expected_count, handled;
static struct exchange *deferred;
static struct pipe *stream;

/* --- the server ------------------------------------------------------------------------------------ */

static void on_deferred_gone(void *arg)
{
    (void)arg;
    deferred = NULL;
}

static void on_stream_gone(void *arg)
{
    (void)arg;
    stream = NULL;
}

static void on_drain(void *arg)
{
    (void)arg;
}

static void handle(struct exchange *x, void *arg)
{
    (void)arg;
    struct slice path = exchange_path(x);
    char kind = path.len > 1 ? path.data[1] : '\0';
    must(handled < expected_count, "a request that is none");
    must(exchange_body(x).len == expected[handled], "a body of another length");
    handled++;
    exchange_query(x);
    exchange_header(x, "Host");
    if (kind == 'd') {
        deferred = x;
        exchange_defer(x, on_deferred_gone, NULL);
    } else if (kind == 's' && exchange_method(x) != METHOD_HEAD) {
        const struct pipe_options options = {on_stream_gone, on_drain, NULL, 1024, 60};
        stream = exchange_stream(x, "text/event-stream", &options);
    } else {
        exchange_reply(x, 200, "text/plain", "fine", 4);
    }
}

static void start_server(void)
{
    socklen_t len = sizeof address;
    struct error err;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)&address, &len) == 0, "getsockname");
    close(fd);
    signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    const struct http_server_options options = {
        .base = base,
        .host = "127.0.0.1",
        .port = ntohs(address.sin_port),
        .sockets_max = 100,
        .counters = {.sockets = &sockets,
                     .sockets_refused = &sockets_refused,
                     .handshake_failures = &handshake_failures,
                     .queued_bytes = &queued},
        .guard = {.limits = {.header_bytes = 1024, .body_bytes = 256},
                  .head_s = 10,
                  .body_s = 10,
                  .idle_s = 10,
                  .refused = &refused,
                  .timeouts = &timeouts},
        .handler = handle,
    };
    server = http_server_new(&options, &err);
    must(server != NULL, "the server does not start");
    http_server_enter_thread(server);
}

/* --- a run ----------------------------------------------------------------------------------------- */

static void expect(const uint8_t *bytes, size_t len)
{
    const struct head_limits limits = {.header_bytes = 1024, .body_bytes = 256};
    struct head_check check;
    size_t at = 0, used = 0;
    head_check_init(&check, &limits);
    expected_count = handled = 0;
    while (at < len && expected_count < REQUESTS_MAX && !check.refusal) {
        enum head_verdict verdict = head_check_feed(&check, bytes + at, len - at, &used);
        at += used;
        if (verdict == HEAD_DONE) {
            expected[expected_count++] = (size_t)check.length;
            head_check_next(&check);
        }
    }
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
    if (deferred) {
        struct exchange *x = deferred;
        deferred = NULL;
        exchange_reply(x, 200, "text/plain", "late", 4);
    }
}

/* Take what the server has sent; is it over? */
static bool drain(int fd)
{
    char bytes[4096];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        must(!memmem(bytes, (size_t)n, "<HTML>", 6), "evhttp refuses what the guard lets through");
    }
    return n == 0 || errno != EAGAIN;
}

static void send_pieces(int fd, const uint8_t *bytes, size_t len, uint32_t seed)
{
    size_t at = 0;
    while (at < len) {
        seed = seed * 1664525u + 1013904223u;
        size_t piece = 1 + (seed >> 20) % 400;
        ssize_t n = send(fd, bytes + at, piece < len - at ? piece : len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            return;
        }
        at += (size_t)n;
        turn();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    const struct linger reset = {1, 0};
    if (!base) {
        start_server();
    }
    if (len < 1 || len > REQUESTS_MAX * 16) {
        return 0;
    }
    expect(input + 1, len - 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    send_pieces(fd, input + 1, len - 1, input[0]);
    int turns = 0;
    while (turns < TURNS_MAX && handled < expected_count && !drain(fd)) {
        turn();
        turns++;
    }
    must(turns < TURNS_MAX || stream, "a request that nobody answers");
    shutdown(fd, SHUT_WR);
    turn();
    drain(fd);
    close(fd);
    turn();
    turn();
    must(!stream, "a stream that outlives its connection");
    return 0;
}
