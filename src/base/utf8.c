/* utf8 - see utf8.h. */
#include "utf8.h"

int utf8_decode(const char *text, size_t len, uint32_t *code)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char c = s[0];
    if (c < 0x80) {
        *code = c;
        return 1;
    }
    if (c < 0xc2 || c > 0xf4) {
        return -1;
    }
    int need = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    uint32_t value = c & (0x3fu >> need);
    for (int i = 1; i <= need; i++) {
        if ((size_t)i >= len || s[i] < low || s[i] > high) {
            return -i;
        }
        value = value << 6 | (s[i] & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    *code = value;
    return need + 1;
}
