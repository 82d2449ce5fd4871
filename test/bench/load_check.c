/* load_check - see load_check.h. */
#include "load_check.h"

#include "buffer.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_BITS = 64 };

struct group *group_find(struct group **groups, const char *target)
{
    struct group *group;
    HASH_FIND_STR(*groups, target, group);
    if (!group) {
        group = memory_zero(1, sizeof *group);
        group->target = memory_text(target);
        HASH_ADD_KEYPTR(hh, *groups, group->target, strlen(group->target), group);
    }
    return group;
}

void groups_free(struct group **groups)
{
    struct group *group, *next_group;
    HASH_ITER(hh, *groups, group, next_group) {
        struct lane *lane, *next_lane;
        HASH_ITER(hh, group->lanes, lane, next_lane) {
            HASH_DEL(group->lanes, lane);
            free(lane->name);
            free(lane);
        }
        HASH_DEL(*groups, group);
        free(group->target);
        free(group);
    }
}

static struct lane *lane_find(struct group *group, const char *channel, size_t len)
{
    struct lane *lane;
    HASH_FIND(hh, group->lanes, channel, len, lane);
    if (!lane) {
        lane = memory_zero(1, sizeof *lane);
        lane->name = memory_copy(channel, len);
        lane->index = group->lane_count++;
        HASH_ADD_KEYPTR(hh, group->lanes, lane->name, len, lane);
    }
    return lane;
}

static bool is_lane(const struct track *track, const char *channel, size_t len)
{
    const struct lane *lane = track ? track->lane : NULL;
    return lane && strlen(lane->name) == len && memcmp(lane->name, channel, len) == 0;
}

struct track *tracks_find(struct tracks *tracks, struct group *group, const char *channel, size_t len)
{
    if (is_lane(tracks->recent, channel, len)) {
        return tracks->recent;
    }
    struct lane *lane = lane_find(group, channel, len);
    if (lane->index >= tracks->count) {
        unsigned count = lane->index + 1;
        tracks->list = memory_resize(tracks->list, count * sizeof *tracks->list);
        memset(tracks->list + tracks->count, 0, (count - tracks->count) * sizeof *tracks->list);
        tracks->count = count;
    }
    tracks->recent = &tracks->list[lane->index];
    tracks->recent->lane = lane;
    return tracks->recent;
}

void tracks_free(struct tracks *tracks)
{
    free(tracks->list);
    *tracks = (struct tracks){NULL, 0, NULL};
}

static void lane_event(struct lane *lane, uint64_t seq, int64_t sent_us)
{
    if (lane->last_seq == 0 || seq < lane->first_seq) {
        lane->first_seq = seq;
        lane->first_sent_us = sent_us;
    }
    if (seq > lane->last_seq) {
        lane->last_seq = seq;
    }
}

static bool late_event(struct track *track, uint64_t seq, struct verdict *verdict)
{
    uint64_t behind = track->last_seq - seq;
    if (seq < track->first_seq) {
        verdict->missing += track->first_seq - seq - 1;
        verdict->disorder++;
        track->first_seq = seq;
        track->window |= behind < WINDOW_BITS ? (uint64_t)1 << behind : 0;
        return true;
    }
    if (behind >= WINDOW_BITS || (track->window >> behind & 1)) {
        verdict->doubles++;
        return false;
    }
    track->window |= (uint64_t)1 << behind;
    verdict->missing--; /* it was counted when it was jumped over */
    verdict->disorder++;
    return true;
}

bool track_event(struct track *track, uint64_t seq, int64_t sent_us, struct verdict *verdict)
{
    lane_event(track->lane, seq, sent_us);
    if (track->last_seq == 0) {
        track->first_seq = track->last_seq = seq;
        track->window = 1;
        return true;
    }
    if (seq <= track->last_seq) {
        return late_event(track, seq, verdict);
    }
    uint64_t step = seq - track->last_seq;
    verdict->missing += step - 1;
    track->window = step < WINDOW_BITS ? track->window << step | 1 : 1;
    track->last_seq = seq;
    return true;
}

static const struct track *track_of(const struct tracks *tracks, const struct lane *lane)
{
    bool has = lane->index < tracks->count && tracks->list[lane->index].last_seq > 0;
    return has ? &tracks->list[lane->index] : NULL;
}

uint64_t tracks_pending(const struct tracks *tracks, const struct group *group)
{
    uint64_t pending = 0;
    for (const struct lane *lane = group->lanes; lane; lane = lane->hh.next) {
        const struct track *track = track_of(tracks, lane);
        uint64_t reached = track ? track->last_seq : lane->first_seq - 1;
        pending += lane->target_seq > reached ? lane->target_seq - reached : 0;
    }
    return pending;
}

void tracks_judge(const struct tracks *tracks, const struct group *group, int64_t ready_us, bool ends,
                  struct verdict *verdict)
{
    for (const struct lane *lane = group->lanes; lane; lane = lane->hh.next) {
        const struct track *track = track_of(tracks, lane);
        bool listened = ready_us > 0 && ready_us < lane->first_sent_us;
        if (track) {
            verdict->missing += listened ? track->first_seq - lane->first_seq : 0;
            verdict->missing += ends ? lane->last_seq - track->last_seq : 0;
        } else if (listened && ends) {
            verdict->missing += lane->last_seq - lane->first_seq + 1;
        }
    }
}
