/* mailbox - see mailbox.h. */
#include "mailbox.h"

#include "buffer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock;
    struct message *first, *last;
    atomic_bool awake; /* a wake-up is on its way */
    int fd;
};

struct mailbox *mailbox_new(void)
{
    struct mailbox *box = memory_zero(1, sizeof *box);
    pthread_mutex_init(&box->lock, NULL);
    box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (box->fd < 0) {
        abort();
    }
    return box;
}

void mailbox_free(struct mailbox *box)
{
    if (!box) {
        return;
    }
    struct message *m = box->first;
    while (m) {
        struct message *next = m->next;
        free(m);
        m = next;
    }
    close(box->fd);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

int mailbox_fd(const struct mailbox *box)
{
    return box->fd;
}

void mailbox_wake(struct mailbox *box)
{
    if (!atomic_exchange_explicit(&box->awake, true, memory_order_acq_rel)) {
        uint64_t one = 1;
        ssize_t ignored = write(box->fd, &one, sizeof one);
        (void)ignored; /* EAGAIN: the counter is full, the receiver wakes anyway */
    }
}

void mailbox_post(struct mailbox *box, struct message message)
{
    struct message *m = memory_copy(&message, sizeof message);
    m->next = NULL;
    pthread_mutex_lock(&box->lock);
    if (box->last) {
        box->last->next = m;
    } else {
        box->first = m;
    }
    box->last = m;
    pthread_mutex_unlock(&box->lock);
    mailbox_wake(box);
}

struct message *mailbox_take(struct mailbox *box)
{
    uint64_t ignored_count;
    ssize_t ignored = read(box->fd, &ignored_count, sizeof ignored_count);
    (void)ignored;
    /* Cleared before looking: what changes after this line wakes again. */
    atomic_store_explicit(&box->awake, false, memory_order_seq_cst);
    pthread_mutex_lock(&box->lock);
    struct message *all = box->first;
    box->first = box->last = NULL;
    pthread_mutex_unlock(&box->lock);
    return all;
}
