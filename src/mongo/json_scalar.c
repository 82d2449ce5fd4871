/* json_scalar - see json_scalar.h. */
#include "json_scalar.h"

#include "clock.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- strings ------------------------------------------------------------------------------------ */

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Is there a byte in the word that is zero? The classic trick; exact as a yes or no. */
static uint64_t has_zero(uint64_t word)
{
    return (word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80);
}

/* Do all eight bytes stand for themselves in JSON: printable ASCII but quote, backslash and DEL? */
static bool is_plain_word(uint64_t word)
{
    uint64_t special = (word & EACH_BYTE(0x80)) | ((word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80)) |
                       has_zero(word ^ EACH_BYTE('"')) | has_zero(word ^ EACH_BYTE('\\')) |
                       has_zero(word ^ EACH_BYTE(0x7f));
    return special == 0;
}

/* Nearly all keys and texts of logs are plain: eight bytes at a time until one is not. */
void json_append_string(struct buffer *out, const char *text, size_t len)
{
    char *to = buffer_reserve(out, len + 2);
    size_t done = 0;
    *to++ = '"';
    for (uint64_t word; len - done >= sizeof word; done += sizeof word) {
        memcpy(&word, text + done, sizeof word);
        if (!is_plain_word(word)) {
            break;
        }
        memcpy(to + done, &word, sizeof word);
    }
    for (; done < len; done++) {
        unsigned char c = (unsigned char)text[done];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            break;
        }
        to[done] = (char)c;
    }
    out->len += done + 1;
    if (done < len) {
        buffer_append_json(out, text + done, len - done);
    }
    buffer_append_byte(out, '"');
}

/* --- numbers ------------------------------------------------------------------------------------ */

static void put_digits(char *to, unsigned value, unsigned width)
{
    for (; width > 0; value /= 10) {
        to[--width] = (char)('0' + value % 10);
    }
}

size_t json_format_int(int64_t value, char out[JSON_INT_MAX])
{
    char digits[JSON_INT_MAX];
    size_t n = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    size_t len = 0;
    if (value < 0) {
        out[len++] = '-';
    }
    while (n) {
        out[len++] = digits[--n];
    }
    return len;
}

void json_append_int(struct buffer *out, int64_t value)
{
    out->len += json_format_int(value, buffer_reserve(out, JSON_INT_MAX));
}

/*
 * Numbers with up to six decimals, the usual ones: when integer/power reads back as the value, so does its decimal
 * text, because division rounds as a parser does and both operands are exact.
 */
static bool append_short_decimal(struct buffer *out, double value)
{
    const double magnitude = fabs(value);
    int64_t power = 1;
    for (unsigned decimals = 0; decimals <= 6; decimals++, power *= 10) {
        if (!(magnitude * (double)power < 1e15)) {
            return false;
        }
        int64_t scaled = (int64_t)(magnitude * (double)power + 0.5);
        double back = (double)scaled / (double)power;
        if (back < magnitude || back > magnitude) {
            continue;
        }
        if (signbit(value)) {
            buffer_append_byte(out, '-');
        }
        json_append_int(out, scaled / power);
        unsigned width = decimals ? decimals : 1;
        char *to = buffer_reserve(out, width + 1);
        *to = '.';
        put_digits(to + 1, (unsigned)(scaled % power), width);
        out->len += width + 1;
        return true;
    }
    return false;
}

void json_append_double(struct buffer *out, double value)
{
    if (append_short_decimal(out, value)) {
        return;
    }
    char text[40];
    int len = 0;
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (!(back < value) && !(back > value)) {
            break;
        }
    }
    buffer_append(out, text, (size_t)len);
    if (!memchr(text, '.', (size_t)len) && !memchr(text, 'e', (size_t)len)) {
        buffer_append(out, ".0", 2); /* stays a double for readers that tell them apart */
    }
}

/* --- times -------------------------------------------------------------------------------------- */

void json_append_time(struct buffer *out, int64_t wall_ms)
{
    enum { DATE_LEN = 10, ISO_LEN = 24 }; /* "2026-11-21", "2026-11-21T09:52:13.021Z" */
    const int64_t day_ms = 86400000;
    static _Thread_local struct {
        int64_t day;
        bool known;
        char date[DATE_LEN];
    } last;
    char *to = buffer_reserve(out, CLOCK_ISO_MAX);
    int64_t day = wall_ms / day_ms - (wall_ms % day_ms < 0);
    if (!last.known || last.day != day) {
        size_t len = clock_format_iso(wall_ms, to);
        last.known = len == ISO_LEN; /* else a year of more than four digits */
        last.day = day;
        memcpy(last.date, to, DATE_LEN);
        out->len += len;
        return;
    }
    unsigned ms = (unsigned)(wall_ms - day * day_ms);
    memcpy(to, last.date, DATE_LEN);
    memcpy(to + DATE_LEN, "T00:00:00.000Z", ISO_LEN - DATE_LEN);
    put_digits(to + 11, ms / 3600000, 2);
    put_digits(to + 14, ms / 60000 % 60, 2);
    put_digits(to + 17, ms / 1000 % 60, 2);
    put_digits(to + 20, ms % 1000, 3);
    out->len += ISO_LEN;
}

/* --- bytes -------------------------------------------------------------------------------------- */

void json_format_uuid(const uint8_t bytes[16], char out[JSON_UUID_LEN])
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out[at++] = '-';
        }
        out[at++] = hex[bytes[i] >> 4];
        out[at++] = hex[bytes[i] & 15];
    }
}

void json_append_base64(struct buffer *out, const uint8_t *data, size_t len)
{
    static const char table[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to = buffer_reserve(out, len / 3 * 4 + 4);
    char *start = to;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned bits = (unsigned)data[i] << 16 | (left > 1 ? (unsigned)data[i + 1] << 8 : 0) |
                        (left > 2 ? (unsigned)data[i + 2] : 0);
        *to++ = table[bits >> 18];
        *to++ = table[bits >> 12 & 63];
        *to++ = left > 1 ? table[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? table[bits & 63] : '=';
    }
    out->len += (size_t)(to - start);
}
