/* client_address - see client_address.h. */
#include "client_address.h"

#include <stdlib.h>
#include <string.h>

static struct slice trim(struct slice text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* Some proxies add the client's port: "192.0.2.1:4711", "[2001:db8::1]:4711". */
static size_t without_port(struct slice text)
{
    const char *colon = memrchr(text.data, ':', text.len);
    if (!colon || colon == text.data) {
        return text.len;
    }
    size_t len = (size_t)(colon - text.data);
    bool is_port = text.data[0] == '[' ? colon[-1] == ']' : memchr(text.data, ':', len) == NULL;
    return is_port ? len : text.len;
}

/* The list's last member, which is taken from it. */
static struct slice take_last(struct slice *list)
{
    const char *comma = memrchr(list->data, ',', list->len);
    size_t start = comma ? (size_t)(comma - list->data) + 1 : 0;
    struct slice last = {list->data + start, list->len - start};
    list->len = comma ? start - 1 : 0;
    return trim(last);
}

static struct ip_address forwarded_for(struct slice list, const struct access *access, struct ip_address peer)
{
    struct ip_address found = peer;
    while (list.len > 0) {
        struct slice member = take_last(&list);
        if (ip_address_parse(member.data, without_port(member), &found) != 0) {
            return peer;
        }
        if (!access_trusts_proxy(access, &found)) {
            break;
        }
    }
    return found;
}

struct ip_address client_address_of(const struct exchange *x, const struct access *access)
{
    struct ip_address peer = exchange_peer(x);
    if (!access_trusts_proxy(access, &peer)) {
        return peer;
    }
    char *list = exchange_header_list(x, "X-Forwarded-For");
    struct ip_address client = forwarded_for((struct slice){list, strlen(list)}, access, peer);
    free(list);
    return client;
}
