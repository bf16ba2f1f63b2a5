/* SPDX-License-Identifier: MIT */
/* The subcommands of dmtr. Each has the arguments of main, with its name in argv[0], and returns an exit status. */
#ifndef DMTR_TOOL_H
#define DMTR_TOOL_H

int command_ss(int argc, char *argv[]);
int command_options(int argc, char *argv[]);
int command_version(int argc, char *argv[]);

#endif
