/*
 * grants_feed - keeps the grant book true to its collection, from the change stream of the source that covers it.
 *
 * Everything is loaded at a cluster time; from then on each change of a document makes the feed read its user anew, as
 * of that change, and gives a FRAME_GRANTS for its place in the journal. What the load has in already is passed over. A
 * drop, a rename or another operation on the whole collection loads everything anew.
 *
 * Fail closed: what cannot be read is tried again, the stream does not go on before; where that does not help, the book
 * is unloaded (nobody has anything, nobody new is let in), the stream goes on, and loading is tried again from time to
 * time. A load that fails at the beginning or after a loss keeps neither the source closed nor the book's age young.
 *
 * Thread: the watcher's.
 */
#ifndef TAILWATER_MONGO_GRANTS_FEED_H
#define TAILWATER_MONGO_GRANTS_FEED_H

#include "change.h"
#include "database.h"
#include "frame.h"
#include "grants.h"
#include "mapping.h"
#include "source.h"

struct grants_feed;

struct grants_feed_options {
    struct database *database;
    const struct mapping_set *mappings; /* that names the collection (mapping_set_grants) */
    struct grant_book *book;
    struct source *source;
};

struct grants_feed *grants_feed_new(const struct grants_feed_options *options);

/* Without a feed (NULL) this and what follows, but for begin and take, do nothing. */
void grants_feed_free(struct grants_feed *feed);

/* The stream will begin at this cluster time, whatever came before: everything is to be loaded anew. */
void grants_feed_seek(struct grants_feed *feed, uint64_t start);

/* If something is to be loaded and it is time to try. border: where the stream is (reader_border). A failure is told in
 * the log. */
void grants_feed_load(struct grants_feed *feed, uint64_t border);

/* Where there is no stream: look at all of it. number: of the next frame. A failure is logged. */
void grants_feed_poll(struct grants_feed *feed, uint64_t number);

/* What belongs in the journal since then, ahead of everything that was not appended yet: one reference, or NULL. */
struct frame *grants_feed_news(struct grants_feed *feed);

/* Every change up to `reached` was taken; the deployment's clock is at `now` (cluster times). */
void grants_feed_confirm(struct grants_feed *feed, uint64_t reached, uint64_t now);

/* What an answer of the change stream brought: before its changes are taken one by one. client: to read by. */
void grants_feed_begin(struct grants_feed *feed, mongoc_client_t *client, const bson_iter_t *documents);

enum grants_outcome {
    GRANTS_OTHER,  /* no change of the grants */
    GRANTS_TAKEN,  /* *frame is what belongs in its place, or NULL */
    GRANTS_GIANT,  /* the same; its _id is so large that the pipeline leaves it out, and the guard all of it */
};

/* One change, in order. Returns a grants_outcome, or -1 with *err (without a code: it is not about the stream): then it
 * must be taken again before what follows it. */
int grants_feed_take(struct grants_feed *feed, mongoc_client_t *client, const struct change *change,
                     struct frame **frame, struct error *err);

#endif
