/*
 * buffer - a growable run of bytes.
 *
 * Thread: owner only.  Memory: out of memory aborts the process (as libbson's allocator does), so
 * everything a client can make us append is bounded before it gets here.
 */
#ifndef TAILWATER_BASE_BUFFER_H
#define TAILWATER_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>

struct buffer {
    char *data;  /* not NUL-terminated; see buffer_text() */
    size_t len;  /* bytes used */
    size_t cap;  /* bytes allocated */
};

#define BUFFER_INIT {NULL, 0, 0}

/* Make b an empty buffer without memory of its own. */
void buffer_init(struct buffer *b);

/* Release the memory; b is empty and usable again. */
void buffer_fini(struct buffer *b);

/* Forget the content, keep the memory. */
void buffer_reset(struct buffer *b);

/* Give back memory above keep_bytes of an empty buffer, so that one giant document is not kept for ever. */
void buffer_shrink(struct buffer *b, size_t keep_bytes);

/* Make room for extra more bytes; returns where they go. b->len is unchanged. */
char *buffer_reserve(struct buffer *b, size_t extra);

/* Append bytes, a NUL-terminated string, one byte, or formatted text. */
void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_byte(struct buffer *b, char byte);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(2)));

/* Append text as the inside of a JSON string: quotes, backslashes, control bytes, U+2028/2029 escaped, invalid UTF-8
 * replaced by U+FFFD (one per maximal bad subpart). The quotes around it are the caller's. */
void buffer_append_json(struct buffer *b, const char *text, size_t len);

/* Append text as a JSON string, quoted and escaped; behind a comma when it is not the first (at > 0) of a list. */
void buffer_append_json_item(struct buffer *b, size_t at, const char *text, size_t len);

/* The content as a NUL-terminated string, owned by b, valid until the next change. */
const char *buffer_text(struct buffer *b);

/* malloc, calloc, realloc, strdup, memdup that abort instead of returning NULL. */
void *memory_new(size_t bytes);
void *memory_zero(size_t count, size_t bytes);
void *memory_zero_aligned(size_t alignment, size_t bytes); /* bytes: a multiple of alignment, as sizeof is */
void *memory_resize(void *p, size_t bytes);
char *memory_text(const char *text);
void *memory_copy(const void *data, size_t len); /* adds a NUL behind the copy */

/* free() an array of texts and each of them. NULL is fine. */
void memory_free_texts(char **texts, size_t count);

#endif
