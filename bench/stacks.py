# SPDX-License-Identifier: MIT
"""Sections on the library's own stack, over shared memory and within one thread, compared with lwIP and the kernel."""

import contextlib
import itertools
import os
import statistics
import subprocess
import tempfile
import time

from harness import Callgrind, Failed, Server, interleave, progress, read_json, run, set_goal, summary

ADDRESS = "10.78.0.{}"
ABOVE_FLOOR = 1.2  # no goal for instructions is below this multiple of the floor (bench/pair_floor.c)
LINKS = itertools.count()  # sections of several builds may have their links at the same time


def has_lwip(bench):
    return os.path.exists(bench.path("bench/libpair-lwip-client.so"))


def wire_end(libos, folder, number, listen, mtu=1500):
    """The environment of one end of a link over shared memory: the named libos, spinning."""
    group = f"DMTR_{libos.upper()}_"
    return {"DMTR_LIBOS": libos, "DMTR_WAIT_POLICY": "spin", f"{group}DEVICE": "shm",
            f"{group}ADDRESS": f"{ADDRESS.format(number)}/24",
            f"{group}DEVICE_OPTIONS": f"path={os.path.join(folder, 'wire')},listen={listen},mtu={mtu}"}


def result_over_wire(bench, libos, protocol, args, after=None, server_args=()):
    """The client's result with one libos at both ends; `after` as in Bench.echo."""
    with tempfile.TemporaryDirectory() as folder:
        common = [*protocol, "--address", ADDRESS.format(1)]
        server = [bench.path("apps/echo/echo-server"), "--quiet", "--cpu", str(bench.server_cpu), *common,
                  *server_args]
        client = [bench.path("apps/echo/echo-client"), "--cpu", str(bench.client_cpu), *common, *args]
        return bench.echo((server, wire_end(libos, folder, 1, "yes")), (client, wire_end(libos, folder, 2, "no")),
                          after)


def echo_over_wire(bench, libos, protocol, args):
    """Round trip p50 in us."""
    return result_over_wire(bench, libos, protocol, args)["latency_ns"]["p50"] / 1000


