# shellcheck shell=bash
# faults.sh - what the tests of faults share: a server behind a proxy, helpers under a
# supervisor, faults by name, and the question whether every line is there once.
#
#	. test/lib/faults.sh
#	faults_begin wait			a cluster with the schema, a proxy before it
#	helper_begin NAME --count 5000 --rate 1000 -- --batch-ms 50
#	fault_refuse 2				the fault, for two seconds
#	helper_end NAME 60 "what happened"	waits; TAP: status 0, never left by itself
#	check_lines NAME			TAP: each line once, in order, or in a gap
#	faults_end				TAP: the plan
#
# A helper's collector is NAME, its journal $work/NAME/spool.  lib/pgproxy.py and
# lib/supervisor.py say what proxy and supervisor can be told.
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
work=''
declare -A supervisors		# process ids, by NAME
declare -A faults_done		# how often, by kind
proxy_pid=''
proxy_teller=''
others=()			# processes of psql that hold something

# faults_begin NAME [CONFIGURATION LINE]...
faults_begin() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-$1.XXXXXX")
	shift
	trap faults_clean EXIT
	cluster_start "$work/pg" "$@" || exit 1
	scripts/exabgp-pg-db init >/dev/null || exit 1
	proxy_begin || exit 1
	sql "CREATE ROLE loader LOGIN IN ROLE exabgp_pg_writer"
	# a statement of the helper's fails with the SQLSTATE that is in public.trouble
	sql "CREATE TABLE public.trouble (sqlstate text);
		CREATE FUNCTION public.trouble() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
		\$\$ DECLARE state text := (SELECT sqlstate FROM public.trouble LIMIT 1); BEGIN
			IF state IS NOT NULL THEN RAISE EXCEPTION 'trouble' USING ERRCODE = state; END IF;
			RETURN NULL; END \$\$;
		CREATE TRIGGER trouble BEFORE INSERT ON bgp.route_event EXECUTE FUNCTION public.trouble();
		CREATE TRIGGER trouble AFTER UPDATE ON bgp.ingest_position EXECUTE FUNCTION public.trouble()"
}

proxy_begin() {
	mkdir "$work/proxy"
	python3 test/lib/pgproxy.py --server "$PGHOST/.s.PGSQL.$PGPORT" --listen "$work/proxy/.s.PGSQL.$PGPORT" \
		--control "$work/proxy/control" >"$work/proxy/out" 2>"$work/proxy/err" &
	proxy_pid=$!
	wait_for 10 grep -q ready "$work/proxy/out" || return
	# one process tells it all: to start python3 each time takes longer than many faults
	mkfifo "$work/proxy/commands" "$work/proxy/answers"
	exec {proxy_commands}<>"$work/proxy/commands" {proxy_answers}<>"$work/proxy/answers"
	python3 test/lib/pgproxy.py --control "$work/proxy/control" --send <"$work/proxy/commands" >"$work/proxy/answers" &
	proxy_teller=$!
}

faults_clean() {
	local pid

	for pid in "${supervisors[@]}" $proxy_teller $proxy_pid "${others[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	cluster_thaw
	cluster_remove "$work/pg"
	rm -rf "$work"
}

faults_end() {
	is "$(cat "$work/proxy/err")" "" "the proxy had no trouble of its own"
	done_testing
}

# proxy COMMAND: tells it, prints its answer
proxy() {
	local answer

	echo "$*" >&"$proxy_commands"
	read -r -t 20 -u "$proxy_answers" answer || return
	echo "$answer"
	[[ $answer != @(error|unknown)* ]]
}

tell_proxy() {
	proxy "$@" >/dev/null
}

# --- helpers --------------------------------------------------------------------------

# helper_begin NAME [OPTION OF THE SUPERVISOR]... -- [OPTION OF THE HELPER]...
helper_begin() {
	local name=$1 options=()

	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	mkdir -p "$work/$name"
	printf '%s\n' "${options[@]}" >"$work/$name/options"
	[ -p "$work/$name/control" ] || mkfifo "$work/$name/control"
	python3 test/lib/supervisor.py "${options[@]}" --control "$work/$name/control" \
		--report "$work/$name/report" --spawned "$work/$name/pids" -- "$PROGRAM" --collector "$name" \
		--spool "$work/$name/spool" --dsn "host=$work/proxy user=loader dbname=bgp" --drain 120 "$@" \
		2>>"$work/$name/log" &
	supervisors[$name]=$!
}

