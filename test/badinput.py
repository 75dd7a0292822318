#!/usr/bin/env python3
"""Hostile input for badinput.sh, and the check that each bad line did no harm.

    badinput.py hostile FILE EXPECTED     bad lines of all kinds between good ones
    badinput.py short FILE EXPECTED       the same without those of 16 MiB and more
    badinput.py cut FILE EXPECTED         a real line cut off at each of its bytes
    badinput.py refused FILE EXPECTED     lines of which the database is to refuse a prefix
    badinput.py pieces FILE SEED          writes FILE to stdout in random pieces
    badinput.py line PIECE                one line of 16 MiB of it between two good ones
    badinput.py check EXPECTED < ROWS     ROWS: one JSON object a line, as --print writes them

EXPECTED has a JSON object a line: { "prefix": ... } for a good line, { "name": ...,
"error": regular expression, "line": text } for a bad one.
"""
import json
import random
import re
import sys

MIB = 1024 * 1024
LINE_MAX = 16 * MIB
KEPT = 64 * 1024
HEAD = (
    '{ "exabgp": "4.0.1", "time": 1700000000.25, "host" : "h", "pid" : 42, "ppid" : 1, "counter": %d, "type": "update", '
    '"neighbor": { "address": { "local": "192.0.2.2", "peer": "192.0.2.1" }, "asn": { "local": 64500, "peer": 64501 } , '
    '"direction": "receive", "message": { "update": { '
)
ATTRIBUTE = '"attribute": { "origin": "igp", "as-path": [ 64501, 64502 ], "confederation-path": [], "med": %s }, '
ANNOUNCE = '"announce": { "ipv4 unicast": { "192.0.2.9": [ %s ] } }'
TAIL = " } } } }"


