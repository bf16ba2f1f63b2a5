/* SPDX-License-Identifier: MIT */
/*
 * Configuration. Every option stands once, in the table below: key, type, default, bounds, unit, and the sentence that
 * becomes `--help`, the manual and the error text. Sources, the later ones win: defaults, the YAML file
 * (--dmtr-config, else the environment's DMTR_CONFIG), the environment (DMTR_ and the key in capitals with
 * underscores: DMTR_WAIT_POLICY), --dmtr-set KEY=VALUE.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "base/doc.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_STRING_MAX 256

enum wait_policy { WAIT_SPIN, WAIT_ADAPTIVE, WAIT_BLOCK };
enum posix_engine { POSIX_AUTO, POSIX_IO_URING, POSIX_EPOLL };

/*
 * UINT(key, field, default, min, max, unit, text)
 * ENUM(key, field, default, choices, text): choices are a NULL-terminated list of names by value
 * BOOL(key, field, default, text)
 * STRING(key, field, default, text)
 */
#define DMTR_OPTIONS(UINT, ENUM, BOOL, STRING)                                                                         \
    STRING("libos", libos, "posix", "Network for dmtr_socket: posix, inet, lwip, or an alias of one")                  \
    ENUM("wait.policy", wait_policy, WAIT_ADAPTIVE, config_wait_policies,                                              \
         "How a wait idles: spin (never sleep), adaptive (spin, then sleep), block (sleep at once)")                   \
    UINT("wait.spin_us", wait_spin_us, 50, 0, 1000000, "us",                                                           \
         "Longest time the adaptive policy spins before it sleeps")                                                    \
    UINT("core.max_operations", max_operations, 1048576, 16, 4194303, "operations",                                    \
         "Most operations outstanding at a time in a runtime")                                                         \
    UINT("core.max_queues", max_queues, 1048576, 4, 2097151, "queues", "Most queues open at a time in a runtime")      \
    UINT("core.linger_ms", linger_ms, 1000, 0, 600000, "ms",                                                           \
         "Longest time dmtr_fini waits until pushed data is delivered and peers have finished")                        \
    UINT("queue.push_limit_bytes", push_limit_bytes, 67108864, 1, 1099511627776, "bytes",                              \
         "Most bytes of pushes outstanding on a queue (DMTR_SO_PUSH_LIMIT)")                                           \
    UINT("memory.max_elements", memory_max_elements, 1048576, 1, 16777216, "elements",                                 \
         "Most elements an in-memory queue or sort operator holds; a further push waits")                              \
    UINT("frame.max_bytes", frame_max_bytes, 16777216, 1, 67108864, "bytes",                                           \
         "Largest message accepted on a framed stream")                                                                \
    ENUM("posix.engine", posix_engine, POSIX_AUTO, config_posix_engines,                                               \
         "Kernel interface of libos posix: auto (io_uring where the kernel has what is needed), io_uring, epoll")      \
    UINT("posix.ring_entries", posix_ring_entries, 1024, 16, 32768, "entries", "Size of the io_uring submission ring") \
    UINT("posix.recv_buffer_bytes", posix_recv_buffer_bytes, 16384, 512, 65536, "bytes",                               \
         "Size of one receive buffer of a stream; datagrams have room for the largest")                                \
    UINT("posix.recv_buffers", posix_recv_buffers, 1024, 8, 32768, "buffers",                                          \
         "Receive buffers given to the kernel in advance (io_uring)")                                                  \
    UINT("posix.recv_ahead_bytes", posix_recv_ahead_bytes, 262144, 0, 1073741824, "bytes",                             \
         "Most received data held for one queue before it is popped")                                                  \
    UINT("posix.accept_ahead", posix_accept_ahead, 128, 1, 65535, "connections",                                       \
         "Most connections held for one listener before they are accepted")                                            \
    UINT("posix.zerocopy_min_bytes", posix_zerocopy_min_bytes, 32768, 0, 1073741824, "bytes",                          \
         "Smallest push that io_uring sends without a copy; 0 never")                                                  \
    UINT("posix.registered_files", posix_registered_files, 4096, 0, 32768, "descriptors",                              \
         "Descriptors registered with io_uring; further ones work unregistered")                                       \
    STRING("inet.device", inet_device, "none",                                                                         \
           "Network device of libos inet, by its kind: shm, and others of this build")                                 \
    STRING("inet.device_options", inet_device_options, "none",                                                         \
           "Options of that device, as KEY=VALUE,KEY=VALUE; dmtr_device(7)")                                           \
    STRING("inet.wrappers", inet_wrappers, "none",                                                                     \
           "Devices to wrap that one in, innermost first, as KIND:KEY=VALUE,KEY=VALUE;KIND: fault, pcap, trace")       \
    UINT("inet.queues", inet_queues, 1, 1, 64, "runtimes",                                                             \
         "Runtimes (threads) of this process that use the device, each with a queue of it where it has so many")       \
    STRING("inet.mac", inet_mac, "none", "MAC address to use in place of the device's own")                            \
    STRING("inet.address", inet_address, "none",                                                                       \
           "Own IPv4 addresses with their prefixes, such as 10.0.0.1/24,10.0.1.1/16")                                  \
    STRING("inet.gateway", inet_gateway, "none", "IPv4 address of the router to all other networks")                   \
    UINT("inet.mtu", inet_mtu, 9216, 68, 9216, "bytes",                                                                \
         "Largest IP packet, where the device's own limit is not lower")                                               \
    BOOL("inet.tso", inet_tso, true, "Let the device cut long runs of TCP data into segments, where it can")           \
    BOOL("inet.probe", inet_probe, true,                                                                               \
         "Ask the link at the start whether another host has the addresses, and log it; not on a wire as shm is")      \
    STRING("inet.neighbours", inet_neighbours, "none",                                                                 \
           "Neighbours that are not asked for, such as 10.0.0.2=02:00:00:00:00:02, with commas between")               \
    UINT("inet.max_neighbours", inet_max_neighbours, 1024, 16, 65536, "entries", "Most neighbours remembered")         \
    UINT("inet.neighbour_queue", inet_neighbour_queue, 262144, 65536, 1073741824, "bytes",                             \
         "Most memory held by packets that wait for the answer of one neighbour")                                      \
    UINT("inet.neighbour_memory", inet_neighbour_memory, 4194304, 262144, 4294967295, "bytes",                         \
         "Most memory held by packets that wait for neighbours, answers to strangers at most half of it")              \
    UINT("inet.fragment_bytes", inet_fragment_bytes, 4194304, 65536, 1073741824, "bytes",                              \
         "Most memory held by packets of which fragments are missing")                                                 \
    UINT("inet.tcp_memory", inet_tcp_memory, 1073741824, 1048576, 1099511627776, "bytes",                              \
         "Most memory that received data of all TCP connections may pin")                                              \
    UINT("inet.tcp_orphans", inet_tcp_orphans, 65536, 1, 4194304, "connections",                                       \
         "Most closed TCP connections whose data is not acknowledged yet; a further one is reset")                     \
    UINT("inet.tcp_time_wait", inet_tcp_time_wait, 131072, 1, 4194304, "connections",                                  \
         "Most TCP connections in TIME_WAIT; a further one ends at once")                                              \
    UINT("inet.icmp_per_second", inet_icmp_per_second, 1000, 1, 1000000, "messages",                                   \
         "Most ICMP errors sent in a second")                                                                          \
    STRING("lwip.device", lwip_device, "none", "Network device of libos lwip, by its kind, as inet.device")            \
    STRING("lwip.device_options", lwip_device_options, "none",                                                         \
           "Options of that device, as KEY=VALUE,KEY=VALUE; dmtr_device(7)")                                           \
    STRING("lwip.wrappers", lwip_wrappers, "none", "Devices to wrap that one in, as inet.wrappers")                    \
    STRING("lwip.mac", lwip_mac, "none", "MAC address to use in place of the device's own")                            \
    STRING("lwip.address", lwip_address, "none", "Own IPv4 address with its prefix, such as 10.0.0.1/24")              \
    STRING("lwip.gateway", lwip_gateway, "none", "IPv4 address of the router to all other networks")                   \
    UINT("lwip.mtu", lwip_mtu, 9216, 68, 9216, "bytes",                                                                \
         "Largest IP packet, where the device's own limit is not lower")                                               \
    STRING("lwip.neighbours", lwip_neighbours, "none",                                                                 \
           "Neighbours that are not asked for, such as 10.0.0.2=02:00:00:00:00:02, with commas between")               \
    BOOL("stats.share", stats_share, true, "Let `dmtr ss` read the counters of this process")                          \
    ENUM("log.level", log_level, LOG_LEVEL_WARN, config_log_levels, "Least severity logged: error, warn, info, debug") \
    ENUM("log.sink", log_sink, LOG_SINK_STDERR, config_log_sinks, "Where the log goes: stderr, syslog, none")

