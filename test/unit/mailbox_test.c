/* mailbox - order, wake-ups, and senders of several threads. */
#include "mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

enum { SENDERS = 3, MESSAGES = 20000 };

static bool is_awake(struct mailbox *box, int wait_ms)
{
    struct pollfd fd = {.fd = mailbox_fd(box), .events = POLLIN};
    return poll(&fd, 1, wait_ms) == 1;
}

static void test_order(void **state)
{
    (void)state;
    struct mailbox *box = mailbox_new();
    assert_false(is_awake(box, 0));
    assert_null(mailbox_take(box));
    for (unsigned i = 0; i < 3; i++) {
        mailbox_post(box, (struct message){.type = MESSAGE_CATCHUP, .number = i, .source = i + 10});
    }
    assert_true(is_awake(box, 0));
    struct message *m = mailbox_take(box);
    for (unsigned i = 0; i < 3; i++) {
        assert_non_null(m);
        assert_int_equal(m->number, i);
        assert_int_equal(m->source, i + 10);
        struct message *next = m->next;
        free(m);
        m = next;
    }
    assert_null(m);
    assert_false(is_awake(box, 0));
    mailbox_post(box, (struct message){.type = MESSAGE_STOP}); /* freed with the box */
    mailbox_free(box);
    mailbox_free(NULL);
}

static void test_wake(void **state)
{
    (void)state;
    struct mailbox *box = mailbox_new();
    mailbox_wake(box);
    mailbox_wake(box);
    assert_true(is_awake(box, 0));
    assert_null(mailbox_take(box));
    assert_false(is_awake(box, 0));
    mailbox_wake(box);
    assert_true(is_awake(box, 0));
    mailbox_free(box);
}

struct sender {
    struct mailbox *box;
    unsigned name;
};

static void *send_all(void *arg)
{
    const struct sender *s = arg;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        mailbox_post(s->box, (struct message){.type = MESSAGE_JOB, .number = i, .source = s->name});
    }
    return NULL;
}

/* Take until all came; each sender's messages in its order; a wake-up is never lost. */
static void receive_all(struct mailbox *box)
{
    uint64_t next[SENDERS] = {0};
    for (unsigned left = SENDERS * MESSAGES; left > 0;) {
        assert_true(is_awake(box, 10000));
        for (struct message *m = mailbox_take(box), *after; m; m = after) {
            after = m->next;
            assert_int_equal(m->number, next[m->source]++);
            left--;
            free(m);
        }
    }
}

static void test_threads(void **state)
{
    (void)state;
    struct mailbox *box = mailbox_new();
    pthread_t threads[SENDERS];
    struct sender senders[SENDERS];
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){box, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    receive_all(box);
    for (unsigned i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    mailbox_free(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
