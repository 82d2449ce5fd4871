/* text_values - see text_values.h. */
#include "text_values.h"

#include "buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append_at(bson_t *array, int *count, const bson_value_t *value)
{
    char key[16];
    const char *name;
    size_t len = bson_uint32_to_string((uint32_t)(*count)++, &name, key, sizeof key);
    bson_append_value(array, name, (int)len, value);
}

static void append_integers(const char *text, bson_t *array, int *count)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    char canonical[24];
    snprintf(canonical, sizeof canonical, "%lld", number);
    if (errno || *end || strcmp(canonical, text) != 0) {
        return;
    }
    bson_value_t value = {.value_type = BSON_TYPE_INT64, .value.v_int64 = number};
    append_at(array, count, &value); /* MongoDB compares numbers by value: this finds int32 too */
}

/* "12345678-1234-1234-1234-123456789abc" to 16 bytes; false when it is not that. */
static bool parse_uuid(const char *text, uint8_t out[16])
{
    size_t n = 0;
    if (strlen(text) != 36) {
        return false;
    }
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-') {
                return false;
            }
            continue;
        }
        char pair[3] = {text[i], text[i + 1], 0}, *end;
        out[n++] = (uint8_t)strtoul(pair, &end, 16);
        if (*end || pair[0] == '+' || pair[0] == '-' || pair[0] == ' ') {
            return false;
        }
        i += 2;
    }
    return true;
}

void text_values_append(struct slice source, bson_t *array)
{
    int count = 0;
    uint8_t uuid[16];
    char *text = memory_copy(source.data, source.len);
    if (bson_utf8_validate(text, source.len, true)) {
        bson_value_t value = {.value_type = BSON_TYPE_UTF8};
        value.value.v_utf8.str = text;
        value.value.v_utf8.len = (uint32_t)source.len;
        append_at(array, &count, &value);
    }
    if (bson_oid_is_valid(text, source.len) && source.len == 24) {
        bson_value_t value = {.value_type = BSON_TYPE_OID};
        bson_oid_init_from_string(&value.value.v_oid, text);
        append_at(array, &count, &value);
    }
    append_integers(text, array, &count);
    if (parse_uuid(text, uuid)) {
        bson_value_t value = {.value_type = BSON_TYPE_BINARY};
        value.value.v_binary.subtype = BSON_SUBTYPE_UUID;
        value.value.v_binary.data = uuid;
        value.value.v_binary.data_len = sizeof uuid;
        append_at(array, &count, &value);
    }
    free(text);
}
