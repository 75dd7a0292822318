#!/usr/bin/env python3
"""Reads recorded lines of ExaBGP and writes them with trouble that a recording seldom has.

    rib_trouble.py SEED <LINES

Sessions drop and come back, or come up without having gone down; lines come twice; what a
peer says comes at the microsecond of what it said before; peers' lines overtake each
other's, while those of one peer stay in order.
"""
import collections
import json
import random
import sys

rng = random.Random(int(sys.argv[1]))
last = {}       # time of each peer's last line
held = collections.defaultdict(collections.deque)


def key_of(line):
    neighbor = line["neighbor"]
    return neighbor["address"]["peer"], neighbor["asn"]["peer"], neighbor["address"]["local"]


def write(line):
    # (of a counter that jumps a gap would be recorded, which is not at issue here)
    line.pop("counter", None)
    print(json.dumps(line))


def state_of(line, state):
    neighbor = {"address": line["neighbor"]["address"], "asn": line["neighbor"]["asn"], "state": state}
    return dict({name: value for name, value in line.items() if name != "neighbor"}, type="state", neighbor=neighbor)


def troubled(line):
    key = key_of(line)
    if rng.random() < 0.2 and key in last:
        line["time"] = last[key]
    last[key] = line["time"]
    yield line
    what = rng.random()
    if what < 0.02:
        yield line
    elif what < 0.0205:
        yield state_of(line, "down")
    elif what < 0.0215:
        yield from (state_of(line, state) for state in rng.choice([("up",), ("down", "up")]))


for text in sys.stdin:
    line = json.loads(text)
    if "neighbor" not in line:
        continue
    queue = held[key_of(line)]
    queue.extend(troubled(line))
    while queue and rng.random() < 0.9:
        write(queue.popleft())
for queue in held.values():
    while queue:
        write(queue.popleft())
