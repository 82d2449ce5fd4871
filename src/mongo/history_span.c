/* history_span - see history_span.h. */
#include "history_span.h"

#include "preset.h"

#include <string.h>

/* Texts are sorted as texts: with other zones and separators they may lie up to two days from their place in time. */
static const int64_t text_slack_ms = 2 * 24 * 3600 * 1000;

static const double seconds_below = 1e11; /* numbers: see preset_time() */

static uint32_t clamp_seconds(int64_t seconds)
{
    return seconds < 0 ? 0 : seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

static void append_oid(bson_t *out, const char *name, uint32_t seconds)
{
    uint8_t bytes[12] = {(uint8_t)(seconds >> 24), (uint8_t)(seconds >> 16), (uint8_t)(seconds >> 8), (uint8_t)seconds};
    bson_oid_t oid;
    bson_oid_init_from_data(&oid, bytes);
    bson_append_oid(out, name, -1, &oid);
}

/* {order: {$not: {name: value}}}: other types pass, and the index serves it. */
static void begin_not(bson_t *all, uint32_t *count, bson_t levels[3], const char *order)
{
    char number[16];
    const char *key;
    bson_uint32_to_string((*count)++, &key, number, sizeof number);
    bson_append_document_begin(all, key, -1, &levels[0]);
    bson_append_document_begin(&levels[0], order, -1, &levels[1]);
    bson_append_document_begin(&levels[1], "$not", -1, &levels[2]);
}

static void end_not(bson_t *all, bson_t levels[3])
{
    bson_append_document_end(&levels[1], &levels[2]);
    bson_append_document_end(&levels[0], &levels[1]);
    bson_append_document_end(all, &levels[0]);
}

/* Leave out values that compare so with this moment: dates with `ms`, what counts seconds with `seconds`. */
static void leave_out(bson_t *all, uint32_t *count, const char *order, const char *date_name, int64_t ms,
                      const char *seconds_name, uint32_t seconds)
{
    bson_t levels[3];
    begin_not(all, count, levels, order);
    bson_append_date_time(&levels[2], date_name, -1, ms);
    end_not(all, levels);
    begin_not(all, count, levels, order);
    append_oid(&levels[2], seconds_name, seconds);
    end_not(all, levels);
    begin_not(all, count, levels, order);
    bson_append_timestamp(&levels[2], seconds_name, -1, seconds, 0);
    end_not(all, levels);
}

bson_t *history_span_condition(const struct history_span *span, const char *order)
{
    bson_t *made = bson_new(), all;
    uint32_t count = 0;
    bson_append_array_begin(made, "$and", -1, &all);
    if (span->from_ms) {
        leave_out(&all, &count, order, "$lt", span->from_ms, "$lt", clamp_seconds(span->from_ms / 1000));
    }
    if (span->to_ms && span->to_ms / 1000 < UINT32_MAX) {
        leave_out(&all, &count, order, "$gt", span->to_ms, "$gte", clamp_seconds(span->to_ms / 1000 + 1));
    }
    bson_append_array_end(made, &all);
    if (count == 0) {
        bson_reinit(made);
    }
    return made;
}

bool history_span_touches(const struct history_span *span, int64_t time_ms, int64_t lasts_ms)
{
    int64_t last_ms = time_ms > INT64_MAX - lasts_ms ? INT64_MAX : time_ms + lasts_ms - 1;
    return (!span->from_ms || last_ms >= span->from_ms) && (!span->to_ms || time_ms <= span->to_ms);
}

/* Behind all numbers that mean milliseconds; or, from there, behind all that tell a time. */
static void behind_numbers(double number, struct history_place *place)
{
    history_place_fini(place);
    place->key.value_type = BSON_TYPE_DOUBLE;
    place->key.value.v_double = number < seconds_below ? 0 : seconds_below;
    place->inclusive = number < seconds_below;
    place->key_only = true;
}

static void behind_texts(struct history_place *place)
{
    history_place_fini(place);
    place->key.value_type = BSON_TYPE_UTF8;
    place->key.value.v_utf8.str = bson_strdup("");
    place->key.value.v_utf8.len = 0;
    place->key_only = true;
}

bool history_span_leap(const struct history_span *span, const bson_iter_t *order, struct history_place *place)
{
    int64_t time_ms;
    if (!span->from_ms || preset_time(order, &time_ms) != 0 || time_ms >= span->from_ms) {
        return false;
    }
    if (BSON_ITER_HOLDS_NUMBER(order)) {
        behind_numbers(bson_iter_as_double(order), place);
        return true;
    }
    if (BSON_ITER_HOLDS_UTF8(order) && time_ms < span->from_ms - text_slack_ms) {
        behind_texts(place);
        return true;
    }
    return false;
}
