/*
 * file - read a small file whole. Thread: main only, it blocks.
 */
#ifndef TAILWATER_BASE_FILE_H
#define TAILWATER_BASE_FILE_H

#include "buffer.h"
#include "error.h"

#include <stddef.h>

/* Append the content of the file at path; one of more than max_bytes is refused. Returns 0, or -1 with the reason
 * (which names the path, never the content). */
int file_read(const char *path, size_t max_bytes, struct buffer *out, struct error *err);

#endif
