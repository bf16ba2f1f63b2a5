# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# steps.sh, to be sourced: runs the steps of a script and names a step that fails.

# step WHAT COMMAND...: runs the command; on failure prints the name of the step and ends the script.
step() {
    step_name=$1
    shift
    "$@" || step_failed $? "$@"
}

# quiet_step WHAT COMMAND...: as step, but prints the command's output only if it fails.
quiet_step() {
    step_name=$1
    shift
    step_output=$("$@" 2>&1) || {
        step_code=$?
        printf '%s\n' "$step_output" >&2
        step_failed $step_code "$@"
    }
}

step_failed() {
    step_code=$1
    shift
    echo "${0##*/}: $step_name: failed with exit code $step_code: $*" >&2
    exit 1
}
