/* ip_address - see ip_address.h. */
#include "ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

enum { V4_PREFIX_BITS = 96, ALL_BITS = 128, SITE_BYTES = 8 };

static bool is_v4(const struct ip_address *address)
{
    return memcmp(address->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

static void set_v4(struct ip_address *out, const void *four)
{
    memcpy(out->bytes, v4_prefix, sizeof v4_prefix);
    memcpy(out->bytes + sizeof v4_prefix, four, 4);
}

int ip_address_parse(const char *text, size_t len, struct ip_address *out)
{
    char copy[IP_ADDRESS_TEXT_MAX];
    uint8_t four[4];
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= sizeof copy || memchr(text, '\0', len)) {
        return -1;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET, copy, four) == 1) {
        set_v4(out, four);
        return 0;
    }
    return inet_pton(AF_INET6, copy, out->bytes) == 1 ? 0 : -1;
}

struct ip_address ip_address_of(const struct sockaddr *address)
{
    struct ip_address out = {{0}};
    if (address->sa_family == AF_INET) {
        set_v4(&out, &((const struct sockaddr_in *)(const void *)address)->sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(out.bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, sizeof out.bytes);
    }
    return out;
}

void ip_address_format(const struct ip_address *address, char out[IP_ADDRESS_TEXT_MAX])
{
    const void *bytes = is_v4(address) ? address->bytes + sizeof v4_prefix : address->bytes;
    inet_ntop(is_v4(address) ? AF_INET : AF_INET6, bytes, out, IP_ADDRESS_TEXT_MAX);
}

struct ip_address ip_address_site(const struct ip_address *address)
{
    struct ip_address site = *address;
    if (!is_v4(address)) {
        memset(site.bytes + SITE_BYTES, 0, sizeof site.bytes - SITE_BYTES);
    }
    return site;
}

bool ip_address_is_loopback(const struct ip_address *address)
{
    static const uint8_t one[16] = {[15] = 1};
    return is_v4(address) ? address->bytes[12] == 127 : memcmp(address->bytes, one, sizeof one) == 0;
}

/* --- ranges ---------------------------------------------------------------------------------------- */

static bool bit(const struct ip_address *address, unsigned at)
{
    return (address->bytes[at / 8] >> (7 - at % 8)) & 1;
}

static bool has_bits_behind(const struct ip_range *range)
{
    for (unsigned i = range->bits; i < ALL_BITS; i++) {
        if (bit(&range->first, i)) {
            return true;
        }
    }
    return false;
}

int ip_range_parse(const char *text, struct ip_range *out, struct error *err)
{
    size_t len = strcspn(text, "/");
    if (ip_address_parse(text, len, &out->first) != 0) {
        return error_set(err, "\"%.64s\" is not an address, nor a range such as 10.0.0.0/8", text);
    }
    unsigned shift = is_v4(&out->first) && !memchr(text, ':', len) ? V4_PREFIX_BITS : 0;
    out->bits = ALL_BITS;
    if (text[len] == '/') {
        const char *digits = text + len + 1;
        size_t count = strspn(digits, "0123456789");
        unsigned long bits = strtoul(digits, NULL, 10);
        if (count == 0 || count > 3 || digits[count] || bits > ALL_BITS - shift) {
            return error_set(err, "\"%.64s\": behind the / stands a number from 0 to %u", text, ALL_BITS - shift);
        }
        out->bits = (unsigned)bits + shift;
    }
    if (has_bits_behind(out)) {
        return error_set(err, "\"%.64s\": the address has bits behind its prefix", text);
    }
    return 0;
}

bool ip_range_has(const struct ip_range *range, const struct ip_address *address)
{
    unsigned whole = range->bits / 8;
    if (memcmp(range->first.bytes, address->bytes, whole) != 0) {
        return false;
    }
    for (unsigned i = whole * 8; i < range->bits; i++) {
        if (bit(&range->first, i) != bit(address, i)) {
            return false;
        }
    }
    return true;
}
