/* healthcheck - see healthcheck.h. */
#include "healthcheck.h"

#include "buffer.h"
#include "cli.h"
#include "clock.h"
#include "error.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_S = 5, ANSWER_MAX = 64 * 1024, PIECE = 4096 };

/* A connection, over TLS where ssl is set. */
struct wire {
    int fd;
    SSL_CTX *tls;
    SSL *ssl;
    int64_t until_us;
};

/* Whom to ask: who listens on every address is asked on the loopback. */
static const char *host_of(const struct config *config)
{
    if (strcmp(config->listen_host, "0.0.0.0") == 0) {
        return "127.0.0.1";
    }
    return strcmp(config->listen_host, "::") == 0 ? "::1" : config->listen_host;
}

/* Everything on the socket, connecting too, ends at a time. */
static void set_limit(const struct wire *w)
{
    int64_t left_us = w->until_us - clock_mono_us();
    struct timeval limit = {.tv_sec = left_us > 0 ? left_us / 1000000 : 0, .tv_usec = left_us > 0 ? left_us % 1000000 : 1};
    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static int connect_to(struct wire *w, const char *host, int port, struct error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        return error_set(err, "%s", gai_strerror(rc));
    }
    w->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set_limit(w);
    rc = connect(w->fd, found->ai_addr, found->ai_addrlen);
    int problem = errno == EINPROGRESS ? ETIMEDOUT : errno;
    freeaddrinfo(found);
    return rc == 0 ? 0 : error_set(err, "cannot connect: %s", strerror(problem));
}

static int begin_tls(struct wire *w, struct error *err)
{
    w->tls = SSL_CTX_new(TLS_client_method());
    w->ssl = w->tls ? SSL_new(w->tls) : NULL;
    if (!w->ssl || SSL_set_fd(w->ssl, w->fd) != 1 || SSL_connect(w->ssl) != 1) {
        return error_set(err, "it does not speak TLS");
    }
    return 0;
}

static int write_request(struct wire *w, const char *host, int port, struct error *err)
{
    struct buffer request = BUFFER_INIT;
    bool v6 = strchr(host, ':') != NULL;
    buffer_printf(&request, "GET /health HTTP/1.1\r\nHost: %s%s%s:%d\r\nConnection: close\r\n\r\n", v6 ? "[" : "", host,
                  v6 ? "]" : "", port);
    ssize_t sent = w->ssl ? SSL_write(w->ssl, request.data, (int)request.len) : write(w->fd, request.data, request.len);
    bool done = sent == (ssize_t)request.len;
    buffer_fini(&request);
    return done ? 0 : error_set(err, "it closed the connection");
}

/* Until the server closes. */
static int read_answer(struct wire *w, struct buffer *answer, struct error *err)
{
    while (answer->len < ANSWER_MAX && clock_mono_us() < w->until_us) {
        set_limit(w);
        char *end = buffer_reserve(answer, PIECE);
        ssize_t n = w->ssl ? SSL_read(w->ssl, end, PIECE) : read(w->fd, end, PIECE);
        if (n <= 0) {
            break;
        }
        answer->len += (size_t)n;
    }
    return answer->len > 0 ? 0 : error_set(err, "no answer within %d s", LIMIT_S);
}

/* "HTTP/1.1 200 OK" … {"status":"healthy", …}. Returns the status; *word, which has len bytes, points into the answer. */
static int judge(const char *answer, const char **word, size_t *len)
{
    static const char key[] = "\"status\":\"";
    const char *at = strstr(answer, key);
    *word = at ? at + sizeof key - 1 : "no status";
    *len = at ? strcspn(*word, "\"") : strlen(*word);
    return strncmp(answer, "HTTP/1.", 7) == 0 && strlen(answer) > 12 ? atoi(answer + 9) : 0;
}

static int ask(const struct config *config, struct wire *w, struct buffer *answer, struct error *err)
{
    const char *host = host_of(config);
    if (config->listen_port == 0) {
        return error_set(err, "port 0 is another one at every start");
    }
    if (connect_to(w, host, config->listen_port, err) != 0 ||
        (config->tls_certificate_file && begin_tls(w, err) != 0)) {
        return -1;
    }
    return write_request(w, host, config->listen_port, err) != 0 ? -1 : read_answer(w, answer, err);
}

static void end(struct wire *w)
{
    SSL_free(w->ssl);
    SSL_CTX_free(w->tls);
    if (w->fd >= 0) {
        close(w->fd);
    }
}

int healthcheck_run(const struct config *config, FILE *out)
{
    struct wire w = {.fd = -1, .until_us = clock_mono_us() + LIMIT_S * 1000000};
    struct buffer answer = BUFFER_INIT;
    struct error err;
    int status = 0;
    signal(SIGPIPE, SIG_IGN);
    fprintf(out, "%s port %d: ", host_of(config), config->listen_port);
    if (ask(config, &w, &answer, &err) != 0) {
        fprintf(out, "%s\n", err.text);
    } else {
        const char *word;
        size_t len;
        status = judge(buffer_text(&answer), &word, &len);
        fprintf(out, "%.*s (HTTP status %d)\n", (int)len, word, status);
    }
    end(&w);
    buffer_fini(&answer);
    return status == 200 ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}
