"""Adds up the JUnit reports of several builds: reasons for skips, failures, and a closing line with the totals."""
import os
import sys
import xml.etree.ElementTree as xml


def cases(path):
    for suite in xml.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            yield f"{suite.get('name')}: {case.get('name')}", case


def main(paths):
    passed = failed = 0
    skips = {}
    for path in paths:
        build = os.path.basename(path).removesuffix(".junit.xml")
        for name, case in cases(path):
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"FAILED in {build}: {name}")
            elif skip is not None:
                skips.setdefault(f"{name}: {skip.get('message') or (skip.text or '').strip() or 'no reason'}", []).append(build)
            else:
                passed += 1
    for name, where in sorted(skips.items()):
        print(f"skipped in {', '.join(where)}: {name}")
    print(f"{passed} passed, {failed} failed, {sum(map(len, skips.values()))} skipped")
    return failed or not passed


sys.exit(1 if main(sys.argv[1:]) else 0)
