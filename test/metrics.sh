#!/usr/bin/env bash
# metrics.sh - the figures of --metrics: promtool takes them, they agree with the database
# and with SIGUSR1's line, and a file that cannot be written hurts nobody.
# shellcheck disable=SC2317 # functions that traps and wait_for call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-metrics.XXXXXX")
helper='' reader=''
cleanup() {
	[ -n "$reader" ] && kill "$reader" 2>/dev/null
	[ -n "$helper" ] && kill -9 "$helper" 2>/dev/null
	exec 9>&-
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
unset EXABGP_PG_METRICS
cluster_start "$work/pg" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1
sql "SELECT hunt.config_load('{\"rules\": [{\"prefixes\": [\"10.0.0.0/8\"], \"origin_asns\": [64500]}]}')" >/dev/null
file=$work/exabgp-pg.prom

# figure NAME [LABELS]: its value in the file
figure() {
	awk -v name="exabgp_pg_$1{collector=\"metrics\"${2:+,$2}}" '$1 == name { print $2 }' "$file" 2>/dev/null
}
# at_least N NAME [LABELS], equals N NAME [LABELS]: conditions to wait for
at_least() {
	awk -v wanted="$1" -v got="$(figure "${@:2}")" 'BEGIN { exit !(got != "" && got + 0 >= wanted) }' 2>/dev/null
}
equals() {
	awk -v wanted="$1" -v got="$(figure "${@:2}")" 'BEGIN { exit !(got != "" && got + 0 == wanted) }' 2>/dev/null
}
# said PATTERN
said() {
	grep -Eq -- "$1" "$work/log"
}
rows='rows_committed_total'
# followers FIGURE: those of rib and hunt
followers() {
	echo "$(figure "follower_$1" 'follower="rib"') $(figure "follower_$1" 'follower="hunt"')"
}

mkfifo "$work/pipe"
exec 9<>"$work/pipe"
"$PROGRAM" -c metrics -s "$work/spool" -t 50 --metrics "$file" <"$work/pipe" >/dev/null 2>"$work/log" 9>&- &
helper=$!
{
	python3 test/lib/lines.py 1000
	echo '{ "no": json'
	python3 test/lib/lines.py 500 --first 2000 # the peer's counter jumps: a gap
} >&9

# the same file again and again: always whole
python3 -c '
import sys, time
while True:
    try:
        text = open(sys.argv[1]).read()
    except (FileNotFoundError, IsADirectoryError):
        continue
    if not (text.startswith("# HELP") and text.splitlines()[-1].startswith("exabgp_pg_database_up{") and text.endswith("\n")):
        print("partial:", repr(text[-80:]), flush=True)
    time.sleep(0.001)
' "$file" >"$work/partial" 2>&1 9>&- &
reader=$!
ok "the file appears" wait_for 20 equals 1500 "$rows" 'kind="route"'
if command -v promtool >/dev/null; then
	is "$(promtool check metrics <"$file" 2>&1)" "" "promtool check metrics"
	ok "promtool check rules" promtool check rules exabgp/prometheus-alerts.yml >&2
	ok "promtool test rules" promtool test rules test/data/prometheus-alerts.test.yml >&2
else
	skip "promtool" "it is not installed"
fi
is "$(stat -c %a "$file")" 644 "others may read it"
is "$(figure "$rows" 'kind="route"') $(figure "$rows" 'kind="session"') $(figure "$rows" 'kind="error"') $(figure "$rows" 'kind="gap"')" \
	"$(sql "SELECT (SELECT count(*) FROM bgp.route_event) || ' ' || (SELECT count(*) FROM bgp.session_log) || ' ' ||
	    (SELECT count(*) FROM bgp.ingest_error) || ' ' || (SELECT count(*) FROM bgp.ingest_gap)")" \
	"rows, session events, errors and gaps are those of the database"
is "$(figure "$rows" 'kind="gap"')" 1 "one gap"
is "$(sql "SELECT p.stale_since = g.from_ts FROM bgp.peer p JOIN bgp.ingest_gap g USING (peer_id)")" t "since when the peer's routes are not certain"
is "$(figure input_lines_total) $(figure dropped_lines_total) $(figure database_up)" "1501 0 1" "lines read, none dropped, the database is up"
ok "the stalls have been counted" at_least 1 stdin_stall_seconds_count
for follower in rib hunt; do
	ok "$follower ran" wait_for 20 at_least 1 follower_runs_total "follower=\"$follower\""
	ok "and has nothing left to do" wait_for 40 equals 0 follower_stalled_seconds "follower=\"$follower\""
done
is "$(followers failures_total)" "0 0" "without a failure"

# SIGUSR1: the same figures
kill -USR1 $helper
wait_for 10 said 'statistics: '
line=$(grep -o 'statistics: .*' "$work/log")
for pair in lines_in=input_lines_total bytes_in=input_bytes_total lines_dropped=dropped_lines_total bytes_dropped=dropped_bytes_total \
	lines_decoded=decoded_lines_total batches=batches_committed_total connects=database_connects_total \
	failures=database_failures_total database_up=database_up journal_limit=journal_limit_bytes backlog_bytes=journal_backlog_bytes; do
	is "$(grep -o " ${pair%%=*}=[0-9]*" <<<"$line")" " ${pair%%=*}=$(figure "${pair#*=}")" "SIGUSR1: ${pair%%=*}"
done
for follower in rib hunt; do
	ok "SIGUSR1: $follower" grep -q " ${follower}_runs=[1-9][0-9]* ${follower}_failures=0 ${follower}_stalled=0\>" <<<"$line"
done

# the database is away, the file cannot be written: tried again
cluster_stop "$work/pg"
mv "$file" "$work/moved"
mkdir "$file"
python3 test/lib/lines.py 100 --first 3000 >&9
ok "a file that cannot be written is a warning" wait_for 40 said 'warning: could not write the metrics .*: Is a directory'
ok "the helper goes on" kill -0 $helper
rmdir "$file"
ok "it is written again: the database is away" wait_for 40 equals 0 database_up
first=$(figure lag_seconds)
ok "lines wait" at_least 1 journal_backlog_bytes
ok "the lag grows" wait_for 40 at_least "$(awk -v l="$first" 'BEGIN { print l + 5 }')" lag_seconds
ok "the log says that it is over" said 'info: the metrics .* are written again'
cluster_start "$work/pg" 9>&-
exec 9>&-
wait "$helper"
is $? 0 "the end of input: exit 0"
helper=''
is "$(figure "$rows" 'kind="route"') $(figure database_up) $(figure journal_backlog_bytes)" "1600 1 0" "the last figures are those of the end"
is "$(followers stalled_seconds)" "0.000000 0.000000" "no follower has anything left to do"
kill $reader
wait $reader 2>/dev/null
reader=''
is "$(cat "$work/partial")" "" "whoever reads it never sees a part"
is "$(find "$work" -name '*.new')" "" "no temporary file stays"
is "$(sql "SELECT helper FROM bgp.ingest_status")" stopped "bgp.ingest_status: it ended in order"

# a follower whose function fails, and one whose database has no such function
sql "ALTER FUNCTION hunt.scan_follow() RENAME TO scan_follow_off"
sql "CREATE OR REPLACE FUNCTION bgp.rib_follow(collector text) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''trouble''; END'"
python3 test/lib/lines.py 100 --first 4000 >"$work/lines"
"$PROGRAM" -c metrics -s "$work/spool" --metrics "$file" <"$work/lines" >/dev/null 2>"$work/log"
is "$? $(figure "$rows" 'kind="route"')" "0 100" "bgp.rib_follow fails: all is loaded"
is "$(followers runs_total)" "0 0" "nothing was brought up to date"
ok "the failures count" at_least 1 follower_failures_total 'follower="rib"'
ok "and how long work has waited" at_least 0.001 follower_stalled_seconds 'follower="rib"'
is "$(figure follower_failures_total 'follower="hunt"') $(figure follower_stalled_seconds 'follower="hunt"')" "0 0.000000" \
	"what the database does not have is no trouble"
ok "the log has the reason" said 'error: could not keep bgp.rib up to date: ERROR:  trouble'

# a directory that is not there; what is no file is not replaced
ln -s /dev/null "$work/device.prom"
for name in missing/a.prom device.prom; do
	"$PROGRAM" -c metrics -s "$work/spool" --metrics "$work/$name" </dev/null >/dev/null 2>"$work/log"
	is "$?" 0 "$name: exit 0"
	ok "a warning" said 'warning: could not write the metrics'
done
ok "the device is still there" [ -L "$work/device.prom" ]

done_testing
