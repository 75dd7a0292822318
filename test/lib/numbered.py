"""Lines as ExaBGP 4.2 writes them, numbered, for tests.

Line n is an UPDATE of peer n % peers + 1 that announces the prefix 10.x.y.z/32 made
from n, with MED n: what arrives in the database can be counted, ordered and compared.
A peer's lines are counted as ExaBGP does, n // peers + 1.
"""
import ipaddress

LINE = (
    '{ "exabgp": "4.0.1", "time": %.6f, "host" : "test", "pid" : %d, "ppid" : 1, "counter": %d, '
    '"type": "update", "neighbor": { "address": { "local": "192.0.2.254", "peer": "192.0.2.%d" }, '
    '"asn": { "local": 64512, "peer": %d } , "direction": "receive", "message": { "update": { "attribute": '
    '{ "origin": "igp", "as-path": [ %d, 64500, 64501 ], "confederation-path": [], "med": %d, '
    '"community": [ [ 64500, %d ] ] }, "announce": { "ipv4 unicast": { "192.0.2.%d": '
    '[ { "nlri": "%s/32" } ] } } } } } }\n'
)

# seconds that a clock is off, for 200 lines each: to and fro, also over midnight
STEPS = (0, 5, -5, 3600, -7200, 86400, 0, -172800, 1)


def line(n, peers=1, start=1700000000, pid=4242, steps=False):
    """Line n, with the newline; a millisecond after line n - 1 unless the clock steps."""
    peer = n % peers + 1
    time = start + n / 1000
    if steps:
        time += STEPS[n // 200 % len(STEPS)]
    return LINE % (time, pid, n // peers + 1, peer, 64600 + peer, 64600 + peer, n, n % 1000, peer,
                   ipaddress.ip_address(0x0a000000 + n % 0x1000000))
