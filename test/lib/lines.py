#!/usr/bin/env python3
"""Lines as ExaBGP 4.2 writes them, numbered, for tests.

    lines.py COUNT [--peers N] [--rate LINES_PER_SECOND] [--first N] [--start SECONDS] [--pad BYTES] [--report FILE]

Line n is an UPDATE of peer n % N that announces the prefix 10.x.y.z/32 made from n,
with MED n: what arrives in the database can be counted, ordered and compared.  --pad: so many
spaces in each line.  --report: when all is written, bytes and the longest time in ms that
writing some lines took.
"""
import argparse
import ipaddress
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("count", type=int)
parser.add_argument("--peers", type=int, default=1)
parser.add_argument("--rate", type=float, default=0)
parser.add_argument("--first", type=int, default=0)
parser.add_argument("--start", type=float, default=1700000000)
parser.add_argument("--pad", type=int, default=0)
parser.add_argument("--report")
options = parser.parse_args()

LINE = (
    '{ "exabgp": "4.0.1", "time": %.6f, "host" : "test", "pid" : 4242, "ppid" : 1, "counter": %d, '
    '"type": "update", "neighbor": { "address": { "local": "192.0.2.254", "peer": "192.0.2.%d" }, '
    '"asn": { "local": 64512, "peer": %d } , "direction": "receive", "message": { "update": { "attribute": '
    '{ "origin": "igp", "as-path": [ %d, 64500, 64501 ], "confederation-path": [], "med": %d, '
    '"community": [ [ 64500, %d ] ] }, "announce": { "ipv4 unicast": { "192.0.2.%d": '
    '[ { "nlri": "%s/32" } ] } } } } } }\n'
)

LINE = LINE.replace('"type"', " " * options.pad + '"type"')

began = time.monotonic()
longest = size = 0
for n in range(options.first, options.first + options.count):
    peer = n % options.peers + 1
    line = LINE % (options.start + n / 1000, n // options.peers + 1, peer, 64600 + peer, 64600 + peer, n, n % 1000, peer,
                   ipaddress.ip_address(0x0a000000 + n))
    before = time.monotonic()
    sys.stdout.write(line)
    longest = max(longest, time.monotonic() - before)
    size += len(line)
    if options.rate and n % 100 == 0:
        before = time.monotonic()
        sys.stdout.flush()
        longest = max(longest, time.monotonic() - before)
        ahead = (n - options.first) / options.rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
sys.stdout.flush()
if options.report:
    with open(options.report, "w", encoding="ascii") as report:
        print(size, round(longest * 1000), file=report)
