/* connection_id - see connection_id.h. */
#include "connection_id.h"

#include "random.h"

#include <stdio.h>
#include <string.h>

enum { BYTES = CONNECTION_ID_LEN / 2, BYTE_VALUES = 256 };

void connection_id_draw(unsigned loop, unsigned loops, char out[CONNECTION_ID_LEN + 1])
{
    unsigned char bytes[BYTES];
    random_bytes(bytes, sizeof bytes);
    /* The first byte is the loop modulo loops. */
    bytes[0] = (unsigned char)(loop + loops * (bytes[0] % (BYTE_VALUES / loops)));
    for (size_t i = 0; i < BYTES; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

int connection_id_parse(struct slice text, char out[CONNECTION_ID_LEN + 1])
{
    if (text.len != CONNECTION_ID_LEN) {
        return -1;
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return strspn(out, "0123456789abcdef") == CONNECTION_ID_LEN ? 0 : -1;
}

unsigned connection_id_loop(const char *id, unsigned loops)
{
    return (unsigned)(connection_id_number(id) >> 56) % loops;
}

uint64_t connection_id_number(const char *id)
{
    unsigned long long number = 0;
    sscanf(id, "%16llx", &number);
    return number;
}
