/* SPDX-License-Identifier: MIT */
/* Message framing on a stream queue: a writer of headers, and an incremental parser. */
#include "core/framing.h"

#include "base/sys.h"
#include "core/completion.h"
#include "mem/heap.h"

#include <arpa/inet.h>
#include <string.h>

#define SEGMENT_AT_ONCE 262144u
#define LENGTH_BYTES    4u

enum frame_state { FRAME_HEADER, FRAME_LENGTH, FRAME_DATA, FRAME_COMPLETE };

struct framing {
    struct queue_layer layer;
    struct queue *q;
    struct dmtr_runtime *rt;
    bool closed, eof;
    bool discarded;       /* received data was freed before it was popped */
    int error;            /* final; negative */
    struct list pops;     /* pops of the application that wait */
    struct list pushes;   /* pushes of the application, each with an outstanding inner push */
    struct op *inner_pop; /* outstanding pop of the stream; NULL: none */

    dmtr_sgarray_t in; /* received, being parsed */
    uint32_t in_seg;   /* next segment of `in` */
    char *data;        /* unparsed bytes of the current segment */
    uint32_t data_len;

    enum frame_state state;
    uint8_t word[sizeof(dmtr_header_t)]; /* a header or length that arrives in several pieces */
    uint32_t have;                       /* bytes in `word`, or in the segment */
    uint64_t left;                       /* bytes of segments whose length has not arrived */
    uint32_t segs_left, seg_len;
    uint32_t room; /* bytes allocated for the incomplete segment */
    dmtr_sgarray_t msg;
};

static struct framing *to_framing(struct queue_layer *l) {
    return list_entry(l, struct framing, layer);
}

/* An outstanding push: the header, the lengths and the list of pieces, in one allocation. */
struct frame {
    struct framing *f;
    struct op *op; /* the application's push */
    dmtr_header_t header;
    uint32_t lengths[DMTR_SGARRAY_MAXSIZE];
    dmtr_sgaseg_t segs[2 * DMTR_SGARRAY_MAXSIZE + 1];
};

static void free_if_unused(struct framing *f) {
    if (!f->closed || f->inner_pop || !list_empty(&f->pushes)) return;
    sga_release(&f->in);
    sga_release(&f->msg);
    sys_free(f);
}

/* Whether there is received data that was not popped: unparsed, or of an incomplete or complete message. */
static bool holds_data(const struct framing *f) {
    const struct op *inner = f->inner_pop;
    bool arrived = inner && inner->state == OP_READY && !inner->error && inner->sga.sga_numsegs > 0;
    return arrived || f->data_len > 0 || f->in_seg < f->in.sga_numsegs || f->state != FRAME_HEADER || f->have > 0;
}

static void fail(struct framing *f, int error) {
    f->discarded |= holds_data(f);
    f->error = error;
    sga_release(&f->in);
    sga_release(&f->msg);
    f->data_len = 0;
}

static void bad_header(struct framing *f) {
    counter_inc(&f->rt->counters, frame_bad_header);
    f->discarded = true;
    fail(f, -EILSEQ);
}

static void inner_pushed(struct dmtr_runtime *rt, struct op *inner) {
    struct frame *frame = inner->ctx;
    struct framing *f = frame->f;
    struct op *op = frame->op;
    int error = -inner->error;
    op_free(rt, inner);
    sys_free(frame);
    list_remove(&op->link);
    op_complete(rt, op, error);
    free_if_unused(f);
}

static uint32_t frame_fill(struct frame *frame, const dmtr_sgarray_t *sga) {
    uint32_t bytes = 0, n = 1;
    frame->segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = &frame->header, .sgaseg_len = sizeof frame->header};
    for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
        uint32_t len = sga->sga_segs[i].sgaseg_len;
        frame->lengths[i] = htonl(len);
        frame->segs[n++] = (dmtr_sgaseg_t){.sgaseg_buf = &frame->lengths[i], .sgaseg_len = LENGTH_BYTES};
        frame->segs[n++] = sga->sga_segs[i];
        bytes += LENGTH_BYTES + len;
    }
    frame->header = (dmtr_header_t){
        .h_magic = htonl(DMTR_HEADER_MAGIC), .h_bytes = htonl(bytes), .h_sgasegs = htonl(sga->sga_numsegs)};
    return bytes;
}

static int push(struct queue_layer *l, struct op *op) {
    struct framing *f = to_framing(l);
    if (op->flags & OP_TO) return -EISCONN;
    if (op->bytes > f->rt->config.frame_max_bytes) return -EMSGSIZE;
    struct frame *frame = sys_calloc(1, sizeof *frame);
    struct op *inner;
    if (!frame) return -ENOMEM;
    int r = op_new_internal(f->rt, f->q, DMTR_OPC_PUSH, inner_pushed, frame, &inner);
    if (r) {
        sys_free(frame);
        return r;
    }
    frame->f = f;
    frame->op = op;
    inner->bytes = sizeof frame->header + frame_fill(frame, &op->sga);
    inner->segs = frame->segs;
    inner->numsegs = 2 * op->sga.sga_numsegs + 1;
    list_push_back(&f->pushes, &op->link);
    r = f->q->ops->push(f->q, inner);
    if (!r) return 0;
    list_remove(&op->link);
    op_free(f->rt, inner);
    sys_free(frame);
    return r;
}

