# SPDX-License-Identifier: MIT
"""
Sections on network devices: TCP over each, compared with raw frames on the same device and, where possible, with the
kernel on the same link.
"""

import contextlib
import tempfile

from harness import Failed, Server, interleave, progress, read_json, run, set_goal, summary
from stacks import ADDRESS, can, requests_load, veth

# The options of both ends, and the limit on the ratio of the round trips of TCP to those of raw frames.
DEVICES = {"xdp, native": ("xdp", [f"mode=native,name=v{end}" for end in (0, 1)], 1.15),
           "xdp, generic": ("xdp", [f"mode=generic,name=v{end}" for end in (0, 1)], 1.15),
           "packet": ("packet", [f"name=v{end}" for end in (0, 1)], 1.15),
           "dpdk, memif": ("dpdk", [f"vdev=net_memif0;role={role};socket=@{{folder}}/wire" for role in
                                    ("server", "client")], 1.25)}
# The least ratio of requests per second to kernel sockets, with 16 requests on each connection.
REQUESTS = {"xdp, native": 2.5, "packet": 1.8}
OURS = [ADDRESS.format(11), ADDRESS.format(12)]  # the kernel's are 1 and 2


def raw_frames(bench, places, device, options):
    """Round trip p50 in us of raw frames."""
    count = bench.scale["messages"]
    program = [bench.path("bench/frames"), "--device", device]
    server = [*places[0], *program, "--device-options", options[0], "--own", OURS[0], "--server", "--cpu",
              str(bench.server_cpu)]
    with Server(server):
        out = run([*places[1], *program, "--device-options", options[1], "--own", OURS[1], "--peer", OURS[0], "--count",
                   str(count), "--warmup", str(count // 10), "--cpu", str(bench.client_cpu)])
    return read_json(out)["p50"] / 1000


def round_trips(bench):
    """The client's options, and a function from its result to the median in us."""
    count = bench.scale["messages"]
    return ["--count", str(count), "--warmup", str(count // 10)], lambda result: result["latency_ns"]["p50"] / 1000


def tcp(bench, places, device, options, load=round_trips):
    args, told = load(bench)
    env = [{"DMTR_LIBOS": "inet", "DMTR_WAIT_POLICY": "spin", "DMTR_INET_DEVICE": device,
            "DMTR_INET_DEVICE_OPTIONS": options[end], "DMTR_INET_ADDRESS": f"{OURS[end]}/24"} for end in (0, 1)]
    server = [*places[0], bench.path("apps/echo/echo-server"), "--quiet", "--cpu", str(bench.server_cpu), "--address",
              OURS[0]]
    client = [*places[1], bench.path("apps/echo/echo-client"), "--cpu", str(bench.client_cpu), "--address", OURS[0], *args]
    return told(bench.echo((server, env[0]), (client, env[1])))


def kernel_tcp(bench, places):
    args, told = round_trips(bench)
    address = ["--address", ADDRESS.format(1)]
    server, env = bench.baseline_server("spin", *address)
    client, _ = bench.baseline_client("spin", *address, *args)
    return told(bench.echo(([*places[0], *server], env), ([*places[1], *client], env)))


def on_a_wire(bench, places, name, measure, **more):
    device, options, _ = DEVICES[name]
    with tempfile.TemporaryDirectory() as folder:
        return measure(bench, places, device, [text.replace("{folder}", folder) for text in options], **more)


def requests_section(bench, name, places):
    """A load like a key-value store's: the same server and client over the device and over kernel sockets."""
    address = ["--address", ADDRESS.format(1)]
    rows = []
    for outstanding in (1, 16):
        load = requests_load(bench, outstanding)
        args, told = load
        kernel = [[*place, bench.path(f"apps/echo/echo-{end}"), "--cpu", str(cpu), *address, *more] for place, end, cpu, more
                  in zip(places, ("server", "client"), (bench.server_cpu, bench.client_cpu), (["--quiet"], args))]
        env = {"DMTR_WAIT_POLICY": "spin"}
        contestants = {
            name: lambda load=load: on_a_wire(bench, places, name, tcp, load=lambda _: load),
            "kernel sockets": lambda kernel=kernel, told=told: told(bench.echo((kernel[0], env), (kernel[1], env))),
        }
        results = interleave(bench.scale["rounds"], contestants, lambda measure: measure())
        for contestant, r in results.items():
            row = {"name": f"{contestant}, {outstanding} outstanding on each", **summary(r, results["kernel sockets"])}
            judged = outstanding == 16 and contestant in REQUESTS
            rows.append(set_goal(row, "ratio_min", REQUESTS[contestant]) if judged else row)
    return {"key": f"device_requests_{name.replace(', ', '_')}", "kind": "counts", "unit": "requests/s", "rows": rows,
            "title": f"64-byte requests on 50 connections by {name} over veth, both ends spinning; ratios to kernel sockets"}


def device_section(bench, name, places):
    most = DEVICES[name][2]

    contestants = {"raw frames": lambda: on_a_wire(bench, places, name, raw_frames),
                   "TCP": lambda: on_a_wire(bench, places, name, tcp)}
    if any(places):
        contestants["kernel TCP"] = lambda: kernel_tcp(bench, places)
    results = interleave(bench.scale["rounds"], contestants, lambda measure: measure())
    rows = [{"name": contestant, **summary(rounds, results["raw frames"])} for contestant, rounds in results.items()]
    set_goal(rows[1], "ratio_max", most)
    if any(places):
        times = {"name": "kernel TCP, against TCP", **summary(results["kernel TCP"], results["TCP"])}
        rows.append(set_goal(times, "ratio_min", 2.0))
    return {"key": f"device_{name.replace(', ', '_')}", "kind": "counts", "unit": "us, p50", "rows": rows,
            "title": f"Echo of 64 bytes by {name}{' over veth' * any(places)}, both ends spinning; ratios to raw frames"}


def device_sections(bench):
    has_veth = can(veth)
    for name, (device, _, _) in DEVICES.items():
        if device != "dpdk" and not has_veth:
            continue
        try:
            with contextlib.nullcontext(([], [])) if device == "dpdk" else veth() as places:
                yield device_section(bench, name, places)
                if any(places):
                    yield requests_section(bench, name, places)
        except Failed as e:
            progress(f"skipped {name}: {e}")
