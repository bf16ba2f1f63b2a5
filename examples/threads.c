/* SPDX-License-Identifier: MIT */
/*
 * Two threads, each with a runtime of its own. Descriptors and tokens belong to the thread that made them; memory may
 * be freed on any thread. The worker serves until the main thread ends its wait with dmtr_wake.
 */
#include "check.h"
#include <dmtr/dmtr.h>
#include <pthread.h>

struct worker {
    pthread_mutex_t mutex;
    pthread_cond_t ready;
    struct sockaddr_in addr; /* this and the next are valid when `listens` is set */
    dmtr_runtime_t runtime;
    bool listens;
    int served;
};

/* Tells the main thread where the worker listens, and how to wake it. */
static void publish(struct worker *w, int listener) {
    socklen_t len = sizeof w->addr;
    pthread_mutex_lock(&w->mutex);
    check(dmtr_getsockname(listener, (struct sockaddr *)&w->addr, &len));
    check(dmtr_runtime_current(&w->runtime));
    w->listens = true;
    pthread_cond_signal(&w->ready);
    pthread_mutex_unlock(&w->mutex);
}

static void *serve(void *arg) {
    struct worker *w = arg;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int listener, error;

    check(dmtr_init(0, NULL));
    check(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    check(dmtr_bind(listener, (struct sockaddr *)&addr, sizeof addr));
    check(dmtr_listen(listener, 16));
    publish(w, listener);
    check(dmtr_accept(&qt, listener));
    while ((error = dmtr_wait(&qr, qt)) != EINTR) {
        check(error);
        w->served++;
        check(dmtr_close(qr.qr_value.ares.qd));
        check(dmtr_accept(&qt, listener));
    }
    check(dmtr_fini());
    return NULL;
}

/* Connects, and waits until the worker closes the connection. */
static void visit(const struct sockaddr_in *addr) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int qd;
    check(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    check(dmtr_connect(&qt, qd, (const struct sockaddr *)addr, sizeof *addr));
    check(dmtr_wait(&qr, qt));
    check(dmtr_pop(&qt, qd));
    check(dmtr_wait(&qr, qt)); /* no segments: the end of the stream */
    check(dmtr_sgafree(&qr.qr_value.sga));
    check(dmtr_close(qd));
}

int main(int argc, char *argv[]) {
    struct worker w = {.mutex = PTHREAD_MUTEX_INITIALIZER, .ready = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    check(dmtr_init(argc, argv));
    check(pthread_create(&thread, NULL, serve, &w));
    pthread_mutex_lock(&w.mutex);
    while (!w.listens)
        pthread_cond_wait(&w.ready, &w.mutex);
    pthread_mutex_unlock(&w.mutex);

    for (int i = 0; i < 3; i++)
        visit(&w.addr);
    check(dmtr_wake(w.runtime));
    check(pthread_join(thread, NULL));
    printf("served %d connections\n", w.served);
    check(dmtr_fini());
    return 0;
}
