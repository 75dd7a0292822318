#!/usr/bin/env python3
"""What peers hold, found by replaying the log into an empty table, event by event; to be
compared with what the database says of it.  Plain on purpose: no SQL beyond reading the log.

    rib_replay.py save FILE          writes the log to a file
    rib_replay.py check [options]    compares bgp.rib, bgp.rib_at and what is built on them

    --log FILE          replay this instead of the log
    --more-since TIME   and what the log has besides, but not what is older
    --seed N            of the moments, prefixes and peers that are chosen
    --states N          moments at which all routes are compared
    --queries N         lookups, differences and histories each
    --not-before TIME   seconds: no moments before (the log of which is gone)
    --not-after TIME    nor after
    --no-current        the routes of now are not compared

The database is libpq's own.  Exit status 1 if anything differs, which is printed.
"""
import argparse
import collections
import datetime
import ipaddress
import json
import random
import subprocess
import sys
import time

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
DAY = 86400 * 1000000
ATTRIBUTES = ("labels", "next_hop", "as_path", "path", "origin_asn", "origin", "med", "local_pref", "communities",
              "large_communities", "ext_communities", "aggregator", "atomic_aggregate", "attributes", "nlri")
ORIGINS = {"i": "igp", "e": "egp", "?": "incomplete", None: None}
EVPN_KEY = {1: ("esi", "ethernet-tag"), 2: ("ethernet-tag", "mac", "ip"), 3: ("ethernet-tag", "ip"), 4: ("esi", "ip"),
            5: ("ethernet-tag", "ip", "iplen")}
TIMES = ("ts", "since", "first_announced", "since1", "since2", "ended_at")


def psql(script):
    """the rows that a script gives, a list a query"""
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"], input="SET TimeZone = 'UTC';\n" + script,
                          stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return [[json.loads(row) for row in part.split("\n") if row] for part in done.stdout.split("=next=\n")]


def ask(queries):
    return psql("".join("SELECT row_to_json(x) FROM (%s) x;\n\\echo =next=\n" % q for q in queries))[:-1]


def micros(text):
    if text is None or text == "infinity":
        return None
    return (datetime.datetime.fromisoformat(text) - EPOCH) // datetime.timedelta(microseconds=1)


def moment(us):
    """as SQL; infinity: float"""
    if us in (float("inf"), float("-inf")):
        return "'%sinfinity'::timestamptz" % ("-" if us < 0 else "")
    return "'%s+00'::timestamptz" % (EPOCH + datetime.timedelta(microseconds=us)).strftime("%Y-%m-%d %H:%M:%S.%f")


# --- the replay ------------------------------------------------------------------------------

def read_log():
    routes, sessions = ask([
        "SELECT (extract(epoch FROM ts) * 1000000)::bigint AS us, e.* FROM bgp.route_event e",
        "SELECT (extract(epoch FROM ts) * 1000000)::bigint AS us, s.* FROM bgp.session_log s"
        " WHERE peer_id IS NOT NULL AND event IN ('up', 'down', 'refresh')"])
    return routes + sessions


def family_of(event):
    return event["family"] or ("ipv6 unicast" if ":" in event["prefix"] else "ipv4 unicast")


def key_of(event):
    """what tells a route of a peer apart"""
    nlri = event["nlri"]
    if event["prefix"] is not None:
        identity = None
    elif event["family"] == "l2vpn evpn" and nlri.get("code") in EVPN_KEY and nlri.get("parsed"):
        identity = json.dumps([nlri["code"]] + [nlri.get(name) for name in EVPN_KEY[nlri["code"]]])
    else:
        identity = json.dumps(nlri, sort_keys=True)
    return family_of(event), event["prefix"], event["path_id"], event["rd"], identity


def attributes_of(event):
    values = {name: event.get(name) for name in ATTRIBUTES}
    values["origin"] = ORIGINS[event["origin"]]
    if event["as_path"] is None and event["path"] is not None:
        values["as_path"] = " ".join(map(str, event["path"]))
    return values


