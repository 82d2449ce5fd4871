/* shared_text - see shared_text.h. */
#include "shared_text.h"

#include <pthread.h>
#include <stdlib.h>

struct shared_text {
    pthread_mutex_t lock;
    struct buffer content;
};

struct shared_text *shared_text_new(void)
{
    struct shared_text *text = memory_zero(1, sizeof *text);
    pthread_mutex_init(&text->lock, NULL);
    return text;
}

void shared_text_free(struct shared_text *text)
{
    if (text) {
        pthread_mutex_destroy(&text->lock);
        buffer_fini(&text->content);
        free(text);
    }
}

void shared_text_set(struct shared_text *text, struct buffer *content)
{
    pthread_mutex_lock(&text->lock);
    struct buffer old = text->content;
    text->content = *content;
    pthread_mutex_unlock(&text->lock);
    buffer_fini(&old);
    buffer_init(content);
}

void shared_text_append(struct shared_text *text, struct buffer *out)
{
    pthread_mutex_lock(&text->lock);
    buffer_append(out, text->content.data, text->content.len);
    pthread_mutex_unlock(&text->lock);
}
