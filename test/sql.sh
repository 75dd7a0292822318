#!/usr/bin/env bash
# sql.sh - the schema: made by an owner who is no superuser, by several at once;
# what the functions do (pgtap/*.sql), also when several sessions call them at the
# same time; who may do what; odd time zones and encodings.
# shellcheck disable=SC2317 # functions that traps, wait_for and ok call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-sql.XXXXXX")
cleanup() {
	local name

	for name in "${!session_pid[@]}"; do
		kill "${session_pid[$name]}" 2>/dev/null
	done
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
cluster_start "$work/pg" "max_connections = 60" || exit 1

# --- helpers ------------------------------------------------------------------------

# run COMMAND...: leaves $status, $out and $err
run() {
	"$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(cat "$work/out") err=$(cat "$work/err")
}

# as USER COMMAND...: as this role of the database
as() {
	local user=$1

	shift
	PGUSER=$user "$@"
}

# with DATABASE COMMAND...
with() {
	local database=$1

	shift
	PGDATABASE=$database "$@"
}

# at_once N COMMAND...: N of them at the same time; leaves the exit codes in $codes
# and what each wrote in $work/at_once.1 to .N
at_once() {
	local n=$1 i pids=()

	shift
	rm -f "$work"/at_once.*
	for ((i = 1; i <= n; i++)); do
		"$@" >"$work/at_once.$i" 2>&1 </dev/null &
		pids+=($!)
	done
	codes=''
	for i in "${pids[@]}"; do
		wait "$i"
		codes="$codes${codes:+ }$?"
	done
}

# session_open NAME [psql option]...: a psql that stays
declare -A session_pid session_fd
session_open() {
	local name=$1 fd

	shift
	mkfifo "$work/$name.in"
	PGAPPNAME=$name psql -XAtq -v VERBOSITY=sqlstate "$@" <"$work/$name.in" >"$work/$name.out" 2>&1 &
	session_pid[$name]=$!
	exec {fd}>"$work/$name.in"
	session_fd[$name]=$fd
}

# session_say NAME TEXT...: sends lines, waits for nothing
session_say() {
	local fd=${session_fd[$1]}

	shift
	printf '%s\n' "$@" >&"$fd"
}

# session_ask NAME TEXT...: sends lines and waits until they are done
session_ask() {
	local name=$1

	session_say "$@" "\\echo sync-$((++syncs))"
	wait_for 20 grep -qx "sync-$syncs" "$work/$name.out"
}
syncs=0

session_close() {
	local fd=${session_fd[$1]}

	session_say "$1" '\q'
	wait "${session_pid[$1]}"
	exec {fd}>&-
	unset "session_pid[$1]" "session_fd[$1]"
	rm -f "$work/$1.in"
}

# refused NAME SQLSTATE STATEMENT [psql option]...
refused() {
	local name=$1 sqlstate=$2 statement=$3

	shift 3
	is "$(psql -XAtq -v VERBOSITY=sqlstate "$@" -c "$statement" 2>&1)" "ERROR:  $sqlstate" "$name"
}

# pgtap FILE [ARGUMENT...]: its tests become ours, with the arguments in their names
pgtap() {
	local file=$1 line name='' why='' good='' with=${2:+ (${*:2})}

	shift

	# ends the test before, with the comments that followed it
	pgtap_flush() {
		[ -n "$name" ] || return 0
		case $good in
		yes) pass "$name" ;;
		skip) skip "$name" "see pgTAP" ;;
		*) fail "$name" "$why" ;;
		esac
		name='' why=''
	}
	psql -XAtqf "$file" "$@" >"$work/tap" 2>"$work/tap.err" </dev/null
	status=$?
	while IFS= read -r line; do
		case $line in
		'ok '* | 'not ok '*)
			pgtap_flush
			name="${file##*/}$with: ${line#*ok * - }" good=yes
			[[ $line == 'not ok '* ]] && good=no
			[[ $line == *'# SKIP'* ]] && good=skip
			;;
		*) why="$why${why:+$'\n'}${line#\# }" ;;
		esac
	done <"$work/tap"
	pgtap_flush
	if [ $status -eq 0 ] && grep -q '^1\.\.[1-9]' "$work/tap"; then
		pass "${file##*/}$with: runs to its end"
	else
		fail "${file##*/}$with: runs to its end" "$(tail -n 5 "$work/tap.err")"
	fi
}