class Writer:
    """good and bad lines, and what has to become of them"""

    def __init__(self, path, expected):
        self.out = open(path, "wb")
        self.expected = open(expected, "w", encoding="ascii")
        self.count = 0

    def put(self, line, end=b"\n"):
        self.out.write(line + end)

    def expect(self, **what):
        self.expected.write(json.dumps(what) + "\n")

    def good(self, end=b"\n", prefixes=1, pad=0):
        first = self.count
        self.count += prefixes
        names = ["10.%d.%d.0/24" % (n // 256, n % 256) for n in range(first, first + prefixes)]
        nlri = ", ".join('{ "nlri": "%s" }' % name for name in names)
        line = (HEAD % self.count + ATTRIBUTE % first + ANNOUNCE % nlri + TAIL).encode()
        self.put(line + b" " * (pad - len(line)), end)
        for name in names:
            self.expect(prefix=name)

    def bad(self, name, line, error, end=b"\n"):
        self.put(line, end)
        if error is not None:
            self.expect(name=name, error=error, line=stored(line[:KEPT]))
        self.good()

    def json(self, name, text, error):
        self.bad(name, text.encode("utf-8"), error)

    def attribute(self, name, text, error):
        self.json(name, HEAD % 0 + '"attribute": { %s }, ' % text + ANNOUNCE % '"10.255.0.0/24"' + TAIL, error)

    def update(self, name, text, error):
        self.json(name, HEAD % 0 + text + TAIL, error)


def stored(line):
    """as the database can hold it: what is no UTF-8 text as \\xNN"""
    text = line.decode("utf-8", "surrogateescape")
    return "".join("\\x%02x" % (ord(c) & 0xff) if "\udc80" <= c <= "\udcff" else c for c in text).replace("\0", "\\x00")


def hostile(w):
    short(w)
    # of 16 MiB a line can be read, a longer one is not
    w.good(pad=LINE_MAX)
    line = b'{ "exabgp": "4.0.1", "x": "' + b"x" * LINE_MAX
    w.bad("16 MiB", line[:LINE_MAX - 3] + b'" }', "time")
    w.bad("a byte more than 16 MiB", line[:LINE_MAX - 2] + b'" }', "16 MiB")
    w.bad("48 MiB", b'{ "exabgp": "' + b"\xff" * (3 * LINE_MAX) + b'" }', "16 MiB")
    # the last line has no newline
    w.good(b"")


def short(w):
    w.good()
    # no JSON
    w.bad("one byte", b"{", "JSON")
    w.bad("text", b"Traceback (most recent call last):", "not JSON")
    w.bad("a list", b"[ 1, 2 ]", "not JSON")
    w.bad("zero byte", b'{ "exabgp": "4.0.1\0" }', "JSON")
    w.bad("only a zero byte", b"\0", "not JSON")
    w.bad("zero byte after the object", (HEAD % 0 + ANNOUNCE % '"10.255.0.0/24"' + TAIL).encode() + b"\0", "JSON")
    w.bad("invalid UTF-8", b'{ "exabgp": "\xff\xfe" }', "JSON")
    w.bad("UTF-8 cut off", b'{ "exabgp": "\xe2\x82', "JSON")
    w.bad("Latin 1", '{ "exabgp": "J\u00fcrgen" }'.encode("latin-1"), "JSON")
    w.bad("escaped zero", b'{ "exabgp": "\\u0000" }', "JSON")
    w.bad("half a surrogate pair", b'{ "exabgp": "\\ud83d" }', "JSON")
    w.bad("control byte", b'{ "exabgp": "a\x01b" }', "JSON")
    w.bad("two objects", b'{ "exabgp": "4.0.1" } { "exabgp": "4.0.1" }', "JSON")
    w.bad("two lines in one", (HEAD % 0 + ANNOUNCE % '"10.255.0.0/24"').encode() + (HEAD % 0).encode(), "JSON")
    w.bad("NaN", (HEAD % 0 + ATTRIBUTE % "NaN" + ANNOUNCE % '"10.255.0.0/24"' + TAIL).encode(), "JSON")
    for depth in (100, 1000, 10000, 100000):
        nested = b'{ "exabgp": ' + b"[" * depth + b"]" * depth + b" }"
        w.bad("lists %d deep" % depth, nested, "depth|time" if depth > 1000 else "time")
        nested = b'{ "exabgp": ' + b'{"a":' * depth + b"1" + b"}" * depth + b" }"
        w.bad("objects %d deep" % depth, nested, "depth|time" if depth > 1000 else "time")
        w.bad("%d lists not closed" % depth, b'{ "a": ' + b"[" * depth, "JSON")
    # not ours
    w.bad("text encoder", b"neighbor 192.0.2.1 receive update announced 10.255.0.0/24 next-hop 192.0.2.9", "encoder json")
    w.json("no message", "{}", "exabgp")
    w.json("another program's", '{ "version": 1, "time": 1700000000 }', "exabgp")
    w.json("unknown type", (HEAD % 0).replace('"update", "neigh', '"tango", "neigh') + ANNOUNCE % '"10.255.0.0/24"' + TAIL,
           'unknown message type "tango"')
    w.json("type is a number", (HEAD % 0).replace('"update", "neigh', '7, "neigh') + TAIL, "type")
    # absurd times
    for time in ("-1", "1e300", "4102444800", '"now"', "null", "99999999999999999999999", "[]", "{}"):
        w.json("time " + time, (HEAD % 0).replace("1700000000.25", time) + ANNOUNCE % '"10.255.0.0/24"' + TAIL, "time is")
    # absurd peers
    for was, now, error in (
            ('"peer": "192.0.2.1"', '"peer": "192.0.2.1.1"', "address"), ('"peer": "192.0.2.1"', '"peer": 7', "address"),
            ('"peer": "192.0.2.1"', '"peer": "example.net"', "example.net"), ('"peer": 64501', '"peer": -1', "asn"),
            ('"peer": 64501', '"peer": 4294967296', "asn"), ('"peer": 64501', '"peer": 1.5', "asn"),
            ('"peer": 64501', '"peer": "AS1"', "asn"), ('"local": "192.0.2.2"', '"local": "x"', "local")):
        w.json("neighbor %s" % now, (HEAD % 0).replace(was, now) + ANNOUNCE % '"10.255.0.0/24"' + TAIL, error)
    # wrong attributes
    for text, error in (
            ('"as-path": 7', "as-path"), ('"as-path": [ -1 ]', "-1"), ('"as-path": [ 1.5 ]', "1.5"),
            ('"as-path": [ 4294967296 ]', "4294967296"), ('"as-path": [ "x" ]', "as-path"), ('"as-path": [ [ ] ]', "as-path"),
            ('"as-path": [ 1e3 ]', "as-path|ASN"), ('"as-path": { "0": 7 }', "as-path"), ('"origin": 7', "origin"),
            ('"origin": "unknown"', "origin"), ('"med": -1', "med"), ('"med": 4294967296', "med"), ('"med": 0.5', "med"),
            ('"med": 99999999999999999999999999999999999', "med"), ('"med": "7"', "med"), ('"local-preference": []', "local-pref"),
            ('"community": [ [ 1, 65536 ] ]', "community"), ('"community": "1:2"', "community"),
            ('"community": [ 1 ]', "community"), ('"large-community": [ [ 1, 2 ] ]', "large"),
            ('"extended-community": [ "x" ]', "extended"), ('"aggregator": "x"', "aggregator"),
            ('"atomic-aggregate": "yes"', "atomic"), ('"med": 1, "med": 2', "JSON|duplicate")):
        w.attribute(text, text, error)
    for name, element, count in ("as-path", "%d", 32768), ("community", "[ 7, %d ]", 16384), ("large-community", "[ 7, 7, %d ]", 5462):
        w.attribute("a long " + name, '"%s": [ %s ]' % (name, ", ".join(element % n for n in range(count))), "more than a message has room for")
    # wrong NLRI
    for nlri, error in (
            ('"10.255.0.0/33"', r"10\.255\.0\.0/33"), ('"10.255.0.0/-1"', "prefix"), ('"10.255.0.0"', "prefix"),
            ('"10.255.0/24"', "prefix"), ('"2001:db8::/129"', "prefix"), ('"2001:db8::/32"', "prefix"), ('7', "NLRI|nlri"),
            ('{ "nlri": 7 }', "nlri"), ('{ }', "nlri"), ("null", "NLRI|nlri"), ('"10.255.0.0/24", "10.255.0.0/99"', "/99"),
            ('{ "nlri": "10.255.0.0/24", "path-information": -1 }', "path-information")):
        w.update(nlri, ANNOUNCE % nlri, error)
    w.update("next hop", '"announce": { "ipv4 unicast": { "nowhere": [ "10.255.0.0/24" ] } }', "nowhere")
    w.update("no family", '"announce": { "": { "192.0.2.9": [ "10.255.0.0/24" ] } }', "family")
    w.update("announce is a list", '"announce": [ ]', "announce")
    w.update("withdraw is a text", '"withdraw": "10.255.0.0/24"', "withdraw")
    w.update("nothing in it", "", "nothing")
    w.update("a text of 200000 bytes where a number should be", '"attribute": { "med": "%s" }, ' % ("9" * 200000) + ANNOUNCE
             % '"10.255.0.0/24"', "med")
    # not bad at all
    for line in (b"", b"\r", b"  \t", b"done", b"error", b"done\r", b'{ "status": "done" }'):
        w.bad("quiet", line, None)
    w.good(b"\r\n")


def cut(w):
    line = (HEAD % 1 + ATTRIBUTE % 5 + ANNOUNCE % '{ "nlri": "10.255.0.0/24" }'
            + ', "withdraw": { "ipv6 unicast": [ { "nlri": "2001:db8::/32" } ] }' + TAIL).encode()
    w.good()
    for n in range(1, len(line)):
        w.bad("cut off after %d bytes" % n, line[:n], "JSON")


def refused(w):
    for n in range(400):
        w.good(prefixes=5 if n % 3 == 0 else 1)


def normal(text):
    return text.replace("\0", "\\x00")


def check(path):
    """the rows are those expected, in this order; prints what is wrong, at most 10 times"""
    wrong = 0
    with open(path, encoding="ascii") as expected:
        wanted = [json.loads(line) for line in expected]
    rows = [json.loads(line) for line in sys.stdin.buffer.read().decode("utf-8").split("\n") if line]
    for i in range(max(len(wanted), len(rows))):
        if wrong == 10:
            break
        want = wanted[i] if i < len(wanted) else None
        row = rows[i] if i < len(rows) else None
        if want is None or row is None:
            print("row %d: got %.300s, wanted %.300s" % (i, row, want))
            wrong = 10
        elif "prefix" in want:
            if row.get("prefix") != want["prefix"]:
                print("row %d: got %.300s, wanted the prefix %s" % (i, row, want["prefix"]))
                wrong += 1
        elif "error" not in row:
            print("row %d, %s: got %.300s, wanted an error" % (i, want["name"], row))
            wrong = 10
        elif not re.search(want["error"], row["error"]) or not 8 < len(row["error"]) < 400:
            print("row %d, %s: the reason is %.300s, wanted %s" % (i, want["name"], row["error"], want["error"]))
            wrong += 1
        elif normal(row["line"]) != want["line"]:
            print("row %d, %s: %d bytes of line %.100s, wanted %d: %.100s" % (
                i, want["name"], len(row["line"]), row["line"], len(want["line"]), want["line"]))
            wrong += 1
    if not wrong:
        print("%d good lines, %d bad ones" % (sum("prefix" in w for w in wanted), sum("error" in w for w in wanted)))
    return 1 if wrong else 0


def pieces(path, seed):
    rng = random.Random(seed)
    with open(path, "rb") as stream:
        data = stream.read()
    at = 0
    while at < len(data):
        n = rng.choice((1, 2, 7, 100, 1000, 5000, 65536, 70000, 1000000))
        n = rng.randint(1, n)
        sys.stdout.buffer.write(data[at:at + n])
        sys.stdout.buffer.flush()
        at += n


def main(arguments):
    if arguments[0] in ("hostile", "short", "cut", "refused"):
        w = Writer(arguments[1], arguments[2])
        {"hostile": hostile, "short": short, "cut": cut, "refused": refused}[arguments[0]](w)
        w.out.close()
        w.expected.close()
    elif arguments[0] == "pieces":
        pieces(arguments[1], int(arguments[2]))
    elif arguments[0] == "line":
        piece = arguments[1].encode()
        w = Writer("/dev/stdout", "/dev/null")
        w.good()
        w.put((piece * (LINE_MAX // len(piece) + 1))[:LINE_MAX])
        w.good()
        w.out.close()
    else:
        return check(arguments[1])
    return 0


sys.exit(main(sys.argv[1:]))