extern const char *const config_wait_policies[];
extern const char *const config_posix_engines[];
extern const char *const config_log_levels[];
extern const char *const config_log_sinks[];

struct config {
#define CONFIG_UINT(key, field, def, min, max, unit, text) uint64_t field;
#define CONFIG_ENUM(key, field, def, choices, text)        int field;
#define CONFIG_BOOL(key, field, def, text)                 bool field;
#define CONFIG_STRING(key, field, def, text)               char field[CONFIG_STRING_MAX];
    DMTR_OPTIONS(CONFIG_UINT, CONFIG_ENUM, CONFIG_BOOL, CONFIG_STRING)
#undef CONFIG_UINT
#undef CONFIG_ENUM
#undef CONFIG_BOOL
#undef CONFIG_STRING
};

#define CONFIG_ERROR_MAX 512

/* All defaults. */
void config_init(struct config *c);

/*
 * Reads all sources in order; other arguments in argv are left alone. 0, or a negative errno with one line in `error`
 * that names file, line or variable, the key, and what is right: the nearest valid key, or the valid values.
 * -EINVAL: wrong content; -ENOENT and the like: the file cannot be read.
 */
int config_load(struct config *c, int argc, char *const argv[], char error[CONFIG_ERROR_MAX]);

/* One key = value, with the same errors; `where` ("--dmtr-set", "file:line") begins the text. */
int config_set(struct config *c, const char *key, const char *value, const char *where, char error[CONFIG_ERROR_MAX]);

/* One file. */
int config_load_file(struct config *c, const char *path, char error[CONFIG_ERROR_MAX]);

/* Prints the table for people. 0, or -EIO. */
int config_print(FILE *f, enum doc_format format);

#endif
