/* file - see file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Up to max_bytes + 1 bytes: one more than allowed shows that there are more. */
static int read_all(int fd, size_t max_bytes, struct buffer *out)
{
    size_t start = out->len;
    while (out->len - start <= max_bytes) {
        size_t room = max_bytes + 1 - (out->len - start);
        size_t chunk = room < 65536 ? room : 65536;
        ssize_t n = read(fd, buffer_reserve(out, chunk), chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return (int)n;
        }
        out->len += (size_t)n;
    }
    return 0;
}

int file_read(const char *path, size_t max_bytes, struct buffer *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set(err, "cannot read %s: %s", path, strerror(errno));
    }
    size_t start = out->len;
    int rc = read_all(fd, max_bytes, out);
    int reason = errno;
    close(fd);
    if (rc != 0) {
        return error_set(err, "cannot read %s: %s", path, strerror(reason));
    }
    if (out->len - start > max_bytes) {
        return error_set(err, "%s is larger than %zu bytes", path, max_bytes);
    }
    return 0;
}
