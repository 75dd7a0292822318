#!/usr/bin/env python3
"""Writes lines of ExaBGP 4.2 that make it hard to know what a peer holds.

    rib_lines.py LINES --seed N [--peers N] [--net N] [--from SECONDS] [--days N] [--pid N] [--disorder] [--routes]

Few prefixes and few moments, so that much happens to each prefix, and much at the same
microsecond, also at midnight (UTC) and just before and after it; ADD-PATH, IPv6, MPLS VPN,
EVPN and flow routes; sessions that go down, that come up without having gone down, that are
refreshed in whole and in part.  Each peer's time runs on (with --disorder not even that),
that of others beside it goes its own way.
--net: third octet of the peers' addresses, which tells collectors apart.  --routes: no sessions.
"""
import argparse
import json
import random

parser = argparse.ArgumentParser()
parser.add_argument("lines", type=int)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--peers", type=int, default=3)
parser.add_argument("--net", type=int, default=1)
parser.add_argument("--from", dest="start", type=int, default=1709164800)  # 2024-02-29
parser.add_argument("--days", type=int, default=3)
parser.add_argument("--pid", type=int, default=4242)
parser.add_argument("--disorder", action="store_true")
parser.add_argument("--routes", action="store_true")
options = parser.parse_args()
rng = random.Random(options.seed)

DAY = 86400 * 1000000
V4 = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/17", "10.1.2.0/24", "10.1.2.0/25", "10.1.2.3/32", "192.0.2.0/24"]
V6 = ["::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::1/128"]
VPN = ["10.1.0.0/16", "10.1.2.0/24"]
RDS = ["64500:1", "64500:2"]


def evpn():
    label = [[rng.choice([100, 200]), 1601]]
    esi = rng.choice(["-", "00:11:22:33:44:55:66:77:88:99"])
    rd = rng.choice(RDS)
    return rng.choice([
        {"code": 1, "parsed": True, "raw": "01%02X" % label[0][0], "name": "Ethernet Auto-Discovery", "rd": rd, "esi": esi,
         "ethernet-tag": 0, "label": label},
        {"code": 2, "parsed": True, "raw": "02%02X" % label[0][0], "name": "MAC/IP advertisement", "rd": rd, "esi": esi,
         "ethernet-tag": 10, "mac": "00:11:22:33:44:5%d" % rng.randrange(2), "label": label},
        {"code": 2, "parsed": True, "raw": "02%02X" % label[0][0], "name": "MAC/IP advertisement", "rd": rd, "esi": esi,
         "ethernet-tag": 10, "mac": "00:11:22:33:44:55", "ip": "10.0.0.9", "label": label},
        {"code": 3, "parsed": True, "raw": "03", "name": "Inclusive Multicast Ethernet Tag", "rd": rd, "ethernet-tag": 10,
         "ip": "192.0.2.9"},
        {"code": 5, "parsed": True, "raw": "05%02X" % label[0][0], "name": "IP Prefix Advertisement", "rd": rd, "esi": esi,
         "ethernet-tag": 0, "ip": "10.20.30.0", "iplen": 24, "gateway": rng.choice(["0.0.0.0", "10.0.0.1"]), "label": label},
        {"code": 9, "parsed": False, "raw": "090%d" % rng.randrange(2)},
    ])


def flow():
    prefix = rng.choice(["192.0.2.0/24", "192.0.2.1/32"])
    if rng.random() < 0.5:
        return {"destination-ipv4": [prefix], "string": "flow destination-ipv4 %s" % prefix}
    return {"destination-ipv4": [prefix], "protocol": ["=tcp"], "string": "flow destination-ipv4 %s protocol =tcp" % prefix}


def nlri(family):
    if family == "l2vpn evpn":
        return evpn()
    if family == "ipv4 flow":
        return flow()
    if family == "ipv4 mpls-vpn":
        return {"nlri": rng.choice(VPN), "label": [[rng.choice([16, 17])]], "rd": rng.choice(RDS)}
    if family == "ipv4 nlri-mpls":
        return {"nlri": rng.choice(VPN), "label": [[rng.choice([16, 17])]]}
    route = {"nlri": rng.choice(V4 if family == "ipv4 unicast" else V6)}
    if rng.random() < 0.3:
        route["path-information"] = "0.0.0.%d" % rng.randrange(3)
    return route