# tell NAME COMMAND: to a supervisor
tell() {
	echo "${@:2}" >"$work/$1/control"
}

# option NAME OPTION DEFAULT: what its supervisor was given
option() {
	local value

	value=$(grep -A 1 -x -e "$2" "$work/$1/options" | sed -n 2p)
	echo "${value:-$3}"
}

report() {
	sed -n "s/^$2=//p" "$work/$1/report"
}

# has_peers NAME: from when on lines that are lost show as gaps, since the peers' counters are known
has_peers() {
	[ "$(sql "SELECT count(*) FROM bgp.peer WHERE collector = '$1' AND line_counter > 0" 2>/dev/null)" = \
		"$(option "$1" --peers 1)" ]
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

# rows NAME: how many are stored
rows() {
	sql "SELECT coalesce(sum(rows_total), 0) FROM bgp.ingest_position WHERE collector = '$1'" 2>/dev/null || echo 0
}

# has_rows NAME ROWS: whether more than so many are stored
has_rows() {
	local have

	have=$(rows "$1")
	[ "${have:-0}" -gt "$2" ]
}

# loads_again NAME: waits until a helper loads more than it has; 1 if it does not within a minute
loads_again() {
	local have

	have=$(rows "$1")
	wait_for 60 has_rows "$1" "${have:-0}" && return
	{
		tail -n 10 "$work/$1/log"
		sql "SELECT pid, state, wait_event, clock_timestamp() - state_change, left(query, 80)
			FROM pg_stat_activity WHERE backend_type = 'client backend'"
	} >&2
	return 1
}

# helper_end NAME SECONDS WHAT: all is written, or will be within SECONDS, and loaded
helper_end() {
	local name=$1 status

	if ! wait_for "$2" gone "${supervisors[$name]}"; then
		fail "$3: the helper ends within $2 s" "$(tail -n 5 "$work/$name/log")"
		kill "${supervisors[$name]}"
	fi
	wait "${supervisors[$name]}"
	status=$?
	unset "supervisors[$name]"
	is "$status" 0 "$3: the last helper loads all and exits 0" || tail -n 20 "$work/$name/log" >&2
	[ -s "$work/$name/report" ] || return
	is "$(report "$name" exits)" 0 "$3: no helper left by itself"
	diag "$name: $(report "$name" kills) kills, stall of standard input p50 $(report "$name" stall_p50_ms) p99" \
		"$(report "$name" stall_p99_ms) max $(report "$name" stall_max_ms) ms" \
		"[$(report "$name" stall_histogram)], at respawn max $(report "$name" respawn_max_ms) ms, sampler's own" \
		"gaps max $(report "$name" sampler_max_ms) ms, RSS max $(($(report "$name" rss_max_kb) / 1024)) MiB"
}

# check_stall NAME WHAT: standard input was never left alone for long; loose, for busy machines,
# of which only a few moments may be so
check_stall() {
	ok "$2: no stall of standard input above 2 s, one of a hundred at most above 100 ms" \
		awk -v max="$(report "$1" stall_max_ms)" -v p99="$(report "$1" stall_p99_ms)" -v count="$(report "$1" stall_count)" \
			'BEGIN { exit !(count > 0 && max < 2000 && p99 < 100) }'
}

# line_counts NAME: "WRITTEN STORED TWICE BACK LOST FALSE_GAPS IN_GAPS TORN"
# LOST: lines neither stored nor in a gap of their peer; FALSE_GAPS: lines that are both
line_counts() {
	local written first peers

	written=$(report "$1" lines)
	first=$(option "$1" --first 0)
	peers=$(option "$1" --peers 1)
	sql "SET work_mem = '256MB';
		WITH stored AS MATERIALIZED (
			SELECT e.med AS n, e.seq, e.peer_id FROM bgp.route_event e JOIN bgp.peer p USING (peer_id)
			WHERE p.collector = '$1'),
		one AS MATERIALIZED (SELECT DISTINCT n FROM stored),
		gap AS (
			SELECT (g - 1) * $peers + host(p.peer_address)::text::inet - '192.0.2.1'::inet AS n
			FROM bgp.ingest_gap i JOIN bgp.peer p USING (peer_id),
			LATERAL regexp_match(reason, '\((\d+) to (\d+)\)') m,
			LATERAL generate_series(m[1]::bigint, m[2]::bigint) g
			WHERE i.collector = '$1'),
		written AS (SELECT generate_series($first, $first + $written - 1) AS n)
		SELECT $written, (SELECT count(*) FROM one), (SELECT count(*) FROM stored) - (SELECT count(*) FROM one),
			(SELECT count(*) FROM (SELECT n < lag(n) OVER (PARTITION BY peer_id ORDER BY seq) AS back
				FROM stored) x WHERE back),
			(SELECT count(*) FROM (SELECT n FROM written EXCEPT SELECT n FROM one EXCEPT SELECT n FROM gap) x),
			(SELECT count(*) FROM (SELECT n FROM gap INTERSECT SELECT n FROM one) x),
			(SELECT count(*) FROM gap),
			(SELECT count(*) FROM bgp.ingest_error WHERE collector = '$1')" -F ' '
}

# check_lines NAME WHAT [whole]: each line is stored once, in order; or, unless whole, in a gap
check_lines() {
	local written stored twice back lost false_gaps gaps torn

	read -r written stored twice back lost false_gaps gaps torn <<<"$(line_counts "$1")"
	is "$lost $false_gaps" "0 0" "$2: every line is stored or in a gap, none in both ($written lines, $gaps in gaps)"
	is "$twice" 0 "$2: none is stored twice"
	is "$back" 0 "$2: order is kept per peer"
	is "$(sql "SELECT count(*) FROM (SELECT FROM bgp.route_event WHERE kind = 'A'
		GROUP BY peer_id, (ts AT TIME ZONE 'UTC')::date, family, path, as_path, communities, large_communities HAVING bool_and(repeated IS TRUE)) x")" 0 \
		"$2: what repeats an announcement of its day repeats one that is stored"
	[ $# -lt 3 ] || is "$stored $gaps $torn" "$written 0 0" "$2: all lines are stored"
}

# --- faults: each takes the seconds it is to last; what it breaks it mends ---------------

note() {
	faults_done[$1]=$((${faults_done[$1]:-0} + 1))
}

# psql in the background, its output thrown away
other() {
	psql -XAtq "$@" >/dev/null 2>&1 &
	others+=($!)
}

others_end() {
	local pid

	for pid in "${others[@]}"; do
		wait "$pid"
	done
	others=()
}

fault_proxy() {		# SECONDS COMMAND...
	tell_proxy "${@:2}"
	sleep "$1"
	tell_proxy pass
}

fault_stall_up() { fault_proxy "$1" stall up; note stall-up; }
fault_stall_down() { fault_proxy "$1" stall down; note stall-down; }
fault_stall_both() { fault_proxy "$1" stall both; note stall-both; }
fault_delay() { fault_proxy "$1" delay 20; note delay; }

fault_refuse() {
	tell_proxy refuse
	tell_proxy drop
	fault_proxy "$1" refuse
	note refuse
}

fault_blackhole() {
	tell_proxy blackhole
	tell_proxy drop
	sleep "$1"
	tell_proxy pass
	note blackhole
}

fault_random() {
	fault_proxy "$1" random "${RANDOM}" 0.02
	note random-cuts
}

# fault_cut KIND before|after [SECONDS]: once, if such a message passes within SECONDS
fault_cut() {
	local before

	before=$(proxy cuts)
	tell_proxy cut "$1" 1 "$2"
	# what only the beginning of a connection has
	case $1 in startup | authentication) tell_proxy drop ;; esac
	wait_for "${3:-10}" cut_was_done "$before"
	tell_proxy pass
	[ "$(proxy cuts)" != "$before" ] && note "cut-$1-$2"
}

cut_was_done() {
	[ "$(proxy cuts)" != "$1" ]
}

fault_terminate() {
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exabgp-pg'" >/dev/null 2>&1
	note terminate-backend
	sleep "$1"
}

# the server then ends all its processes and recovers
fault_kill_backend() {
	local pid

	pid=$(sql "SELECT pid FROM pg_stat_activity WHERE application_name = 'exabgp-pg' LIMIT 1" 2>/dev/null)
	[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
	note kill-backend
	sleep "$1"
	wait_for 60 sql_true "SELECT true"
}

fault_server() {	# SECONDS MODE
	cluster_stop "$work/pg" "$2"
	note "server-$2"
	sleep "$1"
	cluster_start "$work/pg"
}

fault_fast() { fault_server "$1" fast; }
fault_immediate() { fault_server "$1" immediate; }

fault_kill_server() {
	cluster_kill9 "$work/pg"
	note server-kill-9
	sleep "$1"
	cluster_start "$work/pg"
}

fault_freeze() {
	cluster_freeze "$work/pg"
	sleep "$1"
	cluster_thaw
	note server-stopped
}

fault_read_only() {
	sql "ALTER SYSTEM SET default_transaction_read_only = on"
	sql "SELECT pg_reload_conf()" >/dev/null
	sleep "$1"
	PGOPTIONS='-c default_transaction_read_only=off' sql "ALTER SYSTEM RESET default_transaction_read_only"
	sql "SELECT pg_reload_conf()" >/dev/null
	note read-only
}

# a lock that loading waits for
fault_lock() {		# SECONDS [TABLE]
	other -c "BEGIN; LOCK TABLE ${2:-bgp.route_event} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep($1); COMMIT"
	others_end
	note "lock"
}

# Rows locked in the order opposite to the helper's.  It is the victim: it looks for a
# deadlock after a second of waiting, when we wait too; we look much later.
fault_deadlock() {
	local i

	for ((i = 0; i < ${1%.*} + 1; i++)); do
		psql -XAtq -c "SET deadlock_timeout = '15s'" -c "BEGIN" -c "SELECT FROM bgp.peer ORDER BY peer_id FOR UPDATE" \
			-c "SELECT pg_sleep(0.4)" -c "SELECT FROM bgp.ingest_position FOR UPDATE" -c "COMMIT" >/dev/null 2>&1
	done
	note deadlock
}

# serializable transactions, and somebody who changes what they read
fault_serialization() {	# SECONDS [LEVEL]
	local i

	sql "ALTER DATABASE bgp SET default_transaction_isolation = '${2:-serializable}'"
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exabgp-pg'" >/dev/null
	for ((i = 0; i < ${1%.*} * 4 + 4; i++)); do
		psql -XAtq -c "BEGIN" -c "UPDATE bgp.peer SET label = 'x'" -c "SELECT count(*) FROM bgp.ingest_position" \
			-c "UPDATE bgp.ingest_position SET collector = collector" -c "SELECT pg_sleep(0.2)" -c "COMMIT" >/dev/null 2>&1
	done
	sql "ALTER DATABASE bgp RESET default_transaction_isolation"
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exabgp-pg'" >/dev/null
	note serialization
}

# limits of the database's that would end statements that wait
fault_timeouts() {
	sql "ALTER DATABASE bgp SET lock_timeout = '50ms'"
	sql "ALTER DATABASE bgp SET statement_timeout = '100ms'"
	fault_terminate 0.2
	PGOPTIONS='-c lock_timeout=0 -c statement_timeout=0' fault_lock "$1" bgp.ingest_position
	PGOPTIONS='-c lock_timeout=0 -c statement_timeout=0' sql "ALTER DATABASE bgp RESET ALL"
	note timeouts
}

# statements fail with an SQLSTATE
fault_sqlstate() {	# SECONDS STATE
	sql "INSERT INTO public.trouble VALUES ('$2')"
	sleep "$1"
	sql "DELETE FROM public.trouble"
	note "sqlstate-$2"
}

# all connections are in use but those that superusers have reserved
fault_connections() {
	local i limit

	limit=$(sql "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int")
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exabgp-pg'" >/dev/null
	for ((i = 0; i < limit; i++)); do
		other -c "SELECT pg_sleep($1)"
	done
	others_end
	note connections
}

fault_upgrade() {
	scripts/exabgp-pg-db upgrade >/dev/null
	note upgrade
	sleep "$1"
}