class Peer:
    """one peer's routes, and what has happened to each"""

    def __init__(self, events):
        self.events = sorted(events, key=lambda e: (e["us"], e["seq"]))
        self.next = 0
        self.routes = {}
        self.marked = set()     # stale by a refresh that has begun
        self.history = collections.defaultdict(list)    # key: (us, state, attributes or None)

    def remove(self, key, us, why):
        if key in self.routes:
            del self.routes[key]
            self.history[key].append((us, why, None))
        self.marked.discard(key)

    def apply(self, event):
        us = event["us"]
        if event.get("event") in ("up", "down"):
            for key in list(self.routes):
                self.remove(key, us, "session")
        elif event.get("event") == "refresh":
            if event["detail"].get("direction") == "send":
                return
            subtype = event["detail"]["route-refresh"].get("subtype")
            if subtype == "begin":
                self.marked |= {key for key in self.routes if key[0] == event["family"]}
            elif subtype == "end":
                for key in [key for key in self.marked if key[0] == event["family"]]:
                    self.remove(key, us, "refreshed away")
        elif event["kind"] == "W":
            self.remove(key_of(event), us, "withdrawn")
        else:
            key, attributes = key_of(event), attributes_of(event)
            old = self.routes.get(key)
            same = old is not None and old["attributes"] == attributes
            self.routes[key] = {"ts": us, "attributes": attributes, "since": old["since"] if same else us,
                                "first_announced": old["first_announced"] if old else us}
            self.marked.discard(key)
            if not same:
                self.history[key].append((us, "announced", attributes))

    def at(self, us):
        """the routes at a moment that is not before that of the last call"""
        while self.next < len(self.events) and self.events[self.next]["us"] <= us:
            self.apply(self.events[self.next])
            self.next += 1
        return dict(self.routes)


def replay(log, moments):
    """{moment: {peer: {key: route}}}, and the peers as they are at the end"""
    of_peer = collections.defaultdict(list)
    for event in log:
        of_peer[event["peer_id"]].append(event)
    peers = {peer_id: Peer(events) for peer_id, events in sorted(of_peer.items())}
    states = {us: {} for us in moments}
    for us in sorted(moments):
        for peer_id, peer in peers.items():
            states[us][peer_id] = peer.at(us)
    return states, peers


# --- comparing --------------------------------------------------------------------------------

class Checker:
    def __init__(self):
        self.queries = []
        self.failures = 0
        self.rows = 0
        self.info = {p["peer_id"]: p for p in ask(["SELECT * FROM bgp.peer"])[0]}
        self.windows = ask(["SELECT * FROM bgp.peer_stale"])[0]

    def stale_since(self, peer_id, us):
        """us None: as bgp.rib"""
        if us is None:
            return micros(self.info[peer_id]["stale_since"])
        begins = [micros(w["from_ts"]) for w in self.windows if w["peer_id"] == peer_id and micros(w["from_ts"]) <= us and
                  (w["to_ts"] is None or micros(w["to_ts"]) > us)]
        return min(begins, default=None)

    def identity(self, peer_id):
        info = self.info[peer_id]
        return {"collector": info["collector"], "peer_id": peer_id, "peer_address": info["peer_address"], "peer_asn": info["peer_asn"]}

    def row(self, peer_id, key, route, us):
        """as a row of bgp.rib"""
        since = self.stale_since(peer_id, us)
        row = {"ts": route["ts"], "family": key[0], "prefix": key[1], "path_id": key[2], "rd": key[3], "since": route["since"],
               "first_announced": route["first_announced"], "stale": since is not None and route["ts"] < since}
        return dict(self.identity(peer_id), **row, **route["attributes"])

    def rows_of(self, state, us, wanted=lambda peer_id, key: True):
        return [self.row(peer_id, key, route, us) for peer_id, routes in state.items() for key, route in routes.items()
                if wanted(peer_id, key)]

    def expect(self, query, rows):
        self.queries.append((query, list(rows)))

    @staticmethod
    def canonical(row):
        row = row.get("h", row) | {name: value for name, value in row.items() if name != "h"}
        row = {name: micros(value) if name in TIMES and isinstance(value, str) else value for name, value in row.items()}
        return json.dumps(row, sort_keys=True)

    def run(self):
        for (query, wanted), got in zip(self.queries, ask([q for q, _ in self.queries])):
            missing = collections.Counter(map(self.canonical, wanted))
            missing.subtract(map(self.canonical, got))
            self.rows += len(got)
            if any(missing.values()):
                self.failures += 1
                print("differs: %s (%d rows, %d wanted)" % (query, len(got), len(wanted)))
                for row, n in sorted(missing.items())[:400]:
                    if n and self.failures < 4:
                        print("  %s %s" % ("missing" if n > 0 else "not wanted", row))
        self.queries = []


