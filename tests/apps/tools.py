# SPDX-License-Identifier: MIT
"""dmtr-latency and the dmtr tool, with valid and invalid counter pages."""

import contextlib
import fcntl
import glob
import json
import os
import re
import struct
import tempfile

import apps
from apps import Server, run

MAGIC = 0x646d747263747231
FOLDER = "/dev/shm"


def test_latency_measures_every_component_it_lists():
    listed = [line.split()[0] for line in run("dmtr-latency", "--list")[0].splitlines()]
    with tempfile.NamedTemporaryFile("r") as f:
        out, _ = run("dmtr-latency", "--quick", "--json", f.name)
        components = json.load(f)["components"]
    assert [c["name"] for c in components] == listed and len(listed) > 30, components
    assert all(c["median_ns"] >= c["min_ns"] >= 0 for c in components), components
    assert [line.split()[0] for line in out.splitlines()] == listed, out


def test_latency_runs_one_component_for_the_given_iterations():
    out, _ = run("dmtr-latency", "--component", "queue-message", "--iterations", 7, "--json", "-")
    component, = json.loads(out)["components"]
    assert component["iterations"] == 7, component
    _, errors = run("dmtr-latency", "--component", "no-such", status=2)
    assert "no-such" in errors, errors


def test_ss_shows_a_running_process():
    with Server("echo-server") as server, server.connect() as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        pid = server.process.pid
        shown, = json.loads(run("dmtr", "ss", "--json", "--pid", pid)[0])
        assert shown["pid"] == pid and shown["command"] == "echo-server" and shown["runtime"] == 0, shown
        assert shown["counters"]["queues_opened"] == 2, shown
        table, _ = run("dmtr", "ss", "--pid", pid)
        assert re.search(r"queues_opened +2", table), table
        assert "wakes" not in table and "wakes" in run("dmtr", "ss", "--all", "--pid", pid)[0]
    out, errors = run("dmtr", "ss", "--json", "--pid", pid, status=1)
    assert out.strip() == "[]" and f"there is no process {pid}" in errors, (out, errors)


@contextlib.contextmanager
def page(content, locked=True, name=None):
    """Makes a counter page with our pid. A lock marks it as the page of a running process."""
    path = os.path.join(FOLDER, name or f"dmtr.{os.getpid()}.999")
    try:
        with open(path, "wb") as f:
            if locked:
                fcntl.flock(f, fcntl.LOCK_EX)
            f.write(content)
            f.flush()
            yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def header(**changes):
    h = {"magic": MAGIC, "pid": os.getpid(), "runtime": 999, "start": 0, "comm": b"test", "count": 2, "name_len": 8,
         "text_len": 8, "names": 88, "texts": 104, "values": 72, **changes}
    return struct.pack("<QIIQ16sIIIIII", h["magic"], h["pid"], h["runtime"], h["start"], h["comm"], h["count"],
                       h["name_len"], h["text_len"], h["names"], h["texts"], h["values"]).ljust(72, b"\0")


BODY = struct.pack("<QQ", 3, 4) + b"one\0\0\0\0\0" + b"two\0\0\0\0\0" + b"texts..." * 2


def show(status=0):
    out, errors = run("dmtr", "ss", "--json", "--pid", os.getpid(), status=status)
    return json.loads(out), errors


def need_pages():
    if not os.access(FOLDER, os.W_OK):
        raise apps.Skip(f"{FOLDER} cannot be written")
    run("dmtr", "ss", "--clean", "--pid", os.getpid())  # a killed program may have had the same pid


def test_ss_shows_a_page_of_another_version():
    need_pages()
    with page(header() + BODY):
        shown, errors = show()
    assert shown[0]["counters"] == {"one": 3, "two": 4} and not errors, (shown, errors)


