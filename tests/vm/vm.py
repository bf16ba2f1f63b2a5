# SPDX-License-Identifier: MIT
"""
Commands in a virtual machine: QEMU boots the kernel that scripts/setup/vm.sh fetched, on the root of this machine, which
it reads, while what it writes is gone when it ends. The processor is emulated, so that neither privileges nor
virtualisation are needed; it is slow, and times say nothing.

vm.py [--memory MIB] [--cpus N] [--limit SECONDS] [--qemu ARGUMENT]... COMMAND [ARGUMENT]...
runs the command as root in the current folder, prints its output, and ends with its status.
"""

import argparse
import glob
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
PARTS = os.path.join(HERE, "..", "..", "build-vm")
BOOT_MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]
FOLDERS = ["bin", "dev", "lower", "modules", "proc", "root", "sys", "written"]
KERNEL_ARGUMENTS = ("console=ttyS0 quiet panic=-1 reboot=t nokaslr mitigations=off tsc=reliable no_timer_check "
                    "random.trust_cpu=on cryptomgr.notests audit=0 intel_iommu=on iommu=pt")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CONSOLE_LINES = 20  # of a machine that ended before its time
CPIO_FILE, CPIO_FOLDER = 0o100755, 0o040755


class Missing(Exception):
    """There can be no virtual machine here; the text says why."""


class Ended(Exception):
    """The machine ended before its command had, or its time was over; the text has the last of what it said."""


def need():
    """Raises Missing unless all parts are here."""
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static")):
        if not shutil.which(program):
            raise Missing(f"no program {program}: install the package {package}")
    if not os.path.exists(os.path.join(PARTS, "vmlinux")):
        raise Missing("no kernel for a virtual machine: scripts/setup/vm.sh fetches it")


def modules():
    """The files of the modules that the root file system needs, each after those that it stands on."""
    [folder] = glob.glob(os.path.join(PARTS, "lib", "modules", "*"))
    with open(os.path.join(folder, "modules.dep"), encoding="ascii") as file:
        lines = [line.split() for line in file]
    needs = {os.path.basename(line[0])[:-len(".ko:")]: [line[0][:-1], *line[1:]] for line in lines}
    order = []
    for name in BOOT_MODULES:
        order += [path for path in reversed(needs[name]) if path not in order]
    return [os.path.join(folder, path) for path in order]


def cpio(entries):
    """An archive of [(name, mode, content)] in the form that the kernel unpacks."""
    out = b""
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
        out += head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
    return out


def read(path):
    with open(path, "rb") as file:
        return file.read()


def first_files():
    paths = modules()
    names = [os.path.basename(path) for path in paths]
    return cpio([(name, CPIO_FOLDER, b"") for name in FOLDERS]
                + [("init", CPIO_FILE, read(os.path.join(HERE, "init"))),
                   ("bin/busybox", CPIO_FILE, read(shutil.which("busybox"))),
                   ("modules/order", CPIO_FILE, "".join(f"{name}\n" for name in names).encode())]
                + [(f"modules/{name}", CPIO_FILE, read(path)) for name, path in zip(names, paths)])


def share(tag, path, *options):
    """A folder of this machine, for the other one."""
    folder = ",".join([f"local,id={tag},path={path},security_model=none,multidevs=remap", *options])
    return ["-fsdev", folder, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def arguments(job, memory, cpus):
    console = os.path.join(job, "console")
    return ["qemu-system-x86_64", "-machine", "q35,smbus=off,sata=off,vmport=off,hpet=off", "-accel",
            "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", str(cpus), "-m", str(memory), "-nodefaults",
            "-no-user-config", "-nographic", "-no-reboot", "-kernel", os.path.join(PARTS, "vmlinux"), "-initrd",
            os.path.join(job, "initramfs"), "-append", KERNEL_ARGUMENTS, "-serial", f"file:{console}",
            *share("root", "/", "readonly=on"), *share("modules", os.path.join(PARTS, "lib", "modules"), "readonly=on"),
            *share("job", job)]


def run(command, qemu=(), memory=1024, cpus=2, limit_s=120, env=None):
    """(status, output) of a command, a list of words. `qemu`: what the machine has besides."""
    need()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("vm.py: told to end"))  # leaves nothing behind
    with tempfile.TemporaryDirectory(prefix="dmtr-vm-") as job:
        with open(os.path.join(job, "initramfs"), "wb") as file:
            file.write(first_files())
        variables = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", **(env or {})}
        with open(os.path.join(job, "command"), "w", encoding="utf-8") as file:
            file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
            file.write(f"cd {shlex.quote(os.getcwd())}\n{shlex.join(command)}\n")
        try:
            done = subprocess.run([*arguments(job, memory, cpus), *qemu], stdin=subprocess.DEVNULL, timeout=limit_s,
                                  capture_output=True, text=True, check=False)
            why = f"qemu ended with {done.returncode}: {done.stderr.strip()}"
        except subprocess.TimeoutExpired:
            why = f"not done after {limit_s} s"

        def left(name):
            path = os.path.join(job, name)
            return read(path).decode(errors="replace") if os.path.exists(path) else ""

        if left("status"):
            return int(left("status")), left("output")
        raise Ended("\n".join([why, left("output"), *left("console").splitlines()[-CONSOLE_LINES:]]))


def main():
    parser = argparse.ArgumentParser(description="Runs a command in a virtual machine.")
    parser.add_argument("--memory", type=int, default=1024)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--limit", type=int, default=120)
    parser.add_argument("--qemu", action="append", default=[])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    try:
        status, output = run(args.command, args.qemu, args.memory, args.cpus, args.limit)
    except (Missing, Ended) as e:
        sys.exit(f"vm.py: {e}")
    sys.stdout.write(output)
    sys.exit(status)


if __name__ == "__main__":
    main()
