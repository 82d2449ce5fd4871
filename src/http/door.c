/* door - see door.h. */
#include "door.h"

#include "loop.h"

static bool is_trusted_proxy(const struct http_context *context, const struct ip_address *peer)
{
    struct access *access = access_holder_get(context->access);
    bool is_trusted = access_trusts_proxy(access, peer);
    access_unref(access);
    return is_trusted;
}

enum door_answer door_enter(const struct ip_address *peer, void *arg)
{
    const struct loop *loop = arg;
    uint64_t max = loop->context->settings.address_connections_max;
    if (max == 0 || is_trusted_proxy(loop->context, peer)) {
        return DOOR_OPEN;
    }
    struct ip_address site = ip_address_site(peer);
    return tally_add(loop->context->addresses, &site, sizeof site, max) == 0 ? DOOR_COUNTED : DOOR_SHUT;
}

void door_leave(const struct ip_address *peer, void *arg)
{
    const struct loop *loop = arg;
    struct ip_address site = ip_address_site(peer);
    tally_remove(loop->context->addresses, &site, sizeof site);
}
