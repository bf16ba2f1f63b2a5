/* SPDX-License-Identifier: MIT */
/* The tool's subcommands: each a main of its own, argv[0] being its name. They return an exit status. */
#ifndef DMTR_TOOL_H
#define DMTR_TOOL_H

int command_ss(int argc, char *argv[]);
int command_options(int argc, char *argv[]);
int command_version(int argc, char *argv[]);

#endif
