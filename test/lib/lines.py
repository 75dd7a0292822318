#!/usr/bin/env python3
"""Writes numbered lines (see numbered.py) to standard output, each by a write of its own as
ExaBGP does: a reader that is killed leaves the rest of the pipe at the beginning of a line.

    lines.py COUNT [--peers N] [--rate LINES_PER_SECOND] [--first N] [--start SECONDS] [--pad BYTES] [--report FILE]

--pad: so many spaces in each line.  --report: when all is written, bytes and the longest
time in ms that writing some lines took.
"""
import argparse
import os
import time

from numbered import line

parser = argparse.ArgumentParser()
parser.add_argument("count", type=int)
parser.add_argument("--peers", type=int, default=1)
parser.add_argument("--rate", type=float, default=0)
parser.add_argument("--first", type=int, default=0)
parser.add_argument("--start", type=float, default=1700000000)
parser.add_argument("--pad", type=int, default=0)
parser.add_argument("--report")
options = parser.parse_args()

padding = " " * options.pad
began = time.monotonic()
longest = size = 0
for n in range(options.first, options.first + options.count):
    text = line(n, options.peers, options.start).replace('"type"', padding + '"type"', 1)
    before = time.monotonic()
    os.write(1, text.encode("ascii"))
    longest = max(longest, time.monotonic() - before)
    size += len(text)
    if options.rate and n % 100 == 0:
        ahead = (n - options.first) / options.rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
if options.report:
    with open(options.report, "w", encoding="ascii") as report:
        print(size, round(longest * 1000), file=report)