# --- exabgp-pg-db --------------------------------------------------------------------

newest=$(find sql -name '[0-9]*.sql' | sed 's,^.*/0*,,; s,-.*,,' | sort -n | tail -n 1)
sql "CREATE ROLE dba LOGIN CREATEROLE; CREATE ROLE tap_nobody;
    ALTER DATABASE bgp OWNER TO dba"
sql "ALTER SCHEMA public OWNER TO dba"

run scripts/exabgp-pg-db status
is $status 1 "status of an empty database: exit 1"
ok "it says version 0" grep -q "version 0, .* has $newest" "$work/out"

# the roles are the whole cluster's, everything else is a database's
for name in twin1 twin2; do
	createdb -O dba $name
	as dba with $name scripts/exabgp-pg-db init >"$work/at_once.$name" 2>&1 </dev/null &
	eval "$name=\$!"
done
# shellcheck disable=SC2154 # by eval
wait "$twin1" && wait "$twin2"
is $? 0 "init by an owner with CREATEROLE, in two databases at once" || diag "$(cat "$work"/at_once.*)"
dropdb twin1
dropdb twin2
sql "DROP ROLE exabgp_pg_writer, exabgp_pg_reader"

at_once 4 as dba scripts/exabgp-pg-db init
is "$codes" "0 0 0 0" "init on a fresh database, four at once" || diag "$(cat "$work"/at_once.*)"
is "$(cat "$work"/at_once.* | grep -c '^applied ')" "$newest" "each file was applied once"
is "$(cat "$work"/at_once.* | grep -c "^schema version $newest\$")" 4 "each says the version"
is "$(sql "SELECT count(*) || ' ' || count(DISTINCT name) FROM bgp.schema_version")" "$newest $newest" "a row a file"
is "$(sql "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'bgp'::regnamespace")" dba \
	"all of it belongs to the owner"

# the definitions, for comparing
dump() {
	pg_dump -s -n bgp | grep -v 'restrict ' # has a number of its own each time
}
dump >"$work/before"
run as dba scripts/exabgp-pg-db init
is "$status $out$err" "0 schema version $newest" "init again: nothing to do"
run as dba scripts/exabgp-pg-db upgrade
is "$status $out$err" "0 schema version $newest" "upgrade: nothing to do"
ok "nothing has changed" cmp -s "$work/before" <(dump)
(
	echo "SET client_min_messages = warning;"
	cat sql/[0-9]*.sql
) >"$work/all.sql"
run as dba psql -Xq -1 -v ON_ERROR_STOP=1 -f "$work/all.sql"
is "$status $out$err" "0 " "the files run in psql as they stand, again"
ok "nothing has changed" cmp -s "$work/before" <(dump)

