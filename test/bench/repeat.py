#!/usr/bin/env python3
"""Write so many lines of ExaBGP's JSON: those of a file again and again, each time
as if another ExaBGP had written them five minutes later.

    repeat.py FILE LINES PER_SECOND
"""

import re
import sys
import time

SPAN = 300	# seconds
HEAD = re.compile(rb'(.*?"time": )([0-9.]+)(.*?"pid" : )([0-9]+)(.*)', re.DOTALL)


def main():
    lines = []
    with open(sys.argv[1], "rb") as f:
        for line in f:
            head = HEAD.fullmatch(line)
            if head:
                before, seconds, between, pid, after = head.groups()
                lines.append((before, float(seconds), between, int(pid), after))
    left, rate = int(sys.argv[2]), int(sys.argv[3])
    written, begun = 0, time.monotonic()
    out = sys.stdout.buffer
    first = lines[0][1]
    scale = min(1.0, SPAN / (lines[-1][1] - first + 1))
    turn = 0
    while left > 0:
        for before, seconds, between, pid, after in lines[:left]:
            out.write(b"%b%.6f%b%d%b" % (before, first + turn * SPAN + (seconds - first) * scale, between, pid + turn, after))
            written += 1
            if written % 1000 == 0:
                time.sleep(max(0.0, written / rate - (time.monotonic() - begun)))
        left -= len(lines)
        turn += 1


try:
    main()
except BrokenPipeError:
    sys.exit(1)
