/* load_plan - see load_plan.h. */
#include "load_plan.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "tailwater-load: many SSE connections to a server on this machine; checks order, loss and doubles by\n"
    "log_data.seq, measures latency from log_data.sent_us.\n"
    "\n"
    "  --url URL              http://127.0.0.1:PORT/path; may hold templates\n"
    "  --clients N            connections (default 1)\n"
    "  --channels TEMPLATE    channels=..., e.g. \"logs:etl:w{i%10}:*\"; a number K stands for \"logs:etl:w{i%K}:*\"\n"
    "                         {i} is the client's number; {i%K} and {i/K} are computed from it\n"
    "  --seconds S            end at the latest after S seconds (default 30, at most 3600)\n"
    "  --quiet S              end S seconds after the last event\n"
    "  --idle                 connect and hold until the time is over\n"
    "  --storm M              all drop, miss M events each, and come back with their last ids\n"
    "  --connect-rate R       new connections a second (default: unlimited)\n"
    "  --in-flight N          connections that wait for their first event, at most (default 1024)\n"
    "  --source-addresses A..B  loopback addresses to connect from in turn: each has about 28,000 ports\n"
    "  --last-id ID           Last-Event-ID of the first connect\n"
    "  --header 'N: V'        a header of every request (up to 8)\n"
    "  --ready-on-head        the server sends no ready event: its answer's head counts\n"
    "  --json                 JSON lines on stdout, one a phase, the last one the result\n";

static int complain(const char *what, const char *value)
{
    fprintf(stderr, "tailwater-load: %s: %s\n", what, value);
    return -1;
}

static bool is_loopback(uint32_t address)
{
    return address >> 24 == 127;
}

static int parse_loopback(const char *text, uint32_t *address)
{
    struct in_addr in;
    if (strcmp(text, "localhost") == 0) {
        *address = INADDR_LOOPBACK;
        return 0;
    }
    if (inet_pton(AF_INET, text, &in) != 1 || !is_loopback(ntohl(in.s_addr))) {
        return complain("only loopback addresses (127.0.0.0/8, localhost) are allowed, not", text);
    }
    *address = ntohl(in.s_addr);
    return 0;
}

static int parse_count(const char *text, unsigned most, unsigned *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || value > most) {
        return complain("not a number in its range", text);
    }
    *out = (unsigned)value;
    return 0;
}

static int parse_seconds(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end || !(*out >= 0 && *out <= 3600)) {
        return complain("not a number of seconds from 0 to 3600", text);
    }
    return 0;
}

static int parse_url(struct load_plan *plan, const char *url)
{
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0) {
        return complain("the URL must begin with http://, not", url);
    }
    const char *authority = url + sizeof scheme - 1;
    size_t len = strcspn(authority, "/?#");
    if (len == 0 || len >= sizeof plan->host || authority[len] == '#') {
        return complain("a URL without host and path", url);
    }
    memcpy(plan->host, authority, len);
    plan->host[len] = '\0';
    plan->target = authority[len] == '/' ? authority + len : "/";

    char name[sizeof plan->host];
    memcpy(name, plan->host, len + 1);
    char *colon = strchr(name, ':');
    unsigned port = 80;
    if (colon) {
        *colon = '\0';
        if (parse_count(colon + 1, 65535, &port) < 0) {
            return -1;
        }
    }
    uint32_t address;
    if (parse_loopback(name, &address) < 0) {
        return -1;
    }
    plan->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    plan->address.sin_addr.s_addr = htonl(address);
    return 0;
}

static int parse_sources(struct load_plan *plan, const char *text)
{
    char first[64];
    uint32_t last;
    const char *dots = strstr(text, "..");
    size_t len = dots ? (size_t)(dots - text) : strlen(text);
    if (len >= sizeof first) {
        return complain("not an address range", text);
    }
    memcpy(first, text, len);
    first[len] = '\0';
    if (parse_loopback(first, &plan->source_first) < 0 || parse_loopback(dots ? dots + 2 : first, &last) < 0) {
        return -1;
    }
    if (last < plan->source_first) {
        return complain("an address range that ends before it begins", text);
    }
    plan->source_count = last - plan->source_first + 1;
    return 0;
}

static int parse_channels(struct load_plan *plan, const char *text)
{
    plan->channels = text;
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0') {
        return 0;
    }
    unsigned count;
    if (parse_count(text, 1000000, &count) < 0 || count == 0) {
        return complain("--channels needs at least one", text);
    }
    snprintf(plan->channels_text, sizeof plan->channels_text, "logs:etl:w{i%%%u}:*", count);
    plan->channels = plan->channels_text;
    return 0;
}

static int add_header(struct load_plan *plan, const char *text)
{
    if (plan->header_count == PLAN_HEADERS_MAX || strpbrk(text, "\r\n") || !strchr(text, ':')) {
        return complain("not a header, or too many", text);
    }
    plan->headers[plan->header_count++] = text;
    return 0;
}

static const struct option options[] = {
    {"url", required_argument, NULL, 'u'},          {"clients", required_argument, NULL, 'n'},
    {"channels", required_argument, NULL, 'c'},     {"seconds", required_argument, NULL, 's'},
    {"quiet", required_argument, NULL, 'q'},        {"idle", no_argument, NULL, 'i'},
    {"storm", required_argument, NULL, 'm'},        {"connect-rate", required_argument, NULL, 'r'},
    {"in-flight", required_argument, NULL, 'f'},    {"source-addresses", required_argument, NULL, 'a'},
    {"last-id", required_argument, NULL, 'l'},      {"header", required_argument, NULL, 'H'},
    {"ready-on-head", no_argument, NULL, 'R'},      {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},               {NULL, 0, NULL, 0},
};

