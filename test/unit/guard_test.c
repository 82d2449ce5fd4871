/* guard - what is counted, who is closed and when, over a socket pair without evhttp behind it. */
#include "guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

struct fixture {
    struct event_base *base;
    struct bufferevent *bev;
    struct guard *guard;
    int client;
    bool released;
    _Atomic uint64_t refused, timeouts;
    struct guard_options options;
};

static void release(void *owner)
{
    struct fixture *f = owner;
    guard_free(f->guard);
    f->released = true;
    event_base_loopbreak(f->base);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int fds[2];
    if (!f || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
        return -1;
    }
    f->options = (struct guard_options){
        .limits = {.header_bytes = 1024, .body_bytes = 1024},
        .head_s = 1,
        .body_s = 1,
        .idle_s = 10,
        .refused = &f->refused,
        .timeouts = &f->timeouts,
        .release = release,
    };
    evutil_make_socket_nonblocking(fds[0]);
    f->client = fds[1];
    f->base = event_base_new();
    f->bev = bufferevent_socket_new(f->base, fds[0], BEV_OPT_CLOSE_ON_FREE);
    f->guard = guard_new(f->bev, &f->options);
    guard_adopt(f->guard, f);
    bufferevent_enable(f->bev, EV_READ);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (!f->released) {
        guard_free(f->guard);
    }
    bufferevent_free(f->bev);
    event_base_free(f->base);
    close(f->client);
    free(f);
    return 0;
}

static void from_client(struct fixture *f, const char *text)
{
    assert_int_equal(send(f->client, text, strlen(text), 0), (ssize_t)strlen(text));
    event_base_loop(f->base, EVLOOP_ONCE);
}

/* What evhttp does: take a request from the input. */
static void take(struct fixture *f, size_t len)
{
    assert_int_equal(evbuffer_drain(bufferevent_get_input(f->bev), len), 0);
}

static void expect_status(struct fixture *f, const char *status)
{
    char answer[1024];
    ssize_t len = recv(f->client, answer, sizeof answer - 1, 0);
    assert_true(len > 0);
    answer[len] = '\0';
    assert_memory_equal(answer, "HTTP/1.1 ", 9);
    assert_memory_equal(answer + 9, status, 3);
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_int_equal(recv(f->client, answer, sizeof answer, 0), 0); /* the end, though the socket is still open */
}

static void test_valid_requests_stay_in_the_input(void **state)
{
    struct fixture *f = *state;
    struct evbuffer *input = bufferevent_get_input(f->bev);
    from_client(f, "\r\n" GET);
    assert_int_equal(evbuffer_get_length(input), strlen(GET)); /* the empty line is gone */
    from_client(f, GET);
    take(f, strlen(GET));
    guard_next(f->guard);
    assert_int_equal(evbuffer_get_length(input), strlen(GET));
    assert_int_equal(f->refused, 0);
}

static void test_refusal(void **state)
{
    struct fixture *f = *state;
    from_client(f, "GET / HTTP/3.0\r\n" GET);
    assert_int_equal(evbuffer_get_length(bufferevent_get_input(f->bev)), 0);
    event_base_loop(f->base, EVLOOP_ONCE);
    expect_status(f, "505");
    assert_false(f->released);
    shutdown(f->client, SHUT_WR);
    event_base_dispatch(f->base);
    assert_true(f->released);
    assert_int_equal(f->refused, 1);
    assert_int_equal(f->timeouts, 0);
}

/* A client that does not leave after its refusal is not waited for. */
static void test_lingering_ends(void **state)
{
    struct fixture *f = *state;
    from_client(f, "?");
    event_base_dispatch(f->base);
    assert_true(f->released);
    expect_status(f, "400");
}

static void test_slow_request(void **state)
{
    struct fixture *f = *state;
    from_client(f, "GET / HTTP");
    event_base_dispatch(f->base);
    assert_true(f->released);
    expect_status(f, "408");
    assert_int_equal(f->refused, 0);
    assert_int_equal(f->timeouts, 1);
}

static void test_silence(void **state)
{
    struct fixture *f = *state;
    char byte;
    event_base_dispatch(f->base);
    assert_true(f->released);
    assert_int_equal(recv(f->client, &byte, 1, MSG_DONTWAIT), -1); /* nothing was said */
    assert_int_equal(f->timeouts, 0);
}

/* Were evhttp to see a shorter request than the guard, what is left would be a smuggled one. */
static void test_disagreement_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    from_client(f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    take(f, strlen("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"));
    guard_next(f->guard);
    assert_int_equal(evbuffer_get_length(bufferevent_get_input(f->bev)), 0);
    event_base_loop(f->base, EVLOOP_ONCE);
    event_base_loop(f->base, EVLOOP_ONCE);
    expect_status(f, "400");
    assert_int_equal(f->refused, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_valid_requests_stay_in_the_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lingering_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_disagreement_ends_the_connection, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
