#!/usr/bin/env bash
# faults-helpers.sh - several helpers at once, and a helper that has fallen behind: all is
# loaded once, in order.  OUTAGE=60: a longer one, to measure how fast it catches up.
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=test/lib/faults.sh
. test/lib/faults.sh

faults_begin helpers

# --- ten helpers, one database ----------------------------------------------------------

# they make peers and partitions at the same time; the peers have the same addresses
for i in {0..9}; do
	helper_begin "ten$i" --count 2000 --rate 4000 --peers 3 -- --quiet --batch-ms 50
done
for i in {0..9}; do
	helper_end "ten$i" 60 "helper $i of ten"
done
is "$(sql "SELECT count(*) || ' ' || count(DISTINCT med) FROM bgp.route_event")" "20000 2000" "ten helpers: all their lines are stored"
is "$(sql "SELECT count(*) FROM (SELECT 1 FROM bgp.route_event e JOIN bgp.peer USING (peer_id) GROUP BY collector, med HAVING count(*) > 1) x")" \
	0 "ten helpers: none twice"
is "$(sql "SELECT count(*) || ' ' || count(DISTINCT collector) FROM bgp.peer")" "30 10" \
	"the same peer at two collectors is two peers"
is "$(sql "SELECT count(*) FROM bgp.partition")" 30 "each partition was made once"
is "$(cat "$work"/ten*/log)" "" "and nobody had trouble"

# --- two helpers, one journal -----------------------------------------------------------

# the second takes its input in, and takes over when the first is gone
helper_begin first --rate 1000 --peers 3 -- --batch-ms 50
wait_for 30 has_peers first
helper_begin second --rate 1000 --peers 2 --first 1000000 --pid 4343 -- --collector first --spool "$work/first/spool" --batch-ms 50
waits() {
	grep -q "waiting for another helper that owns the journal" "$work/second/log"
}
ok "a second helper of one journal says that it waits" wait_for 20 waits
sleep 2
is "$(sql "SELECT count(*) FROM bgp.route_event e JOIN bgp.peer USING (peer_id) WHERE collector = 'first' AND med >= 1000000")" 0 \
	"it leaves the journal alone"
tell first end
helper_end first 60 "first of two"
takes_over() {
	sql_true "SELECT count(*) > 2000 FROM bgp.route_event e JOIN bgp.peer USING (peer_id) WHERE collector = 'first' AND med >= 1000000"
}
ok "it takes over when the first is gone, and has the lines of before" wait_for 30 takes_over
tell second end
helper_end second 60 "second of two"
check_stall second "while it waited"
is "$(sql "SELECT count(*) - count(DISTINCT med) FROM bgp.route_event e JOIN bgp.peer USING (peer_id) WHERE collector = 'first'")" 0 \
	"two helpers: no line is stored twice"
is "$(sql "SELECT count(*) FROM bgp.route_event e JOIN bgp.peer USING (peer_id) WHERE collector = 'first'")" \
	"$(($(report first lines) + $(report second lines)))" "two helpers: all lines are stored"

# --- SIGTERM while lines flow -------------------------------------------------------------

helper_begin term --rate 2000 --peers 3 -- --quiet --batch-ms 50
wait_for 30 has_peers term
for i in 1 2 3; do
	sleep 0.5
	tell term "signal TERM"
	ok "SIGTERM $i: the next one loads" loads_again term
done
tell term end
wait_for 60 gone "${supervisors[term]}"
wait "${supervisors[term]}"
is $? 0 "SIGTERM: the last helper loads all and exits 0"
unset "supervisors[term]"
check_lines term "SIGTERM"

# --- catching up ----------------------------------------------------------------------------

lines=60000
python3 test/lib/lines.py $lines --peers 3 >"$work/lines"
began=$EPOCHREALTIME
"$PROGRAM" --quiet --collector normal --spool "$work/normal-spool" --dsn "host=$work/proxy user=loader dbname=bgp" \
	--drain inf <"$work/lines"
normal=$(awk "BEGIN { print $lines / ($EPOCHREALTIME - $began) }")
helper_begin behind --rate 3000 --peers 3 -- --quiet
wait_for 30 has_peers behind
fault_refuse "${OUTAGE:-10}"
wait_for 30 has_rows behind "$(rows behind)" # it may wait some seconds before it connects
had=$(rows behind)
began=$EPOCHREALTIME
caught_up() {
	sql_true "SELECT journal_bytes < 500000 AND rows_total > $had FROM bgp.ingest_position WHERE collector = 'behind'"
}
ok "after ${OUTAGE:-10} seconds without the database it catches up" wait_for 60 caught_up
speed=$(awk "BEGIN { print ($(rows behind) - $had) / ($EPOCHREALTIME - $began) }")
diag "normal $normal lines/s; catching up, with 3000 more a second coming in," \
	"$speed lines/s"
tell behind end
helper_end behind 60 "catching up"
check_lines behind "catching up" whole
ok "memory stays small" [ "$(report behind rss_max_kb)" -lt $((150 * 1024)) ]
is "$(find "$work/behind/spool" -name '*.jsonl' -size +0 | wc -l)" 0 "the journal's space is given back"

faults_end
