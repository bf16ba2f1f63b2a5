"""
The programs over libos inet and the device dpdk, by configuration alone: two processes on a wire that needs neither a
network card, privileges nor hugepages. The argument says which: memif, or vhost with virtio_user.
"""

import json
import os
import signal
import sys
import tempfile

import apps
from apps import Server, run

WIRE = sys.argv[1]
WIRES = {
    "memif": ["vdev=net_memif0;role=server;socket=@PATH", "vdev=net_memif0;role=client;socket=@PATH"],
    "vhost": ["vdev=net_vhost0;iface=@PATH", "vdev=virtio_user0;path=@PATH"],
}


def ends(folder, **options):
    """The environments of the two ends of a wire: the one that listens, and the one that connects."""
    path = os.path.join(folder, "wire")
    return [{"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": "dpdk", "DMTR_INET_ADDRESS": f"10.78.0.{number}/24",
             "DMTR_INET_DEVICE_OPTIONS": WIRES[WIRE][number - 1].replace("@PATH", path), **options}
            for number in (1, 2)]


def need_dpdk():
    _, errors = run("echo-client", "--udp", "--port", 7, env={"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": "nonsense"},
                    status=1)
    if "dpdk" not in errors:
        raise apps.Skip("this build has no device dpdk: libdpdk was not found")


def client(port, *args, env):
    out, _ = run("echo-client", "--address", "10.78.0.1", "--port", port, "--count", 300, "--warmup", 0, "--json", "-",
                 "--quiet", *args, env=env)
    assert json.loads(out)["messages"] == 300, out


def end(server):
    """How a server ends whose client has just gone says nothing on memif: see below."""
    if WIRE == "memif":
        server.ends_with = server.stop(signal.SIGKILL)


def echo(protocol, *args, **options):
    need_dpdk()
    with tempfile.TemporaryDirectory() as folder:
        server_end, client_end = ends(folder, **options)
        with Server("echo-server", *protocol, "--address", "10.78.0.1", env=server_end) as server:
            client(server.port, *protocol, *args, env=client_end)
            end(server)


def test_streams_and_datagrams_are_echoed():
    echo([])
    echo(["--udp"])


def test_an_echo_larger_than_a_frame_passes_on_many_sockets():
    echo([], "--size", 100000, "--connections", 10)
    echo(["--udp"], "--size", 5000, "--connections", 4)


def test_an_echo_passes_while_both_would_sleep():
    echo([], DMTR_WAIT_POLICY="block")


if WIRE != "memif":  # DPDK's memif unmaps its rings under those who use them when the other end goes
    def test_a_server_outlives_its_clients():
        need_dpdk()
        with tempfile.TemporaryDirectory() as folder:
            server_end, client_end = ends(folder)
            with Server("echo-server", "--address", "10.78.0.1", env=server_end) as server:
                for _ in range(3):
                    client(server.port, env=client_end)

    def test_a_client_that_was_killed_can_be_started_anew():
        need_dpdk()
        with tempfile.TemporaryDirectory() as folder:
            server_end, client_end = ends(folder)
            with Server("echo-server", "--address", "10.78.0.1", env=server_end) as server:
                with Server("echo-server", "--address", "10.78.0.2", env=client_end,
                            ends_with=-signal.SIGKILL) as killed:
                    killed.stop(signal.SIGKILL)
                client(server.port, env=client_end)


apps.main(apps.collect(globals()))
