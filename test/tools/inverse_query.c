/*
 * inverse_query - src/mongo/inverse.c as a filter, for tests in other languages.
 *
 *   inverse-query MAPPINGS DATABASE
 *
 * MAPPINGS is a file with the JSON array of a source's `mappings`. Each line of the input is a collection and a list of
 * patterns: "collection TAB pattern,pattern". Each line of the output is the find filter as canonical Extended JSON, or
 * "nothing".
 */
#include "inverse.h"
#include "mapping_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERNS_MAX = 64, LINE_MAX_BYTES = 1 << 16 };

static void answer(const struct mapping_set *set, const char *database, char *line)
{
    struct slice patterns[PATTERNS_MAX];
    size_t count = 0;
    char *tab = strchr(line, '\t');
    if (!tab) {
        fail("a line lacks its TAB");
    }
    struct slice collection = {line, (size_t)(tab - line)};
    char *save, *at = strtok_r(tab + 1, ",\n", &save);
    for (; at && count < PATTERNS_MAX; at = strtok_r(NULL, ",\n", &save)) {
        patterns[count++] = (struct slice){at, strlen(at)};
    }
    const struct mapping *mapping = mapping_set_find(set, (struct slice){database, strlen(database)}, collection);
    bson_t *filter = bson_new();
    if (mapping && inverse_filter(mapping, collection, patterns, count, filter)) {
        char *text = bson_as_canonical_extended_json(filter, NULL);
        puts(text);
        bson_free(text);
    } else {
        puts("nothing");
    }
    bson_destroy(filter);
}

int main(int argc, char **argv)
{
    static char line[LINE_MAX_BYTES];
    if (argc != 3) {
        fail("usage: inverse-query MAPPINGS DATABASE");
    }
    struct mapping_set *set = mapping_file_load(argv[1], argv[2]);
    while (fgets(line, sizeof line, stdin)) {
        answer(set, argv[2], line);
    }
    mapping_set_free(set);
    return 0;
}
