/*
 * shared_text - a text that one thread replaces from time to time and others copy. Any thread; one mutex, a leaf in the
 * lock order.
 */
#ifndef TAILWATER_CORE_SHARED_TEXT_H
#define TAILWATER_CORE_SHARED_TEXT_H

#include "buffer.h"

struct shared_text;

struct shared_text *shared_text_new(void); /* empty */
void shared_text_free(struct shared_text *text); /* NULL is fine */

/* Take this content from here on; the buffer is the text's then. */
void shared_text_set(struct shared_text *text, struct buffer *content);

/* Append a copy of it. */
void shared_text_append(struct shared_text *text, struct buffer *out);

#endif
