"""
Sections about network devices: TCP over each beside raw frames on the same device and, where it has one, the kernel on
the same wire.
"""

import contextlib
import tempfile

from harness import Failed, Server, interleave, progress, read_json, run, summary
from stacks import ADDRESS, can, veth

# The options of both ends, and how many times the round trip of raw frames that of TCP may take.
DEVICES = {"xdp, native": ("xdp", [f"mode=native,name=v{end}" for end in (0, 1)], 1.3),
           "xdp, generic": ("xdp", [f"mode=generic,name=v{end}" for end in (0, 1)], 1.3),
           "packet": ("packet", [f"name=v{end}" for end in (0, 1)], 1.3),
           "dpdk, memif": ("dpdk", [f"vdev=net_memif0;role={role};socket=@{{folder}}/wire" for role in
                                    ("server", "client")], 1.6)}
OURS = [ADDRESS.format(11), ADDRESS.format(12)]  # the kernel's are 1 and 2


def raw_frames(bench, places, device, options):
    """Round trip p50 in us of frames with nothing above."""
    count = bench.scale["messages"]
    program = [bench.path("bench/frames"), "--device", device]
    server = [*places[0], *program, "--device-options", options[0], "--own", OURS[0], "--server", "--cpu",
              str(bench.server_cpu)]
    with Server(server):
        out = run([*places[1], *program, "--device-options", options[1], "--own", OURS[1], "--peer", OURS[0], "--count",
                   str(count), "--warmup", str(count // 10), "--cpu", str(bench.client_cpu)])
    return read_json(out)["p50"] / 1000


def tcp(bench, places, device, options):
    count = bench.scale["messages"]
    env = [{"DMTR_LIBOS": "inet", "DMTR_WAIT_POLICY": "spin", "DMTR_INET_DEVICE": device,
            "DMTR_INET_DEVICE_OPTIONS": options[end], "DMTR_INET_ADDRESS": f"{OURS[end]}/24"} for end in (0, 1)]
    server = [*places[0], bench.path("apps/echo/echo-server"), "--quiet", "--cpu", str(bench.server_cpu), "--address",
              OURS[0]]
    client = [*places[1], bench.path("apps/echo/echo-client"), "--cpu", str(bench.client_cpu), "--address", OURS[0],
              "--count", str(count), "--warmup", str(count // 10)]
    return bench.echo((server, env[0]), (client, env[1]))["latency_ns"]["p50"] / 1000


def kernel_tcp(bench, places):
    count = bench.scale["messages"]
    address = ["--address", ADDRESS.format(1)]
    server, env = bench.baseline_server("spin", *address)
    client, _ = bench.baseline_client("spin", *address, "--count", str(count), "--warmup", str(count // 10))
    return bench.echo(([*places[0], *server], env), ([*places[1], *client], env))["latency_ns"]["p50"] / 1000


def device_section(bench, name, places):
    device, options, most = DEVICES[name]

    def on_a_wire(measure):
        with tempfile.TemporaryDirectory() as folder:
            return measure(bench, places, device, [text.replace("{folder}", folder) for text in options])

    contestants = {"raw frames": lambda: on_a_wire(raw_frames), "TCP": lambda: on_a_wire(tcp)}
    if any(places):
        contestants["kernel TCP"] = lambda: kernel_tcp(bench, places)
    results = interleave(bench.scale["rounds"], contestants, lambda measure: measure())
    rows = [{"name": contestant, **summary(rounds, results["raw frames"])} for contestant, rounds in results.items()]
    rows[1]["goal"], rows[1]["met"] = {"ratio_max": most}, rows[1]["ratio"] <= most
    if any(places):
        times = {"name": "kernel TCP, against TCP", **summary(results["kernel TCP"], results["TCP"])}
        times["goal"], times["met"] = {"ratio_min": 2.0}, times["ratio"] >= 2.0
        rows.append(times)
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
        except Failed as e:
            progress(f"nothing over {name}: {e}")
