# SPDX-License-Identifier: MIT
"""The benchmark runner with small counts: the report is complete and valid."""

import json
import os
import subprocess
import sys
import tempfile

import apps

KEYS = ["tcp_spin", "tcp_spin_both", "udp_spin", "tcp_block_untuned", "throughput", "cpu", "instructions", "tokens",
        "idle", "heap", "served", "parts_tcp", "parts_udp", "stack_wire", "stack_peers", "stack_pair", "stack_many",
        "stack_runtimes", "stack_requests", "stack_open_loop", "stack_bulk"]


def test_a_smoke_run_writes_a_complete_report():
    if "io_uring" not in apps.engines():
        apps.no_io_uring()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, os.environ["APPS_BENCH"], "--smoke", "--build", apps.BUILD, "--output",
                               folder], capture_output=True, text=True, timeout=2 * apps.TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as f:
            report = json.load(f)
        with open(os.path.join(folder, "report.html"), encoding="utf-8") as f:
            page = f.read()
    sections = {s["key"]: s for s in report["sections"]}
    # tcp_block and device_... depend on the permissions of the machine.
    assert [k for k in sections if k != "tcp_block" and not k.startswith("device_")] == KEYS, list(sections)
    assert page.count("<svg") >= 5 and "http" not in page, "the page must have plots and no external references"
    for section in sections.values():
        assert section["title"] in done.stdout
        for row in section.get("rows", []):
            assert row["median"] is not None and ("goal" not in row or isinstance(row.get("met", True), bool)), row
    assert sections["tcp_spin"]["ring_us"] > 0 and len(sections["tcp_spin"]["rows"][0]["curve"]) > 100


apps.main(apps.collect(globals()))
