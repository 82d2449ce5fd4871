/*
 * process_figures - what the process takes of the machine. Reads /proc; FIGURE_UNKNOWN where that is not possible. Any thread that
 * may read a file.
 */
#ifndef TAILWATER_HTTP_PROCESS_FIGURES_H
#define TAILWATER_HTTP_PROCESS_FIGURES_H

#include <math.h>

#define FIGURE_UNKNOWN ((double)NAN)

double process_cpu_seconds(void);
double process_resident_bytes(void);
double process_virtual_bytes(void);
double process_open_files(void);
double process_open_files_max(void);
double process_start_seconds(void); /* since 1970 */

#endif
