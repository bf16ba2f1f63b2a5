/* SPDX-License-Identifier: MIT */
/* The end of a TCP connection over lwIP. */
#include "libos/lwip/stream.h"

#include "base/sys.h"
#include "libos/lwip/host.h"

#include "lwip/tcp.h"

void lw_free(struct stream *s) {
    struct lw_stream *ls = lw_stream_of(s);
    lw_stream_discard_received(ls);
    lw_stream_release_held(ls, UINT64_MAX);
    list_remove(&ls->pending);
    list_remove(&ls->finishing);
    sys_free(ls);
}

void lw_shutdown(struct stream *s, uint64_t now) {
    struct lw_stream *ls = lw_stream_of(s);
    (void)now;
    if (!ls->pcb) return;
    list_push_back(&ls->net->finishing, &ls->finishing);
    tcp_shutdown(ls->pcb, 0, 1);
}

void lw_stop_reading(struct stream *s, bool unread) {
    struct lw_stream *ls = lw_stream_of(s);
    ls->unread = lw_stream_discard_received(ls) || unread;
}

bool lw_finished(const struct stream *s) {
    const struct tcp_pcb *pcb = lw_stream_of(s)->pcb;
    return !pcb || pcb->state == FIN_WAIT_2;
}

void lw_abort(struct stream *s, uint64_t now) {
    struct lw_stream *ls = lw_stream_of(s);
    struct tcp_pcb *pcb = lw_stream_detach(ls);
    (void)now;
    if (pcb) tcp_abort(pcb);
    ls->ended = false; /* after a failed connect the application may try again */
    ls->error = 0;
}

static void reset_unaccepted(struct lw_stream *listener, uint64_t now) {
    for (struct list *l; (l = list_first(&listener->accepted));) {
        struct stream *s = list_entry(l, struct stream, link);
        lw_abort(s, now);
        stream_free(s);
    }
}

/* tcp_close would also reset by itself, but only if lwIP has the unread data. */
void lw_close(struct stream *s, uint64_t now) {
    struct lw_stream *ls = lw_stream_of(s);
    reset_unaccepted(ls, now);
    struct tcp_pcb *pcb = lw_stream_detach(ls);
    if (pcb && ls->unread)
        tcp_abort(pcb);
    else if (pcb)
        host_release(pcb);
}

void lw_stream_find_ended(struct lw_net *net) {
    struct list *l, *tmp;
    list_for_each (&net->finishing, l, tmp) {
        struct lw_stream *s = list_entry(l, struct lw_stream, finishing);
        if (s->pcb && s->pcb->state == TIME_WAIT) { /* lwIP frees it without a callback */
            lw_stream_detach(s);
            s->ended = true;
        }
        if (!lw_finished(&s->stream)) continue;
        list_remove(l);
        lw_stream_add_event(s);
    }
}
