# SPDX-License-Identifier: MIT
"""The programs over lwIP and over the library's own stack, by configuration alone: two processes on a wire in memory."""

import json
import os
import tempfile

import apps
from apps import Server, run

# Who serves and who asks: lwIP and our own stack in both parts, and lwIP alone.
PAIRS = [("inet", "lwip"), ("lwip", "inet"), ("lwip", "lwip")]


def end(folder, libos, number, listen, **options):
    """The environment of one end of a wire."""
    group = libos.upper()
    return {"DMTR_LIBOS": libos, f"DMTR_{group}_DEVICE": "shm", f"DMTR_{group}_ADDRESS": f"10.79.0.{number}/24",
            f"DMTR_{group}_DEVICE_OPTIONS": f"path={os.path.join(folder, 'wire')},listen={listen}", **options}


def echo(protocol, *args, messages=500, **options):
    """Over datagrams (--udp), streams (none) or messages on streams (--framed), for every pair."""
    for server, client in PAIRS:
        with tempfile.TemporaryDirectory() as folder:
            server_end = end(folder, server, 1, "yes", **options)
            with Server("echo-server", *protocol, "--address", "10.79.0.1", env=server_end) as s:
                out, _ = run("echo-client", *protocol, "--address", "10.79.0.1", "--port", s.port, "--count", messages,
                             "--warmup", 0, "--json", "-", "--quiet", *args, env=end(folder, client, 2, "no", **options))
                assert json.loads(out)["messages"] == messages, (server, client, out)


def test_datagrams_are_echoed():
    echo(["--udp"])


def test_streams_are_echoed():
    echo([])


def test_messages_on_streams_are_echoed():
    echo(["--framed"], "--size", 3000)


def test_echoes_pass_while_both_sleep():
    echo(["--udp"], DMTR_WAIT_POLICY="block")
    echo([], DMTR_WAIT_POLICY="block")


def test_a_datagram_larger_than_a_frame_is_put_together():
    echo(["--udp"], "--size", 5000, "--connections", 4)


def test_many_connections_carry_much():
    echo([], "--size", 100000, "--connections", 20)


def test_a_server_outlives_its_clients():
    for server, client in PAIRS:
        with tempfile.TemporaryDirectory() as folder:
            with Server("echo-server", "--address", "10.79.0.1", env=end(folder, server, 1, "yes")) as s:
                for _ in range(3):
                    run("echo-client", "--address", "10.79.0.1", "--port", s.port, "--count", 50, "--quiet",
                        env=end(folder, client, 2, "no"))


def test_relays_pass_on_from_lwip_to_the_kernel():
    for protocol in (["--udp"], []):
        with tempfile.TemporaryDirectory() as folder, Server("echo-server", *protocol) as target, \
                Server("dmtr-relay", *([] if protocol else ["--tcp"]), "--address", "10.79.0.1", "--target", "127.0.0.1",
                       "--target-port", target.port, "--target-network", "posix",
                       env=end(folder, "lwip", 1, "yes")) as relay:
            out, _ = run("echo-client", *protocol, "--address", "10.79.0.1", "--port", relay.port, "--count", 500,
                         "--warmup", 0, "--connections", 4, "--json", "-", "--quiet", env=end(folder, "inet", 2, "no"))
            assert json.loads(out)["messages"] == 500, (protocol, out)


def test_lwip_takes_one_address():
    with tempfile.TemporaryDirectory() as folder:
        _, errors = run("echo-client", "--port", 7, env={"DMTR_LIBOS": "lwip", "DMTR_LWIP_DEVICE": "shm",
                                                         "DMTR_LWIP_DEVICE_OPTIONS": f"path={folder}/w,listen=yes",
                                                         "DMTR_LWIP_ADDRESS": "10.79.0.1/24,10.80.0.1/24"}, status=1)
        assert "lwip.address" in errors and "an IPv4 address with its prefix" in errors, errors


apps.main(apps.collect(globals()))
