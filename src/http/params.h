/*
 * params - the parameters of a request, from the query or a JSON body, decoded by ourselves: evhttp's decoder cuts at %00.
 *
 * Names and values are UTF-8 without NUL; anything else is a problem that names the parameter. Thread: owner only.
 */
#ifndef TAILWATER_HTTP_PARAMS_H
#define TAILWATER_HTTP_PARAMS_H

#include "error.h"
#include "filter.h"
#include "frame.h"

struct params;

/* Parse "a=1&b=%20" (borrowed for the call). Returns NULL with *err. */
struct params *params_from_query(struct slice query, struct error *err);

/* Add the members of a JSON object: strings, numbers, booleans, arrays of strings (joined by commas). They override the
 * query's. Returns 0, or -1 with *err. */
int params_add_json(struct params *params, struct slice body, struct error *err);

void params_free(struct params *params);

/* The value of the first parameter with this name, or NULL; an empty value counts as absent. */
const char *params_get(const struct params *params, const char *name);

/* The filter that min_level, level and q ask for; NULL when none does. Returns 0, or -1 with *err. */
int params_read_filter(const struct params *params, struct filter **out, struct error *err);

/* The first of several synonyms that is present, or NULL. names: NULL-terminated. */
const char *params_get_any(const struct params *params, const char *const *names);

#endif
