/* tls - see tls.h. */
#include "tls.h"

#include "buffer.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tls {
    pthread_mutex_t lock;
    SSL_CTX *context;
};

/* --- reading --------------------------------------------------------------------------------------- */

/* What OpenSSL complained about, in its words. */
static int fail(struct error *err, const char *option, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return error_set(err, "%s: %s: %s", option, file, reason ? reason : "not understood");
}

static int check_readable(const char *option, const char *file, struct error *err)
{
    return access(file, R_OK) == 0 ? 0 : error_set(err, "%s: cannot read %s: %s", option, file, strerror(errno));
}

/* Without a callback OpenSSL would ask on the terminal. */
static int no_password(char *out, int size, int writing, void *asked)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static int read_certificate(SSL_CTX *context, const char *file, struct error *err)
{
    static const char option[] = "tls.certificate_file";
    if (check_readable(option, file, err) != 0) {
        return -1;
    }
    return SSL_CTX_use_certificate_chain_file(context, file) == 1 ? 0 : fail(err, option, file);
}

static int read_key(SSL_CTX *context, const char *file, struct error *err)
{
    static const char option[] = "tls.key_file";
    bool wants_password = false;
    if (check_readable(option, file, err) != 0) {
        return -1;
    }
    SSL_CTX_set_default_passwd_cb(context, no_password);
    SSL_CTX_set_default_passwd_cb_userdata(context, &wants_password);
    int rc = SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    if (wants_password) {
        ERR_clear_error();
        return error_set(err, "%s: %s is encrypted; a server cannot type its password", option, file);
    }
    bool is_other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
    if (rc != 1 && !is_other) {
        return fail(err, option, file);
    }
    if (rc != 1 || SSL_CTX_check_private_key(context) != 1) {
        ERR_clear_error();
        return error_set(err, "%s: the key in %s does not belong to the certificate", option, file);
    }
    return 0;
}

/* --- the context ----------------------------------------------------------------------------------- */

/* HTTP/1.1 is all there is: a client that wants to speak something else should hear so before it does. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
    static const unsigned char known[] = "\x08http/1.1\x08http/1.0";
    unsigned char *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, known, sizeof known - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/*
 * Forward secrecy and authenticated encryption only. Tickets are fine, a session cache would only take memory; early
 * data stays off (it can be replayed). An end without close_notify is an end: requests tell their own length. Not
 * SSL_MODE_ENABLE_PARTIAL_WRITE: libevent would skip the rest of what was written in part.
 */
static SSL_CTX *new_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context) {
        return NULL;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return context;
}

static SSL_CTX *load(const char *certificate_file, const char *key_file, struct error *err)
{
    ERR_clear_error();
    SSL_CTX *context = new_context();
    if (!context) {
        fail(err, "tls", "OpenSSL");
        return NULL;
    }
    if (read_certificate(context, certificate_file, err) != 0 || read_key(context, key_file, err) != 0) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

struct tls *tls_new(const char *certificate_file, const char *key_file, struct error *err)
{
    SSL_CTX *context = load(certificate_file, key_file, err);
    if (!context) {
        return NULL;
    }
    struct tls *tls = memory_zero(1, sizeof *tls);
    pthread_mutex_init(&tls->lock, NULL);
    tls->context = context;
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls) {
        SSL_CTX_free(tls->context);
        pthread_mutex_destroy(&tls->lock);
        free(tls);
    }
}

int tls_reload(struct tls *tls, const char *certificate_file, const char *key_file, struct error *err)
{
    SSL_CTX *context = load(certificate_file, key_file, err);
    if (!context) {
        return -1;
    }
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); /* open connections hold it until they end */
    return 0;
}

bool tls_has_expired(struct tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    bool is_past = X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(tls->context))) < 0;
    pthread_mutex_unlock(&tls->lock);
    return is_past;
}

int64_t tls_expiry_s(struct tls *tls)
{
    struct tm end = {0};
    pthread_mutex_lock(&tls->lock);
    ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(tls->context)), &end);
    pthread_mutex_unlock(&tls->lock);
    return timegm(&end);
}

/* --- connections ----------------------------------------------------------------------------------- */

struct bufferevent *tls_accept(struct tls *tls, struct event_base *base)
{
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    if (!ssl) {
        ERR_clear_error();
        return NULL;
    }
    /* The option also means that the bufferevent frees ssl. */
    struct bufferevent *bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                             BEV_OPT_CLOSE_ON_FREE);
    if (bev) {
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    }
    return bev;
}

bool tls_is_open(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    return !ssl || SSL_is_init_finished(ssl);
}

void tls_say_end(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (ssl && SSL_is_init_finished(ssl)) {
        SSL_shutdown(ssl);
        ERR_clear_error(); /* whoever has left already needs not be told */
    }
}

void tls_read_on(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (ssl && SSL_pending(ssl) > 0) {
        event_active(&bev->ev_read, EV_READ, 0);
    }
}
