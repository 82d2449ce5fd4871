/* error - see error.h. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, const char *format, ...)
{
    if (!err) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
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
    memcpy(err->text, where, sizeof where);
    return -1;
}
