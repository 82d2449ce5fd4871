/*
 * notify - tell the service manager what goes on, by systemd's protocol (sd_notify): one datagram a message to the socket
 * that NOTIFY_SOCKET names. Without one every call does nothing. What cannot be sent is dropped: a manager that does not
 * listen is no reason to stop serving.
 *
 * Thread: main.
 */
#ifndef TAILWATER_APP_NOTIFY_H
#define TAILWATER_APP_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { NOTIFY_STATUS_MAX = 200 };

struct notify {
    int fd; /* -1: nobody is told */
    struct sockaddr_un address;
    socklen_t address_len;
    bool has_watchdog;              /* it ends what does not report in time */
    char status[NOTIFY_STATUS_MAX]; /* that was sent last */
};

/* Read NOTIFY_SOCKET (a path, or "@name" in the abstract space), WATCHDOG_USEC and WATCHDOG_PID. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* Serving begins, or goes on after notify_reloading(). */
void notify_ready(struct notify *notify);

/* SIGHUP was taken; until notify_ready(). */
void notify_reloading(struct notify *notify);

/* It will end, and needs up to so long for it. */
void notify_stopping(struct notify *notify, int64_t limit_s);

/* One line that `systemctl status` shows; sent when it is another one than before. */
void notify_status(struct notify *notify, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All is well; to be called once a second, and not when it is not. */
void notify_alive(struct notify *notify);

#endif
