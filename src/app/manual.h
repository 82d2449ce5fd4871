/*
 * manual - texts made from the table of options: the help, the manual page of the options, the versions.
 * Thread: any.
 */
#ifndef TAILWATER_APP_MANUAL_H
#define TAILWATER_APP_MANUAL_H

#include "buffer.h"

/* `tailwater --help`: less than 80 columns. */
void manual_append_help(struct buffer *out);

/* `tailwater help options`: docs/configuration.md, in Markdown. */
void manual_append_options(struct buffer *out);

/* `tailwater --version`: the program and the libraries it runs with. */
void manual_append_version(struct buffer *out);

#endif
