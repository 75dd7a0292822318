#!/usr/bin/env python3
"""What exabgp-pg --print has to write for a captured file, worked out a second time.

    normalize.py < FIXTURE > FIXTURE.expected     the rows that it must become
    normalize.py --canonical < OUTPUT             the program's rows in the same spelling
    normalize.py --compare NAME=FILE...           cross-version check, see compare()

Written from the description of the columns of bgp.route_log and from what is known of
ExaBGP's dialects; it shares no code with the decoder, and is not fast.  The text of an
error is not its business: it says "*".
"""
import datetime
import decimal
import ipaddress
import json
import re
import sys

COLUMNS = (
    "ts collector peer_address peer_asn kind family prefix path_id rd labels next_hop as_path path origin_asn "
    "origin med local_pref communities large_communities ext_communities aggregator atomic_aggregate attributes "
    "nlri event detail line error"
).split()

# attributes that have a column; all others go to "attributes"
OWN = {
    "origin", "as-path", "as-set", "confederation-path", "confederation-set", "med", "local-preference",
    "community", "large-community", "extended-community", "aggregator", "atomic-aggregate", "next-hop",
}
PREFIX_FAMILIES = {"unicast", "multicast", "nlri-mpls", "labeled-unicast", "mpls-vpn"}
NO_NEXT_HOP = {"none", "no-nexthop", "null"}
SEGMENTS = {
    "as-sequence": ("", " ", ""), "as-set": ("{", ",", "}"),
    "as-confed-sequence": ("(", " ", ")"), "as-confed-set": ("[", ",", "]"),
}
TYPES = {"update", "state", "open", "notification", "refresh", "keepalive", "negotiated", "fsm", "signal"}


class Bad(Exception):
    """a line that has to be quarantined"""


def first_wins(pairs):
    """4.2.21 writes a second, garbled aggregator; 3.4 the same prefix with two distinguishers"""
    result = {}
    for key, value in pairs:
        if key not in result:
            result[key] = value
        elif key != "aggregator":
            n = 1
            while (key, n) in result:
                n += 1
            result[(key, n)] = value
    return result


def parse(text):
    try:
        return json.loads(text, strict=False, object_pairs_hook=first_wins)
    except ValueError:
        pass
    # 4.2: doubled quotes in a refresh; main: an End-of-RIB inside an array
    text = re.sub(r'""([a-z0-9 -]+)""', r'"\1"', text)
    text = re.sub(r'\{ "update": \{ "announce": \{ "[^"]*": \{ "null": \[ ("eor": \{[^}]*\}) \] \} \} \} \}', r"{ \1 }", text)
    try:
        return json.loads(text, strict=False, object_pairs_hook=first_wins)
    except ValueError as error:
        raise Bad(str(error)) from error


def plain(value):
    """as it is stored: integers that no 64-bit number holds become text"""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, int) and not -2**63 <= value < 2**63:
        return str(value)
    return value


def timestamp(seconds):
    """the microsecond nearest to the time, which is a double in ExaBGP"""
    micro = int((decimal.Decimal(seconds) * 1000000).to_integral_value(decimal.ROUND_HALF_UP))
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micro)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def address_text(text):
    """as inet_ntop writes it: mapped addresses with a dotted quad"""
    address = ipaddress.ip_address(text)
    if address.version == 6 and address.ipv4_mapped:
        return "::ffff:%s" % address.ipv4_mapped
    return str(address)


def prefix_text(text):
    network = ipaddress.ip_network(text, strict=False)
    return "%s/%d" % (address_text(str(network.network_address)), network.prefixlen)


def segments(attribute):
    """[(kind, [ASN...])...] from left to right"""
    path = attribute.get("as-path", [])
    if isinstance(path, dict):
        return [(s["element"], s["value"]) for _, s in sorted(path.items(), key=lambda item: int(item[0]))]
    return [
        ("as-confed-sequence", attribute.get("confederation-path", [])),
        ("as-confed-set", attribute.get("confederation-set", [])),
        ("as-sequence", path),
        ("as-set", attribute.get("as-set", [])),
    ]


def path_columns(attribute):
    words, path, last = [], [], None
    for kind, asns in segments(attribute):
        if not asns:
            continue
        last = kind
        if kind.endswith("set"):
            asns = sorted(asns)
        begin, between, end = SEGMENTS[kind]
        words.append(begin + between.join(map(str, asns)) + end)
        if "confed" not in kind:
            path += asns
    row = {"as_path": " ".join(words), "path": path}
    if last == "as-sequence":
        row["origin_asn"] = path[-1]
    return row


