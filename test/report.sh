#!/usr/bin/env bash
# report.sh - exabgp-pg-report: of findings and prefixes, made up and recorded; hostile text;
# whether a browser shows it.
# shellcheck disable=SC2317 # functions that traps, wait_for and ok call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-report-test.XXXXXX")
cleanup() {
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
# (the interpreter itself: what version managers put before it takes longer than our scripts)
PATH=$(python3 -c 'import os, sys; print(os.path.dirname(os.path.realpath(sys.executable)))'):$PATH
cluster_start "$work/pg" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1
sql "CREATE ROLE analyst LOGIN IN ROLE exabgp_pg_reader"

# run COMMAND...: leaves $status, $out and $err
run() {
	timeout 60 "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(cat "$work/out") err=$(cat "$work/err")
}
report() {
	run env PGUSER=analyst scripts/exabgp-pg-report "$@"
}
# load COLLECTOR: lines on standard input into the database
load() {
	timeout 60 "$PROGRAM" -c "$1" -s "$work/spool.$1" --no-resync --batch-ms 100 --drain inf 2>"$work/helper"
}
# page FILE [TEXT]...: it is a page as it should be, and its text has these
page() {
	local file=$1

	shift
	python3 test/lib/html_check.py "$file" "$@" 2>"$work/err" || {
		diag "$(cat "$work/err")"
		return 1
	}
}

for arguments in "" "nonsense" "10.0.0.0/33" "1 2" "--bogus 1" "1 --max-updates 0" "1 --from"; do
	# shellcheck disable=SC2086 # several
	report $arguments
	is "$status $out" "64 " "exabgp-pg-report $arguments: exit 64"
done
ok "with the usage" grep -q '^exabgp-pg-report FINDING_ID' "$work/err"
report 7
is "$status $err" "66 exabgp-pg-report: there is no finding 7" "no such finding: exit 66"
report 10.0.0.0/8 --from yesterdayish
is "$status" 1 "no time: exit 1"
report 10.0.0.0/8 --from 2026-01-02 --to 2026-01-01
is "$status" 64 "a time that ends before it begins: exit 64"
run scripts/exabgp-pg-report 1 --dsn "dbname=nowhere"
is "$status $(grep -c nowhere "$work/err")" "1 1" "no such database: exit 1"
createdb bare
for subject in 1 10.0.0.0/8; do
	report $subject --dsn "dbname=bare"
	is "$status $out$err" "1 exabgp-pg-report: the database has no exabgp-pg schema: exabgp-pg-db init makes it" "$subject: no schema: exit 1"
done
sql "CREATE SCHEMA bgp; GRANT USAGE ON SCHEMA bgp TO analyst; CREATE TABLE bgp.schema_version ()" -d bare
report 1 --dsn "dbname=bare"
is "$status $out$err" "1 exabgp-pg-report: the exabgp-pg schema of the database is too old: run exabgp-pg-db upgrade" "an old one"
report 10.0.0.0/8 -o "$work/none/page"
is "$status $(grep -c 'No such file' "$work/err")" "1 1" "a file that cannot be written: exit 1"
report 10.0.0.0/8 -o "$work/empty.html"
is "$status $out$err" "0 " "a prefix that nobody announced" || diag "$err"
ok "says so" page "$work/empty.html" "Routes for 10.0.0.0/8" "No peer had a route for exactly this prefix" "no peer had a route"

# --- a sub-prefix that is hijacked, twice; a leak; hostile text ---------------------------------

python3 - >"$work/lines" <<'PYTHON'
import json
start, n = 1767268800, 0
def line(at, peer, update):
    global n
    n += 1
    print(json.dumps({"exabgp": "4.0.1", "time": start + at, "host": "t", "pid": 1, "ppid": 1, "counter": n, "type": "update", "neighbor": {
        "address": {"local": "192.0.2.254", "peer": f"192.0.2.{peer}"}, "asn": {"local": 64512, "peer": 64600 + peer},
        "direction": "receive", "message": {"update": update}}}))
def announce(at, peer, prefix, *path):
    line(at, peer, {"attribute": {"origin": "igp", "as-path": [64600 + peer, *path], "community": [[64500, peer]]},
                    "announce": {"ipv4 unicast": {f"192.0.2.{peer}": [{"nlri": prefix}]}}})
def withdraw(at, peer, prefix):
    line(at, peer, {"withdraw": {"ipv4 unicast": [{"nlri": prefix}]}})
for peer in range(1, 7):
    announce(peer, peer, "10.0.0.0/16", *((64510, 64520) if peer % 2 else (64511,)), 64500)
for peer in range(2, 7):
    announce(600 + peer * 3, peer, "10.0.1.0/24", *((64530, 64531) if peer % 2 else (64532,)), 666, 666)
announce(700, 3, "10.0.0.0/16", 64511, 64510, 64500)
for peer in range(2, 7):
    withdraw(1500 + peer * 11, peer, "10.0.1.0/24")
PYTHON
load synth <"$work/lines"
is "$? $(sql "SELECT count(*) FROM bgp.route_log")" "0 17" "updates"
sql "SELECT hunt.config_load('{\"rules\": [{\"name\": \"our <i>net</i>\", \"prefixes\": [\"10.0.0.0/16\"], \"origin_asns\": [64500],
    \"mitigation\": \"Call <b>AS64510</b>.\\nThen announce both halves.\"}]}')" >/dev/null
# as hunt.scan would have found it
sql "INSERT INTO hunt.finding_row (finding_id, hunt, type, prefix, configured_prefix, hijacker_asn, state, first_seen, last_seen, ended_at, last_event, detected_at,
	peers_seen, peers_withdrawn, asns_infected, rpki_status, config_version, community_annotation, note)
    SELECT f.finding_id + 1000, f.hunt, f.type, f.prefix, f.configured_prefix, f.hijacker_asn, f.state, f.first_seen, f.last_seen, f.ended_at, f.last_seen,
	f.detected_at, f.peers_seen, f.peers_withdrawn, f.asns_infected, 'invalid-asn', 1,
	'\"><script>alert(1)</script>', E'<img src=x onerror=alert(2)>\n]]> &amp; \\x1b[31m Grüße'
    FROM hunt.replay('2026-01-01', '2026-01-02') f"
