# SPDX-License-Identifier: MIT
"""The library on another C library: built with musl-gcc, it carries echoes over both of the kernel's interfaces."""
import os
import shutil
import subprocess
import sys

import apps

ROOT = sys.argv[1]


def test_programs_built_with_musl_echo():
    if not shutil.which("musl-gcc"):
        raise apps.Skip("no musl-gcc: install the package musl-tools")
    for engine in ("epoll", "auto"):
        done = subprocess.run([os.path.join(ROOT, "scripts/run/musl"), "--count", "2000"], text=True, timeout=500,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env={**os.environ, "DMTR_POSIX_ENGINE": engine})
        assert done.returncode == 0 and "p99" in done.stdout, done.stdout
    needed = subprocess.run(["readelf", "-d", os.path.join(ROOT, "build-musl/libdmtr.so")], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    assert "[libc.so]" in needed and "libc.so.6" not in needed, needed


apps.main(apps.collect(globals()))
