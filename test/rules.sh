#!/usr/bin/env bash
# rules.sh - rules on a live database: exabgp-pg-rules; findings of what the helper loads,
# with their NOTIFY; whatever the order of commits and the batches, the same as hunt.replay
# finds in the log; scans that fail, or meet each other.
# shellcheck disable=SC2317 # functions that traps, wait_for and ok call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-rules-test.XXXXXX")
pids=()
cleanup() {
	local pid

	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
cluster_start "$work/pg" "track_functions = pl" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1

# --- exabgp-pg-rules --------------------------------------------------------------------

# run COMMAND...: leaves $status, $out and $err
run() {
	"$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(cat "$work/out") err=$(cat "$work/err")
}
rules=scripts/exabgp-pg-rules

for arguments in "" "bogus" "check" "load" "diff" "load a b" "check a --dsn" "show x" "show --bogus"; do
	# shellcheck disable=SC2086 # several
	run $rules $arguments
	is "$status $out" "64 " "exabgp-pg-rules $arguments: exit 64"
done
ok "with the usage" grep -q 'exabgp-pg-rules diff ' "$work/err"
run $rules show
is "$status $out" "1 " "show: no rules yet"
ok "it says so" grep -q 'there is no version yet' "$work/err"

cat >"$work/good file.json" <<'END'
{ "rules": [
    { "prefixes": ["10.0.0.0/16^16-18", "2001:db8::/32"], "origin_asns": [64500, 64501], "neighbors": [64510, 64511],
      "policies": ["no-export"], "community_annotations": [ {"bad": [ {"in": ["1:1"]} ]}, {"so": [ {"in": ["1:2"]} ]} ] },
    { "prefixes": ["10.1.0.0/16"], "origin_asns": [64500], "min_peers": 2, "name": "it's \\ \"quoted\" $HOME `id` %s" } ],
  "withdrawn_threshold_percent": 60, "dormant_after": "3 minutes" }
END
echo '{"rules": [{"prefixes": ["10.0.0.1/8"], "asn": 1}, {}]}' >"$work/bad.json"
echo '{"rules": [}' >"$work/broken.json"
wanted='$.rules[0].asn: unknown key (known: name, prefixes, origin_asns, neighbors, prepend_seq, policies, community_annotations, min_peers, mitigation)
$.rules[0].prefixes[0]: bits are set beyond the length: is 10.0.0.0/8 meant?
$.rules[1].prefixes: missing'
run $rules check "$work/bad.json"
is "$status $out$err" "1 $wanted" "check: all problems with their paths"
run $rules load "$work/bad.json"
is "$status $out$err" "1 $wanted" "load refuses it"
run $rules load "$work/broken.json"
is "$status $out" "1 " "load refuses what is no JSON"
ok "and says why" grep -q 'invalid input syntax for type json' "$work/err"
run $rules check "$work/none.json"
is "$status $out" "66 " "a file that is not there"
is "$(sql "SELECT count(*) FROM hunt.config")" 0 "nothing was loaded"
run $rules check "$work/good file.json"
is "$status $out$err" "0 " "check: nothing wrong"
run $rules load "$work/good file.json"
is "$status $out$err" "0 loaded version 1" "load"
is "$($rules load - <"$work/good file.json")" "loaded version 2" "load from standard input"
run $rules diff "$work/good file.json"
is "$status $out$err" "0 " "diff: no difference, whatever the white space"
sed 's/"3 minutes"/"4 minutes"/' "$work/good file.json" | $rules diff - >"$work/diff"
is "$? $(grep -c '^[-+] .*minutes' "$work/diff")" "1 2" "diff: one"
run $rules show
is "$(psql -XAtq -v json="$out" <<<"SELECT :'json'::jsonb = config FROM hunt.config WHERE version = 2")" t "show: what was loaded"
run $rules show 1
is "$status" 0 "show 1"
run $rules show 3
is "$status $err" "1 exabgp-pg-rules: there is no version 3" "show 3"
run $rules show --dsn "host=/nonexistent dbname=bgp"
is "$status" 2 "a database that cannot be reached"
createdb bare
cp "$work/good file.json" "$work/good"
for arguments in "check $work/good" "load $work/good" "diff $work/good" show; do
	# shellcheck disable=SC2086 # several
	run $rules $arguments --dsn "dbname=bare"
	is "$status $out$err" "2 exabgp-pg-rules: the database has no exabgp-pg schema: exabgp-pg-db init makes it" "${arguments%% *}: no schema"
done
sql "CREATE SCHEMA bgp; CREATE TABLE bgp.schema_version ()" -d bare
run $rules show --dsn "dbname=bare"
is "$status $out$err" "2 exabgp-pg-rules: the exabgp-pg schema of the database is too old: run exabgp-pg-db upgrade" "an old one"
run env PGHOST=/nonexistent $rules check --dsn="host=$PGHOST port=$PGPORT dbname=bgp user=postgres" "$work/good file.json"
is "$status$err" 0 "--dsn wins over the environment"
# more than fits on a command line
sql "SELECT jsonb_build_object('rules', jsonb_agg(jsonb_build_object('prefixes', jsonb_build_array(host(inet '20.0.0.0' + n * 256) || '/32'), 'origin_asns', jsonb_build_array(n + 1))))
    FROM generate_series(0, 9999) n" >"$work/large.json"
run $rules load "$work/large.json"
is "$status $out$err" "0 loaded version 3" "10,000 rules"
sql "CREATE ROLE analyst LOGIN IN ROLE exabgp_pg_reader; CREATE ROLE loader LOGIN IN ROLE exabgp_pg_writer"
run env PGUSER=analyst $rules load "$work/good file.json"
ok "a reader may not load rules" grep -q 'permission denied' "$work/err"
run env PGUSER=analyst $rules check "$work/bad.json"
is "$status $out" "1 $wanted" "but check them"

# --- the same findings, whatever the order of commits -----------------------------------------

$rules load "$work/good file.json" >/dev/null
sql "TRUNCATE bgp.batch_pending"
seeds=(0.11 0.22 0.44 0.53 0.61 0.83 "0.$RANDOM")
on=0 anew=0 found=0
for seed in "${seeds[@]}"; do
	psql -XAtq -v ON_ERROR_STOP=1 >"$work/out" 2>&1 <<-END
		BEGIN;
		SET jit = off;
		\i test/lib/rules-property.sql
		SELECT * FROM pg_temp.one_run($seed, 60);
		SELECT funcname, calls FROM pg_stat_xact_user_functions WHERE schemaname = 'hunt' AND funcname IN ('follow_on', 'follow_anew');
		ROLLBACK;
	END
	is "$(grep -v '^follow\|^[1-9][0-9]* findings$' "$work/out")" "0 pending, 0 differ" "live and replayed are the same (seed $seed)"
	found=$((found + $(sed -n 's/ findings$//p' "$work/out") + 0))
	on=$((on + $(sed -n 's/^follow_on|//p' "$work/out") + 0))
	anew=$((anew + $(sed -n 's/^follow_anew|//p' "$work/out")))
done
ok "of many findings ($found)" [ "$found" -gt $((10 * ${#seeds[@]})) ]
ok "both from what is known and anew from the log ($on, $anew)" [ $((on > 20 && anew > 20)) = 1 ]

# --- live, through the helper -----------------------------------------------------------------

mkfifo "$work/listener.in"
psql -XAtq <"$work/listener.in" >"$work/notices" 2>&1 &
pids+=($!)
exec 3>"$work/listener.in"
echo "LISTEN exabgp_pg_finding;" >&3
# notices: those that have come, one line of JSON each
notices() {
	echo "SELECT;" >&3
	sleep 0.2
	sed -n 's/^Asynchronous notification "exabgp_pg_finding" with payload "\(.*\)" received from.*$/\1/p' "$work/notices"
}

for collector in 0 1; do
	mkfifo "$work/lines.$collector"
	PGUSER=loader "$PROGRAM" -c "live$collector" -s "$work/spool.$collector" --no-resync --batch-ms 50 --drain 60 \
		<"$work/lines.$collector" 2>"$work/helper.$collector" &
	pids+=($!)
	eval "exec $((4 + collector))>\"$work/lines.$collector\""
done
test/lib/hijacks.py 1 --seed 3 >/dev/null || exit 1
line() {
	printf '{"exabgp": "4.0.1", "time": %s, "host": "test", "pid": 4242, "ppid": 1, "counter": %s, "type": "update", "neighbor": {"address": {"local": "192.0.2.254", "peer": "192.0.2.1"}, "asn": {"local": 64512, "peer": 64601}, "direction": "receive", "message": {"update": %s}}}\n' "$1" "$2" "$3"
}
announce() {
	echo "{\"attribute\": {\"origin\": \"igp\", \"as-path\": [ 9, $1 ]}, \"announce\": {\"ipv4 unicast\": {\"192.0.2.1\": [{\"nlri\": \"$2\"}]}}}"
}
line 1767200000.5 1 "$(announce 666 10.0.0.0/17)" >&4
found() {
	sql_true "SELECT count(*) = 1 FROM hunt.finding WHERE prefix = '10.0.0.0/17' AND state = '$1'"
}
ok "a line becomes a finding" wait_for 20 found ongoing
line 1767200001.5 2 '{"withdraw": {"ipv4 unicast": [{"nlri": "10.0.0.0/17"}]}}' >&4
ok "and is over" wait_for 20 found withdrawn
two_notices() {
	[ "$(notices | wc -l)" -ge 2 ]
}
ok "both are told" wait_for 20 two_notices
is "$(notices | python3 -c 'import json, sys
for line in sys.stdin:
    n = json.loads(line)
    print(n["change"], n["state"], n["type"], n["prefix"], n["hijacker_asn"], n["peers_seen"], n["peers_withdrawn"], n["ended_at"], n["change_id"] > 0, n["finding_id"] > 0, "evidence" in n)')" \
	"opened ongoing E|0|-|- 10.0.0.0/17 666 [64601] [] None True True False
withdrawn withdrawn E|0|-|- 10.0.0.0/17 666 [64601] [64601] 2025-12-31T16:53:21.5+00:00 True True False" "in JSON"

# a payload has room for 8000 bytes
sql "SELECT hunt.finding_changed(f, 'seen') FROM (SELECT (jsonb_populate_record(r, jsonb_build_object('peers_seen', ARRAY(SELECT generate_series(4200000000, 4200001500))))).*
    FROM hunt.finding_row r LIMIT 1) f" >/dev/null
is "$(notices | tail -n 1 | python3 -c 'import json, sys
n = json.loads(sys.stdin.read())
print(n["truncated"], n["peers_seen_count"], "peers_seen" in n)')" "True 1501 False" "a finding of 1501 peers is told without their names"

# two collectors at once, while scans fail for a time
sql "CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
    CREATE TRIGGER fail BEFORE INSERT ON hunt.finding_row FOR EACH ROW EXECUTE FUNCTION public.fail()"
test/lib/hijacks.py 150 --seed 5 >&4
test/lib/hijacks.py 150 --seed 5 --collector 1 >&5
loaded() {
	sql_true "SELECT count(*) > 250 FROM bgp.route_event WHERE ts >= '2026-01-01'"
}
ok "loading does not depend on scanning" wait_for 20 loaded
is "$(sql "SELECT backlog_batches > 0 FROM hunt.status")" t "hunt.status tells what waits"
sql "DROP TRIGGER fail ON hunt.finding_row"
test/lib/hijacks.py 150 --seed 6 --start 1767268950 >&4
test/lib/hijacks.py 150 --seed 6 --collector 1 --start 1767268900 >&5
exec 4>&- 5>&-
ok "the helpers end in order" wait "${pids[1]}" "${pids[2]}"
all_scanned() {
	sql_true "SELECT backlog_batches = 0 AND backlog_age = '0' FROM hunt.status"
}
ok "all is scanned" all_scanned
columns='type, prefix, configured_prefix, hijacker_asn, state, first_seen, last_seen, ended_at, peers_seen, peers_withdrawn, asns_infected, community_annotation, evidence'
is "$(sql "WITH live AS (SELECT $columns FROM hunt.finding), replay AS (SELECT $columns FROM hunt.replay('2025-12-01', '2026-02-01'))
    SELECT (SELECT count(*) > 20 FROM live), (SELECT count(*) FROM (TABLE live EXCEPT ALL TABLE replay) x), (SELECT count(*) FROM (TABLE replay EXCEPT ALL TABLE live) x)")" \
	"t|0|0" "what was found live is what a replay finds"

# --- scanners that meet ---------------------------------------------------------------------------

peer=$(sql "SELECT min(peer_id) FROM bgp.peer")
again="INSERT INTO bgp.batch_pending (consumer, peer_id, from_seq, to_seq, from_ts, to_ts) SELECT 'hunt', $peer, 0, 1000000, '2026-01-01', high_ts FROM hunt.scan_state"
sql "$again"
mkfifo "$work/first.in"
psql -XAtq <"$work/first.in" >"$work/first.out" 2>&1 &
pids+=($!)
exec 6>"$work/first.in"
echo "BEGIN; SELECT 'scan', hunt.scan();" >&6
ok "a scan that has not committed" wait_for 20 grep -q '^scan' "$work/first.out"
is "$(PGOPTIONS='-c statement_timeout=10s' sql "SELECT hunt.scan()")" 0 "a second returns at once"
is "$(PGOPTIONS='-c statement_timeout=10s' sql "SELECT hunt.scan_follow()")" -1 "a helper is told to come again"
is "$(sql "SELECT backlog_batches FROM hunt.status")" 1 "what the first does is not done yet"
echo "COMMIT;" >&6
drained() {
	sql_true "SELECT backlog_batches = 0 FROM hunt.status"
}
ok "then it is" wait_for 20 drained
is "$(sql "SELECT hunt.scan_follow()")" 0 "and there is nothing left"
is "$(sed 's/^scan|//' "$work/first.out")" 0 "what was scanned before changes nothing"
# rules loaded meanwhile: a scan that does not see them fails, rather than judge by those before
sql "$again"
echo "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'ready', count(*) FROM hunt.config;" >&6
ok "a scan with an old snapshot" wait_for 20 grep -q '^ready' "$work/first.out"
$rules load "$work/good file.json" >/dev/null
echo "SELECT 'late', hunt.scan(); ROLLBACK;" >&6
ok "of rules that are no longer in force fails" wait_for 20 grep -q 'could not serialize' "$work/first.out"
exec 6>&- 3>&-

done_testing