/* Moves up to `want - have` bytes of received data into f->word. True: f->word is complete. */
static bool collect_word(struct framing *f, uint32_t want) {
    uint32_t n = want - f->have < f->data_len ? want - f->have : f->data_len;
    memcpy(f->word + f->have, f->data, n);
    f->have += n;
    f->data += n;
    f->data_len -= n;
    if (f->have < want) return false;
    f->have = 0;
    return true;
}

static void parse_header(struct framing *f) {
    dmtr_header_t h;
    if (!collect_word(f, sizeof h)) return;
    memcpy(&h, f->word, sizeof h);
    uint64_t bytes = ntohl(h.h_bytes);
    f->segs_left = ntohl(h.h_sgasegs);
    bool sane = ntohl(h.h_magic) == DMTR_HEADER_MAGIC && f->segs_left > 0 && f->segs_left <= DMTR_SGARRAY_MAXSIZE;
    if (!sane || bytes < (uint64_t)f->segs_left * LENGTH_BYTES) {
        bad_header(f);
        return;
    }
    f->left = bytes - (uint64_t)f->segs_left * LENGTH_BYTES;
    if (f->left > f->rt->config.frame_max_bytes) {
        counter_inc(&f->rt->counters, frame_too_large);
        f->discarded = true;
        fail(f, -EILSEQ);
        return;
    }
    f->state = FRAME_LENGTH;
}

static void parse_length(struct framing *f) {
    uint32_t len;
    if (!collect_word(f, LENGTH_BYTES)) return;
    memcpy(&len, f->word, sizeof len);
    f->seg_len = ntohl(len);
    f->segs_left--;
    if (f->seg_len > f->left || (f->segs_left == 0 && f->seg_len != f->left)) {
        bad_header(f);
        return;
    }
    f->left -= f->seg_len;
    f->msg.sga_segs[f->msg.sga_numsegs++] = (dmtr_sgaseg_t){0};
    f->room = 0;
    f->state = FRAME_DATA;
}

static dmtr_sgaseg_t *present_segment(struct framing *f) {
    return &f->msg.sga_segs[f->msg.sga_numsegs - 1];
}

/* Allocates room for at least `need` bytes of the segment; doubles it as data arrives. */
static int segment_grow(struct framing *f, uint32_t need) {
    dmtr_sgaseg_t *seg = present_segment(f);
    if (need <= f->room) return 0;
    uint64_t room = need < SEGMENT_AT_ONCE ? SEGMENT_AT_ONCE : (uint64_t)need * 2;
    if (room > f->seg_len) room = f->seg_len;
    char *buf = heap_alloc(room);
    if (!buf) return -ENOMEM;
    if (f->have) memcpy(buf, seg->sgaseg_buf, f->have);
    f->q->copies += f->have;
    counter_add(&f->rt->counters, copied_bytes, f->have);
    if (seg->sgaseg_buf) heap_free(seg->sgaseg_buf);
    seg->sgaseg_buf = buf;
    f->room = (uint32_t)room;
    return 0;
}

static int segment_copy(struct framing *f) {
    uint32_t n = f->seg_len - f->have < f->data_len ? f->seg_len - f->have : f->data_len;
    int r = segment_grow(f, f->have + n);
    if (r) return r;
    memcpy((char *)present_segment(f)->sgaseg_buf + f->have, f->data, n);
    f->q->copies += n;
    counter_add(&f->rt->counters, copied_bytes, n);
    f->have += n;
    f->data += n;
    f->data_len -= n;
    return 0;
}

/* One received piece contains the whole segment: the message becomes another owner of that memory. */
static void segment_share(struct framing *f) {
    heap_share(f->data);
    present_segment(f)->sgaseg_buf = f->data;
    f->have = f->seg_len;
    f->data += f->seg_len;
    f->data_len -= f->seg_len;
}

static int parse_data(struct framing *f) {
    if (f->have < f->seg_len) {
        int r = 0;
        if (f->have == 0 && f->data_len >= f->seg_len)
            segment_share(f);
        else
            r = segment_copy(f);
        if (r) return r;
    }
    if (f->have < f->seg_len) return 0;
    present_segment(f)->sgaseg_len = f->seg_len;
    f->have = 0;
    f->state = f->segs_left ? FRAME_LENGTH : FRAME_COMPLETE;
    return 0;
}

