#!/usr/bin/env bash
# hunts.sh - hunts over five minutes of real updates and a leak of one prefix (data/SOURCES.md), and
# the scripts of sql/hunts as an analyst runs them.
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

command -v python3 >/dev/null || skip_all "python3 is not installed"
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-hunts.XXXXXX")
trap 'cluster_remove "$work/pg"; rm -rf "$work"' EXIT
cluster_start "$work/pg" || exit 1

scripts/exabgp-pg-db init >"$work/init" 2>&1 || fail "init" "$(cat "$work/init")"
python3 -B test/lib/mrtlines.py test/data/rrc05.updates.20100722.2015.gz >"$work/lines"
"$PROGRAM" --quiet --no-resync --collector rrc05 --spool "$work/spool" --drain 20 <"$work/lines" 2>"$work/err"
is "$? $(sql "SELECT count(*) FILTER (WHERE kind = 'announce') || ' ' || count(*) FILTER (WHERE kind = 'withdraw') FROM bgp.route_log")" \
	"0 5067 547" "the updates are loaded" || diag "$(tail -n 5 "$work/err")"
sql "CREATE ROLE analyst LOGIN IN ROLE exabgp_pg_reader"
export PGUSER=analyst
range="'2010-07-22 20:15+00', '2010-07-22 20:20:01+00'"

# --- what is known of these minutes --------------------------------------------------------------

is "$(sql "SELECT suspect, prefix, peers_count, events FROM hunt.moas($range)")" \
	$'3257|62.100.192.0/19|3|7\n46284|62.100.192.0/19|9|10' "moas: 62.100.192.0/19 moves from AS3257 to AS46284"
is "$(sql "SELECT suspect, prefix, peers, evidence->'from' FROM hunt.origin_change($range)")" \
	"46284|62.100.192.0/19|{286,8447,39912}|[3257]" "origin_change: at three peers"
is "$(sql "SELECT count(*) FROM hunt.path_loop($range)")$(sql "SELECT count(*) FROM hunt.bogon_prefix($range)")$(sql "SELECT count(*) FROM hunt.sub_moas($range)")" \
	000 "no loops, no bogons, no more specifics of others"

# what a few lines of Python make of the same lines
python3 -B - "$work/lines" >"$work/counted" <<'END'
import collections
import json
import sys

counts, outage, pattern = collections.Counter(), {}, set()
for line in open(sys.argv[1], encoding="ascii"):
    neighbor = json.loads(line)["neighbor"]
    peer, update = neighbor["address"]["peer"], neighbor["message"]["update"]
    for family in update.get("withdraw", {}).values():
        for route in family:
            counts[route["nlri"], peer, "w"] += 1
            outage[route["nlri"], peer] = True
    for family in update.get("announce", {}).values():
        for routes in family.values():
            for route in routes:
                counts[route["nlri"], peer, "a"] += 1
                outage[route["nlri"], peer] = False
                if "3257" in map(str, update["attribute"]["as-path"]):
                    pattern.add(route["nlri"])
sessions = collections.defaultdict(list)
for (prefix, _), lost in outage.items():
    sessions[prefix].append(lost)
print("flaps", len({p for p, peer, kind in counts if counts[p, peer, "a"] >= 3 and counts[p, peer, "w"] >= 3}))
print("lost", sum(2 * sum(lost) >= len(lost) for lost in sessions.values()))
print("pattern", len(pattern))
END
is "$(sql "SELECT 'flaps ' || count(*) FROM hunt.flaps($range, times => 3)
    UNION ALL SELECT 'lost ' || count(*) FROM hunt.visibility_loss($range)
    UNION ALL SELECT 'pattern ' || count(DISTINCT prefix) FROM hunt.path_pattern($range, '_3257_')")" "$(cat "$work/counted")" \
	"flaps, visibility_loss and path_pattern find as many as counted"

# --- the scripts ---------------------------------------------------------------------------------------

# sheet NAME [psql option]...: leaves $status, and what it printed in $work/out
sheet() {
	local name=$1

	shift
	psql -X "$@" -f "sql/hunts/$name.sql" >"$work/out" 2>"$work/err" </dev/null
	status=$?
}
# shows NAME PATTERN
shows() {
	if [ $status -eq 0 ] && grep -Eq "$2" "$work/out"; then
		pass "$1"
	else
		fail "$1" "$(cat "$work/err" "$work/out")"
	fi
}
since="since=2010-07-22 20:15:00+00" until="until=2010-07-22 20:21:00+00"