def within(prefix, cover):
    if prefix is None:
        return False
    a, b = ipaddress.ip_network(prefix), ipaddress.ip_network(cover)
    return a.version == b.version and a.subnet_of(b)


def differences(a, b):
    """of attributes, as bgp.rib_diff names them"""
    names = [("path", ("as_path",)), ("origin_asn", ("origin_asn",)), ("next_hop", ("next_hop",)),
             ("communities", ("communities", "large_communities", "ext_communities")),
             ("attributes", ("origin", "med", "local_pref", "aggregator", "atomic_aggregate", "labels", "attributes", "nlri"))]
    return [name for name, columns in names if any(a[c] != b[c] for c in columns)]


def diff_rows(left, right):
    """left, right: {key: route}"""
    for key in {**left, **right}:
        a, b = left.get(key), right.get(key)
        differs = differences(a["attributes"], b["attributes"]) if a and b else None
        if a and b and not differs:
            continue
        row = {"difference": "only-right" if a is None else "only-left" if b is None else "differs", "differs": differs,
               "family": key[0], "prefix": key[1], "path_id": key[2], "rd": key[3], "nlri": (a or b)["attributes"]["nlri"]}
        for name in ("as_path", "origin_asn", "next_hop", "communities"):
            row[name + "1"] = a and a["attributes"][name]
            row[name + "2"] = b and b["attributes"][name]
        row["since1"], row["since2"] = a and a["since"], b and b["since"]
        yield row


def lookup(state, address):
    """the keys of the longest match, {peer: set}"""
    target = ipaddress.ip_network(address)
    best = {}
    for peer_id, routes in state.items():
        covering = [key for key in routes if key[0] in ("ipv4 unicast", "ipv6 unicast") and within(str(target), key[1])]
        longest = max((ipaddress.ip_network(key[1]).prefixlen for key in covering), default=None)
        best[peer_id] = {key for key in covering if ipaddress.ip_network(key[1]).prefixlen == longest}
    return best


def path_history(checker, peers, prefix, since, until):
    for peer_id, peer in peers.items():
        for key, history in peer.history.items():
            if key[1] != prefix:
                continue
            before = [h for h in history if h[0] <= since]
            states = [h for h in before[-1:] if h[1] == "announced"] + [h for h in history if since < h[0] <= until]
            for n, (us, state, attributes) in enumerate(states):
                end = states[n + 1][0] if n + 1 < len(states) else None
                row = dict(checker.identity(peer_id), ts=us, ended_at=end, lasted=(end or until) - us, state=state,
                           family=key[0], path_id=key[2], rd=key[3])
                for name in ATTRIBUTES:
                    if name not in ("labels", "nlri"):
                        row[name] = attributes and attributes[name]
                yield row


