# SPDX-License-Identifier: MIT
"""Adds up the JUnit reports of several builds: reasons for skips, failures, and a closing line with the totals."""
import os
import re
import sys
import xml.etree.ElementTree as xml


def cases(path):
    for suite in xml.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            yield f"{suite.get('name')}: {case.get('name')}", case


def reason(case, skip):
    """The reason of a skip. meson writes it as output: for a subtest only the reason, for a whole test all its output."""
    output = (case.findtext("system-out") or "").strip()
    plan = re.search(r"^1\.\.0 *# *SKIP\w* *(.*)$", output, re.MULTILINE | re.IGNORECASE)
    printed = plan[1] if plan else output.partition("\n")[0]
    return skip.get("message") or (skip.text or "").strip() or printed or "no reason"


def main(paths):
    passed = failed = 0
    skips = {}
    for path in paths:
        build = os.path.basename(path).removesuffix(".junit.xml")
        for name, case in cases(path):
            skip = case.find("skipped")
            failure = case.find("failure") if case.find("failure") is not None else case.find("error")
            if failure is not None:
                failed += 1
                print(f"FAILED in {build}: {name}{': ' * bool(failure.get('message'))}{failure.get('message') or ''}")
            elif skip is not None:
                skips.setdefault(f"{name}: {reason(case, skip)}", []).append(build)
            else:
                passed += 1
    for name, where in sorted(skips.items()):
        print(f"skipped in {', '.join(where)}: {name}")
    print(f"{passed} passed, {failed} failed, {sum(map(len, skips.values()))} skipped")
    return failed or not passed


sys.exit(1 if main(sys.argv[1:]) else 0)
