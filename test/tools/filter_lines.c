/*
 * filter-lines - core/filter.h for tests in other languages: filter-lines MIN_LEVEL LEVEL Q (each may be empty).
 *
 * Reads lines "LEVEL<tab>JSON" on stdin, LEVEL being a number; writes 1 or 0 for each. A refused request: a sentence on
 * stderr and status 2.
 */
#include "filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

int main(int argc, char **argv)
{
    struct filter *filter;
    struct error err;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    if (argc != 4) {
        return 2;
    }
    struct filter_request request = {or_null(argv[1]), or_null(argv[2]), or_null(argv[3])};
    if (filter_new(&request, &filter, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    while ((len = getline(&line, &cap, stdin)) > 0) {
        char *tab = strchr(line, '\t');
        if (!tab) {
            return 2;
        }
        size_t json = (size_t)(len - (tab + 1 - line)) - (line[len - 1] == '\n');
        puts(filter_passes(filter, (uint8_t)atoi(line), (struct slice){tab + 1, json}) ? "1" : "0");
    }
    free(line);
    filter_free(filter);
    return 0;
}
