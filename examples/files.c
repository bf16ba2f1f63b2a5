/* SPDX-License-Identifier: MIT */
/* Writes lines to a file, reads it back, and counts them. The operations of a file queue are done in order. */
#include "check.h"
#include <dmtr/dmtr.h>
#include <fcntl.h>

#define LINES 100

static void append_line(int qd, int number) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    char *line;
    check(dmtr_malloc((void **)&line, 32));
    int bytes = snprintf(line, 32, "line %d\n", number);
    check(dmtr_push_buf(&qt, qd, line, (size_t)bytes)); /* the library frees the line */
    check(dmtr_wait(&qr, qt));
}

/* Counts the lines from the cursor to the end of the file, which is a pop without segments. */
static int count_lines(int qd) {
    int lines = 0;
    for (;;) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        check(dmtr_pop(&qt, qd));
        check(dmtr_wait(&qr, qt));
        dmtr_sgarray_t *sga = &qr.qr_value.sga;
        if (sga->sga_numsegs == 0) return lines;
        const char *text = sga->sga_segs[0].sgaseg_buf;
        for (uint32_t i = 0; i < sga->sga_segs[0].sgaseg_len; i++)
            lines += text[i] == '\n';
        check(dmtr_sgafree(sga));
    }
}

int main(int argc, char *argv[]) {
    const char *path = argc > 1 && argv[1][0] != '-' ? argv[1] : "lines.txt";
    off_t offset;
    int qd;
    check(dmtr_init(argc, argv));
    check(dmtr_open2(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0644));
    for (int i = 0; i < LINES; i++)
        append_line(qd, i);
    check(dmtr_fsync(qd)); /* blocks until the data is on the disk */
    check(dmtr_lseek(qd, 0, SEEK_SET, &offset));
    printf("%d lines\n", count_lines(qd));
    check(dmtr_close(qd));
    check(dmtr_fini());
    return 0;
}
