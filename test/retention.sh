#!/usr/bin/env bash
# retention.sh - exabgp-pg-retention and exabgp-pg-restore: what goes and what stays, archives
# and what is restored from them, row by row; while helpers load and readers read, killed at
# any point, two at once; wrong options, damaged archives.
# shellcheck disable=SC2317 # functions that traps, wait_for and ok call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

command -v zstd >/dev/null || skip_all "zstd is not installed"
now=$(date +%s)
noon=$((now / 86400 * 86400 + 43200)) # of today
[ $((now % 86400)) -lt 86100 ] || skip_all "it is nearly midnight UTC: days would be others meanwhile"
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-retention.XXXXXX")
children=()
cleanup() {
	local pid

	for pid in "${children[@]}"; do
		kill "$pid" 2>/dev/null
	done
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
cluster_start "$work/pg" "max_connections = 60" || exit 1
sql "CREATE ROLE dba LOGIN CREATEROLE; ALTER DATABASE bgp OWNER TO dba; CREATE DATABASE other OWNER dba" 2>/dev/null ||
	{ sql "CREATE ROLE dba LOGIN CREATEROLE; ALTER DATABASE bgp OWNER TO dba" && createdb -O dba other; }
export PGUSER=dba	# all of it as an owner who is no superuser
PGDATABASE=other scripts/exabgp-pg-db init >/dev/null 2>&1 && scripts/exabgp-pg-db init >/dev/null || exit 1
export LC_ALL=C

# run COMMAND...: leaves $status, $out and $err
run() {
	"$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(cat "$work/out") err=$(cat "$work/err")
}

retention() {
	run scripts/exabgp-pg-retention --wait 10 "$@"
}

restore() {
	run scripts/exabgp-pg-restore "$@"
}

# in_other COMMAND...: in the other database
in_other() {
	PGDATABASE=other "$@"
}

# day N: the UTC day N days ago, as leafs have it
day() {
	date -u -d "@$((now - $1 * 86400))" +%Y%m%d
}

# lines DAYS_AGO FIRST COUNT [option of lines.py]...
lines() {
	local ago=$1 first=$2 count=$3

	shift 3
	python3 test/lib/lines.py "$count" --first "$first" --start $((noon - ago * 86400 - 20000)) "$@"
}

# load COLLECTOR: standard input
load() {
	"$PROGRAM" --quiet --no-resync --drain inf --batch-ms 50 --collector "$1" --spool "$work/spool-$1"
}

leafs() {
	sql "SELECT string_agg(peer_id || ':' || (now() AT TIME ZONE 'UTC')::date - day, ' ' ORDER BY day, peer_id) FROM bgp.partition"
}

# everything that could change, in a line
state() {
	sql "SELECT md5(string_agg(x, ' ' ORDER BY x)) FROM (SELECT e::text AS x FROM bgp.route_event e UNION ALL SELECT s::text FROM bgp.session_log s
	    UNION ALL SELECT p.leaf::text FROM bgp.partition p UNION ALL SELECT b::text FROM bgp.rib_base_day b UNION ALL SELECT r.leaf::text FROM bgp.retired r) x"
}

# held PEER DAYS_AGO: the routes of the peer at noon; peer_id may be another in another database
held() {
	sql "SELECT count(*) || ' ' || coalesce(md5(string_agg((to_jsonb(r) - 'peer_id')::text, ' ' ORDER BY prefix, path_id)), '')
	    FROM bgp.rib_at(to_timestamp($((noon - $2 * 86400))), NULL, ARRAY[$1]) r"
}

# dump_rows CONDITION: rows of the log without peer_id
columns="ts, seq, kind, prefix, med, path, communities, origin_asn, next_hop, origin, atomic_aggregate, family, as_path, attributes, nlri, refreshed"
columns="$columns, aggregator, ext_communities, rd, labels"
dump_rows() {
	sql "COPY (SELECT $columns FROM bgp.route_event WHERE $1 ORDER BY ts, seq) TO STDOUT"
}