id=$(sql "SELECT finding_id FROM hunt.finding")
sql "INSERT INTO hunt.as_name VALUES (64500, 'HOME', NULL), (666, '</text><script>alert(3)</script>', NULL), (64511, 'TRANSIT & Sons \"quoted\"', NULL);
    INSERT INTO hunt.vrp VALUES ('10.0.0.0/16', 16, 64500, '<ta>');
    INSERT INTO hunt.finding_change (finding_id, change, state, changed_by) VALUES ($id, 'opened', 'ongoing', 'x<y'), ($id, 'withdrawn', 'withdrawn', 'x')"
report "$id" -o "$work/finding.html"
is "$status $err" "0 " "a finding"
ok "a page that is whole, and refers to nothing else; what is hostile is text" page "$work/finding.html" "Finding $id: hijack of 10.0.1.0/24" \
	"AS666 (</text><script>alert(3)</script>) is at fault" "sub-prefix, origin not allowed" "<img src=x onerror=alert(2)>" \
	"Call <b>AS64510</b>." '"><script>alert(1)</script>' "our <i>net</i>" "our peers announced it" "x<y" "2026-01-01 12:10:06" "invalid-asn" "<ta>" \
	"The configured prefix that covers it: 10.0.0.0/16" "64602 64532 666 666" "64500:2" "withdraw" "5 peers by 10.0.1.0/24" "6 peers by 10.0.0.0/16" "Before: 2026-01-01 12:10:05.999"
is "$(python3 test/lib/html_check.py --count "$work/finding.html" 'rect.bar' 'rect.hatch' 'g.node suspect' 'g.node origin' 'path.edge bad' 'tr.bad')" \
	"12 5 1 3 8 5" "bars, suspects, origins, edges, updates"