static int parse_option(struct load_plan *plan, int option, const char *value)
{
    switch (option) {
    case 'u':
        return parse_url(plan, value);
    case 'n':
        return parse_count(value, 1000000, &plan->clients);
    case 'c':
        return parse_channels(plan, value);
    case 's':
        return parse_seconds(value, &plan->seconds);
    case 'q':
        return parse_seconds(value, &plan->quiet_s);
    case 'i':
        plan->idle = true;
        return 0;
    case 'm':
        return parse_count(value, 100000000, &plan->storm);
    case 'r':
        return parse_count(value, 1000000, &plan->connect_rate);
    case 'f':
        return parse_count(value, 1000000, &plan->in_flight);
    case 'a':
        return parse_sources(plan, value);
    case 'l':
        plan->last_id = value;
        return strpbrk(value, "\r\n") ? complain("an id with a line end", value) : 0;
    case 'H':
        return add_header(plan, value);
    case 'R':
        plan->ready_on_head = true;
        return 0;
    case 'j':
        plan->json = true;
        return 0;
    case 'h':
        fputs(usage, stdout);
        return 1;
    default:
        fputs("tailwater-load: see --help\n", stderr);
        return -1;
    }
}

int load_plan_parse(struct load_plan *plan, int argc, char **argv)
{
    *plan = (struct load_plan){.clients = 1, .in_flight = 1024, .seconds = 30};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int result = parse_option(plan, option, optarg);
        if (result != 0) {
            return result;
        }
    }
    if (optind < argc) {
        return complain("unexpected argument", argv[optind]);
    }
    if (!plan->target || plan->clients == 0 || plan->in_flight == 0 || plan->seconds <= 0) {
        return complain("--url, and at least one of clients, connections in flight and seconds, are needed", "--help");
    }
    char target[PLAN_TARGET_MAX];
    if (load_plan_target(plan, plan->clients - 1, target) < 0) {
        return complain("too long, or a template that is not {i}, {i%K} or {i/K}",
                        plan->channels ? plan->channels : plan->target);
    }
    return 0;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

struct text {
    char *out;
    size_t cap;
    size_t len; /* more than cap: it did not fit */
};

static void text_put(struct text *text, char byte)
{
    if (text->len < text->cap) {
        text->out[text->len] = byte;
    }
    text->len++;
}

static void text_add(struct text *text, const char *bytes)
{
    for (; *bytes; bytes++) {
        text_put(text, *bytes);
    }
}

static void text_add_encoded(struct text *text, char byte)
{
    if (isalnum((unsigned char)byte) || strchr("-._~:,*", byte)) {
        text_put(text, byte);
        return;
    }
    char hex[4];
    snprintf(hex, sizeof hex, "%%%02X", (unsigned char)byte);
    text_add(text, hex);
}

/* "{i%10}" -> a number. Returns the bytes of the template it took, 0 when it is none. */
static size_t expand_number(const char *at, unsigned i, struct text *text)
{
    char op = 0, close = 0;
    unsigned by = 1;
    int taken = 0;
    if (strncmp(at, "{i}", 3) == 0) {
        taken = 3;
        op = '/';
    } else if (sscanf(at, "{i%c%u%c%n", &op, &by, &close, &taken) != 3 || close != '}' || by == 0 ||
               (op != '%' && op != '/')) {
        return 0;
    }
    char digits[16];
    snprintf(digits, sizeof digits, "%u", op == '%' ? i % by : i / by);
    text_add(text, digits);
    return (size_t)taken;
}

static int expand(const char *template, unsigned i, bool encode, struct text *text)
{
    while (*template) {
        if (*template == '{') {
            size_t taken = expand_number(template, i, text);
            if (taken == 0) {
                return -1;
            }
            template += taken;
            continue;
        }
        if (encode) {
            text_add_encoded(text, *template++);
        } else {
            text_put(text, *template++);
        }
    }
    return 0;
}

int load_plan_target(const struct load_plan *plan, unsigned i, char out[PLAN_TARGET_MAX])
{
    struct text text = {out, PLAN_TARGET_MAX, 0};
    if (expand(plan->target, i, false, &text) < 0) {
        return -1;
    }
    if (plan->channels) {
        text_add(&text, strchr(plan->target, '?') ? "&channels=" : "?channels=");
        if (expand(plan->channels, i, true, &text) < 0) {
            return -1;
        }
    }
    text_put(&text, '\0');
    return text.len <= text.cap ? 0 : -1;
}

size_t load_plan_request(const struct load_plan *plan, const char *target, const char *last_id, size_t last_id_len,
                         char out[PLAN_REQUEST_MAX])
{
    int len = snprintf(out, PLAN_REQUEST_MAX,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\nCache-Control: no-store\r\n",
                       target, plan->host);
    if (len < 0 || len >= PLAN_REQUEST_MAX) {
        return 0;
    }
    struct text text = {out, PLAN_REQUEST_MAX, (size_t)len};
    for (unsigned i = 0; i < plan->header_count; i++) {
        text_add(&text, plan->headers[i]);
        text_add(&text, "\r\n");
    }
    if (last_id_len > 0) {
        text_add(&text, "Last-Event-ID: ");
        for (size_t i = 0; i < last_id_len; i++) {
            text_put(&text, last_id[i]);
        }
        text_add(&text, "\r\n");
    }
    text_add(&text, "\r\n");
    return text.len <= text.cap ? text.len : 0;
}

bool load_plan_source(const struct load_plan *plan, unsigned i, struct sockaddr_in *out)
{
    if (plan->source_count == 0) {
        return false;
    }
    *out = (struct sockaddr_in){.sin_family = AF_INET};
    out->sin_addr.s_addr = htonl(plan->source_first + i % plan->source_count);
    return true;
}
