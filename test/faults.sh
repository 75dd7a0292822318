#!/usr/bin/env bash
# faults.sh - nothing lost, nothing twice: the helper and the server are killed at
# random instants while lines flow; then every line is accounted for.
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-faults.XXXXXX")
writer='' helper=''
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[ -n "$writer" ] && kill "$writer" 2>/dev/null
	[ -n "$helper" ] && kill -9 "$helper" 2>/dev/null
	exec 9>&-
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
cluster_start "$work/pg" "fsync = on" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1

# as ExaBGP would: starts the helper again whenever it ends
start_helper() {
	"$PROGRAM" -q -c faults -s "$work/spool" --batch-rows 500 --batch-ms 50 <"$work/pipe" >/dev/null 2>>"$work/log" 9>&- &
	helper=$!
}

# --- kill -9 of the helper, with input flowing ------------------------------------

mkfifo "$work/pipe"
exec 9<>"$work/pipe" # held open: a helper that dies is not the end of input
lines=30000 kills=0
python3 test/lib/lines.py $lines --peers 3 --rate 4000 >"$work/pipe" 9>&- &
writer=$!
start_helper
# a peer's counter tells of lost lines once the database knows the peer
known() {
	[ "$(sql "SELECT count(*) FROM bgp.peer WHERE line_counter > 0")" = 3 ]
}
wait_for 20 known
while kill -0 $writer 2>/dev/null; do
	sleep "0.$((RANDOM % 25 + 3))"
	kill -9 "$helper" 2>/dev/null
	wait "$helper" 2>/dev/null
	kills=$((kills + 1))
	start_helper
done
wait $writer
writer=''

# all that is still in the journal or the pipe is loaded, then the input ends
loaded() {
	[ "$(sql "SELECT count(*) FROM bgp.ingest_position WHERE journal_bytes = 0 AND last_commit < clock_timestamp() - interval '1 s'")" = 1 ]
}
wait_for 60 loaded
exec 9>&-
wait "$helper"
is $? 0 "the last helper loads all and exits 0 (after $kills kills)"
helper=''

sql "CREATE VIEW bgp.numbered AS SELECT med AS n, ts, seq, peer_id FROM bgp.route_event"
stored=$(sql "SELECT count(*) FROM bgp.numbered")
is "$(sql "SELECT count(*) - count(DISTINCT n) FROM bgp.numbered")" 0 "no line is stored twice"
is "$(sql "SELECT count(*) FROM (SELECT n < lag(n) OVER (PARTITION BY peer_id ORDER BY seq) AS back FROM bgp.numbered) x WHERE back")" 0 \
	"order is kept per peer"
# what was in the memory of a killed helper is gone, but ExaBGP's counter tells
gaps=$(sql "SELECT coalesce(sum(lines), 0) FROM bgp.ingest_gap WHERE peer_id IS NOT NULL")
torn=$(sql "SELECT count(*) FROM bgp.ingest_error")
is $((stored + gaps)) $lines "every line is stored or part of a gap ($gaps in gaps)"
is "$torn" 0 "no line is torn" || sql "SELECT error, left(line, 200) FROM bgp.ingest_error LIMIT 5" >&2

# --- the server is killed, input flows on -------------------------------------------

sql "TRUNCATE bgp.route_event, bgp.ingest_gap, bgp.ingest_error"
# a database that does not wait for its disk would lose what the journal no longer has
sql "ALTER DATABASE bgp SET synchronous_commit = off;
    CREATE TABLE public.seen (setting text);
    CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END \$\$;
    CREATE TRIGGER see AFTER UPDATE ON bgp.ingest_position EXECUTE FUNCTION public.see()"
exec 9<>"$work/pipe"
python3 test/lib/lines.py 30000 --peers 3 --rate 3000 --first 1000000 >"$work/pipe" 9>&- &
writer=$!
start_helper
for _ in 1 2 3; do
	sleep 1.5
	cluster_kill9 "$work/pg"
	sleep 1
	cluster_start "$work/pg" 9>&-
	sleep 0.5
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exabgp-pg'" >/dev/null
done
wait $writer
writer=''
exec 9>&-
wait "$helper"
is $? 0 "kill -9 of the server three times and of backends: the helper goes on and exits 0"
helper=''
is "$(sql "SELECT count(*) || ' ' || count(DISTINCT n) || ' ' || min(n) || ' ' || max(n) FROM bgp.numbered")" \
	"30000 30000 1000000 1029999" "all lines are stored once"
is "$(sql "SELECT count(*) FROM (SELECT n < lag(n) OVER (PARTITION BY peer_id ORDER BY seq) AS back FROM bgp.numbered) x WHERE back")" 0 \
	"order is kept per peer"

is "$(sql "SELECT string_agg(DISTINCT setting, ' ') FROM public.seen")" on "each commit waits for the disk"

# --- no server at all: SIGTERM leaves the rest in the journal -------------------------

sql "TRUNCATE bgp.route_event, bgp.ingest_gap"
cluster_stop "$work/pg"
python3 test/lib/lines.py 5000 --first 2000000 >"$work/lines"
exec 9<>"$work/pipe"
start_helper
cat "$work/lines" >"$work/pipe"
journaled() {
	[ "$(cat "$work"/spool/*.jsonl | wc -l)" -ge 5000 ]
}
wait_for 10 journaled
began=$(date +%s%N)
kill -TERM "$helper"
wait "$helper"
is $? 75 "SIGTERM without a server: exit 75"
helper=''
took=$((($(date +%s%N) - began) / 1000000))
ok "it is gone within 2 s of the signal" [ $took -lt 2500 ] # and some, for a busy machine
exec 9>&-
is "$(cat "$work"/spool/*.jsonl | cmp - "$work/lines" && echo same)" same "the journal has the lines as they came"
cluster_start "$work/pg" 9>&-
start_helper
exec 9>"$work/pipe"
exec 9>&-
wait "$helper"
is $? 0 "the next helper loads them"
helper=''
is "$(sql "SELECT count(*) || ' ' || count(DISTINCT n) FROM bgp.numbered")" "5000 5000" "once"

done_testing
