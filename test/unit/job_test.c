/* job - a bounded queue: order, refusal when full, stop. */
#include "job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

static struct job *make(uint64_t number)
{
    struct job *job = memory_zero(1, sizeof *job);
    job->number = number;
    job->channel = memory_text("logs:a");
    job->id = memory_text("1");
    buffer_append_text(&job->body, "{}");
    return job;
}

static void test_order_and_bound(void **state)
{
    (void)state;
    struct job_queue *q = job_queue_new(2);
    struct job *third = make(3);
    assert_int_equal(job_queue_push(q, make(1)), 0);
    assert_int_equal(job_queue_push(q, make(2)), 0);
    assert_int_equal(job_queue_push(q, third), -1); /* it stays ours */
    for (uint64_t i = 1; i <= 2; i++) {
        struct job *job = job_queue_take(q);
        assert_int_equal(job->number, i);
        job_free(job);
    }
    assert_int_equal(job_queue_push(q, third), 0);
    job_queue_free(q); /* with the job that nobody took */
    job_queue_free(NULL);
    job_free(NULL);
}

static void *take_until_stopped(void *arg)
{
    struct job *job;
    while ((job = job_queue_take(arg))) {
        job_free(job);
    }
    return NULL;
}

static void test_stop(void **state)
{
    (void)state;
    struct job_queue *q = job_queue_new(10);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_until_stopped, q), 0);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        struct job *job = make(i);
        if (job_queue_push(q, job) != 0) {
            job_free(job);
        }
    }
    job_queue_stop(q);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    struct job *late = make(0);
    assert_int_equal(job_queue_push(q, late), -1);
    assert_null(job_queue_take(q));
    job_free(late);
    job_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_bound),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
