/* random - see random.h. */
#include "random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *out, size_t len)
{
    char *p = out;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            abort(); /* a Linux without getrandom(2) cannot make connection ids that are not guessed */
        }
        p += n;
        len -= (size_t)n;
    }
}

int64_t random_between(int64_t low, int64_t high)
{
    if (high <= low) {
        return low;
    }
    uint64_t r;
    random_bytes(&r, sizeof r);
    return low + (int64_t)(r % ((uint64_t)(high - low) + 1));
}

void random_hex(char *out, size_t bytes)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte;
        random_bytes(&byte, 1);
        out[2 * i] = hex[byte >> 4];
        out[2 * i + 1] = hex[byte & 15];
    }
    out[2 * bytes] = '\0';
}