def attribute_columns(attribute):
    row = path_columns(attribute)
    for column, key in (("origin", "origin"), ("med", "med"), ("local_pref", "local-preference"),
                        ("aggregator", "aggregator")):
        if key in attribute:
            row[column] = attribute[key]
    row["atomic_aggregate"] = bool(attribute.get("atomic-aggregate", False))
    large = [tuple(c) for c in attribute.get("large-community", [])]
    others = {}
    for key, value in attribute.items():
        if key in OWN:
            continue
        match = re.fullmatch(r"attribute-0x([0-9A-F]{2})-0x[0-9A-F]{2}", key)
        code = int(match.group(1), 16) if match else 0
        data = value[2:] if match else ""
        if code == 0x20 and len(data) % 24 == 0:        # 3.4 knows no large communities (RFC 8092)
            numbers = [int(data[i:i + 8], 16) for i in range(0, len(data), 8)]
            large += [tuple(numbers[i:i + 3]) for i in range(0, len(numbers), 3)]
        elif code == 0x23 and len(data) == 8:           # no version knows OTC (RFC 9234)
            others["otc"] = int(data, 16)
        else:
            others[key] = plain(value)
    communities = {tuple(c) for c in attribute.get("community", [])}
    ext = set()
    for c in attribute.get("extended-community", []):
        if isinstance(c, dict):
            ext.add(c.get("string") or "0x%016x" % c["value"])
        else:
            ext.add("0x%016x" % c)
    if communities:
        row["communities"] = ["%d:%d" % c for c in sorted(communities)]
    if large:
        row["large_communities"] = ["%d:%d:%d" % c for c in sorted(set(large))]
    if ext:
        row["ext_communities"] = sorted(ext)
    return row, others


def nlri_columns(family, key, nlri):
    """key: the prefix where the dialect has it as a key (3.4), nlri: an object or a string"""
    row = {"family": family}
    if isinstance(key, tuple):
        key = key[0]
    if isinstance(nlri, str):
        key, nlri = nlri, {}
    if family.split(" ", 1)[-1] in PREFIX_FAMILIES:
        row["prefix"] = prefix_text(nlri["nlri"] if "nlri" in nlri else key)
    else:
        row["nlri"] = plain(nlri)
    if "path-information" in nlri:
        row["path_id"] = int(ipaddress.IPv4Address(nlri["path-information"]))
    for key_rd in ("rd", "route-distinguisher"):
        if key_rd in nlri:
            row["rd"] = nlri[key_rd]
    labels = [label[0] if isinstance(label, list) else label for label in nlri.get("label", [])]
    if labels:
        row["labels"] = labels
    return row


def entries(container):
    return list(container.items()) if isinstance(container, dict) else [(None, nlri) for nlri in container]


def identity(row):
    return tuple(json.dumps(row.get(c), sort_keys=True) for c in ("family", "prefix", "path_id", "rd", "nlri"))


def routes(update):
    announced, withdrawn = {}, []
    for family, hops in update.get("announce", {}).items():
        columns, others = attribute_columns(update.get("attribute", {}))
        for hop, container in hops.items():
            for key, nlri in entries(container):
                row = nlri_columns(family, key, nlri)
                if hop not in NO_NEXT_HOP:
                    row["next_hop"] = address_text(hop)
                row.update(columns, kind="announce")
                row["attributes"] = dict(others)
                announced.setdefault(identity(row), []).append(row)
    result = []
    for same in announced.values():
        # one route with a global and a link-local next hop is printed under both
        local = [r for r in same if r.get("next_hop", "").startswith("fe80:")]
        other = [r for r in same if r not in local]
        row = other[-1] if other else local[-1]
        if local and other:
            row["attributes"]["link-local-next-hop"] = local[-1]["next_hop"]
        if not row["attributes"]:
            del row["attributes"]
        result.append(row)
    for family, container in update.get("withdraw", {}).items():
        for key, nlri in entries(container):
            row = nlri_columns(family, key, nlri)
            # announced by the same UPDATE: as if it were not withdrawn (RFC 4271 section 4.3)
            if identity(row) not in announced:
                withdrawn.append(dict(row, kind="withdraw"))
    if not withdrawn and not result:
        raise Bad("nothing in it")
    return withdrawn + result


def session(message, neighbor):
    kind = message["type"]
    row = {"event": kind}
    detail = {k: v for k, v in neighbor.items() if k not in ("ip", "address", "asn", "router-id", "message") and v != ""}
    if kind == "state":
        row["event"] = detail.pop("state")
    if kind == "refresh":
        refresh = neighbor["route-refresh"]
        row["family"] = "%s %s" % (refresh["afi"], refresh["safi"])
    if not neighbor:
        detail = {"notification": message["notification"]}
    if detail:
        row["detail"] = detail
    return row


