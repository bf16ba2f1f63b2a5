/* SPDX-License-Identifier: MIT */
/* The XDP program: its instructions, its maps, and the system calls that create them. */
#include "netdev/xdp/program.h"

#include "base/sys.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1u << 5)
#endif

#define ADDRESSES_MAX  256u
#define PORT_WORDS     1024u /* of 64 ports, for each of two protocols */
#define PORT_MAP_BYTES (sizeof(uint64_t) * 2 * PORT_WORDS)

/* Offsets in a frame. */
enum {
    AT_TYPE = 12,
    AT_ARP_TARGET = 38,
    ARP_END = 42,
    AT_IP = 14,
    AT_FRAGMENT = AT_IP + 6,
    AT_PROTOCOL = AT_IP + 9,
    AT_DESTINATION = AT_IP + 16,
    IP_END = AT_IP + 20,
    AT_PORT = 2, /* in the transport header */
    PORT_END = 4,
};
#define FRAGMENT_BITS 0x3fff /* more fragments, or an offset */

/* ---- the assembler: instructions, and forward jumps to labels ---- */

#define CODE_MAX  96u
#define JUMPS_MAX 24u

enum label { TAKE, PASS, ARP, UDP, PORT, LABELS };

struct assembler {
    struct bpf_insn code[CODE_MAX];
    struct {
        uint32_t at;
        enum label to;
    } jumps[JUMPS_MAX];
    uint32_t count, jumps_count, labels[LABELS];
};

static void emit(struct assembler *a, int code, int dst, int src, int off, int imm) {
    assert(a->count < CODE_MAX);
    a->code[a->count++] = (struct bpf_insn){.code = (uint8_t)code,
                                            .dst_reg = (uint8_t)(dst & 15),
                                            .src_reg = (uint8_t)(src & 15),
                                            .off = (int16_t)off,
                                            .imm = imm};
}

