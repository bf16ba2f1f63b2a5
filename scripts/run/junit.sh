# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# junit.sh, to be sourced: writes reports in the format that scripts/run/summary.py reads.

# junit_case NAME [skipped|failure TEXT]: prints a test; without an outcome it passed.
junit_case() {
    junit_outcome=
    if [ $# -gt 1 ]; then
        junit_text=$(printf '%s' "$3" | tr -d '\000-\010\013-\037' |
            sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g' | tr '\n' ' ')
        junit_outcome="<$2 message=\"$junit_text\"/>"
    fi
    printf '<testcase name="%s">%s</testcase>\n' "$1" "$junit_outcome"
}

# junit_report SUITE: prints the tests on standard input as a report.
junit_report() {
    printf '<testsuites><testsuite name="%s">\n%s\n</testsuite></testsuites>\n' "$1" "$(cat)"
}