for script in sql/hunts/*.sql; do
	name=$(basename "$script" .sql)
	sheet "$name"
	case $name in
	what-changed) is "$status" 0 "$name needs nothing" || diag "$(cat "$work/err")" ;;
	*) is "$status $(grep -c "HINT: .*-f $name.sql" "$work/err")" "3 1" "$name without its subject says what it needs" ;;
	esac
done
sheet is-my-prefix-hijacked -v prefix=62.100.192.0/19 -v origins=3257 -v "$since"
shows "is-my-prefix-hijacked: who has it now" '^ *62\.100\.192\.0/19 +\| +46284 +\| f '
shows "is-my-prefix-hijacked: another origin" '^ *other origin +\| +46284 +\| 62\.100\.192\.0/19'
sheet is-my-prefix-hijacked -v prefix=62.100.192.0/19
shows "is-my-prefix-hijacked: the origin that most have, if none is given" '^ *62\.100\.192\.0/19 +\| +46284 +\| t '
sheet origins-of-prefix -v prefix=62.100.192.7 -v "$since" -v "$until"
shows "origins-of-prefix: a host is one" '^\(0 rows\)'
sheet origins-of-prefix -v prefix=62.100.192.0/19 -v "$since" -v "$until"
shows "origins-of-prefix: both" '^ *62\.100\.192\.0/19 +\| +3257 +\|'
shows "origins-of-prefix: the change" '\[3257\] +\| +46284 +\|'
sheet short-lived-of-as -v asn=9498 -v "$since" -v "$until"
shows "short-lived-of-as" '^ *202\.92\.235\.0/24 +\| 2010-07-22'
sheet short-lived-of-as -v asn=9498 -v life='1 second' -v "$since" -v "$until"
shows "short-lived-of-as: not so short" '^\(0 rows\)'
sheet leaked-through -v asn=3257 -v "$since" -v "$until"
shows "leaked-through: without relationships it says so" '^There are no AS relationships'
shows "leaked-through: what came through it" '^ *1299 +\| +\| +5385 +\| +\| +80 '
PGUSER=postgres sql "INSERT INTO hunt.as_relationship VALUES (3257, 46284, 'p2c'), (3257, 3356, 'p2p'), (3257, 8513, 'p2p')"
sheet leaked-through -v asn=3257 -v "$since" -v "$until"
shows "leaked-through: from peer to peer" '^ *2 +\| 8513 +\| 3356 +\| '
sheet what-changed -v at='2010-07-22 20:15:00+00' -v span='1 minute'
shows "what-changed: origins" '^ *62\.100\.192\.0/19 +\| \[3257\] +\| +46284'
sheet what-changed -v at='2010-07-22 20:15:15+00' -v span='1 minute' -v prefix=62.100.192.0/19
shows "what-changed: the routes before and after" '^ *origin +\| 62\.100\.192\.0/19 +\| \{286'

# --- summaries of the day, as cron makes them --------------------------------------------------------------

export PGUSER=postgres
is "$(sql "SELECT day, summary_rows > 1000 FROM hunt.summarize_missing()")" "2010-07-22|t" "the summary of the day"
is "$(sql "SELECT * FROM hunt.summarize_missing()")" "" "is not made twice"
# a helper that is late
head -n 1 "$work/lines" | sed 's,"counter": 1,"counter": 99999,' >"$work/late"
"$PROGRAM" --quiet --no-resync --collector rrc05 --spool "$work/spool" --drain 20 <"$work/late" 2>>"$work/err"
late_is_noticed() { sql_true "SELECT '2010-07-22' IN (SELECT hunt.summary_missing())"; }
ok "a late update of the day is noticed" wait_for 10 late_is_noticed
is "$(sql "SELECT day FROM hunt.summarize_missing()")" "2010-07-22" "and the summary made anew"
is "$(sql "SELECT * FROM hunt.summarize_missing(true)")" "" "exactly"

# --- a leak between tier-1 networks, of another collector ------------------------------------------------------

python3 -B test/lib/mrtlines.py test/data/rrc00.updates.20190101.0001.one-prefix.gz >"$work/leak"
"$PROGRAM" --quiet --no-resync --collector rrc00 --spool "$work/spool00" --drain 20 <"$work/leak" 2>"$work/err"
export PGUSER=analyst
range="'2019-01-01 00:01+00', '2019-01-01 00:03+00'"
is "$? $(sql "SELECT count(*) FILTER (WHERE kind = 'announce') || ' ' || count(*) FILTER (WHERE kind = 'withdraw') FROM bgp.route_log WHERE ts >= '2019-01-01'")" \
	"0 164 7" "the updates are loaded" || diag "$(tail -n 5 "$work/err")"
# (what is known of it, by a few lines of Python)
is "$(sql "SELECT suspect, prefix, peers_count, events, evidence->'between', evidence->'from', to_char(first_seen AT TIME ZONE 'UTC', 'HH24:MI:SS'),
    to_char(last_seen AT TIME ZONE 'UTC', 'HH24:MI:SS') FROM hunt.tier1_leak($range)")" \
	"$(python3 -c 'import json, sys, time
seen = []
for line in open(sys.argv[1], encoding="ascii"):
    line = json.loads(line)
    update = line["neighbor"]["message"]["update"]
    if " 4134, 36678, 4809, 1299," in json.dumps(update.get("attribute", {}).get("as-path")):
        seen.append((line["time"], line["neighbor"]["asn"]["peer"]))
first, last = (time.strftime("%H:%M:%S", time.gmtime(f(seen)[0])) for f in (min, max))
print("4809", "2001:67c:2464::/48", len({peer for _, peer in seen}), len(seen), "[4134, 36678, 4809]", 1299, first, last, sep="|")' "$work/leak")" \
	"tier1_leak: AS4809 had it from AS1299"
is "$(sql "SELECT count(*) FROM hunt.tier1_leak($range, min_peers => 7)") $(sql "SELECT count(*) FROM hunt.tier1_leak($range, asn => 39647)")" "0 0" "of nobody else"
sheet leaked-through -v asn=4809 -v since='2019-01-01 00:01+00' -v until='2019-01-01 00:03+00'
shows "leaked-through" '^ *2001:67c:2464::/48 .*1299'
export PGUSER=postgres
# (rules look at the origin and the hop before it: no leak farther up)
is "$(sql "SELECT type, hijacker_asn, cardinality(peers_seen) FROM hunt.replay($range,
    '{\"rules\": [{\"prefixes\": [\"2001:67c:2464::/48\"], \"origin_asns\": [39022], \"neighbors\": [39647]}]}')")" "E|1|-|-|24730|4" "rules: another neighbour"
is "$(sql "SELECT count(*) FROM hunt.replay($range, '{\"rules\": [{\"prefixes\": [\"2001:67c:2464::/48\"], \"origin_asns\": [39022], \"neighbors\": [39647, 24730]}]}')")" \
	0 "that is ours, too"

done_testing