# --- wrong options --------------------------------------------------------------------------

# five days of two peers, and today
for ago in 5 4 3 2 1 0; do
	lines $ago $((ago * 400)) 400 --peers 2
done | load one
sql "INSERT INTO bgp.session_log (ts, seq, peer_id, collector, event) SELECT now() - make_interval(days => n), n, p, 'one', 'eor'
    FROM generate_series(0, 5) n, unnest(ARRAY[1, 2, NULL]) p;
    INSERT INTO bgp.peer_stale VALUES (2, to_timestamp($noon) - interval '4 days', to_timestamp($noon) - interval '2 days');
    INSERT INTO bgp.ingest_error (ts, seq, collector, error) SELECT now() - make_interval(days => n), n, 'one', 'x' FROM generate_series(0, 5) n;
    INSERT INTO bgp.ingest_gap (collector, from_ts, to_ts, reason) SELECT 'one', now() - make_interval(days => n), now() - make_interval(days => n), 'x' FROM generate_series(0, 5) n"
# what is hard to write down
sql "UPDATE bgp.route_event SET aggregator = E'\\\\.\n\t\\\\N', ext_communities = ARRAY[E'\\\\.', E'a\"b\\\\', '', NULL, E'\u00e4\u20ac'], rd = E'\\\\.',
    attributes = E'{\"\u00e4\": [1.50, null, \"\\\\\\\\.\"]}', labels = '{}', nlri = '{}', family = 'ipv4 flow', prefix = NULL WHERE med = 2010"
is "$(leafs)" "1:5 2:5 1:4 2:4 1:3 2:3 1:2 2:2 1:1 2:1 1:0 2:0" "six days of two peers"
dump_rows true >"$work/all"
before=$(state)
while IFS='|' read -r arguments message; do
	# shellcheck disable=SC2086 # several
	run scripts/exabgp-pg-retention $arguments
	is "$status $out" "64 " "exabgp-pg-retention $arguments: exit 64"
	ok "it says why" grep -q -e "$message" "$work/err"
done <<-'END'
	|without --keep
	--keep|needs a value
	--keep 0d|less than a day
	--keep 23h|not a number of days
	--keep -1d|not a number of days
	--keep 1|not a number of days
	--keep 1.5d|not a number of days
	--keep 99999999d|not a number of days
	--keep 40000d|more than 100 years
	--keep 1d --keep 2d|twice
	--keep 1d --peer 192.0.2.1|is missing
	--keep 1d --peer 192.0.2.1 --peer 192.0.2.2 --keep 1d|is missing
	--keep 1d --peer router1 --keep 1d|not an address
	--keep 1d --peer 192.0.2 --keep 1d|not an address
	--keep 1d --peer 192.0.2.99 --keep 3d|no peer has this address
	--peer 192.0.2.1 --keep 1d|without --keep
	--max-size 0GB|nothing would be left
	--max-size 5|not a size
	--max-size 5XB|not a size
	--keep 1d --archive /nonexistent|no such directory
	--keep 1d --wait soon|not a number of seconds
	--keep 1d --bogus|is no option
	--keep 1d extra|is no option
END
retention --keep 1d --dsn "host=/nonexistent"
is "$status $out" "1 " "no server: exit 1"
PGUSER=postgres createdb -O dba bare
for why in "the database has no exabgp-pg schema: exabgp-pg-db init makes it" "the exabgp-pg schema of the database is too old: run exabgp-pg-db upgrade"; do
	for command in "exabgp-pg-retention --keep 1d" "exabgp-pg-restore archive" "exabgp-pg-partitions --ahead 1 --close"; do
		# shellcheck disable=SC2086 # several
		run scripts/$command --dsn "dbname=bare"
		is "$status $out$err" "1 ${command%% *}: $why" "$command: exit 1"
	done
	sql "CREATE SCHEMA IF NOT EXISTS bgp; CREATE TABLE IF NOT EXISTS bgp.schema_version ()" -d bare
