"""Sections about network devices: TCP over each beside raw frames on the same device and the kernel on the same wire."""

from harness import Failed, Server, interleave, progress, read_json, run, summary
from stacks import ADDRESS, can, veth

DEVICES = {"xdp, native": ("xdp", "mode=native,name=v"), "xdp, generic": ("xdp", "mode=generic,name=v"),
           "packet": ("packet", "name=v")}
OURS = [ADDRESS.format(11), ADDRESS.format(12)]  # the kernel's are 1 and 2


def raw_frames(bench, places, device, options):
    """Round trip p50 in us of frames with nothing above."""
    count = bench.scale["messages"]
    program = [bench.path("bench/frames"), "--device", device]
    server = [*places[0], *program, "--device-options", f"{options}0", "--own", OURS[0], "--server", "--cpu",
              str(bench.server_cpu)]
    with Server(server):
        out = run([*places[1], *program, "--device-options", f"{options}1", "--own", OURS[1], "--peer", OURS[0], "--count",
                   str(count), "--warmup", str(count // 10), "--cpu", str(bench.client_cpu)])
    return read_json(out)["p50"] / 1000


def tcp(bench, places, device, options):
    count = bench.scale["messages"]
    env = [{"DMTR_LIBOS": "inet", "DMTR_WAIT_POLICY": "spin", "DMTR_INET_DEVICE": device,
            "DMTR_INET_DEVICE_OPTIONS": f"{options}{end}", "DMTR_INET_ADDRESS": f"{OURS[end]}/24"} for end in (0, 1)]
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
    contestants = {"raw frames": lambda: raw_frames(bench, places, *DEVICES[name]),
                   "TCP": lambda: tcp(bench, places, *DEVICES[name]),
                   "kernel TCP": lambda: kernel_tcp(bench, places)}
    results = interleave(bench.scale["rounds"], contestants, lambda measure: measure())
    rows = [{"name": contestant, **summary(rounds, results["raw frames"])} for contestant, rounds in results.items()]
    rows[1]["goal"], rows[1]["met"] = {"ratio_max": 1.3}, rows[1]["ratio"] <= 1.3
    times = {"name": "kernel TCP, against TCP", **summary(results["kernel TCP"], results["TCP"])}
    times["goal"], times["met"] = {"ratio_min": 2.0}, times["ratio"] >= 2.0
    return {"key": f"device_{name.replace(', ', '_')}", "kind": "counts", "unit": "us, p50", "rows": [*rows, times],
            "title": f"Echo of 64 bytes over veth by {name}, both ends spinning; ratios to raw frames"}


def device_sections(bench):
    if not can(veth):
        return
    for name in DEVICES:
        try:
            with veth() as places:
                yield device_section(bench, name, places)
        except Failed as e:
            progress(f"nothing over {name}: {e}")
