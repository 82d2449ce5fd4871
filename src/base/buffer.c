/* buffer - see buffer.h. */
#include "buffer.h"

#include "utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *memory_check(void *p)
{
    if (!p) {
        fputs("tailwater: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *memory_new(size_t bytes)
{
    return memory_check(malloc(bytes ? bytes : 1));
}

void *memory_zero(size_t count, size_t bytes)
{
    return memory_check(calloc(count ? count : 1, bytes ? bytes : 1));
}

void *memory_zero_aligned(size_t alignment, size_t bytes)
{
    return memset(memory_check(aligned_alloc(alignment, bytes)), 0, bytes);
}

void *memory_resize(void *p, size_t bytes)
{
    return memory_check(realloc(p, bytes ? bytes : 1));
}

char *memory_text(const char *text)
{
    return memory_copy(text, strlen(text));
}

void *memory_copy(const void *data, size_t len)
{
    char *copy = memory_new(len + 1);
    if (len) {
        memcpy(copy, data, len);
    }
    copy[len] = '\0';
    return copy;
}

void memory_free_texts(char **texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++) {
        free(texts[i]);
    }
    free(texts);
}

void buffer_init(struct buffer *b)
{
    *b = (struct buffer)BUFFER_INIT;
}

void buffer_fini(struct buffer *b)
{
    free(b->data);
    buffer_init(b);
}

void buffer_reset(struct buffer *b)
{
    b->len = 0;
}

void buffer_shrink(struct buffer *b, size_t keep_bytes)
{
    if (b->len == 0 && b->cap > keep_bytes) {
        buffer_fini(b);
    }
}

char *buffer_reserve(struct buffer *b, size_t extra)
{
    if (b->cap - b->len < extra) {
        size_t want = b->len + extra;
        size_t cap = b->cap ? b->cap : 64;
        while (cap < want) {
            cap *= 2;
        }
        b->data = memory_resize(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
    if (len) {
        memcpy(buffer_reserve(b, len), data, len);
        b->len += len;
    }
}

void buffer_append_text(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_append_byte(struct buffer *b, char byte)
{
    *buffer_reserve(b, 1) = byte;
    b->len++;
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    char *at = buffer_reserve(b, 128);
    int n = vsnprintf(at, 128, format, args);
    if (n >= 128) {
        at = buffer_reserve(b, (size_t)n + 1);
        n = vsnprintf(at, (size_t)n + 1, format, again);
    }
    va_end(again);
    va_end(args);
    if (n > 0) {
        b->len += (size_t)n;
    }
}

const char *buffer_text(struct buffer *b)
{
    *buffer_reserve(b, 1) = '\0';
    return b->data;
}

/* --- JSON strings ------------------------------------------------------------------------------ */

/* Bytes that stand for themselves inside a JSON string: printable ASCII except quote and backslash. DEL is escaped. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void append_escape(struct buffer *b, unsigned code)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorthand[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
                                     ['"'] = '"',  ['\\'] = '\\'};
    if (code < sizeof shorthand && shorthand[code]) {
        char two[2] = {'\\', shorthand[code]};
        buffer_append(b, two, 2);
        return;
    }
    char six[6] = {'\\', 'u', hex[code >> 12 & 15], hex[code >> 8 & 15], hex[code >> 4 & 15], hex[code & 15]};
    buffer_append(b, six, 6);
}

void buffer_append_json(struct buffer *b, const char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        size_t run = i;
        while (run < len && is_plain((unsigned char)text[run])) {
            run++;
        }
        buffer_append(b, text + i, run - i);
        i = run;
        if (i == len) {
            return;
        }
        uint32_t code = 0;
        int n = utf8_decode(text + i, len - i, &code);
        if (n < 0) {
            buffer_append(b, "\xef\xbf\xbd", 3);
            i += (size_t)-n;
            continue;
        }
        /* One byte that is not plain; C1 controls, NEL among them, and the two separators split lines in some clients. */
        if (n == 1 || code < 0xa0 || code == 0x2028 || code == 0x2029) {
            append_escape(b, code);
        } else {
            buffer_append(b, text + i, (size_t)n);
        }
        i += (size_t)n;
    }
}

void buffer_append_json_item(struct buffer *b, size_t at, const char *text, size_t len)
{
    buffer_append_text(b, at ? ",\"" : "\"");
    buffer_append_json(b, text, len);
    buffer_append_byte(b, '"');
}