report 10.0.0.0/16 --from 2026-01-01 --to 2026-01-02 -o "$work/prefix.html"
is "$status $err" "0 " "a prefix"
ok "its page" page "$work/prefix.html" "Routes for 10.0.0.0/16" "6 peers had routes for this prefix, originated by AS64500 (HOME)" "More specific prefixes" "10.0.1.0/24" "valid" "64603 64511 64510 64500"
report 10.0.0.0/16 --from 2026-01-01 --to 2026-01-02 --max-updates 3
is "$status $(grep -c '… 4 more …' <<<"$out") $(grep -c '<p class="hint">7 in all' <<<"$out")" "0 1 1" "--max-updates"
report 10.0.1.0/24 --from "2026-01-01 12:00" --to "2026-01-01 12:30" -o "$work/again.html"
ok "findings of a prefix" page "$work/again.html" "Findings" "withdrawn" "5 peers by 10.0.1.0/24"

# the same peers at a second collector: which of them is meant must be said
rows() {
	grep -oE '<text class="row"[^>]*>[^<]*|<td>AS6460[1-6] [^<]*|<th>peer[^<]*' "$1" | sed -E 's/<([a-z]*)[^>]*>/\1 /' | sort -u
}
# (as hunt.scan may have done)
shown_by() {
	sql "INSERT INTO hunt.finding_peer (finding_id, peer_id, path_id, since, last_seen, as_path)
	    SELECT f.finding_id, q.peer_id, -1, f.first_seen, f.last_seen, '64602 64532 666' FROM hunt.finding f, bgp.peer q
	    WHERE f.finding_id = $id AND q.peer_address = '192.0.2.2' ON CONFLICT DO NOTHING"
}
shown_by
report "$id" -o "$work/one.html"
is "$status $(rows "$work/one.html")" "0 $(for n in 2 3 4 5 6; do echo "td AS6460$n 192.0.2.$n"; done)
$(for n in 1 2 3 4 5 6; do echo "text AS6460$n 192.0.2.$n"; done)
th peer" "peers of one collector: without its name" || diag "$err"
ok "it is said once" page "$work/one.html" "All times are UTC. Collector: synth."
grep -F '"peer": "192.0.2.2"' "$work/lines" | load route-views.with-a-long-name
shown_by
report "$id" -o "$work/two.html"
is "$status $(rows "$work/two.html")" "0 td AS64602 192.0.2.2 route-views.with-a-long-name
$(for n in 2 3 4 5 6; do echo "td AS6460$n 192.0.2.$n synth"; done)
text AS64601 192.0.2.1 synth
text AS64602 192.0.2.2 route-views.with-a-long-name
$(for n in 2 3 4 5 6; do echo "text AS6460$n 192.0.2.$n synth"; done)
th peer, collector" "of several: each with its name" || diag "$err"
ok "in the timelines, the peers of the finding, and the updates" \
	[ "$(grep -c '<th>peer, collector</th>' "$work/two.html") $(grep -c '>AS64602 192.0.2.2 route-views' "$work/two.html")" = "2 5" ]
ok "a page as it should be" page "$work/two.html" "Collectors: route-views.with-a-long-name, synth."
sql "DELETE FROM hunt.finding_peer"
report 2001:db8::1/32 -o "$work/six.html"
ok "IPv6; host bits do not matter" page "$work/six.html" "Routes for 2001:db8::/32"

# --- recorded: 62.100.192.0/19 moves from AS3257 to AS46284 -------------------------------------------

recorded=$(readlink -f "${SHARED:-../shared}/data/exabgp-json/rrc05.20100722.2015.jsonl.zst")
if [ ! -r "$recorded" ] || ! command -v zstd >/dev/null; then
	skip "a recorded incident" "no recorded data, or no zstd"
