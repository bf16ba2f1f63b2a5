"""The programs over the library's own stack, by configuration alone: two processes on a wire in shared memory."""

import json
import os
import tempfile

import apps
from apps import Server, run


def ends(folder, **options):
    """The environments of the two ends of a wire: the one that listens, and the one that connects."""
    wire = os.path.join(folder, "wire")
    return [{"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": "shm", "DMTR_INET_ADDRESS": f"10.77.0.{number}/24",
             "DMTR_INET_DEVICE_OPTIONS": f"path={wire},listen={listen}", **options}
            for number, listen in ((1, "yes"), (2, "no"))]


def echo(protocol, *args, **options):
    """Over datagrams (--udp), streams (none) or messages on streams (--framed)."""
    with tempfile.TemporaryDirectory() as folder:
        server_end, client_end = ends(folder, **options)
        with Server("echo-server", *protocol, "--address", "10.77.0.1", env=server_end) as server:
            out, _ = run("echo-client", *protocol, "--address", "10.77.0.1", "--port", server.port, "--count", 500,
                         "--warmup", 0, "--json", "-", "--quiet", *args, env=client_end)
            assert json.loads(out)["messages"] == 500, out


def test_an_echo_passes_between_two_processes():
    echo(["--udp"])
    echo([])
    echo(["--framed"])


def test_an_echo_passes_while_both_sleep():
    echo(["--udp"], DMTR_WAIT_POLICY="block")
    echo([], DMTR_WAIT_POLICY="block")


def test_an_echo_larger_than_a_frame_passes_on_many_sockets():
    echo(["--udp"], "--size", 5000, "--connections", 4)
    echo([], "--size", 100000, "--connections", 20)


def test_a_server_outlives_its_clients():
    with tempfile.TemporaryDirectory() as folder:
        server_end, client_end = ends(folder)
        with Server("echo-server", "--udp", "--address", "10.77.0.1", env=server_end) as server:
            for _ in range(3):
                run("echo-client", "--udp", "--address", "10.77.0.1", "--port", server.port, "--count", 50,
                    env=client_end)


def test_a_server_on_several_threads():
    with tempfile.TemporaryDirectory() as folder:
        server_end, client_end = ends(folder)
        server_end["DMTR_INET_QUEUES"] = "4"
        with Server("echo-server", "--threads", 4, "--address", "10.77.0.1", env=server_end) as server:
            out, _ = run("echo-client", "--address", "10.77.0.1", "--port", server.port, "--count", 2000, "--connections",
                         40, "--warmup", 0, "--json", "-", "--quiet", env=client_end)
            assert json.loads(out)["messages"] == 2000, out


def test_what_is_missing_is_named():
    _, errors = run("echo-client", "--udp", "--port", 7, env={"DMTR_LIBOS": "inet"}, status=1)
    assert "inet.device=NAME" in errors and "shm" in errors, errors


apps.main(apps.collect(globals()))
