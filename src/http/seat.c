/* seat - see seat.h. */
#include "seat.h"

#include <string.h>

static int take_user(struct http_context *context, const struct identity *identity, struct seat *seat)
{
    const char *user = identity->user; /* of nobody in particular only the address is counted */
    if (user && tally_add(context->users, user, strlen(user), context->settings.user_connections_max) != 0) {
        return -1;
    }
    seat->counts_user = user != NULL;
    return 0;
}

static int take_address(struct http_context *context, const struct ip_address *address, struct seat *seat)
{
    uint64_t max = context->settings.address_connections_max;
    if (address && tally_add(context->addresses, address, sizeof *address, max) != 0) {
        return -1;
    }
    seat->counts_address = address != NULL;
    seat->address = address ? *address : seat->address;
    return 0;
}

const char *seat_take(struct http_context *context, const struct identity *identity, const struct ip_address *address,
                      struct seat *out)
{
    *out = (struct seat){0};
    if (take_user(context, identity, out) != 0) {
        return "too_many_connections_of_user";
    }
    if (take_address(context, address, out) != 0) {
        seat_leave(context, identity, out);
        return "too_many_connections_of_address";
    }
    return NULL;
}

int seat_begin_catchup(struct http_context *context, const struct identity *identity, struct seat *seat)
{
    const char *user = identity->user;
    if (!user || seat->counts_catchup) {
        return 0;
    }
    if (tally_add(context->catchup_users, user, strlen(user), context->settings.user_catchups_max) != 0) {
        return -1;
    }
    seat->counts_catchup = true;
    return 0;
}

void seat_end_catchup(struct http_context *context, const struct identity *identity, struct seat *seat)
{
    if (seat->counts_catchup) {
        tally_remove(context->catchup_users, identity->user, strlen(identity->user));
        seat->counts_catchup = false;
    }
}

void seat_leave(struct http_context *context, const struct identity *identity, struct seat *seat)
{
    seat_end_catchup(context, identity, seat);
    if (seat->counts_user) {
        tally_remove(context->users, identity->user, strlen(identity->user));
    }
    if (seat->counts_address) {
        tally_remove(context->addresses, &seat->address, sizeof seat->address);
    }
    seat->counts_user = seat->counts_address = false;
}
