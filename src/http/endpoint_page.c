/* endpoint_page - GET / : the page, built into the binary from web/dist (page_data.h). Its policy allows nothing from
 * elsewhere and no inline script; log content is only ever text. */
#include "endpoints.h"

#include "page_data.h"
#include "reply.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *content_type(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot && strcmp(dot, ".js") == 0) {
        return "text/javascript; charset=utf-8";
    }
    if (dot && strcmp(dot, ".css") == 0) {
        return "text/css; charset=utf-8";
    }
    if (dot && strcmp(dot, ".svg") == 0) {
        return "image/svg+xml";
    }
    return "text/html; charset=utf-8";
}

static const struct page_file *find_file(struct slice path)
{
    const char *name = path.len == 1 ? "index.html" : path.data + 1;
    size_t len = path.len == 1 ? strlen(name) : path.len - 1;
    for (size_t i = 0; i < sizeof page_files / sizeof page_files[0]; i++) {
        if (strlen(page_files[i].name) == len && memcmp(page_files[i].name, name, len) == 0) {
            return &page_files[i];
        }
    }
    return NULL;
}

/* Does the client take gzip? With a weight that begins with zero it gets the plain file. */
static bool takes_gzip(const struct exchange *x)
{
    char *accepted = exchange_header_list(x, "Accept-Encoding");
    bool takes = strcasestr(accepted, "gzip") && !strcasestr(accepted, "gzip;q=0");
    free(accepted);
    return takes;
}

static void reply_file(struct exchange *x, const struct page_file *file)
{
    exchange_add_header(x, "Vary", "Accept-Encoding");
    if (takes_gzip(x)) {
        exchange_add_header(x, "Content-Encoding", "gzip");
        exchange_reply(x, 200, content_type(file->name), file->gzipped, file->gzipped_len);
    } else {
        exchange_reply(x, 200, content_type(file->name), file->data, file->len);
    }
}

void endpoint_page(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    const struct page_file *file = find_file(exchange_path(x));
    if (!file) {
        reply_problem(x, &loop->context->settings, 404, "not_found", "there is nothing at this path");
        return;
    }
    exchange_add_header(x, "Content-Security-Policy",
                        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
                        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    exchange_add_header(x, "Cross-Origin-Opener-Policy", "same-origin");
    exchange_add_header(x, "Cross-Origin-Resource-Policy", "same-origin");
    exchange_add_header(x, "Permissions-Policy", "camera=(), geolocation=(), microphone=()");
    exchange_add_header(x, "Cache-Control", "no-cache");
    reply_file(x, file);
}