def wire_sections(bench):
    """Round trips between two processes, as ratios to the bare ring of the same round; then other stacks against ours."""
    count = bench.scale["messages"]
    args = ["--count", str(count), "--warmup", str(count // 10)]
    command, env = bench.baseline_client("spin", *args)
    contestants = {
        "bare ring": lambda: bench.ring() / 1000,
        "UDP": lambda: echo_over_wire(bench, "inet", ["--udp"], args),
        "TCP": lambda: echo_over_wire(bench, "inet", [], args),
        "kernel TCP on loopback": lambda: bench.echo(bench.baseline_server("spin"),
                                                     (command, env))["latency_ns"]["p50"] / 1000,
    }
    if has_lwip(bench):
        contestants["lwIP TCP"] = lambda: echo_over_wire(bench, "lwip", [], args)
        contestants["lwIP UDP"] = lambda: echo_over_wire(bench, "lwip", ["--udp"], args)
    results = interleave(bench.scale["rounds"], contestants, lambda measure: measure())
    rows = []
    for name, rounds in results.items():
        row = {"name": name, **summary(rounds, results["bare ring"])}
        most = {"UDP": 2.0, "TCP": 2.2}.get(name)
        rows.append(set_goal(row, "ratio_max", most) if most else row)
    yield {"key": "stack_wire", "kind": "counts", "unit": "us, p50", "rows": rows,
           "title": "Echo of 64 bytes over shared memory, two processes spinning; ratios to the bare ring"}
    least = {"kernel TCP on loopback": 10.0, "lwIP TCP": 1.6}
    rows = []
    for name in [n for n in least if n in results]:
        times = statistics.median([v / r for v, r in zip(results[name], results["TCP"])])
        rows.append(set_goal({"name": name, "median": times}, "min", least[name]))
    yield {"key": "stack_peers", "kind": "counts", "unit": "times our TCP", "rows": rows,
           "title": "The same round trips of other stacks, as multiples of the library's own TCP"}


def requests_load(bench, outstanding):
    """The client's options, and a function from its result to the requests per second."""
    args = ["--no-verify", "--connections", "50", "--outstanding", str(outstanding), "--duration",
            str(bench.scale["seconds"])]
    return args, lambda result: result["messages_per_second"]


def requests_section(bench):
    """A load like a key-value store's: the same server and client over shared memory and over kernel sockets."""
    rows = []

    def transmitted(server):
        return server.counters(bench.path("apps/dmtr/dmtr"))["inet_device_tx_frames"]

    for outstanding in (1, 16):
        args, told = requests_load(bench, outstanding)
        spin = {"DMTR_WAIT_POLICY": "spin"}
        kernel = [[bench.path(f"apps/echo/echo-{end}"), "--cpu", str(cpu), *more] for end, cpu, more in
                  (("server", bench.server_cpu, ["--quiet"]), ("client", bench.client_cpu, args))]
        contestants = {
            "shared memory": lambda args=args: result_over_wire(bench, "inet", [], args, transmitted),
            "kernel sockets": lambda kernel=kernel: bench.echo((kernel[0], spin), (kernel[1], spin)),
        }
        results = interleave(bench.scale["rounds"], contestants, lambda measure: measure())
        rates = {name: [told(r) for r in rounds] for name, rounds in results.items()}
        rows += [{"name": f"{name}, {outstanding} outstanding on each", **summary(r, rates["kernel sockets"])}
                 for name, r in rates.items()]
        frames = [r["after"] / r["messages"] for r in results["shared memory"]]
        row = {"name": f"frames the server transmits per echo, {outstanding} outstanding on each", **summary(frames)}
        rows.append(set_goal(row, "max", 0.3) if outstanding == 16 else row)
    return {"key": "stack_requests", "kind": "counts", "unit": "requests/s", "rows": rows,
            "title": "64-byte requests on 50 connections, both ends spinning; ratios to kernel sockets"}


def open_loop_section(bench):
    """Requests that arrive at a rate, whether or not earlier ones are answered: parts of what the server can do."""
    load = ["--no-verify", "--connections", "50", "--outstanding", "16", "--warmup", "10", "--duration",
            str(bench.scale["seconds"])]
    rows = []
    for work in bench.scale["work"]:
        def measure(*rate, server_args=("--work", str(work))):
            return result_over_wire(bench, "inet", [], [*load, *rate], server_args=server_args)
        most = measure()["messages_per_second"]
        rates = {percent: max(1, int(most * percent / 100)) for percent in (30, 60, 80)}
        results = interleave(max(1, bench.scale["rounds"] // 3), rates, lambda rate: measure("--rate", str(rate)))
        for percent, rounds in results.items():
            times = {p: [r["latency_ns"][p] / 1000 for r in rounds] for p in ("p50", "p99")}
            rows.append({"name": f"{work} us of work, {percent}% of the maximum", **summary(times["p50"]),
                         "p99": statistics.median(times["p99"]), "rate": rates[percent]})
    return {"key": "stack_open_loop", "kind": "open", "unit": "us, p50", "rows": rows,
            "title": "64-byte requests on 50 connections over shared memory, sent at a given rate (open loop)"}


def pair_section(bench, counted):
    """Two stacks in one thread: time and instructions of a round trip, and instructions of the server's part."""
    program = bench.path("bench/inet-pair")
    counter = Callgrind(program) if counted else None
    kinds = ["inet", "lwip"] if has_lwip(bench) else ["inet"]
    iterations = bench.scale["iterations"]
    most = {"tcp": 950, "udp": 480} if bench.release else {"tcp": 1300, "udp": 700}
    rows = []
    for protocol in ("tcp", "udp"):
        components = {kind: f"{kind}-{protocol}" for kind in kinds}
        results = interleave(bench.scale["rounds"], components, lambda c: read_json(
            run(["taskset", "-c", str(bench.server_cpu), program, "--component", c, "--iterations",
                 str(iterations * 50)]))["median_ns"])
        for kind, rounds in results.items():
            row = {"name": f"{kind} {protocol}, ns", **summary(rounds, None if kind == "inet" else results["inet"])}
            rows.append(set_goal(row, "ratio_min", 3.0) if kind != "inet" and protocol == "tcp" else row)
        counts = {}
        for kind, name in components.items() if counter else []:
            counts[kind] = counter.per_iteration(name, iterations)[0]
            server = counter.per_iteration(name, iterations, ("server_turn",))[0]
            row = {"name": f"{kind} {protocol}, instructions", "median": counts[kind]}
            if kind != "inet":
                row["ratio"] = counts[kind] / counts["inet"]
            part = {"name": f"{kind} {protocol}, the server's instructions", "median": server}
            rows += [set_goal(row, "ratio_min", 2.5) if kind != "inet" and protocol == "tcp" else row, part]
            if kind == "inet":
                floor = counter.per_iteration(f"floor-{protocol}", iterations, ("server_turn",))[0]
                set_goal(part, "max", round(max(most[protocol], ABOVE_FLOOR * floor)))
                rows.append({"name": f"floor of {protocol}, the server's instructions", "median": floor,
                             "ratio": floor / server})
    return {"key": "stack_pair", "kind": "counts", "unit": "a round trip", "rows": rows,
            "title": "Echo of 64 bytes between two stacks in one thread; ratios to the library's own"}


def served_idle(bench, count):
    """Bytes of memory of a server for each of `count` idle connections."""
    with tempfile.TemporaryDirectory() as folder:
        address = ["--address", ADDRESS.format(1)]
        program = [bench.path("apps/echo/echo-server"), "--quiet", *address]
        client = [bench.path("apps/echo/echo-client"), "--quiet", *address, "--connections", str(count), "--rate", "100",
                  "--duration", "1", "--warmup", "1"]
        with Server(program, wire_end("inet", folder, 1, "yes")) as server:
            before = most = server.memory_bytes()
            environment = {**os.environ, **wire_end("inet", folder, 2, "no")}
            with subprocess.Popen([*client, "--port", server.port], env=environment) as process:
                while process.poll() is None:
                    most = max(most, server.memory_bytes())
                    time.sleep(0.05)
            if process.returncode != 0:
                raise Failed(f"{' '.join(client)}: {process.returncode}")
    return (most - before) / count


def many_section(bench, counted):
    """Many connections and several threads: the costs of an echo, of opening, and of an idle connection."""
    program = bench.path("bench/inet-many")
    iterations = bench.scale["iterations"]
    rows = []

    def measure(component, *args):
        return read_json(run([program, "--component", component, "--cpu", "0", *args]))

    numbers = bench.scale["many"]
    echoes = ["--iterations", str(iterations * 100)]
    results = interleave(bench.scale["rounds"], {n: f"echo-{n}" for n in numbers},
                         lambda c: measure(c, *echoes)["median_ns"])
    rows += [{"name": f"echo over {n} connections, ns", **summary(r, results[1])} for n, r in results.items()]
    results = interleave(bench.scale["rounds"], {n: f"burst-{n}" for n in numbers[1:]},
                         lambda c: measure(c, *echoes)["median_ns"])
    rows += [{"name": f"the same over {n} connections, 32 at a time, ns", **summary(r)} for n, r in results.items()]
    if counted:
        counter = Callgrind(program)
        counts = {n: counter.per_iteration(f"echo-{n}", max(iterations, 256))[0] for n in numbers if n <= 10000}
        for n, count in counts.items():
            rows.append(set_goal({"name": f"echo over {n} connections, instructions", "median": count,
                                  "ratio": count / counts[1]}, "ratio_max", 1.15))
    opens = interleave(bench.scale["rounds"], {"opens": "opens"},
                       lambda c: measure(c, *echoes)["per_second"])["opens"]
    rows.append(set_goal({"name": "opened and closed per second, both ends", **summary(opens)}, "min", 200000))
    idle = measure(f"idle-{bench.scale['held']}")["bytes_each"]
    rows.append(set_goal({"name": f"bytes of each of {bench.scale['held']} idle connections, tables included",
                          "median": idle}, "max", 400))
    served = min(bench.scale["held"], 10000)
    rows.append(set_goal({"name": f"the same of {served} that the echo server serves, with all of the library",
                          "median": served_idle(bench, served)}, "max", 640))
    long = ["--iterations", str(iterations * 1000)]  # so that the start of the threads has no weight
    threads = interleave(bench.scale["rounds"], {1: "1", 2: "2"},
                         lambda n: measure("echo-1", "--threads", n, *long)["per_second"])
    ratio = statistics.median([two / one for one, two in zip(threads[1], threads[2])])
    rows.append(set_goal({"name": "echoes per second of two threads, relative to one", "median": ratio}, "min", 1.95))
    return {"key": "stack_many", "kind": "counts", "unit": "ns, instructions, a second, bytes", "rows": rows,
            "title": "Many connections between two stacks in one thread; ratios to one connection"}


def runtimes_section(bench, counted):
    """The cost of an echo for the runtime that serves it, as one of several on a shared device."""
    title = "Echo of 64 bytes by one of several runtimes on a device, idle polls included; ratios to one alone"
    if not counted:
        return {"key": "stack_runtimes", "kind": "skipped", "title": title, "reason": "valgrind is not installed"}
    counter = Callgrind(bench.path("bench/runtimes"))
    counts = {n: counter.per_iteration(f"runtimes-{n}", bench.scale["iterations"], ("server_turn",))[0]
              for n in (1, 2, 4, 8)}
    rows = [set_goal({"name": f"{n} runtimes", "median": count, "ratio": count / counts[1]}, "ratio_max", 1.01)
            for n, count in counts.items()]
    return {"key": "stack_runtimes", "kind": "counts", "unit": "instructions an echo", "rows": rows,
            "title": title}


def bulk(bench, server_env, client_env, *args, places=((), ())):
    """Gbit/s of a bulk transfer in one direction; `places`: prefixes of the commands of server and client."""
    program = [bench.path("bench/bulk"), *args]
    with Server([*places[0], *program, "--server", "--cpu", str(bench.server_cpu)], server_env) as server:
        out = run([*places[1], *program, "--cpu", str(bench.client_cpu), "--port", server.port, "--bytes",
                   str(bench.scale["bulk"])], client_env)
    return read_json(out)["gbit_per_second"]


@contextlib.contextmanager
def veth():
    """Two network namespaces, connected by a veth pair without offloads; yields the prefixes of commands in them."""
    names = [f"dmtr-bench-{os.getpid()}-{next(LINKS)}" for _ in range(2)]
    try:
        for name in names:
            run(["ip", "netns", "add", name])
        run(["ip", "link", "add", "v0", "netns", names[0], "type", "veth", "peer", "name", "v1", "netns", names[1]])
        for end, name in enumerate(names):
            inside = ["ip", "netns", "exec", name]
            run([*inside, "ip", "address", "add", f"{ADDRESS.format(end + 1)}/24", "dev", f"v{end}"])
            run([*inside, "ip", "link", "set", f"v{end}", "up"])
            run([*inside, "ethtool", "-K", f"v{end}", "tx", "off", "tso", "off", "gso", "off", "gro", "off"])
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def tap():
    """A network namespace with a TAP interface to the kernel; yields the prefix of commands in it."""
    name = f"dmtr-bench-{os.getpid()}-tap"
    inside = ["ip", "netns", "exec", name]
    try:
        run(["ip", "netns", "add", name])
        run([*inside, "ip", "tuntap", "add", "t0", "mode", "tap"])
        run([*inside, "ip", "address", "add", f"{ADDRESS.format(1)}/24", "dev", "t0"])
        run([*inside, "ip", "link", "set", "t0", "up"])
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


def can(wire):
    try:
        with wire():
            return True
    except (Failed, FileNotFoundError) as e:
        progress(f"skipped {wire.__name__}: {e}")
        return False


def bulk_over_tap(bench, tso):
    env = {"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": "tap", "DMTR_INET_DEVICE_OPTIONS": "name=t0",
           "DMTR_INET_ADDRESS": f"{ADDRESS.format(2)}/24", "DMTR_INET_TSO": tso}
    with tap() as inside:
        return bulk(bench, {}, env, "--address", ADDRESS.format(1), places=(inside, inside))


def bulk_over_veth(bench):
    with veth() as places:
        return bulk(bench, {}, {}, "--plain", "--address", ADDRESS.format(1), places=places)


def bulk_over_wire(bench, libos, mtu):
    with tempfile.TemporaryDirectory() as folder:
        return bulk(bench, wire_end(libos, folder, 1, "yes", mtu), wire_end(libos, folder, 2, "no", mtu), "--address",
                    ADDRESS.format(1))


def bulk_section(bench):
    contestants = {
        "kernel, loopback": lambda: bulk(bench, {}, {}, "--plain"),
        "MTU 9000": lambda: bulk_over_wire(bench, "inet", 9000),
        "MTU 1500": lambda: bulk_over_wire(bench, "inet", 1500),
    }
    if can(tap):
        contestants["to the kernel over tap, segmented by it"] = lambda: bulk_over_tap(bench, "yes")
        contestants["to the kernel over tap, segmented by the library"] = lambda: bulk_over_tap(bench, "no")
    if can(veth):
        contestants["kernel, veth without offloads"] = lambda: bulk_over_veth(bench)
    if has_lwip(bench):
        contestants["lwIP, MTU 1500"] = lambda: bulk_over_wire(bench, "lwip", 1500)
    results = interleave(bench.scale["rounds"], contestants, lambda measure: measure())
    rows = [{"name": name, **summary(rounds)} for name, rounds in results.items()]
    for name, other, least in (("MTU 9000", "kernel, loopback", 2.0), ("MTU 1500", "lwIP, MTU 1500", 3.0),
                               ("MTU 1500", "kernel, veth without offloads", 2.0)):
        if other not in results:
            continue
        row = {"name": f"{name}, against {other}", **summary(results[name], results[other])}
        rows.append(set_goal(row, "ratio_min", least))
    return {"key": "stack_bulk", "kind": "counts", "unit": "Gbit/s", "rows": rows,
            "title": "Bulk transfer on one connection over shared memory, writes of 64 KiB"}


def stack_sections(bench, counted):
    yield from wire_sections(bench)
    yield pair_section(bench, counted)
    yield many_section(bench, counted)
    yield runtimes_section(bench, counted)
    yield requests_section(bench)
    yield open_loop_section(bench)
    yield bulk_section(bench)
