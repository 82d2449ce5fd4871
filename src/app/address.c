/* address - see address.h. */
#include "address.h"

#include "ip_address.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static const char digits[] = "0123456789";

/* Digits only, 0..65535; -1 when it is not. */
static int parse_port(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, digits) != len) {
        return -1;
    }
    int port = 0;
    for (; *text; text++) {
        port = port * 10 + (*text - '0');
    }
    return port <= 65535 ? port : -1;
}

static bool is_name(const char *host)
{
    struct in_addr ip4;
    if (host[strspn(host, "0123456789.")] == '\0') {
        return inet_pton(AF_INET, host, &ip4) == 1;
    }
    return host[0] != '.' && host[0] != '-' &&
           host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] == '\0';
}

/* Where the host ends; host_at: where it begins. NULL with the reason when the form is wrong. */
static const char *find_host_end(const char *text, const char **host_at, struct error *err)
{
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        *host_at = text + 1;
        if (!end || end[1] != ':') {
            error_set(err, "an IPv6 address is written [address]:port, such as [::1]:3002");
            return NULL;
        }
        return end;
    }
    const char *colon = strchr(text, ':');
    *host_at = text;
    if (!colon) {
        error_set(err, "expected host:port, such as 127.0.0.1:3002");
        return NULL;
    }
    if (strchr(colon + 1, ':')) {
        error_set(err, "an IPv6 address is written [address]:port, such as [::1]:3002");
        return NULL;
    }
    if (colon == text) {
        error_set(err, "the host is missing; 127.0.0.1 is this machine, 0.0.0.0 all of its addresses");
        return NULL;
    }
    return colon;
}

int address_parse(const char *text, struct address *out, struct error *err)
{
    const char *host;
    const char *end = find_host_end(text, &host, err);
    if (!end) {
        return -1;
    }
    size_t len = (size_t)(end - host);
    if (len >= sizeof out->host) {
        return error_set(err, "the host is too long");
    }
    memcpy(out->host, host, len);
    out->host[len] = '\0';
    struct in6_addr ip6;
    if (*end == ']' ? inet_pton(AF_INET6, out->host, &ip6) != 1 : !is_name(out->host)) {
        return error_set(err, "the host is neither an IP address nor a name");
    }
    out->port = parse_port(*end == ']' ? end + 2 : end + 1);
    if (out->port < 0) {
        return error_set(err, "the port must be a number from 0 to 65535");
    }
    out->loopback = address_is_loopback(out->host);
    return 0;
}

bool address_is_loopback(const char *host)
{
    struct ip_address address;
    if (ip_address_parse(host, strlen(host), &address) == 0) {
        return ip_address_is_loopback(&address);
    }
    return strcasecmp(host, "localhost") == 0;
}
