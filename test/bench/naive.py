#!/usr/bin/python3
"""The loader one writes on the first day, for comparison: json, then an INSERT for
each prefix, committed line by line.

    naive.py CONNINFO LINES < FILE

Prints rows and seconds.
"""

import itertools
import json
import sys
import time
from datetime import datetime, timezone

import psycopg2

INSERT = """INSERT INTO naive (ts, peer, kind, prefix, next_hop, as_path, origin, med, communities)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""


def rows(message):
    neighbor = message["neighbor"]
    update = neighbor["message"].get("update", {})
    ts = datetime.fromtimestamp(message["time"], timezone.utc)
    peer = neighbor["address"]["peer"]
    attribute = update.get("attribute", {})
    communities = [f"{a}:{b}" for a, b in attribute.get("community", [])]
    for by_next_hop in update.get("announce", {}).values():
        for next_hop, nlris in by_next_hop.items():
            for nlri in nlris:
                yield (ts, peer, "A", nlri["nlri"], next_hop, attribute.get("as-path"),
                       attribute.get("origin"), attribute.get("med"), communities)
    for nlris in update.get("withdraw", {}).values():
        for nlri in nlris:
            yield (ts, peer, "W", nlri["nlri"], None, None, None, None, None)


def main():
    connection = psycopg2.connect(sys.argv[1])
    cursor = connection.cursor()
    cursor.execute("""CREATE TABLE IF NOT EXISTS naive (ts timestamptz, peer inet, kind text, prefix cidr,
        next_hop inet, as_path bigint[], origin text, med bigint, communities text[])""")
    cursor.execute("CREATE INDEX ON naive (prefix)")
    cursor.execute("CREATE INDEX ON naive (ts)")
    connection.commit()
    count = 0
    begun = time.monotonic()
    for line in itertools.islice(sys.stdin, int(sys.argv[2])):
        message = json.loads(line)
        if message["type"] != "update":
            continue
        for row in rows(message):
            cursor.execute(INSERT, row)
            count += 1
        connection.commit()
    print(count, time.monotonic() - begun)


main()
