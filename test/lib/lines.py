#!/usr/bin/env python3
"""Writes numbered lines (see numbered.py) to standard output.

    lines.py COUNT [--peers N] [--rate LINES_PER_SECOND] [--first N] [--start SECONDS]
"""
import argparse
import sys
import time

from numbered import line

parser = argparse.ArgumentParser()
parser.add_argument("count", type=int)
parser.add_argument("--peers", type=int, default=1)
parser.add_argument("--rate", type=float, default=0)
parser.add_argument("--first", type=int, default=0)
parser.add_argument("--start", type=float, default=1700000000)
options = parser.parse_args()

began = time.monotonic()
for n in range(options.first, options.first + options.count):
    sys.stdout.write(line(n, options.peers, options.start))
    if options.rate and n % 100 == 0:
        sys.stdout.flush()
        ahead = (n - options.first) / options.rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
