/* error - see error.h. */
#include "error.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_printable(uint32_t code)
{
    return code >= 0x20 && (code < 0x7f || code >= 0xa0) && code != 0x2028 && code != 0x2029;
}

/* Replace what must not stand in a line, also a character that was cut at the end. */
static void make_printable(char *text)
{
    size_t len = strlen(text), out = 0;
    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        int n = utf8_decode(text + i, len - i, &code);
        size_t bytes = (size_t)(n < 0 ? -n : n);
        if (n < 0 || !is_printable(code)) {
            text[out++] = '?';
        } else {
            memmove(text + out, text + i, bytes);
            out += bytes;
        }
        i += bytes;
    }
    text[out] = '\0';
}

int error_set(struct error *err, const char *format, ...)
{
    if (!err) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    make_printable(err->text);
    err->code = 0;
    return -1;
}

int error_prefix(struct error *err, const char *format, ...)
{
    if (!err) {
        return -1;
    }
    char where[sizeof err->text];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(where, sizeof where, format, args);
    va_end(args);
    if (n < 0) {
        return -1;
    }
    size_t used = (size_t)n < sizeof where ? (size_t)n : sizeof where - 1;
    size_t room = sizeof where - used;
    snprintf(where + used, room, ": %.*s", (int)(room > 3 ? room - 3 : 0), err->text);
    make_printable(where);
    memcpy(err->text, where, sizeof where);
    return -1;
}
