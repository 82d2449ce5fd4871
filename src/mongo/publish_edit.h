/*
 * publish_edit - a copy of a document in which some fields are others: how the keys of a publisher's request win over
 * those of its logData. Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_PUBLISH_EDIT_H
#define TAILWATER_MONGO_PUBLISH_EDIT_H

#include "frame.h"

#include <bson/bson.h>

enum { PUBLISH_EDITS_MAX = 32 };

/* A field by its dotted path, as field_path.h finds it. All borrowed. */
struct publish_edit {
    struct slice path;
    const bson_value_t *value; /* NULL = leave it out */
};

/*
 * Append what the document holds with at most PUBLISH_EDITS_MAX fields edited, each path once. Every field that lies at
 * an edit's path, however often and however its keys are split, is left out; the new ones come first.
 */
void publish_edit_copy(const bson_t *document, const struct publish_edit *edits, size_t count, bson_t *out);

#endif
