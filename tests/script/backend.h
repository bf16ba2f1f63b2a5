/* SPDX-License-Identifier: MIT */
/* What a script is played against. Times are nanoseconds of the backend's own clock. */
#ifndef TESTS_SCRIPT_BACKEND_H
#define TESTS_SCRIPT_BACKEND_H

#include "packet_wire.h"
#include "script.h"

struct backend_ops {
    const char *name;
    bool timed;        /* its clock is virtual: times are compared, and every frame is */
    bool sees_silence; /* it can tell that nothing was sent */

    /* NULL: `why` says why not. */
    void *(*start)(const struct settings *s, char *why, size_t bytes);
    /* Gives all up; false: something was left behind. */
    bool (*stop)(void *b);

    uint64_t (*now)(void *b);
    void (*pass)(void *b, uint64_t until);
    /* The next frame that the stack has sent or sends until then; false: none, and it is that late. */
    bool (*receive)(void *b, uint64_t until, struct wire_frame *f);
    void (*send)(void *b, const uint8_t *frame, uint32_t len);

    /* A call that must not block: its result, or a negative errno; data to send, or room for what is received. */
    int64_t (*call)(void *b, const struct call *c, uint8_t *data);
    /* The same, which must block: false, if it does not. And its result; false: it still blocks. */
    bool (*begin)(void *b, const struct call *c, uint8_t *data);
    bool (*end)(void *b, int64_t *result);
};

/* The stack itself, frame by frame on a virtual clock. */
extern const struct backend_ops backend_frames;
/* The packetdrill plugin, on its virtual clock and on the real one. */
extern const struct backend_ops backend_virtual, backend_real;

#define CALL_BYTES_MAX (1u << 20)

#endif