/* Moves on to the next received piece if needed; false: everything is parsed. */
static bool next_data(struct framing *f) {
    while (f->data_len == 0) {
        if (f->in_seg == f->in.sga_numsegs) {
            sga_release(&f->in);
            f->in_seg = 0;
            return false;
        }
        f->data = f->in.sga_segs[f->in_seg].sgaseg_buf;
        f->data_len = f->in.sga_segs[f->in_seg++].sgaseg_len;
    }
    return true;
}

/* Parses until a message is complete, the data is used up or the stream has failed. -ENOMEM: no data is lost. */
static int parse(struct framing *f) {
    while (!f->error && f->state != FRAME_COMPLETE) {
        bool empty_segment = f->state == FRAME_DATA && f->seg_len == 0;
        if (!empty_segment && !next_data(f)) return 0;
        int r = 0;
        if (f->state == FRAME_HEADER)
            parse_header(f);
        else if (f->state == FRAME_LENGTH)
            parse_length(f);
        else
            r = parse_data(f);
        if (r) return r;
    }
    return 0;
}

static void complete_pop(struct framing *f, int error) {
    struct op *op = list_entry(list_pop_front(&f->pops), struct op, link);
    op_complete(f->rt, op, error);
}

/* Passes the complete message to the first pop. If that pop is limited to less, it fails and the message stays. */
static void give_message(struct framing *f) {
    struct op *op = list_entry(list_first(&f->pops), struct op, link);
    if (op->flags & OP_LIMITED && op->bytes < sga_bytes(&f->msg)) {
        complete_pop(f, -EMSGSIZE);
        return;
    }
    sga_copy(&op->sga, &f->msg);
    f->msg.sga_numsegs = 0;
    f->state = FRAME_HEADER;
    complete_pop(f, 0);
}

static int read_more(struct framing *f);

/* Completes waiting pops; if data is missing, pops it from the stream. */
static void serve(struct framing *f) {
    while (!list_empty(&f->pops) && !f->inner_pop) {
        int r = parse(f);
        bool whole = f->state == FRAME_COMPLETE;
        if (!r && f->eof && !whole && !f->error && (f->state != FRAME_HEADER || f->have)) fail(f, -ECONNRESET);
        if (r || f->error)
            complete_pop(f, r ? r : f->error);
        else if (whole)
            give_message(f);
        else if (f->eof)
            complete_pop(f, 0);
        else if ((r = read_more(f)))
            complete_pop(f, r);
    }
}

static void inner_popped(struct dmtr_runtime *rt, struct op *inner) {
    struct framing *f = inner->ctx;
    int error = -inner->error;
    if (!error) f->in = inner->sga;
    op_free(rt, inner);
    f->inner_pop = NULL;
    if (f->closed) {
        free_if_unused(f);
        return;
    }
    if (error == -ENOMEM || error == -ENOBUFS) { /* no error of the stream */
        if (!list_empty(&f->pops)) complete_pop(f, error);
    } else if (error) {
        fail(f, error);
    } else if (f->in.sga_numsegs == 0) {
        f->eof = true;
    }
    serve(f);
}

static int read_more(struct framing *f) {
    struct op *inner;
    int r = op_new_internal(f->rt, f->q, DMTR_OPC_POP, inner_popped, f, &inner);
    if (r) return r;
    f->inner_pop = inner;
    r = f->q->ops->pop(f->q, inner);
    if (!r) return 0;
    f->inner_pop = NULL;
    op_free(f->rt, inner);
    return r;
}

static int pop(struct queue_layer *l, struct op *op) {
    struct framing *f = to_framing(l);
    bool first = list_empty(&f->pops);
    list_push_back(&f->pops, &op->link);
    if (first) serve(f);
    return 0;
}

static bool cancel(struct queue_layer *l, struct op *op) {
    (void)l;
    list_remove(&op->link);
    return true;
}

static bool close_layer(struct queue_layer *layer) {
    struct framing *f = to_framing(layer);
    struct list *l, *tmp;
    bool unread = f->discarded || holds_data(f);
    while (!list_empty(&f->pops))
        complete_pop(f, -ECANCELED);
    /* The queue may be freed before these pushes complete. */
    list_for_each (&f->pushes, l, tmp) {
        struct op *op = list_entry(l, struct op, link);
        op->q = NULL;
        op->flags &= (uint16_t)~OP_COUNTED;
    }
    f->closed = true;
    free_if_unused(f);
    return unread;
}

int framing_new(struct queue *q, struct queue_layer **out) {
    if (!q->ops->stream) return -EOPNOTSUPP;
    struct framing *f = sys_calloc(1, sizeof *f);
    if (!f) return -ENOMEM;
    f->layer = (struct queue_layer){.push = push, .pop = pop, .cancel = cancel, .close = close_layer};
    f->q = q;
    f->rt = q->rt;
    list_init(&f->pops);
    list_init(&f->pushes);
    *out = &f->layer;
    return 0;
}
