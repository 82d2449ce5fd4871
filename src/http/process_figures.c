/* process_figures - see process_figures.h. */
#include "process_figures.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double process_cpu_seconds(void)
{
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
}

/* The page counts of /proc/self/statm: all, resident. */
static double pages(unsigned field)
{
    double values[2] = {FIGURE_UNKNOWN, FIGURE_UNKNOWN};
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) {
        return FIGURE_UNKNOWN;
    }
    int n = fscanf(file, "%lf %lf", &values[0], &values[1]);
    fclose(file);
    return n == 2 ? values[field] * (double)sysconf(_SC_PAGESIZE) : FIGURE_UNKNOWN;
}

double process_virtual_bytes(void)
{
    return pages(0);
}

double process_resident_bytes(void)
{
    return pages(1);
}

double process_open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) {
        return FIGURE_UNKNOWN;
    }
    double count = -1; /* the folder itself is open, too */
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

double process_open_files_max(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : FIGURE_UNKNOWN;
}

/* Field 22 of /proc/self/stat, in ticks since the machine began; the second field, a name, may hold anything. */
static double start_ticks(void)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) {
        return FIGURE_UNKNOWN;
    }
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *at = strrchr(text, ')');
    double ticks = FIGURE_UNKNOWN;
    int n = at ? sscanf(at + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lf",
                        &ticks)
               : 0;
    return n == 1 ? ticks : FIGURE_UNKNOWN;
}

double process_start_seconds(void)
{
    struct timespec wall, up;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &up);
    double began = (double)wall.tv_sec - (double)up.tv_sec + (double)(wall.tv_nsec - up.tv_nsec) / 1e9;
    return round(began + start_ticks() / (double)sysconf(_SC_CLK_TCK));
}