else
	zstd -dc "$recorded" | load rrc05
	is $? 0 "recorded data"
	sql "SELECT hunt.config_load('{\"rules\": [{\"prefixes\": [\"62.100.192.0/19\"], \"origin_asns\": [3257]}]}')" >/dev/null
	sql "INSERT INTO hunt.finding_row (finding_id, hunt, type, prefix, configured_prefix, hijacker_asn, state, first_seen, last_seen, ended_at, last_event, detected_at,
	    peers_seen, peers_withdrawn, asns_infected, rpki_status, config_version)
	SELECT 2000, f.hunt, f.type, f.prefix, f.configured_prefix, f.hijacker_asn, f.state, f.first_seen, f.last_seen, f.ended_at, f.last_seen,
	    f.detected_at, f.peers_seen, f.peers_withdrawn, f.asns_infected, f.rpki_status, 2
	FROM hunt.replay((SELECT min(ts) FROM bgp.route_log WHERE collector = 'rrc05'), (SELECT max(ts) FROM bgp.route_log WHERE collector = 'rrc05')) f
	WHERE f.prefix = '62.100.192.0/19'"
	report 2000 -o "$work/recorded.html"
	is "$status $err" "0 " "its report"
	ok "the incident" page "$work/recorded.html" "Finding 2000: hijack of 62.100.192.0/19" "AS46284 is at fault" "exact prefix, origin not allowed" "13237 3257 46284"
fi

# --- other encodings and time zones --------------------------------------------------------------------

for encoding in SQL_ASCII LATIN1; do
	name=${encoding,,}
	createdb -T template0 -E $encoding --locale C "$name"
	export PGDATABASE=$name
	sql "ALTER DATABASE $PGDATABASE SET timezone = 'Pacific/Auckland'; ALTER DATABASE $PGDATABASE SET datestyle = 'German, DMY'"
	scripts/exabgp-pg-db init >/dev/null
	PGCLIENTENCODING=UTF8 sql "INSERT INTO hunt.finding_row (finding_id, hunt, type, prefix, state, first_seen, last_seen, last_event, note)
	    SELECT 1, 'hijack', 'E|0|-|-', '10.0.0.0/8', 'ongoing', t, t, t, 'Grüße' FROM CAST('2026-11-01 00:00+00' AS timestamptz) t"
	[ $encoding = LATIN1 ] || sql "UPDATE hunt.finding_row SET note = note || E'\\xff'"
	sql "SELECT hunt.acknowledge(1)" >/dev/null
	run scripts/exabgp-pg-report 1 -o "$work/encoding.html"
	is "$status $err" "0 " "a report of a database of $encoding"
	ok "its text and its times" page "$work/encoding.html" "Grüße" "2026-11-01 00:00:00 UTC"
	# (what it says cannot be stored there as it is)
	run scripts/exabgp-pg-notify --receiver büro --once -- sh -c 'echo "→" >&2; exit 1'
	is "$status $(sql "SELECT error FROM hunt.notify_status")" "75 \"sh\" failed (exit code 1): \u2192" "exabgp-pg-notify there: what fails" || diag "$err"
	run scripts/exabgp-pg-notify --receiver büro --once -- python3 -c 'import json, sys
f = json.load(sys.stdin)["finding"]
sys.exit(not f["note"].startswith("Gr\u00fc\u00dfe") or f["first_seen"] != "2026-11-01T00:00:00+00:00")'
	is "$status $err" "0 " "and what is told"
done
export PGDATABASE=bgp

# --- a browser --------------------------------------------------------------------------------------------

browser=$(command -v chromium || command -v chromium-browser || true)
if [ -z "$browser" ]; then
	skip "a browser shows it" "chromium is not installed"
else
	# shoot FILE PICTURE [OPTION]...
	shoot() {
		local file=$1 picture=$2

		shift 2
		timeout 60 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$work/chromium" --no-first-run \
			--disable-background-networking --enable-logging=stderr --v=0 --window-size=1200,1600 --hide-scrollbars "$@" \
			--screenshot="$picture" "file://$file" >"$work/chromium.log" 2>&1
	}
	shoot "$work/finding.html" "$work/finding.png"
	ok "a screenshot" test -s "$work/finding.png"
	is "$(grep CONSOLE "$work/chromium.log")" "" "no errors on its console"
	# a blank page of that size packs to some kilobytes
	ok "that is not blank" [ "$(stat -c %s "$work/finding.png")" -gt 40000 ]
	if [ -n "${KEEP:-}" ]; then
		shoot "$work/two.html" "$KEEP/two.png"
		cp "$work"/*.html "$work/finding.png" "$KEEP"
		shoot "$work/recorded.html" "$KEEP/recorded.png"
		shoot "$work/recorded.html" "$KEEP/dark.png" --force-dark-mode --blink-settings=preferredColorScheme=0
	fi
fi
done_testing