def events_of(options):
    if options.log is None:
        return read_log()
    with open(options.log, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    if options.more_since is not None:
        known = {(e["us"], e["seq"], e["peer_id"]) for e in events}
        events += [e for e in read_log() if e["us"] >= options.more_since * 1000000 and (e["us"], e["seq"], e["peer_id"]) not in known]
    return events


def check(options):
    rng = random.Random(options.seed)
    log = events_of(options)
    low, high = min(e["us"] for e in log) - 1, max(e["us"] for e in log) + 1
    if options.not_before:
        low = max(low, options.not_before * 1000000)
    if options.not_after:
        high = min(high, options.not_after * 1000000)
    times = [e["us"] for e in log if low <= e["us"] <= high] or [low]
    midnights = [us for us in range(low // DAY * DAY, high + 1, DAY) if us >= low]

    def some_moment():
        how = rng.random()
        if how < 0.3:
            us = rng.randrange(low, high + 1)
        elif how < 0.4 and midnights:
            us = rng.choice(midnights) + rng.randrange(-1, 2)
        else:
            us = rng.choice(times) + rng.choice([-1, 0, 0, 0, 1])
        return min(max(us, low), high)

    moments = {low, high} | {some_moment() for _ in range(options.states - 2)}
    if not options.not_after:
        moments.add(float("inf"))
    if not options.not_before:
        moments.add(low - DAY)
    pairs = [sorted([some_moment(), some_moment()]) for _ in range(options.queries)]
    states, peers = replay(log, moments | {us for pair in pairs for us in pair} | {float("inf")})
    prefixes = sorted({key[1] for peer in peers.values() for key in peer.history if key[1] is not None})
    checker = Checker()

    if options.current:
        checker.expect("SELECT * FROM bgp.rib", checker.rows_of(states[float("inf")], None))
    for us in sorted(moments):
        checker.expect("SELECT * FROM bgp.rib_at(%s)" % moment(us), checker.rows_of(states[us], us))

    def cover():
        prefix = ipaddress.ip_network(rng.choice(prefixes))
        return str(prefix if rng.random() < 0.3 else prefix.supernet(new_prefix=rng.randrange(prefix.prefixlen + 1)))

    for us, later in pairs:
        state = states[us]
        net, ids = cover(), rng.sample(sorted(peers), rng.randrange(1, len(peers) + 1))
        checker.expect("SELECT * FROM bgp.rib_at(%s, '%s')" % (moment(us), net),
                       checker.rows_of(state, us, lambda p, key, net=net: within(key[1], net)))
        checker.expect("SELECT * FROM bgp.rib_at(%s, '%s', ARRAY%s)" % (moment(us), net, ids),
                       checker.rows_of(state, us, lambda p, key, net=net, ids=ids: p in ids and within(key[1], net)))
        checker.expect("SELECT * FROM bgp.rib_at(%s, NULL, ARRAY%s)" % (moment(us), ids),
                       checker.rows_of(state, us, lambda p, key, ids=ids: p in ids))
        some = rng.sample(prefixes, min(len(prefixes), rng.randrange(1, 4)))
        checker.expect("SELECT * FROM bgp.routes_at(%s, '{%s}')" % (moment(us), ",".join(some)),
                       checker.rows_of(state, us, lambda p, key, some=some: key[1] in some))
        net = ipaddress.ip_network(rng.choice(prefixes))
        target = str(net if rng.random() < 0.3 else ipaddress.ip_network(net[rng.randrange(min(net.num_addresses, 65536))]))
        best = lookup(state, target)
        if us < time.time() * 1000000:
            checker.expect("SELECT * FROM bgp.lookup('%s', %s)" % (target, moment(us)),
                           checker.rows_of(state, us, lambda p, key, best=best: key in best[p]))
        if options.current:
            best = lookup(states[float("inf")], target)
            checker.expect("SELECT * FROM bgp.lookup('%s')" % target,
                           checker.rows_of(states[float("inf")], None, lambda p, key, best=best: key in best[p]))
        rows = [dict(row, **checker.identity(p)) for p in peers for row in diff_rows(state[p], states[later][p])]
        checker.expect("SELECT * FROM bgp.rib_diff(%s, %s)" % (moment(us), moment(later)), rows)
        net = cover()
        checker.expect("SELECT * FROM bgp.rib_diff(%s, %s, '%s', ARRAY%s)" % (moment(us), moment(later), net, ids),
                       [row for row in rows if row["peer_id"] in ids and within(row["prefix"], net)])
        one, other = rng.choice(sorted(peers)), rng.choice(sorted(peers))
        checker.expect("SELECT * FROM bgp.peer_diff(%d, %d, %s)" % (one, other, moment(us)), diff_rows(state[one], state[other]))
        prefix = rng.choice(prefixes)
        checker.expect("SELECT (extract(epoch FROM lasted) * 1000000)::bigint AS lasted, (to_jsonb(h) - 'lasted') AS h"
                       " FROM bgp.path_history('%s', %s, %s) h" % (prefix, moment(us), moment(later)),
                       list(path_history(checker, peers, prefix, us, later)))
    checker.run()
    print("%d rows of %d moments, %d events" % (checker.rows, len(moments) + 2 * len(pairs), len(log)))
    sys.exit(1 if checker.failures else 0)


def save(name):
    with open(name, "w", encoding="utf-8") as file:
        for event in read_log():
            file.write(json.dumps(event) + "\n")


parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["save", "check"])
parser.add_argument("file", nargs="?")
parser.add_argument("--log")
parser.add_argument("--more-since", type=int)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--states", type=int, default=20)
parser.add_argument("--queries", type=int, default=10)
parser.add_argument("--not-before", type=int)
parser.add_argument("--not-after", type=int)
parser.add_argument("--no-current", dest="current", action="store_false")
arguments = parser.parse_args()
if arguments.command == "save":
    save(arguments.file)
else:
    check(arguments)
