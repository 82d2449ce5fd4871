/* notify - see notify.h. */
#include "notify.h"

#include "clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_MAX = NOTIFY_STATUS_MAX + 100 };

/* The length of the address, or 0 when this is none. */
static socklen_t make_address(const char *name, struct sockaddr_un *address)
{
    size_t len = name ? strlen(name) : 0;
    if (len < 2 || len >= sizeof address->sun_path || (name[0] != '/' && name[0] != '@')) {
        return 0;
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, name, len);
    if (name[0] == '@') {
        address->sun_path[0] = '\0';
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
}

/* WATCHDOG_PID may name another process, of which this one has only inherited the environment. */
static bool watchdog_is_wanted(void)
{
    const char *period = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    return period && strtoll(period, NULL, 10) > 0 && (!pid || strtoll(pid, NULL, 10) == getpid());
}

void notify_open(struct notify *notify)
{
    *notify = (struct notify){.fd = -1};
    notify->address_len = make_address(getenv("NOTIFY_SOCKET"), &notify->address);
    if (notify->address_len > 0) {
        notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        notify->has_watchdog = watchdog_is_wanted();
    }
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0) {
        close(notify->fd);
    }
    notify->fd = -1;
}

static void __attribute__((format(printf, 2, 3))) tell(const struct notify *notify, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    if (notify->fd < 0) {
        return;
    }
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    sendto(notify->fd, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
           notify->address_len);
}

void notify_ready(struct notify *notify)
{
    tell(notify, "READY=1");
}

void notify_reloading(struct notify *notify)
{
    tell(notify, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
}

void notify_stopping(struct notify *notify, int64_t limit_s)
{
    tell(notify, "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%lld", (long long)limit_s * 1000000);
}

void notify_status(struct notify *notify, const char *format, ...)
{
    char status[NOTIFY_STATUS_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(status, sizeof status, format, args);
    va_end(args);
    if (strcmp(status, notify->status) != 0) {
        memcpy(notify->status, status, sizeof status);
        tell(notify, "STATUS=%s", status);
    }
}

void notify_alive(struct notify *notify)
{
    if (notify->has_watchdog) {
        tell(notify, "WATCHDOG=1");
    }
}
