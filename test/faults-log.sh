#!/usr/bin/env bash
# faults-log.sh - a server that is away is one trouble in the log, though three connections
# are lost; what only a follower has is told all the same.
# shellcheck disable=SC2317 # functions that traps and wait_for call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-log.XXXXXX")
helper='' input='' lock=''
cleanup() {
	[ -n "$input" ] && kill "$input" 2>/dev/null
	[ -n "$helper" ] && kill -9 "$helper" 2>/dev/null
	[ -n "$lock" ] && kill "$lock" 2>/dev/null
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
cluster_start "$work/pg" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1
sql "CREATE ROLE loader LOGIN IN ROLE exabgp_pg_writer"

mkfifo "$work/pipe"
python3 test/lib/lines.py 10000000 --rate 500 >"$work/pipe" 2>"$work/input.err" &
input=$!
"$PROGRAM" -c log -s "$work/spool" -t 50 -w 60 -d user=loader <"$work/pipe" >/dev/null 2>"$work/log" &
helper=$!

# followers: the process ids of their sessions
followers() {
	sql "SELECT pid FROM pg_stat_activity WHERE query ~ '(rib|scan)_follow\(' AND pid <> pg_backend_pid()" 2>/dev/null
}
connected() {
	[ "$(followers | wc -l)" -eq 2 ]
}
# the loader, for a lock
waits() {
	sql_true "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'COPY bgp.route_event')"
}
has_rows() {
	sql_true "SELECT rows_total > ${1:-0} FROM bgp.ingest_status"
}
# told PATTERN: lines of the log since the last mark
told() {
	tail -n "+$mark" "$work/log" | grep -E -- "$1"
}
said() {
	told "$1" >/dev/null
}
mark_log() {
	mark=$(($(wc -l <"$work/log") + 1))
}
mark=1
ok "the helper loads" wait_for 20 has_rows
ok "the routes and the findings have a connection each" wait_for 20 connected

for mode in fast immediate kill-9; do
	mark_log
	had=$(sql "SELECT rows_total FROM bgp.ingest_status")
	# in the middle of a statement: there the server's notices are read
	psql -XAtq -c BEGIN -c "LOCK TABLE bgp.route_event" -c "SELECT pg_sleep(60)" >/dev/null 2>&1 &
	lock=$!
	ok "$mode: a batch is under way" wait_for 20 waits
	if [ $mode = kill-9 ]; then
		cluster_kill9 "$work/pg"
	else
		cluster_stop "$work/pg" $mode
	fi
	wait "$lock"
	lock=''
	ok "$mode: the log says that the server is away" wait_for 20 said 'error: could not load into PostgreSQL'
	cluster_start "$work/pg"
	ok "$mode: loading goes on" wait_for 30 has_rows "$had"
	ok "$mode: the followers are there again" wait_for 30 connected
	ok "$mode: which is told" wait_for 10 said 'info: the database is loaded again'
	is "$(told ' (warning|error): ' | grep -v 'could not load into PostgreSQL')" "" "$mode: nothing else is"
	is "$(told ', 1 failures so far' | wc -l) $(told ' again after ' | wc -l)" "1 1" "$mode: it is one trouble"
done

# the server is not away for the loader: the follower itself has to tell
sql "ALTER ROLE loader CONNECTION LIMIT 1"
mark_log
sql "SELECT pg_terminate_backend(pid) FROM unnest('{$(followers | paste -sd,)}'::int[]) pid" >/dev/null
ok "a follower that gets no connection while the loader has one says so" \
	wait_for 20 said 'error: could not keep bgp.rib up to date: .*too many connections for role'
sql "ALTER ROLE loader CONNECTION LIMIT -1"
ok "and that it is over" wait_for 30 said 'info: bgp.rib is kept up to date again'

kill "$input"
wait "$input" 2>/dev/null
input=''
wait "$helper"
is $? 0 "the end of input: exit 0"
helper=''
done_testing
