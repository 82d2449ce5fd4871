/*
 * yaml_scalar - the value of one YAML scalar by the core schema of YAML 1.2. Pure; any thread.
 */
#ifndef TAILWATER_APP_YAML_SCALAR_H
#define TAILWATER_APP_YAML_SCALAR_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* plain: not quoted and not a block, so that null, true, 12 and 1.5 are meant as such. Gives a new value, or NULL with
 * the reason (a number that does not fit, a NUL). */
json_t *yaml_scalar_value(const char *text, size_t len, bool plain, struct error *err);

#endif
