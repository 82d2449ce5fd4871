/* must - what fuzz targets share: a condition that holds for all inputs, else the input is kept as a finding. */
#ifndef TEST_FUZZ_MUST_H
#define TEST_FUZZ_MUST_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

static inline void must(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "%s: %s (errno: %s)\n", program_invocation_short_name, what, strerror(errno));
        abort();
    }
}

/* The bytes in memory of exactly their size, so that a sanitizer sees every step beyond it; to be freed. */
static inline void *must_copy(const void *bytes, size_t len)
{
    void *copy = malloc(len ? len : 1);
    must(copy != NULL, "out of memory");
    memcpy(copy, bytes, len);
    return copy;
}

/* The same with a NUL behind it. */
static inline char *must_copy_text(const void *bytes, size_t len)
{
    char *copy = malloc(len + 1);
    must(copy != NULL, "out of memory");
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

#endif
