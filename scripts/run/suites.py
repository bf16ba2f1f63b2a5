# SPDX-License-Identifier: MIT
"""suites.py BUILD SUITE...: checks that each suite has a test in the build; prints those without one, and ends with 1."""
import json
import subprocess
import sys

build, wanted = sys.argv[1], sys.argv[2:]
tests = json.loads(subprocess.run(["meson", "introspect", "--tests", build], check=True, stdout=subprocess.PIPE).stdout)
there = {suite.split(":")[-1] for test in tests for suite in test["suite"]}
missing = [suite for suite in wanted if suite not in there]
if missing:
    sys.exit(f"no test is in: {', '.join(missing)}; there are: {', '.join(sorted(there))}")
