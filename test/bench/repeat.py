#!/usr/bin/env python3
"""Write so many lines of ExaBGP's JSON: those of a file again and again, each time
as if another ExaBGP had written them five minutes later.

    repeat.py FILE LINES
"""

import re
import sys

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
    left = int(sys.argv[2])
    out = sys.stdout.buffer
    first = lines[0][1]
    scale = min(1.0, SPAN / (lines[-1][1] - first + 1))
    turn = 0
    while left > 0:
        for before, seconds, between, pid, after in lines[:left]:
            out.write(b"%b%.6f%b%d%b" % (before, first + turn * SPAN + (seconds - first) * scale, between, pid + turn, after))
        left -= len(lines)
        turn += 1


try:
    main()
except BrokenPipeError:
    sys.exit(1)