run as dba scripts/exabgp-pg-db status
is $status 0 "status of a database that is up to date: exit 0"
run env PGHOST=/nonexistent scripts/exabgp-pg-db status --dsn "host=$PGHOST port=$PGPORT dbname=bgp user=dba"
is $status 0 "--dsn wins over the environment"
run env PGHOST=/nonexistent scripts/exabgp-pg-db status "--dsn=host=$PGHOST port=$PGPORT dbname=bgp user=dba"
is $status 0 "--dsn=CONNINFO"
run env PGHOST=/nonexistent EXABGP_PG_DSN="host=$PGHOST port=$PGPORT dbname=bgp user=dba" scripts/exabgp-pg-db status
is $status 0 "EXABGP_PG_DSN"
mkdir -p "$work/a tree/scripts" "$work/a tree/sql"
cp scripts/exabgp-pg-db "$work/a tree/scripts" && cp sql/*.sql "$work/a tree/sql"
createdb -O dba spaces
run as dba with spaces "$work/a tree/scripts/exabgp-pg-db" init
is "$status ${out##*$'\n'}" "0 schema version $newest" "init from a directory with a space in its name" || diag "$err"
dropdb spaces
run as dba with nowhere scripts/exabgp-pg-db status
ok "status of a database that is not there fails" [ $status -ne 0 ]
ok "it says so" grep -q '"nowhere"' "$work/err"
run as dba with nowhere scripts/exabgp-pg-db init
ok "init of a database that is not there fails" [ $status -ne 0 ]
for arguments in "" "bogus" "init --bogus" "init --dsn" "status extra"; do
	# shellcheck disable=SC2086 # several
	run scripts/exabgp-pg-db $arguments
	is "$status $out" "64 " "exabgp-pg-db $arguments: exit 64"
done
ok "with the usage" grep -q 'exabgp-pg-db status ' "$work/err"

# a database of an earlier version, with a partition, becomes what a new one is
signatures() {
	sql "SELECT 'function ' || p.oid::regprocedure || ' ' || md5(p.prosrc) FROM pg_proc p WHERE p.pronamespace IN ('bgp'::regnamespace, 'hunt'::regnamespace)
	    UNION ALL SELECT format('column %s.%s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod)) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	    WHERE c.relnamespace IN ('bgp'::regnamespace, 'hunt'::regnamespace) AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped
	    UNION ALL SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
	    WHERE c.relnamespace IN ('bgp'::regnamespace, 'hunt'::regnamespace) ORDER BY 1" -d "$1"
}
for name in fresh early; do
	createdb "$name"
	if [ $name = early ]; then
		gunzip -c test/data/schema-15.sql.gz | PGDATABASE=early psql -Xq -o /dev/null 2>"$work/err" || diag "$(cat "$work/err")"
	else
		with fresh scripts/exabgp-pg-db init >/dev/null
	fi
	sql "SELECT bgp.ensure_partition(bgp.ensure_peer('a', '192.0.2.1', 64500, NULL, NULL, now()), '2026-11-20')" -d "$name" >/dev/null
done
run with early scripts/exabgp-pg-db status
is "$status ${out%%$'\n'*}" "1 schema version 15, this exabgp-pg has $newest" "a database of schema 15"
run with early scripts/exabgp-pg-db upgrade
is "$status ${out##*$'\n'}$err" "0 schema version $newest" "it is upgraded"
is "$(diff <(signatures early) <(signatures fresh))" "" "it has then what a new one has"
run with early scripts/exabgp-pg-db status
is "$status" 0 "and is up to date"
sql "UPDATE bgp.schema_version SET checksum = 'other' WHERE version = 9" -d early
run with early scripts/exabgp-pg-db status
is "$status $(grep -c '^1 files are missing or have changed' "$work/out")" "1 1" "status: a file that has changed"
run with early scripts/exabgp-pg-db upgrade
is "$status $(grep -c '^applied ' "$work/out") ${out##*$'\n'}" "0 $((newest - 8)) schema version $newest" "upgrade applies it, and those after it"
sql "INSERT INTO bgp.schema_version VALUES (999, 'future')" -d early
sql "UPDATE bgp.schema_version SET checksum = 'other' WHERE version = 9" -d early
run with early scripts/exabgp-pg-db upgrade
is "$status $out$err" "0 schema version 999" "not in a database of a newer exabgp-pg"
dropdb fresh
dropdb early

# a file that fails leaves nothing of itself
cp sql/*.sql "$work/a tree/sql"
printf 'CREATE TABLE bgp.half (x int);\nSELECT 1 / 0;\n' >"$work/a tree/sql/$(printf %03d $((newest + 1)))-broken.sql"
run as dba "$work/a tree/scripts/exabgp-pg-db" upgrade
ok "upgrade with a broken file fails" [ $status -ne 0 ]
is "$(sql "SELECT max(version) || coalesce(to_regclass('bgp.half')::text, '') FROM bgp.schema_version")" "$newest" "and leaves nothing behind"
run as dba "$work/a tree/scripts/exabgp-pg-db" status
is $status 1 "status when a file is missing: exit 1"

# a second database, by an owner who may not create roles: they are there
sql "CREATE ROLE dba2 LOGIN"
createdb -O dba2 second
run as dba2 with second scripts/exabgp-pg-db init
is "$status ${out##*$'\n'}" "0 schema version $newest" "init by an owner without CREATEROLE, the roles being there" || diag "$err"
dropdb second

# --- pgTAP ----------------------------------------------------------------------------

if [ "$(sql "SELECT count(*) FROM pg_available_extensions WHERE name = 'pgtap'")" = 0 ]; then
	skip "pgtap/*.sql" "the extension pgtap is not installed"
else
	sql "CREATE SCHEMA tap; CREATE EXTENSION pgtap SCHEMA tap"
	for file in test/pgtap/*.sql; do
		pgtap "$file"
	done
	# as if an hour were a large part of a day
	pgtap test/pgtap/hunts.sql -v part=1000000
fi

# --- several sessions ---------------------------------------------------------------------

ensure_peer() {
	sql "SELECT bgp.ensure_peer('race', '192.0.2.$1', 64500, NULL, NULL, now())" -v VERBOSITY=sqlstate
}
at_once 6 ensure_peer 1
is "$codes $(cat "$work"/at_once.* | sort -u | wc -l)" "0 0 0 0 0 0 1" "six creators of one peer get one id" || diag "$(cat "$work"/at_once.*)"
is "$(sql "SELECT count(*) FROM bgp.peer WHERE collector = 'race'")" 1 "it is there once"

# the first has not committed: the second waits, then has the same id
session_open first
session_open second
session_ask first "BEGIN; SELECT bgp.ensure_peer('race', NULL, 2, NULL, NULL, NULL);"
session_say second "SELECT bgp.ensure_peer('race', NULL, 2, NULL, NULL, NULL);"
waits() {
	sql_true "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE application_name = '$1'"
}
ok "a creator waits for another that has not committed" wait_for 20 waits second
session_ask first "COMMIT;"
session_ask second ""
is "$(grep -v sync "$work/second.out")" "$(grep -v sync "$work/first.out")" "and has the same id"
session_close first
session_close second

peer=$(sql "SELECT peer_id FROM bgp.peer WHERE collector = 'race' AND peer_asn = 64500")
sql "SELECT bgp.ensure_partition($peer, '2024-01-01')" >/dev/null

# A COPY into the log is under way, and a reader's transaction is open.
session_open copy
session_open reader
session_ask copy "BEGIN;"
session_say copy "COPY bgp.route_event (ts, seq, peer_id, kind) FROM STDIN;" "2024-01-01 00:00:01+00	1	$peer	W"
copies() {
	sql_true "SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
	    WHERE a.application_name = 'copy' AND l.relation = 'bgp.route_event'::regclass AND l.granted"
}
ok "a COPY holds the parent" wait_for 20 copies
session_ask reader "BEGIN; SELECT 'rows', count(*) FROM bgp.route_log;"

# (a lock that would wait for those two fails)
ensure_partition() {
	PGOPTIONS="-c lock_timeout=10s" sql "SELECT bgp.ensure_partition($1, '$2')" -v VERBOSITY=sqlstate
}
at_once 4 ensure_partition "$peer" 2024-01-02
is "$codes $(sort "$work"/at_once.* | tr '\n' ' ')" "0 0 0 0 f f f t " "four creators of one leaf meanwhile: one makes it"
different() {
	local day

	# each call takes a day that is free
	for day in 2024-02-01 1999-12-31 2002-03-31 2024-02-29; do
		if mkdir "$work/day.$day" 2>/dev/null; then
			ensure_partition "$peer" "$day"
			return
		fi
	done
}
at_once 4 different
is "$codes $(sort "$work"/at_once.* | tr '\n' ' ')" "0 0 0 0 t t t t " "four creators of different leafs meanwhile: each makes its own"
peers=$(sql "SELECT bgp.ensure_peer('race', inet '198.51.100.0' + n, 1, NULL, NULL, now()) FROM generate_series(1, 4) n")
new_peers() {
	local id

	for id in $peers; do
		if mkdir "$work/peer.$id" 2>/dev/null; then
			ensure_partition "$id" 2024-01-01
			return
		fi
	done
}
at_once 4 new_peers
is "$codes $(sort "$work"/at_once.* | tr '\n' ' ')" "0 0 0 0 t t t t " "the first leafs of four peers meanwhile"

# a creator that has not committed: neither readers nor the COPY nor another COPY wait
session_open creator
session_ask creator "BEGIN; SELECT bgp.ensure_partition($peer, '2024-01-03'), bgp.ensure_partition((SELECT bgp.ensure_peer('race', NULL, 77, NULL, NULL, now())), '2024-01-03');"
is "$(PGOPTIONS='-c statement_timeout=10s' sql "SELECT count(*) FROM bgp.route_log WHERE ts >= '2024-01-01'")" 0 \
	"a reader does not wait for a creator"
session_ask reader "SELECT 'rows', count(*) FROM bgp.route_log;"
is "$(grep -c '^rows|0$' "$work/reader.out")" 2 "nor does one whose transaction was open before"
is "$(PGOPTIONS='-c statement_timeout=10s' sql "INSERT INTO bgp.route_event (ts, seq, peer_id, kind) VALUES ('2024-01-02', 2, $peer, 'W') RETURNING seq")" 2 \
	"nor a writer to another leaf"
session_say copy "2024-01-01 00:00:02+00	3	$peer	W" '\.'
ok "nor the COPY" session_ask copy "COMMIT;"
session_ask creator "COMMIT;"
for name in creator copy reader; do
	is "$(grep ERROR "$work/$name.out")" "" "no error in the session \"$name\""
	session_close $name
done
is "$(sql "SELECT count(*) FROM bgp.route_event WHERE peer_id = $peer")" 3 "all rows are there"
# shellcheck disable=SC2086 # several
is "$(sql "SELECT count(*) FROM bgp.partition WHERE peer_id = ANY ('{${peers//$'\n'/,},$peer}')")" 11 "and all leafs"

# the helper's last connection may still be committing
session_open first
session_open second
journal=aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee
commit_call="bgp.ingest_commit('$journal', 0, 0, 0, 1, 100, 0, 5, 1, 0, 0, 0, NULL, '{}', '{}', '{}', '{}', '{}', '{}', '{}')"
sql "SELECT bgp.ingest_open('$journal', 'race')" >/dev/null
session_ask first "BEGIN; INSERT INTO bgp.ingest_error (ts, seq, collector, error) VALUES (now(), 1, 'race', 'x'); SELECT $commit_call;"
session_say second "SELECT 'at', segment, position FROM bgp.ingest_open('$journal', 'race');"
ok "ingest_open waits for a commit under way" wait_for 20 waits second
session_ask first "COMMIT;"
session_ask second ""
is "$(grep '^at' "$work/second.out")" "at|1|100" "and knows its outcome"
session_ask second "BEGIN; INSERT INTO bgp.ingest_error (ts, seq, collector, error) VALUES (now(), 1, 'race', 'twice'); SELECT $commit_call;" "COMMIT;"
is "$(grep ERROR "$work/second.out")" "ERROR:  EP001" "the same batch once more: EP001"
is "$(sql "SELECT string_agg(error, ' ') FROM bgp.ingest_error WHERE collector = 'race'")" x "its rows are undone"
# both from one position, at the same time
commit_call=${commit_call/0, 0, 0, 1, 100/1, 100, 0, 1, 200}
session_ask first "BEGIN; SELECT $commit_call;"
session_say second "BEGIN; SELECT $commit_call;"
ok "a commit waits for another of the same journal" wait_for 20 waits second
session_ask first "COMMIT;"
session_ask second "COMMIT;"
is "$(grep -c 'ERROR:  EP001' "$work/second.out")" 2 "and is refused then"
is "$(grep -c ERROR "$work/first.out")" 0 "the other is not"
session_close first
session_close second

# --- who may do what -----------------------------------------------------------------------

sql "CREATE ROLE loader LOGIN IN ROLE exabgp_pg_writer; CREATE ROLE analyst LOGIN IN ROLE exabgp_pg_reader;
    CREATE TABLE private (x int); CREATE SCHEMA evil AUTHORIZATION loader"

# load DATABASE NAME LINES...: the helper as the login "loader"; the input is stdin
load() {
	local database=$1 name=$2

	shift 2
	as loader with "$database" "$PROGRAM" -c "$name" -s "$work/spool-$database-$name" --no-resync --drain 60 "$@" >"$work/helper.out" 2>"$work/helper.err"
}
python3 test/lib/lines.py 3000 --peers 2 --start 1709251198.5 >"$work/lines" # 2024-02-29 23:59:58.5
echo 'not JSON' >>"$work/lines"
load bgp writer <"$work/lines"
is $? 0 "the helper loads all as a login that is member of exabgp_pg_writer only" || diag "$(tail "$work/helper.err")"
is "$(sql "SELECT count(*) || ' ' || count(DISTINCT med) FROM bgp.route_log WHERE collector = 'writer'")" "3000 3000" "each row once"
is "$(sql "SELECT count(*) FROM bgp.ingest_error WHERE collector = 'writer'")" 1 "and the line that is wrong"
is "$(sql "SELECT rows_total || ' ' || errors_total || ' ' || journal_bytes || ' ' || lag FROM bgp.ingest_status WHERE collector = 'writer'")" \
	"3000 1 0 00:00:00" "bgp.ingest_status says so"
leafs_of() {
	sql "SELECT p.day || ' ' || count(*) || ' ' || to_char(min(e.ts) AT TIME ZONE 'UTC', 'DD HH24:MI:SS') || ' '
	    || to_char(max(e.ts) AT TIME ZONE 'UTC', 'DD HH24:MI:SS')
	    FROM bgp.route_event e JOIN bgp.partition p ON p.leaf = e.tableoid JOIN bgp.peer q ON q.peer_id = e.peer_id
	    WHERE q.collector = '$1' GROUP BY p.day ORDER BY p.day"
}
days=$'2024-02-29 1500 29 23:59:58 29 23:59:59\n2024-03-01 1500 01 00:00:00 01 00:00:01'
is "$(leafs_of writer)" "$days" "rows are in their UTC days"

for relation in $(sql "SELECT oid::regclass FROM pg_class WHERE relnamespace = 'bgp'::regnamespace
    AND relkind IN ('r', 'p', 'v') AND NOT relispartition") private "$(sql "SELECT min(leaf::text) FROM bgp.partition")"; do
	refused "the writer cannot read $relation" 42501 "SELECT FROM $relation" -U loader
	for statement in "UPDATE $relation SET COLUMN = DEFAULT" "DELETE FROM $relation" "TRUNCATE $relation"; do
		# (an unknown column is found before a missing right: take one that is there)
		column=$(sql "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = '$relation'::regclass AND attnum = 1")
		for role in loader analyst; do
			got=$(psql -XAtq -U $role -v VERBOSITY=sqlstate -c BEGIN -c "${statement/COLUMN/$column}" 2>&1)
			case $got in
			# no right; a view that nobody can change; not a table
			"ERROR:  42501" | "ERROR:  55000" | "ERROR:  42809") ;;
			*) fail "$role: $statement is refused" "$got" ;;
			esac
		done
	done
done
pass "neither the writer nor the reader can change or empty any of them"
for role in loader analyst; do
	refused "$role: no tables in schema bgp" 42501 "CREATE TABLE bgp.x (x int)" -U $role
	refused "$role: no functions in schema bgp" 42501 "CREATE FUNCTION bgp.x() RETURNS int LANGUAGE sql AS 'SELECT 1'" -U $role
	refused "$role: no tables in schema public" 42501 "CREATE TABLE public.x (x int)" -U $role
	refused "$role: no schemas" 42501 "CREATE SCHEMA x" -U $role
	refused "$role: not the private table" 42501 "SELECT * FROM private" -U $role
	refused "$role: no partitions ahead" 42501 "SELECT bgp.ensure_partitions_ahead(1)" -U $role
	refused "$role: no closing" 42501 "SELECT bgp.close_statements('2024-01-01')" -U $role
	refused "$role: no dropping" 42501 "DROP TABLE bgp.peer" -U $role
	refused "$role: no role of the other" 42501 "SET ROLE dba" -U $role
done
refused "the reader cannot make peers" 42501 "SELECT bgp.ensure_peer('x', NULL, 1, NULL, NULL, NULL)" -U analyst
refused "the reader cannot make partitions" 42501 "SELECT bgp.ensure_partition($peer, '2024-01-01')" -U analyst
refused "the reader cannot move positions" 42501 "SELECT bgp.ingest_open('$journal', 'x')" -U analyst
for relation in route_event session_log ingest_error ingest_gap; do
	refused "the reader cannot insert into $relation" 42501 "INSERT INTO bgp.$relation DEFAULT VALUES" -U analyst
done
refused "the writer cannot insert peers of its own" 42501 "INSERT INTO bgp.peer (collector) VALUES ('x')" -U loader
refused "the writer cannot insert positions" 42501 "INSERT INTO bgp.ingest_position (journal_id, collector) VALUES ('$journal', 'x')" -U loader
is "$(as analyst sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'writer' AND prefix = ANY (bgp.supernets('10.0.0.7'))")" 1 \
	"the reader reads bgp.route_log, also through bgp.supernets"
is "$(as analyst sql "SELECT count(*) > 0 FROM bgp.partition")" t "the reader reads bgp.partition"
run as analyst scripts/exabgp-pg-db status
is $status 0 "the reader may run exabgp-pg-db status"
run as analyst scripts/exabgp-pg-partitions --ahead 1
ok "but not exabgp-pg-partitions" [ $status -ne 0 ]

# functions that run as their owner do not find what the caller put in their way
as loader sql "
	CREATE FUNCTION evil.stolen(text) RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END \$\$;
	CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS \$\$ SELECT evil.stolen('') \$\$;
	CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE sql AS \$\$ SELECT evil.stolen('')::regclass \$\$;
	CREATE FUNCTION evil.to_char(date, text) RETURNS text LANGUAGE sql AS \$\$ SELECT evil.stolen('') \$\$;
	CREATE FUNCTION evil.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql AS \$\$ SELECT evil.stolen('')::bigint \$\$;
	CREATE FUNCTION evil.equal(int, int) RETURNS boolean LANGUAGE sql AS \$\$ SELECT evil.stolen('')::boolean \$\$;
	CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE sql AS \$\$ SELECT evil.stolen('')::boolean \$\$;
	CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.equal);
	CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal)"
is "$(as loader psql -XAtq -v ON_ERROR_STOP=1 2>&1 <<-END
	CREATE TEMP TABLE pg_class (oid int);
	CREATE TEMP TABLE peer (peer_id int);
	SET search_path = evil, pg_temp, pg_catalog;
	SELECT bgp.ensure_partition($peer, '2024-05-01');
	SELECT bgp.ensure_peer('race', '192.0.2.1', 64500, NULL, NULL, NULL);
	SELECT position FROM bgp.ingest_open('$journal', 'race');
	SELECT bgp.ingest_peers('nobody');
	SELECT bgp.ingest_peer_states('nobody');
	SELECT bgp.ingest_commit('$journal', 1, 200, 0, 1, 300, 0, 5, 1, 0, 0, 0, NULL, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
END
)" $'t\n'"$peer"$'\n200' "a search_path of the caller's hijacks nothing"

# --- a clock that runs wild -----------------------------------------------------------------------

sql "CREATE OR REPLACE FUNCTION bgp.days_max() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2'"
for day in 1 2 3 2; do
	python3 test/lib/lines.py 1 --first $day --start $((1700000000 + day * 86400))
done >"$work/days"
as loader "${PROGRAM:-./exabgp-pg}" -c days -s "$work/days-spool" --drain inf <"$work/days" 2>"$work/err"
is "$? $(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'days'") $(sql "SELECT error FROM bgp.ingest_error WHERE collector = 'days'")" \
	"0 3 the peer has as many days in the log as it may have (bgp.days_max)" "a peer has bgp.days_max() days, the lines of others are quarantined"
sql "CREATE OR REPLACE FUNCTION bgp.days_max() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3660'"

# --- exabgp-pg-partitions -----------------------------------------------------------------------

for arguments in "" "--bogus" "--ahead" "--ahead x" "--ahead -1" "--ahead 1.5" "--ahead 10000" "--ahead=" "--close extra" \
	"--ahead 1 --dsn"; do
	# shellcheck disable=SC2086 # several
	run scripts/exabgp-pg-partitions $arguments
	is "$status $out" "64 " "exabgp-pg-partitions $arguments: exit 64"
done
ok "with the usage" grep -q 'exabgp-pg-partitions \[--ahead DAYS\]' "$work/err"
run with nowhere scripts/exabgp-pg-partitions --ahead 1
ok "exabgp-pg-partitions without its database fails" [ $status -ne 0 ]
run with nowhere scripts/exabgp-pg-partitions --close
ok "also with --close" [ $status -ne 0 ]

sql "UPDATE bgp.peer SET last_seen = NULL WHERE collector <> 'writer'; UPDATE bgp.peer SET last_seen = now() WHERE collector = 'writer'"
at_once 4 as dba scripts/exabgp-pg-partitions --ahead 2
is "$codes" "0 0 0 0" "--ahead 2, four at once" || diag "$(cat "$work"/at_once.*)"
is "$(sort "$work"/at_once.* | sed 's/_[0-9]*_[0-9]*$//' | uniq -c | tr -s ' ')" " 6 made bgp.route_event" "each leaf is made once, and printed" ||
	diag "$(cat "$work"/at_once.*)"
is "$(sql "SELECT count(*) FROM bgp.partition WHERE day >= (now() AT TIME ZONE 'UTC')::date")" 6 "three days of two peers"
run as dba scripts/exabgp-pg-partitions --ahead=2
is "$status $out$err" "0 " "again: nothing to do"
run env PGHOST=/nonexistent scripts/exabgp-pg-partitions --ahead 3 --dsn "host=$PGHOST port=$PGPORT dbname=bgp user=dba"
is "$status $(grep -c '^made ' "$work/out")" "0 2" "one day more, --dsn"

open_leafs() {
	sql "SELECT count(*) FROM bgp.partition WHERE NOT closed AND day < (now() AT TIME ZONE 'UTC')::date"
}
# more rows, so that closing takes a while
sql "INSERT INTO bgp.route_event (ts, seq, peer_id, kind, path, communities, large_communities)
    SELECT '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 s', i, $peer, 'A', ARRAY[i % 1000, i % 77], ARRAY['64500:' || i], ARRAY['64500:1:' || i]
    FROM generate_series(1, 40000) i"
ok "there are days to close" [ "$(open_leafs)" -gt 3 ]
at_once 4 as dba scripts/exabgp-pg-partitions --close
is "$codes" "0 0 0 0" "--close, four at once" || diag "$(grep -h ERROR "$work"/at_once.*)"
run as dba scripts/exabgp-pg-partitions --close
is "$status $err" "0 " "--close once more" || diag "$err"
is "$(open_leafs)" 0 "every day gone by is closed"
run as dba scripts/exabgp-pg-partitions --close
is "$status $(tr -d '\n' <"$work/out")$err" "0 " "again: nothing to do"
sql "SELECT bgp.ensure_partition($peer, '2023-06-01')" >/dev/null
run as dba scripts/exabgp-pg-partitions --close
ok "what it did is printed" grep -q "route_event_${peer}_20230601" "$work/out"
is "$status $(open_leafs)" "0 0" "a late day is closed by the next run"

# --- time zones and encodings ------------------------------------------------------------------

createdb -O dba auckland
sql "ALTER DATABASE auckland SET timezone = 'Pacific/Auckland'"
sql "ALTER DATABASE auckland SET datestyle = 'German, DMY'; ALTER DATABASE auckland SET intervalstyle = 'iso_8601'"
run as dba with auckland scripts/exabgp-pg-db init
is $status 0 "init in Pacific/Auckland, DateStyle German" || diag "$err"
load auckland nz <"$work/lines"
is $? 0 "the helper loads all there" || diag "$(tail "$work/helper.err")"
auckland_days() {
	PGTZ=UTC PGDATESTYLE=ISO with auckland leafs_of nz
}
is "$(auckland_days)" "$days" "rows are in their UTC days"
run as dba with auckland scripts/exabgp-pg-partitions --ahead 1
is "$status $(grep -c '^made ' "$work/out")" "0 0" "nobody was heard of this week: no partitions ahead"
with auckland sql "UPDATE bgp.peer SET last_seen = now()"
run as dba with auckland scripts/exabgp-pg-partitions --ahead 1
is "$status $(sed 's/^.*_//' "$work/out" | sort -u | tr '\n' ' ')" \
	"0 $(sql "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') || ' ' || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYYMMDD')") " \
	"today and tomorrow, of UTC"
run as dba with auckland scripts/exabgp-pg-partitions --close
is "$status $(with auckland sql "SELECT count(*) FROM bgp.partition WHERE closed")" "0 4" "days gone by are closed there" || diag "$err"

for encoding in SQL_ASCII LATIN1; do
	name=${encoding,,}
	createdb -O dba -T template0 -E $encoding --locale C "$name"
	run as dba with "$name" scripts/exabgp-pg-db init
	is $status 0 "init in a database of encoding $encoding" || diag "$err"
	load "$name" ascii <"$work/lines"
	is $? 0 "the helper loads ASCII input there" || diag "$(tail "$work/helper.err")"
	is "$(with "$name" leafs_of ascii)" "$days" "all of it"
	# what the encoding has, what it has not, what is no text at all, and a line after them
	{
		printf 'caf\xc3\xa9\n'
		printf '\xe2\x86\x92\n'
		printf '\xff\xfe\n'
		head -n 1 "$work/lines"
	} | load "$name" other --drain 20
	is $? 0 "other characters do not stop it" || diag "$(tail "$work/helper.err")"
	is "$(with "$name" sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'other'")" 1 "the line after them is loaded"
	is "$(with "$name" sql "SELECT (SELECT count(*) FROM bgp.ingest_error WHERE collector = 'other')
	    + (SELECT coalesce(sum(lines), 0) FROM bgp.ingest_gap WHERE collector = 'other')")" 3 "those lines are accounted for"
done

done_testing
