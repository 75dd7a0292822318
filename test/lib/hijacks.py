#!/usr/bin/env python3
"""Writes lines as ExaBGP 4.2 writes them, of routes that rules object to or not, at random.

    hijacks.py COUNT [--seed N] [--collector N] [--start SECONDS] [--step SECONDS]

Each collector has three peers of its own; some lines are of sessions that go down or up.
"""
import argparse
import json
import random

PREFIXES = ("10.0.0.0/16", "10.0.64.0/18", "10.0.1.0/24", "10.1.0.0/16", "2001:db8::/32", "172.16.0.0/12")
PATHS = ((9, 64510, 64500), (9, 64510, 64510, 64501, 64501), (9, 666), (9, 667, 64500), (9, 8, 64511, 64501),
         (9, 64510, 8, 64510, 64500), (668,))

parser = argparse.ArgumentParser()
parser.add_argument("count", type=int)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--collector", type=int, default=0)
parser.add_argument("--start", type=float, default=1767268800)
parser.add_argument("--step", type=float, default=2)
options = parser.parse_args()

chance = random.Random(options.seed * 1000 + options.collector)
time = options.start
counters = {}
for n in range(options.count):
    time += chance.random() * options.step
    number = options.collector * 3 + chance.randrange(3) + 1
    counters[number] = counters.get(number, 0) + 1
    neighbor = {"address": {"local": "192.0.2.254", "peer": f"192.0.2.{number}"},
                "asn": {"local": 64512, "peer": 64600 + number}}
    kind = chance.random()
    if kind < 0.1:
        message = "state"
        neighbor["state"] = chance.choice(("up", "down"))
        if neighbor["state"] == "down":
            neighbor["reason"] = "hold timer expired"
    else:
        message = "update"
        prefix = chance.choice(PREFIXES)
        family = "ipv6 unicast" if ":" in prefix else "ipv4 unicast"
        if kind < 0.35:
            update = {"withdraw": {family: [{"nlri": prefix}]}}
        else:
            hop = "2001:db8::1" if ":" in prefix else "192.0.2.1"
            update = {"attribute": {"origin": "igp", "as-path": chance.choice(PATHS), "confederation-path": [],
                                    "community": [[1, chance.randrange(3)]]},
                      "announce": {family: {hop: [{"nlri": prefix}]}}}
        neighbor["direction"] = "receive"
        neighbor["message"] = {"update": update}
    print(json.dumps({"exabgp": "4.0.1", "time": round(time, 6), "host": "test", "pid": 4242 + options.collector, "ppid": 1,
                      "counter": counters[number], "type": message, "neighbor": neighbor}))
