/* SPDX-License-Identifier: MIT */
/*
 * training: the load that a release build is optimised for (scripts/run/release): a key-value store, and a client that
 * makes a fixed number of requests, one at a time and many at once, and a bulk transfer. No benchmark has this load.
 */
#include "message.h"

#include "options.h"
#include "program.h"

static struct {
    const char *address;
    uint64_t port, count;
    bool server, udp;
} options = {.address = PROGRAM_ADDRESS, .count = 20000};

static const struct option_spec specs[] = {
    {"server", OPTION_FLAG, &options.server, NULL, "serve, until killed", 0, 0},
    {"address", OPTION_STRING, &options.address, "HOST", "the server's address", 0, 0},
    {"port", OPTION_UINT, &options.port, "PORT", "the server's port", 0, 65535},
    {"udp", OPTION_FLAG, &options.udp, NULL, "datagrams instead of connections", 0, 0},
    {"count", OPTION_UINT, &options.count, "N", "requests of each load", 1, 1ull << 32},
    {0}};

int main(int argc, char *argv[]) {
    struct training t;
    enum options_result o = options_parse(argc, argv, "A key-value store and its client, for training.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    if (!program_start(argc, argv, CPU_ANY)) return 1;
    t.datagrams = options.udp;
    t.count = options.count;
    int r = address_parse(&t.address, options.address, options.port, options.udp ? SOCK_DGRAM : SOCK_STREAM);
    if (r == 0) r = options.server ? store_serve(&t) : client_run(&t);
    dmtr_fini();
    return r ? 1 : 0;
}