def rows(line):
    """the rows of one line, columns that are common to them left out"""
    message = parse(line)
    neighbor = message.get("neighbor", {})
    kind = message["type"]
    common = {"ts": timestamp(message["time"])}
    if neighbor:
        common["peer_address"] = address_text(neighbor["address"]["peer"])
        common["peer_asn"] = int(neighbor["asn"]["peer"])
    content = neighbor.get("message", {})
    if ("body" in content or "body" in message and kind not in TYPES) and "update" not in content and "eor" not in content:
        return []           # a packet in hexadecimal digits; what it means has a line of its own
    if kind not in TYPES:
        raise Bad("type")
    if kind == "update":
        if neighbor.get("direction") in ("send", "sent"):
            return []
        if "eor" in content:
            eor = content["eor"]
            found = [{"event": "eor", "family": "%s %s" % (eor["afi"], eor["safi"])}]
        else:
            try:
                found = routes(content["update"])
            except Bad:
                found = [{"line": line, "error": "*"}]
    else:
        found = [session(message, neighbor)]
    return [dict(row, **common) for row in found]


def write(row):
    ordered = {column: row[column] for column in COLUMNS if column in row}
    if len(ordered) != len(row):
        raise SystemExit("unknown column in %s" % sorted(row))
    for column in ("detail", "attributes", "nlri"):
        if column in ordered:
            ordered[column] = json.loads(json.dumps(ordered[column], sort_keys=True))
    print(json.dumps(ordered, separators=(",", ":"), ensure_ascii=False))


def no_duplicates(pairs):
    if len(dict(pairs)) != len(pairs):
        raise SystemExit("a key stands twice in %s" % pairs)
    return dict(pairs)


def canonical(text):
    row = json.loads(text, object_pairs_hook=no_duplicates)
    if row.get("error"):
        row["error"] = "*"
    return row


def expected(stream):
    for line in stream:
        line = line.rstrip("\n")
        if not line.startswith("{"):
            continue        # answers to commands
        for row in rows(line):
            row["collector"] = "golden"
            write(row)


# What a version does not tell, so that it cannot be compared (column: versions).
# ts differs since the messages were sent to each version at another time.


def comparable(version, row):
    row = {k: v for k, v in row.items() if k != "ts"}
    if "as_path" in row:
        # 5 calls confederation segments a sequence, 3.4 and 4 lose the place of a set
        row["as_path"] = sorted(re.findall(r"\d+", row["as_path"]), key=int)
        del row["path"]
        row.pop("origin_asn", None)
    # the string forms are ExaBGP's own and differ; 3.4 has numbers only
    if "ext_communities" in row:
        row["ext_communities"] = len(row["ext_communities"])
    attributes = row.get("attributes", {})
    # global next hop only in main
    attributes.pop("link-local-next-hop", None)
    # known under another name, or not at all, from version to version
    for key in list(attributes):
        if re.match(r"attribute-0x(17|19|28)-|bgp-prefix-sid|extended-community-ipv6|pmsi|attribute-0xC0-", key):
            del attributes[key]
    if not attributes:
        row.pop("attributes", None)
    return json.dumps(row, sort_keys=True)


def compare(arguments):
    """NAME=FILE...: the rows of each file but for what that version is known to lose"""
    sets = {}
    for argument in arguments:
        name, path = argument.split("=", 1)
        with open(path, encoding="utf-8") as stream:
            found = [canonical(line) for line in stream]
        sets[name] = {}
        for row in found:
            if "kind" in row:
                key = (row["kind"], row["family"], row.get("prefix"))
                sets[name].setdefault(key, set()).add(comparable(name, row))
    status, compared = 0, 0
    names = list(sets)
    for name in names[1:]:
        for key in sets[names[0]].keys() & sets[name].keys():
            compared += 1
            if not sets[names[0]][key] & sets[name][key]:
                status = 1
                print("%s and %s differ in %s\n  %s\n  %s" % (
                    names[0], name, " ".join(map(str, key)), min(sets[names[0]][key]), min(sets[name][key])))
        only = sets[names[0]].keys() ^ sets[name].keys()
        print("%s, %s: %d routes compared, %d in one of them only" % (
            names[0], name, len(sets[names[0]].keys() & sets[name].keys()), len(only)), file=sys.stderr)
    return status if compared else 1


def main(arguments):
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    if arguments[:1] == ["--compare"]:
        return compare(arguments[1:])
    if arguments[:1] == ["--canonical"]:
        for line in sys.stdin:
            write(canonical(line))
    else:
        expected(sys.stdin)
    return 0


sys.exit(main(sys.argv[1:]))
