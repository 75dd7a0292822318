#!/usr/bin/env bash
# rib.sh - what peers hold, now and at any moment, equals what a plain replay of the log gives:
# with helpers that are killed, batches that are cut anywhere, several that follow the log,
# base states written at any time, lines that come late, days that are dropped; after an upgrade.
#
# ROUNDS=N: so many other seeds; SEED: the first of them.
# shellcheck disable=SC2317 # functions that traps, wait_for and ok call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-rib.XXXXXX")
pids=()
cleanup() {
	local pid

	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
cluster_start "$work/pg" "max_connections = 60" || exit 1

seed=${SEED:-1}
today=$(($(date +%s) / 86400 * 86400))
first=$((today - 3 * 86400)) # four days, of which the last is today

# day N: 0 is the first
day() {
	date -u -d "@$((first + $1 * 86400))" +%Y-%m-%d
}

# load COLLECTOR FILE [OPTION]...
load() {
	local name=$1 file=$2

	shift 2
	"$PROGRAM" -c "$name" -s "$work/spool-$PGDATABASE-$name" --no-resync --drain inf "$@" <"$file" 2>>"$work/helper.err"
}

# replayed NAME [OPTION]...: of rib_replay.py check
replayed() {
	local name=$1

	shift
	if python3 test/lib/rib_replay.py check --seed "$seed" --states 12 --queries 5 "$@" >"$work/replay" 2>&1; then
		pass "$name ($(tail -n 1 "$work/replay"))"
	else
		fail "$name (seed $seed)" "$(cut -c 1-900 "$work/replay" | head -n 30)"
	fi
}

# lines_of NAME [OPTION]... of rib_lines.py
lines_of() {
	local name=$1

	shift
	python3 test/lib/rib_lines.py "$@" --from "$first" --days 4 --seed "$((seed * 100 + ${#pids[@]} + $1))" >"$work/$name" || exit 1
}

# bases [DAY...]: writes the base states of these days, of all peers; how many were written
bases() {
	local n list=

	for n in "$@"; do
		list="$list${list:+,}'$(day "$n")'"
	done
	sql "SELECT count(bgp.rib_base_write(p.peer_id, d)) FROM bgp.peer p, unnest(ARRAY[$list]::date[]) d"
}

# in the background: what others do meanwhile
follow_often() {
	for _ in $(seq "$2"); do
		echo "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT bgp.rib_follow('$1'); COMMIT;"
	done | psql -XAtq -v VERBOSITY=sqlstate >>"$work/follow.out" 2>&1
}
bases_often() {
	for _ in $(seq "$1"); do
		echo "SELECT bgp.rib_base_write(peer_id, DATE '$(day 0)' + (random() * 3)::int) FROM bgp.peer WHERE random() < 0.5;"
	done | psql -XAtq >>"$work/bases.out" 2>&1
}
read_often() {
	for _ in $(seq "$1"); do
		echo "SELECT count(*) FROM bgp.rib_at(TIMESTAMPTZ '$(day 0)' + random() * interval '4 days'); SELECT count(*) FROM bgp.rib;"
	done | psql -XAtq >>"$work/read.out" 2>&1
}

half_loaded() {
	sql_true "SELECT coalesce(sum(rows_total), 0) > 900 FROM bgp.ingest_position WHERE collector = 'alpha'"
}

forget_all() {
	sql "SET client_min_messages = warning; DO \$\$ DECLARE t text; BEGIN
	    FOR t IN SELECT format('DROP TABLE bgp.%I CASCADE', relname) FROM pg_class c
		WHERE relnamespace = 'bgp'::regnamespace AND relkind IN ('r', 'p') AND relispartition AND relname ~ '^(route_event|rib_entry)_\d+\$' LOOP
		EXECUTE t;
	    END LOOP;
	    FOR t IN SELECT format('DROP TABLE bgp.%I', relname) FROM pg_class WHERE relnamespace = 'bgp'::regnamespace AND relname ~ '^rib_base_\d+\$' LOOP
		EXECUTE t;
	    END LOOP;
	    FOR t IN SELECT unnest(ARRAY['session_log', 'peer', 'ingest_position', 'ingest_gap', 'ingest_error', 'batch_pending', 'late_day', 'peer_stale',
		'rib_peer', 'rib_base_day', 'rib_horizon']) LOOP
		EXECUTE 'DELETE FROM bgp.' || t;
	    END LOOP;
	END \$\$"
	rm -rf "$work"/spool-*
}

run_round() {
	local helper n

	# --- while all of it goes on at once
	lines_of alpha.1 2400 --peers 3
	lines_of beta.1 900 --peers 2 --net 2
	exec {input}<"$work/alpha.1"
	"$PROGRAM" -c alpha -s "$work/spool-$PGDATABASE-alpha" --no-resync --drain inf -b 23 <&$input 2>>"$work/helper.err" &
	helper=$!
	load beta "$work/beta.1" -b 7 &
	pids=("$helper" $!)
	for n in 1 2 3; do
		follow_often alpha 60 &
		pids+=($!)
	done
	follow_often beta 60 &
	pids+=($!)
	bases_often 25 &
	pids+=($!)
	read_often 25 &
	pids+=($!)
	wait_for 30 half_loaded
	kill -KILL "$helper" 2>/dev/null
	wait "$helper" 2>/dev/null
	"$PROGRAM" -c alpha -s "$work/spool-$PGDATABASE-alpha" --no-resync --drain inf -b 31 <&$input 2>>"$work/helper.err"
	is $? 0 "a helper that was killed is followed by one that loads all"
	exec {input}<&-
	wait "${pids[@]:1}"
	pids=()
	is "$(grep -v '^-\?[0-9]*$' "$work/follow.out" | sort | uniq -c | grep -v 40001)" "" "sessions that follow the log at once do not disturb each other" ||
	    diag "$(sort "$work/follow.out" | uniq -c)"
	is "$(grep -v '^[0-9]*$' "$work/bases.out" "$work/read.out" | head)" "" "neither do base states, nor readers"
	is "$(sql "SELECT count(*) FROM bgp.batch_pending")" 0 "when the helpers are gone, nothing is left to do"
	replayed "what peers hold, after all that"

	# --- from base states
	bases 0 1 2 3 >/dev/null
	is "$(sql "SELECT count(*) FROM bgp.peer p, generate_series(DATE '$(day 0)', '$(day 3)', '1 day') d
	    WHERE bgp.rib_base_find(p.peer_id, bgp.day_start(d::date)) IS DISTINCT FROM d::date")" 0 "every day has a base state"
	is "$(bases 0 1 2 3) $(sql "SELECT count(*) FROM bgp.rib_bases_due() WHERE day = '$(day 3)'")" "0 0" "which is not written again"
	is "$(sql "SELECT peer_id, day, routes FROM bgp.rib_base_day EXCEPT
	    SELECT r.peer_id, d.day, count(*) FROM (SELECT DISTINCT day FROM bgp.rib_base_day) d,
		bgp.rib_at(bgp.day_start(d.day) - interval '1 microsecond') r GROUP BY 1, 2 EXCEPT SELECT peer_id, day, 0 FROM bgp.rib_base_day")" "" \
	    "of as many routes as the peer held"
	replayed "what peers hold, from base states"

	# --- late: time goes back
	lines_of alpha.2 200 --peers 3 --pid 4243 --disorder
	lines_of beta.2 40 --peers 1 --net 2 --pid 4243 --routes --disorder
	load alpha "$work/alpha.2" -b 17
	load beta "$work/beta.2" -b 3
	# also of days before all that the peers were known of
	python3 test/lib/rib_lines.py 30 --from $((first - 2 * 86400)) --days 2 --seed "$seed" --pid 4246 --disorder >"$work/alpha.5"
	load alpha "$work/alpha.5"
	replayed "what peers hold, when lines came late"
	bases 1 3 >/dev/null
	# of one day only
	python3 test/lib/rib_lines.py 30 --from $((first + 86400)) --days 1 --seed "$seed" --pid 4244 --routes >"$work/alpha.3"
	load alpha "$work/alpha.3"
	is "$(sql "SELECT DISTINCT bgp.rib_base_find(peer_id, 'infinity') FROM bgp.peer WHERE collector = 'alpha'")" "$(day 1)" \
	    "late lines of a day leave the base states up to that day, and those only"
	replayed "what peers hold, when lines of one day came late"

	# --- days are dropped
	bases 3 >/dev/null
	python3 test/lib/rib_replay.py save "$work/saved"
	sql "SELECT bgp.rib_forget_before(peer_id, '$(day 2)') FROM bgp.peer" >/dev/null
	sql "SELECT format('DROP TABLE %s;', leaf) FROM bgp.partition WHERE day < '$(day 2)'" | psql -Xq
	is "$(sql "SELECT min(day) FROM bgp.partition")" "$(day 2)" "the first two days are gone"
	replayed "what peers held on the days that stay" --log "$work/saved" --not-before $((first + 2 * 86400))
	lines_of alpha.4 200 --peers 3 --pid 4245 --routes --disorder
	load alpha "$work/alpha.4" -b 50
	replayed "lines of days that are gone come too late" --log "$work/saved" --not-before $((first + 2 * 86400)) \
	    --more-since $((first + 2 * 86400))
	bases 2 3 >/dev/null
	replayed "from new base states" --log "$work/saved" --not-before $((first + 2 * 86400)) --more-since $((first + 2 * 86400))
	sql "UPDATE bgp.rib_peer SET rebuild = true"
	for n in alpha beta; do
		while [ "$(psql -XAtq -c 'BEGIN ISOLATION LEVEL REPEATABLE READ' -c "SELECT bgp.rib_follow('$n')" -c COMMIT)" != 0 ]; do :; done
	done
	replayed "made anew" --log "$work/saved" --not-before $((first + 2 * 86400)) --more-since $((first + 2 * 86400)) --queries 1
}

# all of its processes at once; what follows the log does not wait for the disk
server_dies() {
	local helper

	python3 test/lib/rib_lines.py 2500 --from "$first" --days 4 --seed "$seed" >"$work/alpha.8"
	load alpha "$work/alpha.8" -b 9 &
	helper=$!
	pids=("$helper")
	wait_for 20 half_loaded
	cluster_kill9 "$work/pg" && cluster_start "$work/pg"
	wait "$helper"
	is "$? $(sql "SELECT count(*) FROM bgp.batch_pending")" "0 0" "the server was killed, the helper goes on"
	pids=()
	replayed "with the right routes" --queries 1
}

# loading never waits for what follows it: here for transactions that last
loading_waits_not() {
	python3 test/lib/rib_lines.py 50 --from "$first" --seed "$seed" --pid 4248 >"$work/alpha.7"
	# a helper that cannot follow leaves the leafs to be made
	sql "ALTER FUNCTION bgp.rib_follow(text) RENAME TO rib_follow_off"
	load alpha "$work/alpha.7"
	is "$? $(grep -c 'could not keep bgp.rib up to date: ERROR:  function bgp.rib_follow' "$work/helper.err")" "0 1" \
	    "a helper that cannot follow says so, and loads all the same"
	sql "ALTER FUNCTION bgp.rib_follow_off(text) RENAME TO rib_follow"
	psql -XAtq -c "BEGIN ISOLATION LEVEL REPEATABLE READ" -c "SELECT bgp.rib_follow('alpha')" \
	    -c "SELECT bgp.rib_base_write(peer_id, '$(day 0)') FROM bgp.peer" -c "SELECT pg_sleep(60)" >"$work/sleeps.out" 2>&1 &
	pids=($!)
	ok "routes and base states get their partitions" wait_for 20 sql_true "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)')"
	is "$(sql "SET lock_timeout = '2s'; SELECT bool_and(bgp.ensure_partition(peer_id, '$(day -100)')) FROM bgp.peer" 2>&1)" t \
	    "loading gets its own meanwhile"
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()" >/dev/null
	wait "${pids[0]}"
	pids=()
}

# the helper that was there before is gone, its query is not
others_at_it() {
	psql -XAtq -c BEGIN -c "SELECT pg_advisory_xact_lock(hashtextextended('bgp.rib_follow alpha', 0))" \
	    -c "SELECT pg_sleep(2)" -c COMMIT >/dev/null &
	pids=($!)
	wait_for 10 sql_true "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')"
	python3 test/lib/rib_lines.py 50 --from "$first" --seed "$seed" --pid 4247 >"$work/alpha.6"
	load alpha "$work/alpha.6"
	is "$? $(sql "SELECT count(*) FROM bgp.batch_pending")" "0 0" "a helper goes on to follow the log when another session no longer does"
	wait "${pids[@]}"
	pids=()
	replayed "so that the routes are right" --states 2 --queries 0
}

# one of two peers cannot be followed; the other is, and so is the first in the end
one_peer_fails() {
	local peer other

	python3 test/lib/rib_lines.py 600 --from "$first" --days 4 --seed "$seed" --pid 4249 --routes --peers 2 >"$work/alpha.9"
	head -n 300 "$work/alpha.9" >"$work/alpha.10"
	load alpha "$work/alpha.10" -b 50
	read -r peer other <<<"$(sql "SELECT string_agg(peer_id::text, ' ' ORDER BY peer_id) FROM bgp.peer")"
	sql "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no luck''; END';
	    CREATE TRIGGER fails BEFORE INSERT OR UPDATE OR DELETE ON bgp.rib_entry_$peer EXECUTE FUNCTION fails()"
	tail -n +301 "$work/alpha.9" >"$work/alpha.10"
	load alpha "$work/alpha.10" -b 50
	is "$? $(sql "SELECT string_agg(DISTINCT peer_id::text, ' ') FROM bgp.batch_pending")" "0 $peer" "a peer fails: its batches wait, those of the other do not"
	is "$(sql "SELECT count(*) > 0 FROM bgp.rib WHERE peer_id = $other") $(differs "$other") $(differs "$peer")" "t f t" "the other's routes are those of the log"
	sql "UPDATE bgp.rib_peer SET retry_at = now()"
	is "$(psql -XAtq -c 'BEGIN ISOLATION LEVEL REPEATABLE READ' -c "SELECT bgp.rib_follow('alpha')" -c COMMIT 2>&1 | sed 's/AS [0-9]*/AS/; s/[0-9.]*, /, /; s/(.*, /(/')" \
	    "WARNING:  could not bring bgp.rib up to date for peer $peer (AS): SQLSTATE P0001: no luck"$'\n'0 "a warning names the peer and what is wrong"
	is "$(sql "SELECT peer_id, failing_since < now(), retry_at > now(), error FROM bgp.rib_peer WHERE failing_since IS NOT NULL")" \
	    "$peer|t|t|SQLSTATE P0001: no luck" "so does bgp.rib_peer"
	is "$(sql "SELECT rib_failing, rib_lag > '0' FROM bgp.ingest_status")" "1|t" "bgp.ingest_status shows it"
	# what is cancelled is no failure of a peer
	sql "CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); END'; UPDATE bgp.rib_peer SET retry_at = now()"
	is "$(psql -XAtq -v VERBOSITY=sqlstate -c "SET statement_timeout = '300ms'" -c 'BEGIN ISOLATION LEVEL REPEATABLE READ' -c "SELECT bgp.rib_follow('alpha')" -c COMMIT 2>&1)" \
	    "ERROR:  57014" "a call that is cancelled ends"
	is "$(sql "SELECT error FROM bgp.rib_peer WHERE peer_id = $peer")" "SQLSTATE P0001: no luck" "and changes nothing"
	sql "CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no luck''; END'"
	follow_all
	sql "DROP FUNCTION fails() CASCADE" 2>/dev/null
	ok "when the cause is gone, a later call deals with its batches" wait_for 30 follow_all
	is "$(sql "SELECT rib_failing, rib_lag FROM bgp.ingest_status")" "0|00:00:00" "and all is well"
	replayed "with the right routes"
}

# differs PEER: are its routes others than its log gives?
differs() {
	psql -XAtq <<-END
		SELECT format('WITH a AS (SELECT (to_jsonb(r) - ''peer_id'') AS r FROM bgp.rib_entry r WHERE peer_id = $1), b AS (SELECT to_jsonb(r) AS r FROM (%s) r)
		    SELECT EXISTS ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a))', bgp.rib_sql($1, 'infinity', NULL, NULL)) \gexec
	END
}

