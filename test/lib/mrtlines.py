#!/usr/bin/env python3
"""Writes the UPDATEs of an MRT file (RFC 6396, BGP4MP) as ExaBGP 4 writes them to a helper.

    mrtlines.py FILE.gz

Only what hunts look at: prefixes of IPv4 and IPv6 unicast, path, next hop, MED, communities.  AS_TRANS is
replaced from AS4_PATH where a peer has 2-byte ASNs (RFC 6793 section 4.2.3).
"""
import gzip
import ipaddress
import json
import struct
import sys


def prefixes(data, version):
    """Prefixes as they stand in an UPDATE."""
    found, size = [], 4 if version == 4 else 16
    while data:
        length, data = data[0], data[1:]
        used = (length + 7) // 8
        network = ipaddress.ip_address(data[:used].ljust(size, b"\0"))
        found.append({"nlri": f"{network}/{length}"})
        data = data[used:]
    return found


def segments(data, size):
    """(type, ASNs) of each segment of a path."""
    while data:
        kind, count = data[0], data[1]
        yield kind, list(struct.unpack(f">{count}{'H' if size == 2 else 'I'}", data[2:2 + count * size]))
        data = data[2 + count * size:]


def attributes(data):
    """(type, value) of each path attribute."""
    while data:
        flags, kind = data[0], data[1]
        head = 4 if flags & 0x10 else 3
        length = int.from_bytes(data[2:head], "big")
        yield kind, data[head:head + length]
        data = data[head + length:]


def update(body, asn_size):
    """The "update" object of ExaBGP's JSON."""
    length = struct.unpack(">H", body[:2])[0]
    withdraw, announce = {}, {}
    gone = prefixes(body[2:2 + length], 4)
    if gone:
        withdraw["ipv4 unicast"] = gone
    body = body[2 + length:]
    length = struct.unpack(">H", body[:2])[0]
    told, path, path4, hop = {"origin": "igp"}, [], None, None
    for kind, value in attributes(body[2:2 + length]):
        if kind == 1:
            told["origin"] = ("igp", "egp", "incomplete")[value[0]]
        elif kind == 2:
            path = list(segments(value, asn_size))
        elif kind == 3:
            hop = str(ipaddress.ip_address(value))
        elif kind == 4:
            told["med"] = struct.unpack(">I", value)[0]
        elif kind == 8:
            told["community"] = [list(struct.unpack(">HH", value[i:i + 4])) for i in range(0, len(value), 4)]
        elif kind == 14 and value[:3] == b"\0\2\1":
            size = value[3]
            near = str(ipaddress.ip_address(value[4:20]))
            announce["ipv6 unicast"] = {near: prefixes(value[5 + size:], 6)}
        elif kind == 15 and value[:3] == b"\0\2\1" and len(value) > 3:
            withdraw["ipv6 unicast"] = prefixes(value[3:], 6)
        elif kind == 17:
            path4 = list(segments(value, 4))
    here = prefixes(body[2 + length:], 4)
    if here:
        announce["ipv4 unicast"] = {hop: here}
    sequence = [asn for kind, asns in path if kind == 2 for asn in asns]
    if asn_size == 2 and path4:
        behind = [asn for kind, asns in path4 if kind == 2 for asn in asns]
        if len(behind) <= len(sequence):
            sequence[len(sequence) - len(behind):] = behind
    result = {}
    if announce:
        told["as-path"] = sequence
        members = [asn for kind, asns in path if kind == 1 for asn in asns]
        if members:
            told["as-set"] = members
        told["confederation-path"] = []
        result = {"attribute": told, "announce": announce}
    if withdraw:
        result["withdraw"] = withdraw
    return result


def main():
    counters = {}
    with gzip.open(sys.argv[1]) as file:
        while head := file.read(12):
            seconds, kind, subtype, length = struct.unpack(">IHHI", head)
            record = file.read(length)
            micros = 0
            if kind == 17:
                micros, record = struct.unpack(">I", record[:4])[0], record[4:]
            if kind not in (16, 17) or subtype not in (1, 4):
                continue
            size = 2 if subtype == 1 else 4
            peer, local = struct.unpack(">HH" if size == 2 else ">II", record[:2 * size])
            family = struct.unpack(">H", record[2 * size + 2:2 * size + 4])[0]
            record, wide = record[2 * size + 4:], 4 if family == 1 else 16
            addresses = [str(ipaddress.ip_address(record[i * wide:(i + 1) * wide])) for i in (0, 1)]
            message = record[2 * wide:]
            if message[18] != 2:
                continue
            told = update(message[19:], size)
            if not told:
                continue
            counters[addresses[0]] = counters.get(addresses[0], 0) + 1
            print(json.dumps({
                "exabgp": "4.0.1", "time": seconds + micros / 1e6, "host": "mrt", "pid": 1, "ppid": 1,
                "counter": counters[addresses[0]], "type": "update", "neighbor": {
                    "address": {"local": addresses[1], "peer": addresses[0]}, "asn": {"local": local, "peer": peer},
                    "direction": "receive", "message": {"update": told}}}))


main()
