/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets of libos lwip: the transport of src/libos/socket/stream.h over lwIP. stream.c has the table, creation and
 * options; stream_open.c has bind, listen, accept, connect and lwIP's callbacks; stream_data.c writes and pops;
 * stream_close.c ends connections.
 */
#ifndef LIBOS_LWIP_STREAM_H
#define LIBOS_LWIP_STREAM_H

#include "libos/lwip/net.h"
#include "libos/socket/stream.h"

#define LW_SETTINGS 7

struct pbuf;
struct tcp_pcb;

/* Until a connection is accepted, `stream.link` is in its listener's `accepted`. */
struct lw_stream {
    struct stream stream;
    struct lw_net *net;
    struct tcp_pcb *pcb;   /* NULL: none yet, or lwIP has freed it */
    struct list pending;   /* net->pending, while it has unprocessed events */
    struct list finishing; /* net->finishing, from our FIN until its acknowledgement */
    struct list held;      /* struct held_push: memory that lwIP refers to until it is acknowledged */
    struct list accepted;  /* listener: streams that wait for an accept */
    uint32_t accepted_count, backlog;
    struct lw_stream *listener;         /* not NULL: waits in its `accepted` */
    struct pbuf *first, *last;          /* received data, linked by `next`; tot_len is not maintained */
    uint64_t acked_bytes;               /* of stream.written_bytes */
    struct inet_endpoint local, remote; /* of the connection */
    int values[LW_SETTINGS];            /* of the options in stream.c's table */
    int error;                          /* the error with which the connection ended; listener: of the next accept */
    bool established, ended;
    bool unread; /* data was not popped before the close, or arrived after it */
};

static inline struct lw_stream *lw_stream_of(const struct stream *s) {
    return list_entry(s, struct lw_stream, stream);
}

/* Makes a NEW stream, which is in no list. */
int lw_stream_make(struct lw_net *net, struct lw_stream **out);
/* Applies the stored options to the connection. */
void lw_stream_apply(struct lw_stream *s);

/* Ends lwIP's callbacks for the stream. Returns its connection, which the caller must end, or NULL. */
struct tcp_pcb *lw_stream_detach(struct lw_stream *s);
/* Records an event of the stream. The net processes it after lwIP has returned. */
void lw_stream_add_event(struct lw_stream *s);
/* Takes ownership of a chain of received pbufs. */
void lw_stream_received(struct lw_stream *s, struct pbuf *p);
/* Frees received data without opening the window. Returns whether there was any. */
bool lw_stream_discard_received(struct lw_stream *s);
/* Releases the memory of pushes up to this byte of the stream. */
void lw_stream_release_held(struct lw_stream *s, uint64_t acked_bytes);

/* ---- struct stream_transport ---- */

int lw_write(struct stream *s, const void *base, uint32_t bytes, uint32_t flags, uint64_t now);
void lw_flush(struct stream *s);
bool lw_readable(const struct stream *s);
int lw_pop(struct stream *s, struct op *op, uint64_t now);
int lw_can_bind(const struct stream *s, const struct inet_endpoint *local);
int lw_bind(struct stream *s, const struct inet_endpoint *local, bool chosen);
int lw_listen(struct stream *s, uint32_t backlog);
int lw_accept(struct stream *s, struct stream **out);
int lw_connect(struct stream *s, const struct inet_endpoint *remote, uint64_t now);
void lw_shutdown(struct stream *s, uint64_t now);
void lw_stop_reading(struct stream *s, bool unread);
bool lw_finished(const struct stream *s);
void lw_close(struct stream *s, uint64_t now);
void lw_abort(struct stream *s, uint64_t now);
void lw_free(struct stream *s);

#endif