static void move(struct assembler *a, int dst, int src) {
    emit(a, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void set(struct assembler *a, int dst, int value) {
    emit(a, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value);
}

static void compute(struct assembler *a, int operation, int dst, int value) {
    emit(a, BPF_ALU64 | operation | BPF_K, dst, 0, 0, value);
}

static void load(struct assembler *a, int size, int dst, int from, int off) {
    emit(a, BPF_LDX | BPF_MEM | size, dst, from, off, 0);
}

#define LOAD_WIDE (BPF_DW | BPF_LD) /* BPF_IMM, its mode, is 0 */

static void load_map(struct assembler *a, int dst, int map) {
    emit(a, LOAD_WIDE, dst, BPF_PSEUDO_MAP_FD, 0, map);
    emit(a, 0, 0, 0, 0, 0);
}

static void jump(struct assembler *a, int condition, int dst, int src, int value, enum label to) {
    assert(a->jumps_count < JUMPS_MAX);
    a->jumps[a->jumps_count].at = a->count;
    a->jumps[a->jumps_count++].to = to;
    emit(a, BPF_JMP | condition, dst, src, 0, value);
}

static void place(struct assembler *a, enum label label) {
    a->labels[label] = a->count;
}

static void resolve(struct assembler *a) {
    for (uint32_t i = 0; i < a->jumps_count; i++)
        a->code[a->jumps[i].at].off = (int16_t)(a->labels[a->jumps[i].to] - a->jumps[i].at - 1);
}

/* ---- the program ---- */

#define CONTEXT BPF_REG_6
#define FRAME   BPF_REG_7
#define END     BPF_REG_8
#define SCRATCH BPF_REG_9
#define STACK   BPF_REG_10

/* r0 = the map's value for the 32-bit key in r1. If there is none, passes the frame to the kernel. */
static void look_up(struct assembler *a, int map) {
    emit(a, BPF_STX | BPF_MEM | BPF_W, STACK, BPF_REG_1, -4, 0);
    move(a, BPF_REG_2, STACK);
    compute(a, BPF_ADD, BPF_REG_2, -4);
    load_map(a, BPF_REG_1, map);
    emit(a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
    jump(a, BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, PASS);
}

/* Passes the frame to the kernel if it ends within `bytes` of the register's address. */
static void need(struct assembler *a, int from, int bytes) {
    move(a, BPF_REG_2, from);
    compute(a, BPF_ADD, BPF_REG_2, bytes);
    jump(a, BPF_JGT | BPF_X, BPF_REG_2, END, 0, PASS);
}

static void assemble_types(struct assembler *a) {
    move(a, CONTEXT, BPF_REG_1);
    load(a, BPF_W, FRAME, CONTEXT, offsetof(struct xdp_md, data));
    load(a, BPF_W, END, CONTEXT, offsetof(struct xdp_md, data_end));
    need(a, FRAME, IP_END);
    load(a, BPF_H, BPF_REG_1, FRAME, AT_TYPE);
    jump(a, BPF_JEQ | BPF_K, BPF_REG_1, 0, htons(ETH_P_ARP), ARP);
    jump(a, BPF_JNE | BPF_K, BPF_REG_1, 0, htons(ETH_P_IP), PASS);
}

static void assemble_ip4(struct assembler *a, const struct xdp_program *p) {
    load(a, BPF_W, BPF_REG_1, FRAME, AT_DESTINATION);
    look_up(a, p->addresses);
    load(a, BPF_W, BPF_REG_1, BPF_REG_0, 0);
    jump(a, BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, TAKE);
    load(a, BPF_H, BPF_REG_1, FRAME, AT_FRAGMENT);
    jump(a, BPF_JSET | BPF_K, BPF_REG_1, 0, htons(FRAGMENT_BITS), PASS);
    load(a, BPF_B, SCRATCH, FRAME, AT_PROTOCOL);
    load(a, BPF_B, BPF_REG_1, FRAME, AT_IP); /* the header length is in the low nibble */
    compute(a, BPF_AND, BPF_REG_1, 15);
    compute(a, BPF_LSH, BPF_REG_1, 2);
    emit(a, BPF_ALU64 | BPF_ADD | BPF_X, FRAME, BPF_REG_1, 0, 0);
    compute(a, BPF_ADD, FRAME, AT_IP);
    need(a, FRAME, PORT_END);
    load(a, BPF_H, BPF_REG_1, FRAME, AT_PORT);
    emit(a, BPF_ALU | BPF_END | BPF_TO_BE, BPF_REG_1, 0, 0, 16);
    jump(a, BPF_JEQ | BPF_K, SCRATCH, 0, IPPROTO_UDP, UDP);
    jump(a, BPF_JNE | BPF_K, SCRATCH, 0, IPPROTO_TCP, PASS);
    move(a, SCRATCH, BPF_REG_1);
    compute(a, BPF_RSH, BPF_REG_1, 6);
    jump(a, BPF_JA, 0, 0, 0, PORT);
    place(a, UDP);
    move(a, SCRATCH, BPF_REG_1);
    compute(a, BPF_RSH, BPF_REG_1, 6);
    compute(a, BPF_ADD, BPF_REG_1, PORT_WORDS);
    place(a, PORT); /* r1: the word of the port in SCRATCH */
    look_up(a, p->ports);
    load(a, BPF_DW, BPF_REG_1, BPF_REG_0, 0);
    compute(a, BPF_AND, SCRATCH, 63);
    emit(a, BPF_ALU64 | BPF_RSH | BPF_X, BPF_REG_1, SCRATCH, 0, 0);
    jump(a, BPF_JSET | BPF_K, BPF_REG_1, 0, 1, TAKE);
    jump(a, BPF_JA, 0, 0, 0, PASS);
}

static void assemble_arp(struct assembler *a, const struct xdp_program *p) {
    place(a, ARP);
    need(a, FRAME, ARP_END);
    load(a, BPF_W, BPF_REG_1, FRAME, AT_ARP_TARGET);
    look_up(a, p->addresses);
    load(a, BPF_W, BPF_REG_1, BPF_REG_0, 0);
    jump(a, BPF_JNE | BPF_K, BPF_REG_1, 0, 0, PASS);
}

/* For a queue without a socket, bpf_redirect_map returns its flags argument, which is XDP_PASS. */
static void assemble_ends(struct assembler *a, const struct xdp_program *p) {
    place(a, TAKE);
    load_map(a, BPF_REG_1, p->sockets);
    load(a, BPF_W, BPF_REG_2, CONTEXT, offsetof(struct xdp_md, rx_queue_index));
    set(a, BPF_REG_3, XDP_PASS);
    emit(a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map);
    emit(a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    place(a, PASS);
    set(a, BPF_REG_0, XDP_PASS);
    emit(a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* ---- bpf(2) ---- */

static int bpf(enum bpf_cmd command, union bpf_attr *attr) {
    return (int)SYS(syscall, __NR_bpf, command, attr, sizeof *attr);
}

static int make_map(enum bpf_map_type type, uint32_t value_bytes, uint32_t entries, uint32_t flags) {
    union bpf_attr attr = {
        .map_type = type, .key_size = 4, .value_size = value_bytes, .max_entries = entries, .map_flags = flags};
    return bpf(BPF_MAP_CREATE, &attr);
}

static int set_entry(int map, uint32_t key, uint32_t value) {
    union bpf_attr attr = {.map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value};
    return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static int load_code(const struct assembler *a, uint32_t flags) {
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_XDP,
        .insns = (uintptr_t)a->code,
        .insn_cnt = a->count,
        .license = (uintptr_t)"MIT",
        .prog_flags = flags,
        .expected_attach_type = BPF_XDP,
        .prog_name = "dmtr_xdp",
    };
    return bpf(BPF_PROG_LOAD, &attr);
}

static int open_maps(struct xdp_program *p, uint32_t queues) {
    int error;
    p->sockets = make_map(BPF_MAP_TYPE_XSKMAP, sizeof(uint32_t), queues, 0);
    if (p->sockets < 0) return p->sockets;
    p->addresses = make_map(BPF_MAP_TYPE_HASH, sizeof(uint32_t), ADDRESSES_MAX, 0);
    if (p->addresses < 0) return p->addresses;
    p->ports = make_map(BPF_MAP_TYPE_ARRAY, sizeof(uint64_t), 2 * PORT_WORDS, BPF_F_MMAPABLE);
    if (p->ports < 0) return p->ports;
    p->port_bits = sys_map_shared(PORT_MAP_BYTES, p->ports, 0, &error);
    return p->port_bits ? 0 : -error;
}

int xdp_program_open(struct xdp_program *p, uint32_t queues) {
    struct assembler a = {.count = 0};
    int r;
    *p = (struct xdp_program){.link = -1, .code = -1, .sockets = -1, .addresses = -1, .ports = -1};
    r = open_maps(p, queues);
    if (r == 0) {
        assemble_types(&a);
        assemble_ip4(&a, p);
        assemble_arp(&a, p);
        assemble_ends(&a, p);
        resolve(&a);
        p->code = load_code(&a, BPF_F_XDP_HAS_FRAGS);
        if (p->code == -EINVAL) p->code = load_code(&a, 0); /* a kernel before 5.18 */
        r = p->code < 0 ? p->code : 0;
    }
    if (r < 0) xdp_program_close(p);
    return r;
}

int xdp_program_attach(struct xdp_program *p, int interface, bool native) {
    union bpf_attr attr = {.link_create = {.prog_fd = (uint32_t)p->code,
                                           .target_ifindex = (uint32_t)interface,
                                           .attach_type = BPF_XDP,
                                           .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE}};
    p->link = bpf(BPF_LINK_CREATE, &attr);
    if (p->link == -EEXIST) p->link = -EBUSY; /* returned if a program is attached without a link */
    return p->link < 0 ? p->link : 0;
}

void xdp_program_close(struct xdp_program *p) {
    const int descriptors[] = {p->link, p->code, p->sockets, p->addresses, p->ports};
    if (p->port_bits) munmap(p->port_bits, PORT_MAP_BYTES);
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
        if (descriptors[i] >= 0) close(descriptors[i]);
    *p = (struct xdp_program){.link = -1, .code = -1, .sockets = -1, .addresses = -1, .ports = -1};
}

int xdp_program_set_socket(const struct xdp_program *p, uint32_t queue, int socket) {
    return set_entry(p->sockets, queue, (uint32_t)socket);
}

int xdp_program_set_address(const struct xdp_program *p, uint32_t ip4, bool shared) {
    return set_entry(p->addresses, ip4, shared);
}

void xdp_program_set_port(const struct xdp_program *p, uint8_t protocol, uint16_t port, bool on) {
    uint64_t *word = &p->port_bits[(protocol == IPPROTO_UDP ? PORT_WORDS : 0) + port / 64u], bit = 1ull << port % 64u;
    if (on)
        __atomic_or_fetch(word, bit, __ATOMIC_RELAXED);
    else
        __atomic_and_fetch(word, ~bit, __ATOMIC_RELAXED);
}
