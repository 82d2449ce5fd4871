/* yaml_scalar - see yaml_scalar.h. */
#include "yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char decimal[] = "0123456789";

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

/* The base of an integer, and where its digits begin; 0 when it is none. */
static int integer_base(const char *text, const char **digits)
{
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'o')) {
        *digits = text + 2;
        const char *allowed = text[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567";
        return text[2] && text[2 + strspn(text + 2, allowed)] == '\0' ? (text[1] == 'x' ? 16 : 8) : 0;
    }
    *digits = text;
    const char *first = text + (text[0] == '-' || text[0] == '+');
    return first[0] && first[strspn(first, decimal)] == '\0' ? 10 : 0;
}

static json_t *integer_value(const char *digits, int base, struct error *err)
{
    errno = 0;
    long long number = strtoll(digits, NULL, base);
    if (errno) {
        error_set(err, "the number does not fit into 64 bits; quote it to make it a text");
        return NULL;
    }
    return json_integer(number);
}

/* [-+]? ( \.[0-9]+ | [0-9]+ ( \.[0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t whole = strspn(text, decimal);
    text += whole;
    size_t fraction = 0;
    if (*text == '.') {
        fraction = strspn(text + 1, decimal);
        text += 1 + fraction;
    }
    if (whole + fraction == 0) {
        return false;
    }
    if (*text != 'e' && *text != 'E') {
        return *text == '\0';
    }
    text++;
    text += *text == '-' || *text == '+';
    return *text && text[strspn(text, decimal)] == '\0';
}

static bool is_infinite(const char *text)
{
    static const char *const words[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};
    return is_one_of(text + (*text == '-' || *text == '+'), words);
}

static json_t *float_value(const char *text, struct error *err)
{
    double number = is_infinite(text) ? 0 : strtod(text, NULL);
    if (is_infinite(text) || !isfinite(number)) {
        error_set(err, "the number is not finite; quote it to make it a text");
        return NULL;
    }
    return json_real(number);
}

static json_t *text_value(const char *text, size_t len, struct error *err)
{
    json_t *value = json_stringn(text, len);
    if (!value) {
        error_set(err, "a text is not UTF-8");
    }
    return value;
}

static json_t *plain_value(const char *text, size_t len, struct error *err)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(text, nulls)) {
        return json_null();
    }
    if (is_one_of(text, trues) || is_one_of(text, falses)) {
        return json_boolean(is_one_of(text, trues));
    }
    const char *digits;
    int base = integer_base(text, &digits);
    if (base) {
        return integer_value(digits, base, err);
    }
    if (is_float(text) || is_infinite(text)) {
        return float_value(text, err);
    }
    return text_value(text, len, err);
}

json_t *yaml_scalar_value(const char *text, size_t len, bool plain, struct error *err)
{
    if (memchr(text, '\0', len)) {
        error_set(err, "a text contains a NUL");
        return NULL;
    }
    return plain ? plain_value(text, len, err) : text_value(text, len, err);
}
