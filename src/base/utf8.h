/*
 * utf8 - reading UTF-8 strictly (Unicode table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
 * Thread: any, pure.
 */
#ifndef TAILWATER_BASE_UTF8_H
#define TAILWATER_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * The sequence at s (len >= 1 bytes). Returns its length with *code, or minus the length of the maximal bad subpart, which
 * one U+FFFD replaces.
 */
int utf8_decode(const char *s, size_t len, uint32_t *code);

#endif
