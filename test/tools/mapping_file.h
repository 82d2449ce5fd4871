/*
 * mapping_file - the mappings that a test tool is given as a JSON file; and its way out when something is wrong.
 */
#ifndef TAILWATER_TEST_MAPPING_FILE_H
#define TAILWATER_TEST_MAPPING_FILE_H

#include "mapping.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Say what is wrong, behind the tool's name, and exit 2. */
static inline _Noreturn void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(2);
}

/* The mappings in this file for this default database; to be freed by mapping_set_free(). */
static inline struct mapping_set *mapping_file_load(const char *file, const char *database)
{
    json_error_t where;
    struct mapping_set *set = NULL;
    struct mapping_problem problem;
    json_t *json = json_load_file(file, 0, &where);
    if (!json) {
        fail(where.text);
    }
    if (mapping_set_new(json, &(struct mapping_set_options){.database = database}, &set, &problem) < 0) {
        fail(problem.error.text);
    }
    json_decref(json);
    return set;
}

#endif