done
mkdir "$work/archive"
retention --keep 2d --dry-run --archive "$work/archive"
is "$status $(grep -c '^would drop' "$work/out") $(ls "$work/archive")" "0 6 " "--dry-run says what would go"
is "$(state)" "$before" "and after all that nothing has changed"
retention --keep 5d
is "$status $out$err" "0 " "nothing is as old as that"
is "$(state)" "$before" "nothing has changed"
sql "GRANT exabgp_pg_reader TO analyst; GRANT exabgp_pg_writer TO loader" 2>/dev/null ||
	sql "CREATE ROLE analyst LOGIN IN ROLE exabgp_pg_reader; CREATE ROLE loader LOGIN IN ROLE exabgp_pg_writer"
for role in analyst loader; do
	PGUSER=$role retention --keep 1d
	ok "$role cannot drop anything" [ $status -ne 0 ]
done
is "$(state)" "$before" "nothing has changed"

# --- days go and come back ----------------------------------------------------------------------

for ago in 5 4 3 2 1 0; do
	held_before[ago]="$(held 1 $ago) $(held 2 $ago)"
done
retention --keep 4d --peer 192.0.2.2 --keep 2d --archive "$work/archive"
is "$status $err" "0 " "--keep 4d, of one peer 2d"
is "$(leafs)" "1:4 1:3 1:2 2:2 1:1 2:1 1:0 2:0" "each peer has its days"
is "$(sql "SELECT peer_id, day FROM bgp.route_day EXCEPT SELECT peer_id, day FROM bgp.partition")" "" "no other is among those that a subscriber is to make"
is "$(grep -c ^dropped.bgp "$work/out") $(find "$work/archive" -name '*.zst' | wc -l)" "4 4" "it says what it did; an archive each"
is "$(sql "SELECT count(*) FILTER (WHERE event = 'eor') FROM bgp.session_log")
$(sql 'SELECT count(*) FROM bgp.ingest_error') $(sql 'SELECT count(*) FROM bgp.ingest_gap')" $'15\n5 5' "session rows, errors and gaps of the day that is not kept are gone"
for ago in 2 1 0; do
	is "$(held 1 $ago) $(held 2 $ago)" "${held_before[ago]}" "$ago days ago the peers held the same as before"
done
is "$(held 1 4)" "${held_before[4]% * *}" "and 4 days ago, where that is kept"
# nobody is to take "not known" for "nobody had a route"
said() {
	sql "SELECT count(*) FROM $1" 2>&1 | sed -E 's/[0-9]{4}-.*/.../'
}
dropped="to_timestamp($((noon - 3 * 86400)))"
for question in "bgp.rib_at($dropped, NULL, '{2}')" "bgp.routes_at($dropped, '{10.0.0.0/32}', '{2}')" "bgp.path_history('10.0.0.0/32', $dropped, $dropped)"; do
	is "$(said "$question")" $'WARNING:  the log of peer 2 before ...\n0' "a moment of a day that is gone: $question says so"
done
is "$(sql "SELECT count(*) > 0 FROM bgp.rib_at($dropped, NULL, '{1}')" 2>&1)" t "of a peer that has the day it says nothing"
retention --keep 4d --peer 192.0.2.2 --keep 2d --archive "$work/archive"
is "$status $out$err" "0 " "again: nothing to do"