def test_ss_replaces_unprintable_characters():
    need_pages()
    with page(header(comm=b'a"\\\x1b\n\xffzzzzzzzzzz') + BODY.replace(b"one\0\0\0\0\0", b'"\x07\\abcde')):
        shown, _ = show()
    assert shown[0]["command"] == "a?????zzzzzzzzzz" and shown[0]["counters"]["???abcde"] == 3, shown


def test_ss_ignores_invalid_pages():
    need_pages()
    changes = [{"magic": 1}, {"pid": 1}, {"runtime": 1}, {"count": 0}, {"count": 3}, {"count": 0xffffffff},
               {"name_len": 0}, {"name_len": 0xffffffff}, {"text_len": 0x80000000}, {"names": 0xffffffff},
               {"names": 4}, {"texts": 105}, {"values": 73}, {"values": 0xfffffff8}, {"values": 0}]
    contents = [header(**change) + BODY for change in changes]
    contents += [b"", b"x", header()[:40], header() + BODY[:-1], os.urandom(4096), b"\0" * 200000]
    for content in contents:
        with page(content):
            shown, errors = show(status=1)
        assert shown == [] and "not a valid page" in errors, (content[:80], shown, errors)


def test_ss_does_not_follow_links_or_block_on_pipes():
    need_pages()
    path = os.path.join(FOLDER, f"dmtr.{os.getpid()}.998")
    for make in (lambda: os.symlink("/etc/passwd", path), lambda: os.mkfifo(path), lambda: os.mkdir(path)):
        make()
        try:
            shown, _ = show(status=1)
            assert shown == []
        finally:
            (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)


def test_ss_reports_stale_pages_and_removes_them():
    need_pages()
    for _ in range(100):
        with page(header() + BODY, locked=False) as path:
            shown, errors = show(status=1)
            if not os.path.exists(path):
                continue  # another program has removed the page as it started
            assert shown == [] and "1 left by programs that are gone" in errors, errors
            run("dmtr", "ss", "--clean", "--pid", os.getpid())
            assert not os.path.exists(path)
            return
    raise AssertionError("another program removes the stale page each time")


def test_ss_explains_why_it_shows_no_counters():
    _, errors = run("dmtr", "ss", "--pid", os.getppid(), status=1)
    assert f"process {os.getppid()} shares no counters" in errors and "stats.share" in errors, errors
    need_pages()
    if os.geteuid() != 0:
        raise apps.Skip("only root can be another user")
    with page(header() + BODY) as path:
        os.chmod(path, 0o600)
        _, errors = run("dmtr", "ss", "--pid", os.getpid(), status=1, user=65534)
    assert "Permission denied" in errors and "another user's" in errors and "as root" in errors, errors


def test_options_prints_every_key_in_every_format():
    keys = []
    for path in glob.glob(os.environ["APPS_SOURCE"] + "/*/**/*.h", recursive=True):
        with open(path, encoding="utf-8") as f:
            keys += re.findall(r'^    (?:UINT|ENUM|BOOL|STRING)\((?:prefix )?"([\w.]+)", \w', f.read(), re.MULTILINE)
    assert len(keys) > 35, keys
    for style in ("plain", "mdoc", "markdown"):
        out, _ = run("dmtr", "options", "--format", style)
        assert all(key in out for key in keys), style
    run("dmtr", "options", "--format", "interpretive-dance", status=2)


def test_options_prints_every_device_in_every_format():
    for style in ("plain", "mdoc", "markdown"):
        out, _ = run("dmtr", "options", "--devices", "--format", style)
        assert all(text in out for text in ("packet", "busy_poll", "fail_every", "Any kernel interface")), style


def test_the_tool_prints_version_and_help():
    assert run("dmtr", "version")[0].strip() == f"dmtr {os.environ['APPS_VERSION']}"
    for args in (["--help"], ["help"], ["ss", "--help"]):
        assert "Usage:" in run("dmtr", *args)[0]
    for args in ([], ["nonsense"], ["ss", "--nonsense"], ["version", "operand"]):
        run("dmtr", *args, status=2)


apps.main(apps.collect(globals()))
