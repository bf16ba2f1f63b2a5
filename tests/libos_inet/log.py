# SPDX-License-Identifier: MIT
"""Log messages about a device: how it was opened, changes of its link, and frames without checksum or segmentation."""

import re
import subprocess
import time

import apps
from wires import OURS, ROW, VETH, device_namespace, expect, main, our_server

INFO = {"DMTR_LOG_LEVEL": "info"}
OVER = "dmtr0" if ROW.device == "tap" else "dmtr1"
NAME = f"device {ROW.device} ({OVER})"
UP, DOWN = (f"{NAME}: the link is {state}" for state in ("up", "down"))


def set_link(arguments):
    """Changes the interface of the device."""
    with device_namespace():
        expect(f"ip link set {OVER} {arguments}")


def mac_of_device():
    with device_namespace():
        shown = subprocess.run(["ip", "-o", "link", "show", OVER], capture_output=True, text=True, check=True).stdout
    return re.search(r"link/ether (\S+)", shown)[1]


def test_start_is_logged_with_the_chosen_settings():
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


def test_start_is_not_logged_at_the_default_level():
    with our_server("echo-server", "--quiet") as server:
        with server.connect() as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        assert server.stderr() == "", server.stderr()


def await_count(server, text, count):
    """Waits until the log contains text count times."""
    deadline = time.monotonic() + apps.TIMEOUT_S
    while server.stderr().count(text) < count:
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.01)


def await_device(server):
    """Waits until the device has seen its link up. Returns how often that was logged: once if it was down at first."""
    first = next(line for line in server.stderr().splitlines() if "queue 0 of" in line)
    ups = int("link down" in first)
    await_count(server, UP, ups)
    return ups


def test_link_changes_are_logged():
    with our_server("echo-server", "--quiet", DMTR_WAIT_POLICY="spin", **INFO) as server:
        ups = await_device(server)
        expect("ip link set dmtr0 down")
        server.await_stderr(DOWN)
        expect("ip link set dmtr0 up")
        await_count(server, UP, ups + 1)
        set_link("mtu 1400")
        server.await_stderr(f"{NAME}: the MTU is 1400 now, and was 1500")


def test_several_runtimes_log_a_link_change_once():
    if ROW.device == "xdp":  # needs one queue for each thread
        with device_namespace():
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
    """Sends to a server that may not receive it; the kernel keeps retransmitting."""
    sock = server.connect()
    sock.setblocking(False)
    sock.send(b"x" * bytes_count)
    return sock


def test_frames_that_rely_on_offloads_of_the_sender_are_reported_with_the_remedy():
    """A veth passes frames on unchanged: without checksums, and unsegmented."""
    with our_server("echo-server", "--quiet", DMTR_WAIT_POLICY="spin") as server:
        if ROW.device == "packet":  # knows that checksums are missing, but does not accept long frames
            expect("ethtool -K dmtr0 tx on sg on tso on gso on")
            with send_much(server, 100000):
                server.await_stderr("longer than the MTU of 1500")
            remedy = "`ethtool -K dmtr1 gro off lro off`"
        else:  # frames do not show whether checksums are missing
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
    del test_frames_that_rely_on_offloads_of_the_sender_are_reported_with_the_remedy  # TAP marks such frames
main(apps.collect(globals()))