run scripts/exabgp-pg-restore --check "$work"/archive/*
is "$status $(grep -c ': whole$' "$work/out")" "0 4" "--check: all are whole"
restore "$work"/archive/*
is "$status $(grep -c 'restored 200 rows' "$work/out")$err" "0 4" "they are restored"
is "$(leafs)" "1:5 2:5 1:4 2:4 1:3 2:3 1:2 2:2 1:1 2:1 1:0 2:0" "all days are back"
ok "with the same rows" cmp -s "$work/all" <(dump_rows true)
for ago in 5 4 3; do
	is "$(held 1 $ago) $(held 2 $ago)" "${held_before[ago]}" "$ago days ago the peers held what they did"
done
is "$(sql "SELECT count(*) FROM bgp.session_log WHERE event = 'eor'")" 18 "the session rows are back, those that were there are there once"
restore "$work"/archive/*
is "$status $(grep -c 'already there' "$work/out")$err" "0 4" "restoring again: they are there"
ok "the same rows" cmp -s "$work/all" <(dump_rows true)
is "$(sql "SELECT count(*) FROM bgp.session_log WHERE event = 'eor'")" 18 "and session rows"

in_other sql "SELECT bgp.ensure_peer('one', '198.51.100.1', 1, NULL, NULL, NULL), bgp.ensure_peer('one', '198.51.100.2', 1, NULL, NULL, NULL)" >/dev/null
sql "UPDATE bgp.peer SET label = E'a \"label\"\\n', router_id = '192.0.2.77' WHERE peer_id = 2"
in_other restore "$work"/archive/*
is "$status $(grep -c 'restored 200 rows' "$work/out")$err" "0 4" "in another database"
is "$(in_other sql "SELECT peer_id || ' ' || peer_asn || ' ' || collector FROM bgp.peer WHERE peer_address <<= '192.0.2.0/24' ORDER BY 1")" \
	$'3 64601 one\n4 64602 one' "as peers of its own"
in_other dump_rows "peer_id IN (3, 4)" >"$work/restored"
dump_rows "ts < to_timestamp($noon) - interval '4 days 12 hours' OR peer_id = 2 AND ts < to_timestamp($noon) - interval '2 days 12 hours'" >"$work/wanted"
ok "with the same rows" cmp -s "$work/wanted" "$work/restored"
is "$(wc -l <"$work/wanted")" 800 "all 800"
is "$(in_other held 4 3)" "${held_before[3]#* * }" "and the state of that day"

# over other rows of that peer and day
file=$(echo "$work"/archive/*64601*"$(day 5)".zst)
sql "INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix) VALUES (to_timestamp($noon) - interval '5 days', 1, 1, 'W', '192.0.2.0/24')"
before=$(state)
restore "$file"
is "$status $out" "1 " "over other rows: exit 1"
ok "it says why" grep -q "has other rows than the archive" "$work/err"
is "$(state)" "$before" "and nothing has changed"
sql "DELETE FROM bgp.route_event_1_$(day 5) WHERE med % 10 = 0"
restore --add "$file"
is "$status ${out##*: }$err" "0 restored 40 rows" "--add: the rows that are missing"
is "$(sql "SELECT count(*) FROM bgp.route_event_1_$(day 5)")" 201 "with the one that was there"
sql "DELETE FROM bgp.route_event_1_$(day 5) WHERE kind = 'W'"

# --- damaged archives, and those of other versions ----------------------------------------------------

in_other retention --keep 1d
before=$(in_other state)
# edited PYTHON >FILE: the archive with its lines (a list of bytes) edited, and a checksum that is right
edited() {
	zstd -dcq "$file" | python3 -c '
import hashlib, json, re, sys
lines = sys.stdin.buffer.read().split(b"\n")[:-2]
head = json.loads(lines[1])
rows = head["sections"][0]["rows"]
'"$1"'
lines[1] = json.dumps(head).encode()
data = b"\n".join(lines) + b"\n"
sys.stdout.buffer.write(data + b"sha256 " + hashlib.sha256(data).hexdigest().encode() + b"\n")' | zstd -q
}
size=$(stat -c %s "$file")
head -c $((size / 2)) "$file" >"$work/cut.zst"
head -c $((size - 100)) "$file" >"$work/nearly.zst"
zstd -dcq "$file" | head -n 150 | zstd -q >"$work/lines.zst"
zstd -dcq "$file" | head -n -1 | zstd -q >"$work/sum.zst"
zstd -dcq "$file" | sed '20s/64601/64602/' | zstd -q >"$work/altered.zst"
{ head -c $((size / 2)) "$file"; printf XXXX; tail -c +$((size / 2 + 5)) "$file"; } >"$work/bytes.zst"
: >"$work/empty.zst"
echo "no archive" >"$work/text.zst"
echo "no archive" | zstd -q >"$work/other.zst"
edited 'lines[0] = lines[0].replace(b"archive 1", b"archive 2")' >"$work/format.zst"
edited 'head["sections"][0]["columns"].append(["shiny", "text"])' >"$work/newer.zst"
edited 'lines[10] = lines[10].replace(b"64601", b"x")' >"$work/wrong.zst"
edited 'lines[10] = b"\\."' >"$work/early.zst"
edited 'head["sections"][0]["name"] = "x; \n\\! touch /tmp/owned"' >"$work/evil.zst"
edited 'lines[10] = re.sub(rb"^\d+", b"1999", lines[10])' >"$work/otherday.zst"
for name in cut nearly lines sum altered bytes empty text other format newer wrong early evil otherday missing; do
	in_other restore "$work/$name.zst"
	is "$status $out" "1 " "archive ($name): exit 1"
	ok "it says that nothing was loaded" grep -q "nothing was loaded of" "$work/err"
done
is "$(in_other state)" "$before" "nothing was loaded of any"
ok "and nothing was run" [ ! -e /tmp/owned ]
edited 'i = [c[0] for c in head["sections"][0]["columns"]].index("refreshed")
del head["sections"][0]["columns"][i]; head["schema_version"] = 4
lines[2:2 + rows] = [b"\t".join(l.split(b"\t")[:i] + l.split(b"\t")[i + 1:]) for l in lines[2:2 + rows]]
n = head["sections"][1]["rows"]
del lines[3 + rows:4 + rows + n]; del head["sections"][1]
lines[0] = b"exabgp-pg archive 1 %d" % len(lines)' >"$work/older.zst"
in_other restore "$work/older.zst" "$work/altered.zst"
is "$status ${out##*: }" "1 restored 200 rows" "one of an older schema is restored, whatever comes after it"
ok "with the same rows" cmp -s <(dump_rows "peer_id = 1 AND ts < to_timestamp($noon) - interval '4 days 12 hours'") <(in_other dump_rows "peer_id = 3")

# --- size -----------------------------------------------------------------------------------------------

retention --max-size 100GB
is "$status $out$err" "0 " "--max-size: it is smaller than that"
limit=$(sql "SELECT bgp.log_bytes() / 1024 - 100")
retention --max-size "${limit}kB"
is "$status $(leafs)" "0 1:4 2:4 1:3 2:3 1:2 2:2 1:1 2:1 1:0 2:0" "--max-size: the oldest day of all peers goes" || diag "$err"
retention --max-size 1kB
is "$status $(leafs)" "1 1:0 2:0" "--max-size that cannot be reached: exit 1, today stays"
ok "it says so" grep -q "the log still has" "$work/err"
is "$(held 1 0) $(held 2 0)" "${held_before[0]}" "today the peers hold what they did"
restore "$work"/archive/*"$(day 3)".zst
retention --max-size 1kB --archive "$work/archive"
is "$(find "$work/archive" -name '*.zst' | wc -l)" 4 "what is in an archive is not archived again"
sql "SELECT bgp.ensure_partition(bgp.ensure_peer('gone', NULL, 7, NULL, NULL, now() - interval '90 days'), (now() - interval '90 days')::date)" >/dev/null
retention --keep 30d
is "$status $(sql "SELECT count(*) || ' ' || coalesce(to_regclass('bgp.route_event_' || max(peer_id))::text, 'none') FROM bgp.peer WHERE collector = 'gone'")" \
	"0 1 none" "a peer that is gone has no partition, but its row"

# --- killed anywhere, two at once --------------------------------------------------------------------------

mkdir "$work/bin"
for name in zstd mv sync psql; do
	cat >"$work/bin/$name" <<-END
		#!/bin/bash
		# kills the script that calls it, the Nth time
		if [ "\${KILL_AT%:*}" = $name ]; then
			echo >>"$work/bin/count"
			[ \$(wc -l <"$work/bin/count") -ne \${KILL_AT#*:} ] || kill -9 "\$(cat "$work/bin/pid")"
		fi
		exec $(command -v "$name") "\$@"
	END
done
chmod +x "$work"/bin/*
lock_is_free() {
	sql_true "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'exabgp-pg-retention'"
}
for ago in 5 4; do
	lines $ago $((ago * 400)) 400 --peers 2
done | load one
# the rows of these days: in the log, on their way out, or in an archive
dump_rows "ts < to_timestamp($noon) - interval '3 days'" | sort >"$work/wanted"
whereabouts() {
	local leaf

	{
		dump_rows "ts < to_timestamp($noon) - interval '3 days'"
		for leaf in $(sql "SELECT leaf FROM bgp.retired"); do
			sql "COPY (SELECT $columns FROM $leaf) TO STDOUT"
		done
		for leaf in "$work"/killed/*.zst; do
			[ ! -e "$leaf" ] || zstd -dcq "$leaf" | tail -n +3 | sed '/^\\\.$/,$d' | awk -F '\t' -v OFS='\t' -v want="$columns" -v have="$(zstd -dcq "$leaf" | sed -n 2p |
			    python3 -c 'import json, sys; print(",".join(c[0] for c in json.load(sys.stdin)["sections"][0]["columns"]))')" '
				BEGIN { n = split(want, w, ", "); split(have, h, ","); for (i in h) at[h[i]] = i }
				{ line = $at[w[1]]; for (i = 2; i <= n; i++) line = line OFS $at[w[i]]; print line }'
		done
	} | sort -u
}
mkdir "$work/killed"
killed_at() {
	TMPDIR=$work KILL_AT=$1 PATH=$work/bin:$PATH bash -c 'echo $$ >"$0"; exec scripts/exabgp-pg-retention --keep 3d --archive "$1"' "$work/bin/pid" "$work/killed" >"$work/out" 2>&1
}
kills=0
# psql: 1 to 4 begin; the lock's; the plan; then base states, samples, leafs
for at in psql:6 zstd:1 zstd:2 sync:1 mv:1 sync:2 psql:13 psql:15; do
	rm -f "$work/bin/count"
	killed_at "$at" 2>/dev/null # bash says that it was killed
	[ $? -ne 137 ] || kills=$((kills + 1))
	wait_for 10 lock_is_free
	cmp -s "$work/wanted" <(whereabouts) || fail "killed at $at: a row is nowhere" "$(whereabouts | diff "$work/wanted" - | head -n 5)"
done
ok "killed at $kills points: every row is in the log, on its way out, or in an archive" [ $kills -ge 6 ]
diag "$(sql "SELECT count(*) FROM bgp.retired") leafs were on their way out after the last"
sql "SELECT bgp.retire(peer_id, day, '{}') FROM bgp.partition WHERE day < now() - interval '4 days'" >/dev/null
retention --keep 30d
is "$status $(sql "SELECT count(*) FROM bgp.retired")" "0 0" "what was on its way out comes back if it is kept now"
scripts/exabgp-pg-retention --keep 3d --archive "$work/killed" >"$work/out.1" 2>"$work/err.1" &
one=$!
scripts/exabgp-pg-retention --keep 3d --archive "$work/killed" >"$work/out.2" 2>"$work/err.2"
two=$?
wait $one
is "$? $two $(cat "$work"/err.[12])" "0 0 " "two at once: both exit 0"
is "$(leafs)" "1:0 2:0" "the days are gone"
is "$(sort "$work"/out.[12] | grep '^dropped bgp' | uniq -d)" "" "each was dropped once"
ok "and their rows are in archives" cmp -s "$work/wanted" <(whereabouts)
is "$(find "$work/killed" -type f ! -name '*.zst' | wc -l) $(find "$work/killed" -name '*.zst' | wc -l)" "0 4" "one archive each, and nothing else in that directory"
mkdir "$work/full"
lines 5 2000 400 --peers 2 | load one
cat >"$work/bin/zstd" <<-END
	#!/bin/bash
	case "\$*" in *-6*) exec $(command -v zstd) "\$@" >/dev/full ;; esac
	exec $(command -v zstd) "\$@"
END
before=$(state)
PATH=$work/bin:$PATH retention --keep 3d --archive "$work/full"
is "$status $(leafs)" "1 1:5 2:5 1:0 2:0" "the disk of the archive is full: exit 1, the days stay"
is "$(find "$work/full" -name '*bgp*')" "" "and no file"
rm -f "$work/bin/zstd"

# --- while others work ---------------------------------------------------------------------------------------

sql "CREATE TABLE public.stop (x int); CREATE TABLE public.waited (what text, ms float8); GRANT SELECT, INSERT ON public.stop, public.waited TO PUBLIC"
# probe ROLE NAME STATEMENT: runs it again and again and notes the longest time it took
probe() {
	PGUSER=$1 psql -Xq <<-SQL >"$work/probe.$2" 2>&1 &
		DO \$\$
		DECLARE
			began	timestamptz;
			longest	float8 := 0;
		BEGIN
			WHILE NOT EXISTS (SELECT FROM public.stop) LOOP
				began := clock_timestamp();
				$3;
				COMMIT;
				longest := greatest(longest, extract(epoch FROM clock_timestamp() - began) * 1000);
				PERFORM pg_sleep(0.01);
				COMMIT;
			END LOOP;
			INSERT INTO public.waited VALUES ('$2', longest);
		END
		\$\$;
	SQL
	children+=($!)
}
dump_rows "ts > to_timestamp($noon) - interval '12 hours'" | wc -l >"$work/today"
probe postgres "a writer" "INSERT INTO bgp.route_event (ts, seq, peer_id, kind) VALUES (now(), 0, 1, 'W')"
probe analyst "a reader" "PERFORM count(*) FROM bgp.route_log WHERE peer_id = 1 AND ts > now() - interval '10 days'"
# late lines of days that go, and those of now
for ago in 5 4; do
	lines $ago $((10000 + ago * 10000)) 1500 --peers 2 --rate 400
done | load late 2>"$work/late.err" &
late=$!
lines 0 90000 6000 --peers 2 --rate 900 --report "$work/report" | load live 2>"$work/live.err" &
live=$!
children+=("$late" "$live")
mkfifo "$work/reader"
PGUSER=analyst PGAPPNAME=long psql -XAtq <"$work/reader" >/dev/null 2>&1 &
children+=($!)
exec {reader}>"$work/reader"
echo "BEGIN; SELECT count(*) FROM bgp.route_log;" >&$reader
reads() {
	sql_true "SELECT state = 'idle in transaction' FROM pg_stat_activity WHERE application_name = 'long'"
}
wait_for 10 reads
mkdir "$work/busy"
run scripts/exabgp-pg-retention --keep 3d --archive "$work/busy" --wait 1
is $status 75 "somebody reads: exit 75 after the given time"
ok "it says what stays and why" grep -q "could not drop bgp.route_event_1_$(day 5): in use by process" "$work/err"
ok "and leaves it" sql_true "SELECT count(*) = 0 FROM bgp.retired"
(
	sleep 1
	echo "COMMIT; BEGIN; SELECT 1;" >&$reader
) &
retention --keep 3d --archive "$work/busy"
is "$status $err" "0 " "it waits for one who is about to end"
ok "and drops" grep -q "dropped bgp.route_event_1_$(day 5) " "$work/out"
# with all of them at once
for i in 1 2 3; do
	scripts/exabgp-pg-restore "$file" >"$work/out.restore" 2>&1 &
	restores=$!
	scripts/exabgp-pg-restore "$file" >>"$work/out.restore" 2>&1 &
	restores="$restores $!"
	scripts/exabgp-pg-partitions --ahead 1 --close >"$work/out.partitions" 2>&1 &
	partitions=$!
	retention --keep 3d --archive "$work/busy"
	is "$status $err" "0 " "retention $i while lines of those days come in, with restore and partitions"
	wait $partitions
	is $? 0 "partitions $i" || diag "$(cat "$work/out.partitions")"
	status=''
	for pid in $restores; do
		wait "$pid"
		status="$status $?"
	done
	is "$status" " 0 0" "two of restore $i" || diag "$(cat "$work/out.restore")"
done
wait $late
is "$? $(cat "$work/late.err")" "0 " "the helper has loaded them all"
wait $live
is "$? $(cat "$work/live.err")" "0 " "and the other its own"
sql "INSERT INTO public.stop VALUES (1)"
exec {reader}>&-
probes_are_done() {
	sql_true "SELECT count(*) = 2 FROM public.waited"
}
ok "a writer and a reader went on all the time" wait_for 10 probes_are_done
diag "longest: $(sql "SELECT string_agg(what || ' ' || round(ms::numeric, 1) || ' ms', ', ') FROM public.waited")"
is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'live'")" 6000 "the helper's lines are there"
retention --keep 3d --archive "$work/busy"
is "$status $(sql "SELECT count(*) FROM bgp.route_event WHERE ts < now() - interval '4 days'")" "0 0" "the last of the old days are gone"

# somebody always reads, nobody for ever
lines 5 200000 400 --peers 2 | load late
sql "DELETE FROM public.stop"
for i in 1 2 3; do
	while ! sql_true "SELECT count(*) > 0 FROM public.stop"; do
		PGUSER=analyst sql "BEGIN; SELECT count(*) FROM bgp.route_log; SELECT pg_sleep(0.$((5 + i))); COMMIT" >/dev/null
	done &
	children+=($!)
done
retention --keep 3d --archive "$work/busy"
is "$status $err" "0 " "readers that come and go do not keep a day for ever"
is "$(sql "SELECT count(*) FROM bgp.partition WHERE day < now() - interval '4 days'") $(sql "SELECT count(*) FROM bgp.detaching")" "0 0" "it is gone"
sql "INSERT INTO public.stop VALUES (1)"

# half detached by one that was killed
lines 5 210000 400 --peers 2 | load late
leaf=$(sql "SELECT min(leaf::text) FROM bgp.partition WHERE day < now() - interval '4 days'")
half() {
	{
		echo "BEGIN; SELECT count(*) FROM bgp.route_log;"
		wait_for 60 test -e "$work/half"
	} | PGUSER=analyst psql -Xq >/dev/null &
	wait_for 10 sql_true "SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE usename = 'analyst' AND relation = '$leaf'::regclass"
	# (it waits for the reader, then gives up)
	PGOPTIONS="-c lock_timeout=500ms" sql "ALTER TABLE ${leaf%_*} DETACH PARTITION $leaf CONCURRENTLY" 2>/dev/null
	touch "$work/half"
	wait $!
}
half
ok "a leaf is half detached" sql_true "SELECT leaf::text = '$leaf' AND NOT done FROM bgp.detaching"
retention --keep 30d
is "$status $(sql "SELECT count(*) FROM bgp.detaching")" "0 0" "the next run ends that"
is "$(sql "SELECT count(*) FROM bgp.route_event WHERE med >= 210000")" 400 "and puts it back into the log, if it is kept"
retention --keep 3d --archive "$work/busy"
is "$status $err" "0 " "and drops it if it is not"

psql -Xqd postgres -U postgres -c "DROP DATABASE other" -c "CREATE DATABASE other OWNER dba"
in_other scripts/exabgp-pg-db init >/dev/null
in_other restore --add "$work"/busy/*.zst
is "$status $(in_other sql "SELECT count(*) || ' ' || count(DISTINCT med) FROM bgp.route_log WHERE collector = 'late'")$err" "0 3800 3800" \
	"and every late line is in an archive once ($(find "$work/busy" -name '*.zst' | wc -l) files)"

done_testing
