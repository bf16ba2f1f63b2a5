# SPDX-License-Identifier: MIT
"""What the log tells of a device: how it was opened, what happens to its link, and frames that come unfinished."""

import re
import subprocess
import time

import apps
from wires import OURS, ROW, VETH, beside_device, expect, main, our_server

INFO = {"DMTR_LOG_LEVEL": "info"}
OVER = "dmtr0" if ROW.device == "tap" else "dmtr1"
NAME = f"device {ROW.device} ({OVER})"
UP, DOWN = (f"{NAME}: the link is {state}" for state in ("up", "down"))


def ip(arguments):
    """On the interface that the device is on."""
    with beside_device():
        expect(f"ip link set {OVER} {arguments}")


def mac_of_device():
    with beside_device():
        shown = subprocess.run(["ip", "-o", "link", "show", OVER], capture_output=True, text=True, check=True).stdout
    return re.search(r"link/ether (\S+)", shown)[1]


def test_a_start_is_logged_with_all_that_was_chosen():
    with our_server("echo-server", "--quiet", **INFO) as server:
        line, = [line for line in server.stderr().splitlines() if "address " in line]
    assert f"info: inet: {NAME}" in line and f"address {OURS}/24" in line and "queue 0 of 1" in line, line
    assert "MTU 1500" in line and re.search(r"MAC (\w\w:){5}\w\w", line), line
    if ROW.device == "tap":
        assert "offloads: checksums, segmentation" in line, line
        return
    assert mac_of_device() in line and "offloads: none" in line, line
    if ROW.device == "xdp":
        assert f"{NAME}, {re.search('mode=(.*)', ROW.options)[1]}, queue" in line, line


def test_nothing_of_it_is_logged_at_the_default_level():
    with our_server("echo-server", "--quiet") as server:
        with server.connect() as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        assert server.stderr() == "", server.stderr()


def await_count(server, text, count):
    """Until the log has told it so often."""
    deadline = time.monotonic() + apps.TIMEOUT_S
    while server.stderr().count(text) < count:
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.01)


def await_device(server):
    """Until the device, which may have been opened before its link came up, has seen that. How often that was told."""
    first = next(line for line in server.stderr().splitlines() if "queue 0 of" in line)
    ups = int("link down" in first)
    await_count(server, UP, ups)
    return ups


def test_changes_of_the_link_are_logged():
    with our_server("echo-server", "--quiet", DMTR_WAIT_POLICY="spin", **INFO) as server:
        ups = await_device(server)
        expect("ip link set dmtr0 down")
        server.await_stderr(DOWN)
        expect("ip link set dmtr0 up")
        await_count(server, UP, ups + 1)
        ip("mtu 1400")
        server.await_stderr(f"{NAME}: the MTU is 1400 now, and was 1500")


def test_several_runtimes_log_a_change_once():
    if ROW.device == "xdp":  # a queue for each
        with beside_device():
            expect("ethtool -L dmtr1 rx 2 tx 2")
    with our_server("echo-server", "--quiet", "--threads", 2, DMTR_INET_QUEUES="2", DMTR_WAIT_POLICY="spin",
                    **INFO) as server:
        ups = await_device(server)
        expect("ip link set dmtr0 down")
        server.await_stderr(DOWN)
        expect("ip link set dmtr0 up")
        await_count(server, UP, ups + 1)
        errors = server.stderr()
    assert errors.count(DOWN) == 1 and errors.count(UP) == ups + 1, errors


def send_much(server, bytes_count):
    """To a server that may get nothing of it; the kernel goes on sending for us."""
    sock = server.connect()
    sock.setblocking(False)
    sock.send(b"x" * bytes_count)
    return sock


def test_frames_that_the_sender_left_to_its_interface_are_told_with_the_remedy():
    """A veth hands on what no interface has finished: without checksums, and as long as TSO makes it."""
    with our_server("echo-server", "--quiet", DMTR_WAIT_POLICY="spin") as server:
        if ROW.device == "packet":  # knows of the checksums, and has no room for the length
            expect("ethtool -K dmtr0 tx on sg on tso on gso on")
            with send_much(server, 100000):
                server.await_stderr("longer than the MTU of 1500")
            remedy = "`ethtool -K dmtr1 gro off lro off`"
        else:  # its frames say nothing of checksums
            sock = server.connect()
            expect("ethtool -K dmtr0 tx on")
            with sock:
                sock.sendall(b"x")
                server.await_stderr("dropped because of their checksums")
            remedy = "checksums"
        lines = server.stderr().splitlines()
    assert len(lines) == 1 and f"warning: inet: {NAME}: " in lines[0], lines  # rate-limited
    assert "`ethtool -K IF tx off`" in lines[0] and "at the other end of dmtr1" in lines[0] and remedy in lines[0], lines


if ROW.link is not VETH:
    del test_frames_that_the_sender_left_to_its_interface_are_told_with_the_remedy  # TAP says what is unfinished
main(apps.collect(globals()))
