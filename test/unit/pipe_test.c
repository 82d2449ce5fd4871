/* pipe - the unsent bytes of all pipes are counted: while they wait, as they drain, and when a pipe ends with some left. */
#include "pipe.h"

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

enum { MUCH = 4 * 1024 * 1024, TOLD = 32 * 1024 };

struct fixture {
    struct event_base *base;
    struct bufferevent *bev;
    int client;
    bool is_gone;
};

static _Atomic uint64_t queued;
static char zeros[MUCH];

static void on_gone(void *arg)
{
    ((struct fixture *)arg)->is_gone = true;
}

static void on_drain(void *arg)
{
    (void)arg;
}

static void release(void *owner)
{
    struct fixture *f = owner;
    bufferevent_free(f->bev);
    f->bev = NULL;
}

static struct pipe *open_pipe(struct fixture *f)
{
    const struct pipe_options options = {on_gone, on_drain, f, 1024, 10};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    evutil_make_socket_nonblocking(fds[0]);
    f->client = fds[1];
    f->base = f->base ? f->base : event_base_new();
    f->bev = bufferevent_socket_new(f->base, fds[0], BEV_OPT_CLOSE_ON_FREE);
    return pipe_new(f->bev, true, &options, release, f);
}

static void end(struct fixture *f)
{
    close(f->client);
    event_base_loop(f->base, EVLOOP_NONBLOCK);
    event_base_free(f->base);
}

/* Let the client read until nothing comes. */
static size_t read_all(struct fixture *f)
{
    static char bytes[65536];
    size_t taken = 0;
    ssize_t n;
    do {
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        n = recv(f->client, bytes, sizeof bytes, MSG_DONTWAIT);
        taken += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    return taken;
}

static void test_unsent_bytes_are_counted(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct pipe *pipe = open_pipe(&f);
    pipe_write_raw(pipe, zeros, 1000);
    assert_int_equal(queued, 0); /* too little to tell the other threads */
    pipe_write_raw(pipe, zeros, MUCH);
    assert_in_range(queued, MUCH + 1000 - TOLD, MUCH + 1000);
    event_base_loop(f.base, EVLOOP_NONBLOCK);
    assert_in_range(queued, pipe_unsent(pipe) - TOLD, pipe_unsent(pipe) + TOLD); /* the kernel took some */
    assert_true(pipe_unsent(pipe) < MUCH);
    assert_int_equal(read_all(&f), MUCH + 1000);
    assert_int_equal(queued, 0);
    pipe_abort(pipe);
    assert_int_equal(queued, 0);
    end(&f);
}

static void test_two_pipes_and_ends_with_bytes_left(void **state)
{
    (void)state;
    struct fixture a = {0}, b = {0};
    struct pipe *first = open_pipe(&a), *second = open_pipe(&b);
    pipe_write_raw(first, zeros, MUCH);
    pipe_write_raw(second, zeros, MUCH);
    assert_in_range(queued, 2 * MUCH - TOLD, 2 * MUCH);
    pipe_abort(first); /* lost */
    assert_in_range(queued, MUCH - TOLD, MUCH);
    pipe_close(second, true, 10); /* still to be sent */
    assert_in_range(queued, MUCH - TOLD, MUCH + 5);
    assert_int_equal(pipe_closing_count(), 1);
    assert_int_equal(read_all(&b), MUCH + 5);
    assert_int_equal(pipe_closing_count(), 0);
    assert_int_equal(queued, 0);
    assert_null(b.bev);
    end(&a);
    end(&b);
}

static void test_a_client_that_leaves(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct pipe *pipe = open_pipe(&f);
    pipe_write_raw(pipe, zeros, MUCH);
    assert_true(queued > 0);
    shutdown(f.client, SHUT_WR);
    event_base_loop(f.base, EVLOOP_NONBLOCK);
    assert_true(f.is_gone);
    assert_int_equal(queued, 0);
    end(&f);
}

static int count_queued(void **state)
{
    (void)state;
    pipe_count_queued(&queued);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unsent_bytes_are_counted),
        cmocka_unit_test(test_two_pipes_and_ends_with_bytes_left),
        cmocka_unit_test(test_a_client_that_leaves),
    };
    return cmocka_run_group_tests(tests, count_queued, NULL);
}