# follow_all: calls until there is nothing left now; was that all there is?
follow_all() {
	while [ "$(psql -XAtq -c 'BEGIN ISOLATION LEVEL REPEATABLE READ' -c "SELECT bgp.rib_follow('alpha')" -c COMMIT 2>/dev/null)" != 0 ]; do :; done
	[ "$(sql "SELECT count(*) FROM bgp.batch_pending")" = 0 ]
}

scripts/exabgp-pg-db init >"$work/init.log" 2>&1 || { cat "$work/init.log" >&2; exit 1; }
# what is dealt with at a time, and from when on all is read again, so that a small log gets there
sql "DO \$\$ DECLARE f record; BEGIN
    FOR f IN SELECT * FROM (VALUES ('rib_follow_peer', '100000', '40'), ('rib_late', '2000', '6')) f (name, usual, small) LOOP
	ASSERT pg_get_functiondef(('bgp.' || f.name)::regproc) ~ f.usual, 'bgp.' || f.name || ' has no limit any more';
	EXECUTE replace(pg_get_functiondef(('bgp.' || f.name)::regproc), f.usual, f.small);
    END LOOP;
END \$\$"
for ((round = 0; round < ${ROUNDS:-1}; round++)); do
	run_round
	forget_all
	seed=$((seed + 1))
done
loading_waits_not
forget_all
server_dies
forget_all
others_at_it
forget_all
one_peer_fails
sql "DELETE FROM bgp.consumer WHERE name = 'rib'; UPDATE bgp.schema_version SET checksum = 'of another release' WHERE version = 7"
scripts/exabgp-pg-db upgrade >"$work/init.log" 2>&1
is "$(sql "SELECT bool_and(rebuild) FROM bgp.rib_peer")" t "bgp.rib is made anew if it was not told of batches for a time"
done_testing
