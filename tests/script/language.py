# SPDX-License-Identifier: MIT
"""The interpreter of scripts: what is wrong in a script, or goes otherwise than it says, is found and told. Speaks TAP."""
import os
import subprocess
import sys
import tempfile

HEAD = "listen l 80\n< S 0:0 mss 1000\n> S. 0:0 ack 1\n< . 1:1 ack 1\naccept l as c\n"

# Name, script, what is printed.
WRONG = {
    "unknown word": ("flap c\n", 'wrong.pkt:1: "flap" is nothing that can be done'),
    "unknown field": ("< S 0:0 wim 1\n", 'wrong.pkt:1: this kind of packet has no "wim"'),
    "unknown setting": ("set mut 9000\n", 'wrong.pkt:1: there is no setting "mut"'),
    "unknown flag": ("\n< SX 0:0\n", 'wrong.pkt:2: "SX" is neither a kind of packet nor flags'),
    "unknown error": ("listen l 80 = EWHAT\n", 'wrong.pkt:1: "EWHAT" is neither number nor error'),
    "bad time": ("+5 < S 0:0\n", 'wrong.pkt:1: "5" is no time'),
    "range on input": ("+1s..2s < S 0:0\n", "wrong.pkt:1: only what is sent can have a range of times"),
    "missing argument": ("listen l\n", "wrong.pkt:1: the port is missing"),
    "too much": ("listen l 80 90\n", 'wrong.pkt:1: "90" is too much'),
    "line too long": ("# " + "x" * 600 + "\n", "wrong.pkt:1: the line is longer"),
    "backward segment": ("< . 5:4 ack 1\n", "wrong.pkt:1: a segment ends before it begins"),
    "nothing sent": ("< icmp echo-reply len 8\n> icmp echo-reply\n", "wrong.pkt:2: nothing was sent"),
    "another segment sent": (HEAD + "send c 10\n> . 1:11 ack 2\n", "got > P. 1:11 from 2000 at 80 ack 1"),
    "segment not expected": (HEAD + "send c 10\n", "got > P. 1:11"),
    "too late": (HEAD + "send c 10\n> . 1:11\n+100ms > . 1:11\n", "wrong.pkt:8: nothing was sent from"),
    "too soon": (HEAD + "send c 10\n+1s > . 1:11\n", "wrong.pkt:7: it left too soon"),
    "not silent": (HEAD + "send c 10\n> . 1:11\nquiet 10s\n", "wrong.pkt:8: something else was expected"),
    "another result": (HEAD + "recv c 1 = 0\n", "wrong.pkt:6: the call gives Resource temporarily unavailable; expected 0"),
    "a call that does not block": (HEAD + "begin send c 1\n", "wrong.pkt:6: the call does not block"),
    "a call that still blocks": (HEAD + "begin recv c 1\nend\n", "wrong.pkt:7: the call still blocks"),
    "another number counted": ("counter frames_in 1\n", "wrong.pkt:1: the call gives"),
}


def main(program):
    failed = False
    print(f"1..{len(WRONG)}")
    for number, (name, (script, expected)) in enumerate(WRONG.items(), 1):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "wrong.pkt")
            with open(path, "w", encoding="utf-8") as f:
                f.write(script)
            run = subprocess.run([program, "frames", path], capture_output=True, text=True, timeout=120)
        ok = run.returncode == 1 and expected in run.stdout
        if not ok:
            failed = True
            print(f"# expected {expected!r} of", *run.stdout.splitlines(), *run.stderr.splitlines(), sep="\n# ")
        print(f"{'ok' if ok else 'not ok'} {number} - {name}")
    return failed


sys.exit(main(sys.argv[1]))
