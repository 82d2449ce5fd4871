/*
 * jemalloc - how the allocator is to behave, where the program is linked with jemalloc.
 *
 * glibc keeps what 10,000 connections used after they have left, because small blocks that libevent holds per descriptor
 * lie between (measured: 36 MB of 47 stay; with jemalloc 16). Freed pages go back after two seconds.
 */
extern const char *malloc_conf; /* read by jemalloc when it starts */

const char *malloc_conf = "background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0";
