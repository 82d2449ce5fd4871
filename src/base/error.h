/*
 * error - a sentence about what went wrong, carried up by the caller's own struct.
 *
 * Convention of the whole program: a function that can fail returns 0 when done, -1 when it failed and *err tells why
 * (a sentence without a final stop, fit for a user), and positive values are outcomes documented at that function.
 * Never put a secret, a connection string or a token into an error. Texts from outside may be put into one: what would
 * end the line or command a terminal (control characters, line separators, what is not UTF-8) becomes "?".
 */
#ifndef TAILWATER_BASE_ERROR_H
#define TAILWATER_BASE_ERROR_H

struct error {
    int code;       /* of the library below (MongoDB's error code), or 0 */
    char text[512]; /* one printable line, NUL-terminated */
};

/* Fill *err (may be NULL); always returns -1, so that "return error_set(...)" reads well. */
int error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put "where: " in front of the sentence; always returns -1. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
