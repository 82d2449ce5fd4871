/* nearest - see nearest.h. */
#include "nearest.h"

#include <stdbool.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64 };

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c == '-' ? '_' : c;
}

static bool same(char a, char b)
{
    return fold(a) == fold(b);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment; three rows are enough for swaps. */
int nearest_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > NAME_MAX_BYTES || b_len > NAME_MAX_BYTES) {
        return NEAREST_FAR;
    }
    int rows[3][NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = (int)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        int *now = rows[i % 3];
        const int *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= b_len; j++) {
            int replace = last[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
            now[j] = least(replace, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                now[j] = least(now[j], before[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

const char *nearest_name(const char *given, const char *const *names, size_t count)
{
    const char *found = NULL;
    int best = NEAREST_FAR;
    for (size_t i = 0; i < count; i++) {
        int distance = nearest_distance(given, names[i]);
        if (distance < best) {
            best = distance;
            found = names[i];
        }
    }
    int allowed = (int)strlen(given) / 3;
    return best <= (allowed > 1 ? allowed : 1) ? found : NULL;
}
