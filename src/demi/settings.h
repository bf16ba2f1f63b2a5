/* What the file that CONFIG_PATH names asks for. */
#ifndef DEMI_SETTINGS_H
#define DEMI_SETTINGS_H

/* Options of every new TCP socket; SETTING_UNSET leaves one as the system has it. */
#define SETTING_UNSET (-1)

struct settings {
    int nodelay;
    int keepalive;
    int linger;
    int linger_seconds;
};

#define SETTINGS_ERROR_MAX 512

#define SETTINGS_NONE                                                                                                  \
    { SETTING_UNSET, SETTING_UNSET, SETTING_UNSET, SETTING_UNSET }

/*
 * Reads the file at path over *s. 0, or a positive errno with one line in error that names file, line and key.
 * EINVAL: wrong content; others: the file cannot be read.
 */
int settings_load(struct settings *s, const char *path, char error[SETTINGS_ERROR_MAX]);

/* Applies s to a fresh TCP socket; accepted connections inherit from their listener. 0 or a positive errno. */
int settings_apply(const struct settings *s, int qd);

#endif
