/* topic - random subscriptions, each lookup compared with a linear search by tailwater_pattern_match(). */
#include "topic.h"

#include "tailwater/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBSCRIBERS = 60, ROUNDS = 20000, TEXT_MAX = 32 };

struct subscriber {
    struct topic_entry entry;
    char pattern[TEXT_MAX];
    unsigned visits;
};

static void choose_text(char *out, const char *letters, unsigned *seed)
{
    int segments = 1 + rand_r(seed) % 5;
    for (int i = 0; i < segments; i++) {
        *out++ = letters[(size_t)rand_r(seed) % strlen(letters)];
        *out++ = i + 1 < segments ? ':' : '\0';
    }
}

static void note_visit(void *subscriber, void *arg)
{
    struct subscriber *s = subscriber;
    s->visits++;
    ++*(unsigned *)arg;
}

static void check_match(struct topic_index *index, struct subscriber *all, const char *channel)
{
    unsigned visits = 0, expected = 0;
    for (int i = 0; i < SUBSCRIBERS; i++) {
        all[i].visits = 0;
    }
    topic_match(index, channel, strlen(channel), note_visit, &visits);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        bool wanted = all[i].entry.list &&
                      tailwater_pattern_match(all[i].pattern, strlen(all[i].pattern), channel, strlen(channel));
        assert_int_equal(all[i].visits, wanted);
        expected += wanted;
    }
    assert_int_equal(visits, expected);
}

static size_t count_distinct(const struct subscriber *all)
{
    size_t distinct = 0;
    for (int i = 0; i < SUBSCRIBERS; i++) {
        bool is_new = all[i].entry.list != NULL;
        for (int k = 0; k < i && is_new; k++) {
            is_new = !(all[k].entry.list && strcmp(all[k].pattern, all[i].pattern) == 0);
        }
        distinct += is_new;
    }
    return distinct;
}

static void test_random(void **state)
{
    (void)state;
    static struct subscriber all[SUBSCRIBERS];
    struct topic_index *index = topic_index_new();
    unsigned seed = 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct subscriber *s = &all[rand_r(&seed) % SUBSCRIBERS];
        if (s->entry.list) {
            topic_remove(index, &s->entry);
        } else {
            choose_text(s->pattern, "ab*", &seed);
            s->entry.subscriber = s;
            topic_add(index, s->pattern, strlen(s->pattern), &s->entry);
        }
        char channel[TEXT_MAX];
        choose_text(channel, "abc", &seed);
        check_match(index, all, channel);
        if (round % 64 == 0) {
            assert_int_equal(topic_count(index), count_distinct(all));
        }
    }
    for (int i = 0; i < SUBSCRIBERS; i++) {
        topic_remove(index, &all[i].entry);
    }
    assert_int_equal(topic_count(index), 0);
    topic_index_free(index);
}

/* Several entries of one subscriber: one visit each. */
static void test_several_entries(void **state)
{
    (void)state;
    struct topic_index *index = topic_index_new();
    struct subscriber s = {.visits = 0};
    struct topic_entry entries[3] = {{.subscriber = &s}, {.subscriber = &s}, {.subscriber = &s}};
    unsigned visits = 0;
    topic_add(index, "a:b", 3, &entries[0]);
    topic_add(index, "a:*", 3, &entries[1]);
    topic_add(index, "*", 1, &entries[2]);
    topic_match(index, "a:b", 3, note_visit, &visits);
    assert_int_equal(visits, 3);
    for (int i = 0; i < 3; i++) {
        topic_remove(index, &entries[i]);
        topic_remove(index, &entries[i]); /* harmless */
    }
    topic_match(index, "a:b", 3, note_visit, &visits);
    assert_int_equal(visits, 3);
    topic_index_free(index);
    topic_index_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_several_entries),
    };
    return cmocka_run_group_tests_name("topic", tests, NULL, NULL);
}
