/*
 * tls - what the listener shows and accepts when it speaks TLS: certificate, versions, ciphers; and the few things about
 * a TLS bufferevent that its users have to know.
 *
 * One value for all loops. The main thread may replace the certificate at any time: new connections get the new one,
 * open ones keep theirs. One mutex, a leaf in the lock order.
 */
#ifndef TAILWATER_HTTP_TLS_H
#define TAILWATER_HTTP_TLS_H

#include "error.h"

#include <event2/bufferevent.h>
#include <stdbool.h>

struct tls;

/* Read certificate chain and key (PEM, not encrypted). Returns NULL with *err, which names option and file. */
struct tls *tls_new(const char *certificate_file, const char *key_file, struct error *err);
void tls_free(struct tls *tls); /* NULL is fine */

/* Read them anew. Returns 0, or -1 with *err: the old certificate is kept then. */
int tls_reload(struct tls *tls, const char *certificate_file, const char *key_file, struct error *err);

/* Is the certificate's time over? Clients refuse it then. */
bool tls_has_expired(struct tls *tls);

/* When that is [s since 1970]. */
int64_t tls_expiry_s(struct tls *tls);

/* A bufferevent for a connection to be accepted, which closes its socket when it is freed. NULL: out of memory. */
struct bufferevent *tls_accept(struct tls *tls, struct event_base *base);

/* --- of any bufferevent; a plain one is fine ---------------------------------------------------------- */

/* Did the handshake succeed? A plain one has none to fail. */
bool tls_is_open(struct bufferevent *bev);

/* Tell the client that nothing follows (close_notify), as far as its socket takes it at once. */
void tls_say_end(struct bufferevent *bev);

/* Reading was suspended by a high-water mark and goes on: take what is decrypted already, too. libevent would wait for
 * the socket, which has given it all. */
void tls_read_on(struct bufferevent *bev);

#endif
