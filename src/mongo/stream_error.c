/* stream_error - see stream_error.h. */
#include "stream_error.h"

#include <stddef.h>

struct row {
    int code;
    enum stream_action action;
};

/* Everything that is not here (network, step-down, 43 CursorNotFound, 11601 Interrupted, …) is STREAM_REOPEN. */
static const struct row table[] = {
    {286, STREAM_HISTORY_LOST},      /* ChangeStreamHistoryLost */
    {136, STREAM_HISTORY_LOST},      /* CappedPositionLost: the oplog overtook an open cursor */
    {280, STREAM_HISTORY_LOST},      /* ChangeStreamFatalError */
    {10334, STREAM_TOO_LARGE},       /* BSONObjectTooLarge */
    {16493, STREAM_TOO_LARGE},       /* "string longer than 16MB": the token of an _id of 8 MB */
    {40573, STREAM_NOT_REPLICA_SET}, /* "only supported on replica sets" */
    {13, STREAM_UNAUTHORIZED},       /* Unauthorized */
    {18, STREAM_UNAUTHORIZED},       /* AuthenticationFailed */
    {8000, STREAM_UNAUTHORIZED},     /* AtlasError, mostly of authentication */
    {166, STREAM_NO_STREAM},         /* CommandNotSupportedOnView; time-series */
    {115, STREAM_NO_STREAM},         /* CommandNotSupported */
    {73, STREAM_MISCONFIGURED},      /* InvalidNamespace */
    {40324, STREAM_MISCONFIGURED},   /* unrecognised pipeline stage */
};

enum stream_action stream_error_action(int code)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].code == code) {
            return table[i].action;
        }
    }
    return STREAM_REOPEN;
}

enum source_polling stream_action_polling(enum stream_action action)
{
    return action == STREAM_NOT_REPLICA_SET ? SOURCE_POLLS_STANDALONE
           : action == STREAM_NO_STREAM     ? SOURCE_POLLS_VIEWS
                                            : SOURCE_FOLLOWS_STREAM;
}

const char *stream_action_advice(enum stream_action action)
{
    switch (action) {
    case STREAM_NOT_REPLICA_SET:
        return "change streams need a replica set: start mongod with --replSet and run rs.initiate() once";
    case STREAM_UNAUTHORIZED:
        return "the user of mongodb.uri needs find and changeStream on what is watched: the role read, or "
               "readAnyDatabase where that is in several databases";
    case STREAM_NO_STREAM:
    case STREAM_MISCONFIGURED:
        return "views and time-series collections have no change stream; take them out of the mappings";
    case STREAM_HISTORY_LOST:
    case STREAM_TOO_LARGE:
    case STREAM_REOPEN:
        break;
    }
    return "";
}