FAMILIES = ["ipv4 unicast"] * 5 + ["ipv6 unicast"] * 3 + ["ipv4 mpls-vpn", "ipv4 nlri-mpls", "l2vpn evpn", "l2vpn evpn", "ipv4 flow"]
NEXT_HOP = {"ipv4 flow": "no-nexthop", "ipv6 unicast": "2001:db8::9"}


def attributes(asn):
    a = {"origin": rng.choice(["igp", "igp", "incomplete"]), "as-path": [asn, rng.choice([64500, 64501])], "confederation-path": []}
    if rng.random() < 0.3:
        a["med"] = rng.randrange(2)
    if rng.random() < 0.3:
        a["community"] = [[64500, rng.randrange(2)]]
    if rng.random() < 0.1:
        a["as-set"] = [64511]
    if rng.random() < 0.1:
        a["originator-id"] = "192.0.2.%d" % rng.randrange(2)
    return a


class Peer:
    def __init__(self, number):
        self.address = "10.255.%d.%d" % (options.net, number)
        self.asn = 64600 + number
        self.counter = 0
        self.waiting = []  # bodies that are to come next
        moments = [rng.randrange(options.days * DAY) for _ in range(max(4, options.lines // options.peers // 4))]
        for day in range(options.days):
            moments += [day * DAY] * 3 + [day * DAY + 1, day * DAY + DAY - 1, day * DAY + DAY - 1]
        self.times = [options.start * 1000000 + rng.choice(moments) for _ in range(options.lines)]
        if not options.disorder:
            self.times = sorted(self.times[:options.lines // options.peers + 1], reverse=True)

    def state(self, state):
        return "state", {"state": state}

    def refresh(self, family, subtype):
        afi, safi = family.split(" ")
        return "refresh", {"direction": "receive", "route-refresh": {"afi": afi, "safi": safi, "subtype": subtype}}

    def update(self, family=None):
        family = family or rng.choice(FAMILIES)
        update = {}
        if rng.random() < 0.75:
            update["attribute"] = attributes(self.asn)
            update["announce"] = {family: {NEXT_HOP.get(family, "192.0.2.%d" % rng.randrange(8, 10)):
                                           [nlri(family) for _ in range(rng.randrange(1, 4))]}}
        if not update or rng.random() < 0.2:
            update["withdraw"] = {family: [nlri(family) for _ in range(rng.randrange(1, 3))]}
        return "update", {"direction": "receive", "message": {"update": update}}

    def body(self):
        if self.waiting:
            return self.waiting.pop(0)
        what = 1 if options.routes else rng.random()
        family = rng.choice(FAMILIES)
        if what < 0.01:
            return self.state("down")
        if what < 0.02:  # a down that was missed, or not
            self.waiting = [self.update() for _ in range(rng.randrange(6))]
            return self.state("up")
        if what < 0.03:
            self.waiting = [self.state("connected"), self.state("up")]
            return self.state("down")
        if what < 0.05:  # all of it
            self.waiting = [self.update(rng.choice([family, None])) for _ in range(rng.randrange(8))] + [self.refresh(family, "end")]
            return self.refresh(family, "begin")
        if what < 0.065:  # or a mark that has no other
            return self.refresh(family, rng.choice(["begin", "end", "query"]))
        if what < 0.07:
            afi, safi = family.split(" ")
            return "update", {"direction": "receive", "message": {"eor": {"afi": afi, "safi": safi}}}
        return self.update()

    def line(self):
        us = self.times.pop()
        self.counter += 1
        kind, body = self.body()
        neighbor = {"address": {"local": "192.0.2.254", "peer": self.address}, "asn": {"local": 64512, "peer": self.asn}}
        neighbor.update(body)
        return '{ "exabgp": "4.0.1", "time": %d.%06d, "host" : "test", "pid" : %d, "ppid" : 1, "counter": %d, "type": "%s", "neighbor": %s }' % (
            us // 1000000, us % 1000000, options.pid, self.counter, kind, json.dumps(neighbor))


peers = [Peer(n + 1) for n in range(options.peers)]
for _ in range(options.lines):
    peer = rng.choice([p for p in peers if p.times] or peers)
    if not peer.times:
        break
    print(peer.line())
