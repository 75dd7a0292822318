#!/usr/bin/env bash
# huntdata.sh - the scripts that load reference data: every format, bad files, several at
# once, readers meanwhile, half a million VRPs, an RTR server.
# shellcheck disable=SC2317 # functions that traps and wait_for call
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-huntdata.XXXXXX")
started=()
cleanup() {
	[ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
# (the interpreter itself: what version managers put before it takes longer than our scripts)
PATH=$(python3 -c 'import os, sys; print(os.path.dirname(os.path.realpath(sys.executable)))'):$PATH
cluster_start "$work/pg" || exit 1
sql "CREATE ROLE dba LOGIN CREATEROLE; ALTER DATABASE bgp OWNER TO dba; ALTER SCHEMA public OWNER TO dba"
PGUSER=dba scripts/exabgp-pg-db init >/dev/null || exit 1
sql "CREATE ROLE analyst LOGIN IN ROLE exabgp_pg_reader; CREATE ROLE loader LOGIN IN ROLE exabgp_pg_writer"
export PGUSER=dba
data=test/data/hunt

# run COMMAND...: leaves $status, $out and $err
run() {
	"$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(cat "$work/out") err=$(cat "$work/err")
}

vrps() {
	run scripts/exabgp-pg-vrps "$@"
}

# shown: the VRPs, a line each
shown() {
	sql "SELECT prefix, max_length, asn, trust_anchor FROM hunt.vrp ORDER BY prefix, asn, max_length"
}

# refused NAME PATTERN COMMAND...: exit code 65 and the reason in one line
refused() {
	local name=$1 pattern=$2

	shift 2
	run "$@"
	if [ "$status" -ne 65 ] || ! grep -Eq -- "$pattern" "$work/err" || [ "$(wc -l <"$work/err")" -ne 1 ]; then
		fail "$name" "exit code $status, said: $err"
	else
		pass "$name"
	fi
}

# contents: of all that is loaded, to tell that nothing has changed
contents() {
	sql "SELECT md5(string_agg(t::text, ',' ORDER BY t)) FROM hunt.vrp t" -c "SELECT md5(string_agg(t::text, ',' ORDER BY t)) FROM hunt.as_relationship t" \
		-c "SELECT md5(string_agg(t::text, ',' ORDER BY t)) FROM hunt.as_name t" -c "SELECT md5(string_agg(t::text, ',' ORDER BY t)) FROM hunt.tier1 t" \
		-c "SELECT string_agg(t::text, ',' ORDER BY t) FROM hunt.data_source t"
}

# --- VRPs: every format ------------------------------------------------------------------------

wanted="192.0.2.0/24|24|64500|arin
198.51.100.0/24|32|0|apnic
203.0.113.0/24|26|64500|ripe
2001:db8::/32|48|4294967294|lacnic
2001:db8:1::/48|48|64500|afrinic"
for file in rpki-client.json rpki-client.csv routinator.json routinator.csv routinator-compat.csv; do
	sql "DELETE FROM hunt.vrp"
	vrps $data/$file
	[[ $file == rpki-client* ]] && notes=' (1 there twice, 1 expired)' || notes=
	is "$status $out$err" "0 hunt.vrp: 5 added, 0 removed, 5 in all$notes" "$file is loaded"
	is "$(shown)" "$wanted" "it has what it should"
done
is "$(sql "SELECT source, rows, state FROM hunt.data_status WHERE name = 'vrp'")" "$data/routinator-compat.csv|5|ok" "hunt.data_status tells"
vrps $data/routinator.json
is "$status $out" "0 hunt.vrp: 0 added, 0 removed, 5 in all" "again: nothing to do"
is "$(sql "SELECT data_time AT TIME ZONE 'UTC' FROM hunt.data_source WHERE name = 'vrp'")" "2026-11-25 20:00:00" "when Routinator made it"
vrps $data/rpki-client.json
is "$(sql "SELECT data_time AT TIME ZONE 'UTC' FROM hunt.data_source WHERE name = 'vrp'")" "2026-11-25 20:00:00" "when rpki-client made it"
is "$(PGUSER=analyst sql "SELECT hunt.rpki('192.0.2.0/24', 64500), hunt.rpki('198.51.100.0/24', 64500), hunt.rpki('203.0.113.0/27', 64500), hunt.rpki('8.8.8.0/24', 1)")" \
	"valid|invalid-asn|invalid-length|not-found" "an analyst asks hunt.rpki"

for packer in gzip bzip2 zstd; do
	if ! command -v $packer >/dev/null; then
		skip "$packer" "not installed"
		continue
	fi
	$packer -c <$data/routinator.csv >"$work/packed"
	sql "DELETE FROM hunt.vrp"
	vrps "$work/packed"
	is "$status $(shown)" "0 $wanted" "packed with $packer" || diag "$err"
	head -c 100 "$work/packed" >"$work/cut"
	refused "packed with $packer and cut" 'could not unpack' scripts/exabgp-pg-vrps "$work/cut"
done
{
	head -n 3 $data/routinator.csv | gzip -c
	tail -n +4 $data/routinator.csv | gzip -c
} >"$work/packed"
sql "DELETE FROM hunt.vrp"
vrps "$work/packed"
is "$status $(shown)" "0 $wanted" "two gzip streams in one file" || diag "$err"
sql "DELETE FROM hunt.vrp"
scripts/exabgp-pg-vrps - <$data/rpki-client.json >"$work/out"
is "$? $(cat "$work/out")" "0 hunt.vrp: 5 added, 0 removed, 5 in all (1 there twice, 1 expired)" "from standard input"
sql "DELETE FROM hunt.vrp"
sed 's/$/\r/' $data/rpki-client.csv >"$work/crlf.csv"
vrps "$work/crlf.csv"
is "$status $(shown)" "0 $wanted" "lines that end in CR LF"
run env PGHOST=/nonexistent scripts/exabgp-pg-vrps $data/routinator.csv --dsn "host=$PGHOST port=$PGPORT dbname=bgp user=dba"
is "$status $out" "0 hunt.vrp: 0 added, 0 removed, 5 in all" "--dsn"
run env PGHOST=/nonexistent EXABGP_PG_DSN="host=$PGHOST port=$PGPORT dbname=bgp user=dba" scripts/exabgp-pg-vrps $data/routinator.csv
is "$status" 0 "EXABGP_PG_DSN"

# a trust anchor cannot get out of its column
python3 -c 'import json
print(json.dumps({"roas": [{"asn": 1, "prefix": "11.0.0.0/8", "maxLength": 8, "ta": "a\\b\\.\\N'"'"'; DROP TABLE hunt.vrp --"}]}))' >"$work/odd.json"
vrps "$work/odd.json"
is "$status $(shown)" "0 11.0.0.0/8|8|1|a\\b\\.\\N'; DROP TABLE hunt.vrp --" "a name with backslashes and quotes" || diag "$err"
cp $data/routinator.csv "$work/it's a \"file\" :x.csv"
vrps "$work/it's a \"file\" :x.csv"
is "$status $(sql "SELECT source FROM hunt.data_source WHERE name = 'vrp'")" "0 $work/it's a \"file\" :x.csv" "a file with an odd name" || diag "$err"

# --- VRPs: bad files ---------------------------------------------------------------------------

before=$(contents)
# bad NAME PATTERN ENTRY: one more entry in a good file, in JSON
bad() {
	sed "9a\\$3," $data/routinator.json >"$work/bad.json"
	refused "JSON: $1" "roas\[3\]: .*$2" scripts/exabgp-pg-vrps "$work/bad.json"
}
bad "not an object" "not an object" '17'
bad "no ASN" "not an AS number" '{"prefix": "10.0.0.0/8", "maxLength": 8}'
bad "ASN too large" "not an AS number" '{"asn": 4294967296, "prefix": "10.0.0.0/8", "maxLength": 8}'
bad "ASN negative" "not an AS number" '{"asn": -1, "prefix": "10.0.0.0/8", "maxLength": 8}'
bad "ASN with a fraction" "not an AS number" '{"asn": 1.0, "prefix": "10.0.0.0/8", "maxLength": 8}'
bad "ASN true" "not an AS number" '{"asn": true, "prefix": "10.0.0.0/8", "maxLength": 8}'
bad "ASN asdot" "not an AS number" '{"asn": "AS1.10", "prefix": "10.0.0.0/8", "maxLength": 8}'
bad "ASN in other digits" "not an AS number" '{"asn": "AS\\u0661", "prefix": "10.0.0.0/8", "maxLength": 8}'
bad "no prefix" "not a prefix" '{"asn": 1, "maxLength": 8}'
bad "prefix a number" "not a prefix" '{"asn": 1, "prefix": 10, "maxLength": 8}'
bad "prefix without length" "not a prefix" '{"asn": 1, "prefix": "10.0.0.0", "maxLength": 8}'
bad "prefix of three bytes" "not a prefix" '{"asn": 1, "prefix": "10.0.0/8", "maxLength": 8}'
bad "prefix of a name" "not a prefix" '{"asn": 1, "prefix": "localhost/8", "maxLength": 8}'
bad "prefix length 33" "more than 32" '{"asn": 1, "prefix": "10.0.0.0/33", "maxLength": 33}'
bad "prefix length 129" "more than 128" '{"asn": 1, "prefix": "2001:db8::/129", "maxLength": 129}'
bad "prefix length negative" "not a prefix" '{"asn": 1, "prefix": "10.0.0.0/-1", "maxLength": 8}'
bad "host bits" "host bits" '{"asn": 1, "prefix": "10.0.0.1/8", "maxLength": 8}'
bad "host bits, IPv6" "host bits" '{"asn": 1, "prefix": "2001:db8::1/64", "maxLength": 64}'
bad "no max length" "max length" '{"asn": 1, "prefix": "10.0.0.0/8"}'
bad "max length null" "max length" '{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": null}'
bad "max length too short" "not from 8 to 32" '{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 7}'
bad "max length too long" "not from 8 to 32" '{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 33}'
bad "max length too long, IPv6" "not from 32 to 128" '{"asn": 1, "prefix": "2001:db8::/32", "maxLength": 129}'
bad "trust anchor a number" "trust anchor" '{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 8, "ta": 1}'
bad "trust anchor of two lines" "trust anchor" '{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 8, "ta": "a\\nb"}'
bad "expiry a word" "expiry" '{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 8, "expires": "soon"}'

# line NAME PATTERN LINE: the same in CSV
line() {
	{
		head -n 4 $data/rpki-client.csv
		echo "$3"
		tail -n +5 $data/rpki-client.csv
	} >"$work/bad.csv"
	refused "CSV: $1" "line 5: .*$2" scripts/exabgp-pg-vrps "$work/bad.csv"
}
line "a field missing" "4 fields instead of 5" "AS1,10.0.0.0/8,8,ripe"
line "a field too many" "6 fields instead of 5" "AS1,10.0.0.0/8,8,ripe,4102444800,x"
line "an empty line" "0 fields" ""
line "a bad ASN" "not an AS number" "ASx,10.0.0.0/8,8,ripe,4102444800"
line "host bits" "host bits" "AS1,10.1.0.0/8,8,ripe,4102444800"
line "a bad max length" "max length" "AS1,10.0.0.0/8,,ripe,4102444800"
line "a quote that does not end" "unexpected end" "AS1,10.0.0.0/8,8,\"ripe,4102444800"

: >"$work/empty"
refused "an empty file" "empty" scripts/exabgp-pg-vrps "$work/empty"
printf '\n \n' >"$work/blank"
refused "a blank file" "empty" scripts/exabgp-pg-vrps "$work/blank"
head -c 700 $data/rpki-client.json >"$work/cut.json"
refused "JSON that is cut off" "cut off" scripts/exabgp-pg-vrps "$work/cut.json"
head -c -3 $data/rpki-client.csv >"$work/cut.csv"
refused "CSV that is cut off in a number" "cut off" scripts/exabgp-pg-vrps "$work/cut.csv"
head -n 1 $data/rpki-client.csv >"$work/none.csv"
refused "CSV without VRPs" "no VRPs" scripts/exabgp-pg-vrps "$work/none.csv"
echo '{"metadata": {}, "roas": []}' >"$work/none.json"
refused "JSON without VRPs" "no VRPs" scripts/exabgp-pg-vrps "$work/none.json"
sed 's/4102444800/1700000000/' $data/rpki-client.csv >"$work/expired.csv"
refused "VRPs that have all expired" "7 have" scripts/exabgp-pg-vrps "$work/expired.csv"
echo '{"roas": {}}' >"$work/object.json"
refused "roas that is no list" "without a list" scripts/exabgp-pg-vrps "$work/object.json"
printf '%0.s[' {1..100000} | sed 's/^/{"roas":/' >"$work/deep.json"
refused "JSON too deep" "not valid JSON" scripts/exabgp-pg-vrps "$work/deep.json"
refused "a file of something else" "neither JSON" scripts/exabgp-pg-vrps scripts/lint
head -c 100000 /bin/true >"$work/binary"
refused "a program" "not a text" scripts/exabgp-pg-vrps "$work/binary"
is "$(contents)" "$before" "none of these changed anything"
vrps "$work/none.json" --allow-empty
is "$status $out" "0 hunt.vrp: 0 added, 5 removed, 0 in all" "--allow-empty" || diag "$err"

vrps "$work/nowhere"
is $status 1 "a file that is not there: exit 1"
ok "it says so" grep -q "could not read .*nowhere: No such file" "$work/err"
run env PGDATABASE=nowhere scripts/exabgp-pg-vrps $data/routinator.csv
is $status 1 "a database that is not there: exit 1"
ok "it says so" grep -q 'could not load: .*"nowhere"' "$work/err"
PGUSER=postgres createdb -O dba bare
for problem in "the database has no exabgp-pg schema: exabgp-pg-db init makes it" "the exabgp-pg schema of the database is too old: run exabgp-pg-db upgrade"; do
	vrps $data/routinator.csv --dsn "dbname=bare"
	is "$status $out$err" "1 exabgp-pg-vrps: $problem" "exabgp-pg-vrps, ${problem%%:*}: exit 1"
	for option in --relationships=$data/20261101.as-rel.txt --names=$data/asnames.txt; do
		run scripts/exabgp-pg-as-data $option --dsn "dbname=bare"
		is "$status $out$err" "1 exabgp-pg-as-data: $problem" "exabgp-pg-as-data ${option%%=*}, ${problem%%:*}: exit 1"
	done
	sql "CREATE SCHEMA IF NOT EXISTS bgp; CREATE TABLE IF NOT EXISTS bgp.schema_version ()" -d bare 2>/dev/null
done
for role in analyst loader; do
	run env PGUSER=$role scripts/exabgp-pg-vrps $data/routinator.csv
	is "$status $(sql "SELECT count(*) FROM hunt.vrp")" "1 0" "$role may not"
done
for arguments in "" "--bogus" "a b" "--dsn" "--rtr" "x --rtr y:1" "--rtr nonsense" "--rtr -o:1" "--rtr x:y" "--rtr x:1 --timeout 0" "--rtr x:1 --timeout x" "--allow"; do
	# shellcheck disable=SC2086 # several
	vrps $arguments
	is "$status $out" "64 " "exabgp-pg-vrps $arguments: exit 64"
done
ok "with the usage" grep -q '^usage: exabgp-pg-vrps FILE' "$work/err"

# --- VRPs: many, at once, with readers -----------------------------------------------------------

# many FIRST COUNT ANCHOR: /24s from the given number on, in JSON
many() {
	python3 -c 'import sys
first, count, anchor = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
print("{\"roas\": [", ",\n".join("{\"asn\": %d, \"prefix\": \"%d.%d.%d.0/24\", \"maxLength\": 24, \"ta\": \"%s\"}"
    % (64496 + n % 16, 1 + (n >> 16), n >> 8 & 255, n & 255, anchor) for n in range(first, first + count)), "]}")' "$@"
}
many 0 3000 a >"$work/a.json"
many 2000 2500 b >"$work/b.json"
many 2000 1000 c >"$work/c.json"
vrps "$work/a.json"
is "$status $out" "0 hunt.vrp: 3000 added, 0 removed, 3000 in all" "3000"
run scripts/exabgp-pg-vrps "$work/c.json"
is "$status $(sql "SELECT count(*) FROM hunt.vrp")" "1 3000" "a third of them is refused"
ok "it says so" grep -q "refusing to replace 3000 rows with only 1000" "$work/err"
vrps "$work/c.json" --allow-shrink
is "$status $out" "0 hunt.vrp: 1000 added, 3000 removed, 1000 in all" "--allow-shrink"

# a reader that waits for nobody, and sees one set
vrps "$work/a.json"
mkfifo "$work/fifo"
psql -XAtq -v ON_ERROR_STOP=1 <"$work/fifo" >"$work/session" 2>&1 &
started+=($!)
exec 8>"$work/fifo"
cat >&8 <<-'SQL'
	BEGIN;
	CREATE TEMP TABLE vrp (LIKE hunt.vrp) ON COMMIT DROP;
	INSERT INTO vrp VALUES ('10.0.0.0/8', 8, 1, 'z');
	SELECT hunt.data_replace('vrp', 'x', NULL, false, true);
SQL
ok "a loader that has not committed" wait_for 60 grep -q '(1,3000,1)' "$work/session"
is "$(PGOPTIONS='-c statement_timeout=10s' PGUSER=analyst sql "SELECT trust_anchor, count(*), hunt.rpki('1.0.0.0/24', 64496) FROM hunt.vrp GROUP BY 1")" \
	"a|3000|valid" "a reader does not wait for it, and sees the set before"
scripts/exabgp-pg-vrps "$work/b.json" --allow-shrink >"$work/second" 2>&1 &
second=$!
ok "a second loader waits for it" wait_for 60 sql_true "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'exabgp-pg-vrps' AND wait_event_type = 'Lock'"
echo "COMMIT;" >&8
wait $second
is "$? $(cat "$work/second")" "0 hunt.vrp: 2500 added, 1 removed, 2500 in all" "then it goes on from what the first left"
exec 8>&-

reader() {
	while [ ! -e "$work/stop" ]; do
		PGUSER=analyst psql -XAtq -v ON_ERROR_STOP=1 2>&1 <<-'SQL'
			SELECT count(*), string_agg(DISTINCT trust_anchor, '+') FROM hunt.vrp;
			SELECT count(*), string_agg(DISTINCT trust_anchor, '+') FROM hunt.vrp WHERE prefix >>= '1.0.0.0/24' OR prefix <<= '1.0.0.0/8';
		SQL
	done | sort | uniq -c >"$work/seen"
}
reader &
reading=$!
pids=()
for name in a b a b; do
	(
		for _ in 1 2; do
			scripts/exabgp-pg-vrps "$work/$name.json" || echo failed
		done
	) >"$work/at_once.${#pids[@]}" 2>&1 &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid"
done
touch "$work/stop"
wait $reading
is "$(sed -E 's/[0-9]+ added, [0-9]+ removed, //' "$work"/at_once.* | sort | uniq -c | tr -s ' ')" " 4 hunt.vrp: 2500 in all
 4 hunt.vrp: 3000 in all" "eight loads by four at once"
is "$(awk '{ print $2 }' "$work/seen" | grep -vxE '3000\|a|2500\|b')" "" "readers saw the one set or the other, whole"
ok "they saw both" [ "$(wc -l <"$work/seen")" = 2 ]

many 0 500000 big >"$work/big.json"
vrps "$work/big.json"
is "$status $out" "0 hunt.vrp: 500000 added, $(sql "SELECT removed FROM hunt.data_source WHERE name = 'vrp'") removed, 500000 in all" "500,000" || diag "$err"
is "$(sql "SELECT hunt.rpki('1.0.0.0/24', 64496), hunt.rpki('8.161.31.0/24', 64511), hunt.rpki('8.161.31.0/25', 64511), hunt.rpki('8.161.32.0/24', 64511)")" \
	"valid|valid|invalid-length|not-found" "first and last of them"
ok "hunt.rpki goes by an index" [ "$(sql "EXPLAIN SELECT * FROM hunt.vrp v WHERE v.prefix >>= '8.8.8.0/24'" | grep -c vrp_prefix)" -ge 1 ]

# --- VRPs of an RTR server --------------------------------------------------------------------------

# port_open PORT
port_open() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
if ! command -v rtrclient >/dev/null || ! command -v stayrtr >/dev/null; then
	skip "--rtr" "rtrclient or stayrtr is not installed"
else
	port=$(free_port)
	stayrtr -bind "127.0.0.1:$port" -metrics.addr "127.0.0.1:$(free_port)" -cache $data/rpki-client.json -checktime=false >"$work/stayrtr" 2>&1 &
	started+=($!)
	ok "an RTR server" wait_for 60 port_open "$port"
	vrps --rtr "127.0.0.1:$port" --allow-shrink
	is "$status $out" "0 hunt.vrp: 5 added, 500000 removed, 5 in all" "--rtr" || diag "$err"
	is "$(shown)" "$(sed 's/[a-z]*$//' <<<"$wanted")" "what the server has, without trust anchors"
	is "$(sql "SELECT source FROM hunt.data_source WHERE name = 'vrp'")" "RTR server 127.0.0.1:$port" "its name is noted"
	port=$(free_port)
	stayrtr -bind "127.0.0.1:$port" -metrics.addr "127.0.0.1:$(free_port)" -cache "$work/none.json" -checktime=false >"$work/stayrtr2" 2>&1 &
	started+=($!)
	wait_for 60 port_open "$port"
	refused "an RTR server without VRPs" "no VRPs" scripts/exabgp-pg-vrps --rtr "127.0.0.1:$port"
	port=$(free_port)
	vrps --rtr "127.0.0.1:$port"
	is $status 1 "an RTR server that is not there: exit 1"
	ok "it says so at once" grep -q 'Connection refused' "$work/err"
	python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = []
while True:
    kept.append(s.accept())' "$port" &
	started+=($!)
	wait_for 60 port_open "$port"
	vrps --rtr "127.0.0.1:$port" --timeout 1.5
	is $status 1 "an RTR server that says nothing: exit 1"
	ok "it says so" grep -q 'not done within 1.5 s' "$work/err"
	is "$(shown | wc -l)" 5 "the VRPs are still there"
fi
mkdir "$work/bin"
ln -s "$(python3 -c 'import sys; print(sys.executable)')" "$work/bin/python3"
run env PATH="$work/bin" scripts/exabgp-pg-vrps --rtr 127.0.0.1:1
is $status 1 "without rtrclient: exit 1"
ok "it says what to install" grep -q 'rtr-tools' "$work/err"

# --- AS relationships and names -----------------------------------------------------------------------

as_data() {
	run scripts/exabgp-pg-as-data "$@"
}
shipped=$(sql "SELECT string_agg('    - AS' || asn || ' ' || name, E'\\n' ORDER BY asn) FROM hunt.tier1")
shipped_by=$(sql "SELECT source FROM hunt.data_status WHERE name = 'tier1'")
as_data --relationships $data/20261101.as-rel.txt
is "$status $out$err" "0 hunt.as_relationship: 5 added, 0 removed, 5 in all
hunt.tier1: 3 added, 19 removed, 3 in all
hunt.tier1 is the clique of $data/20261101.as-rel.txt now; before, it was from $shipped_by:
    + AS64496
    + AS64497
    + AS4200000000
$shipped" "AS relationships, serial-1; what becomes of tier-1 networks that were shipped"
is "$(sql "TABLE hunt.as_relationship ORDER BY 1, 2")" "64496|64497|p2p
64496|64500|p2c
64496|4200000000|p2p
64497|64500|p2c
64500|64511|p2c" "it has what it should"
is "$(sql "SELECT string_agg(asn::text, ' ' ORDER BY asn) FROM hunt.tier1")" "64496 64497 4200000000" "its inferred clique is hunt.tier1"
is "$(sql "SELECT name, source, data_time AT TIME ZONE 'UTC' FROM hunt.data_source WHERE name IN ('tier1', 'as_relationship') ORDER BY 1")" \
	"as_relationship|$data/20261101.as-rel.txt|2026-11-01 00:00:00
tier1|$data/20261101.as-rel.txt|2026-11-01 00:00:00" "and where from is noted"
for packer in gzip bzip2; do
	$packer -c <$data/20261101.as-rel.txt >"$work/packed"
	as_data --relationships "$work/packed"
	is "$status ${out%%$'\n'*}" "0 hunt.as_relationship: 0 added, 0 removed, 5 in all" "the same, packed with $packer"
done
as_data --keep-tier1 --relationships $data/20261101.as-rel2.txt
is "$status $out$err" "0 hunt.as_relationship: 1 added, 2 removed, 4 in all (1 there twice, 1 peers that are customers as well)
hunt.tier1: left as it is" "serial-2, --keep-tier1"
is "$(sql "TABLE hunt.as_relationship ORDER BY 1, 2")" "64496|64497|p2p
64496|64500|p2c
64500|64511|p2c
64510|64511|p2p" "it has what it should"
is "$(sql "SELECT count(*) FROM hunt.tier1")" 3 "--keep-tier1"
for clique in "# nothing" "# inferred clique:" "# inferred clique: " "# input clique:"; do
	{
		echo "$clique"
		grep -v clique $data/20261101.as-rel2.txt
	} >"$work/unnamed"
	as_data --relationships "$work/unnamed"
	is "$status ${out#*$'\n'} $(sql "SELECT count(*) FROM hunt.tier1")" "0 hunt.tier1: left as it is, $work/unnamed names no clique 3" "no clique: $clique"
done
echo "# inferred clique:" >"$work/unnamed"
as_data --relationships "$work/unnamed" --allow-empty
is "$status $(sql "SELECT count(*) FROM hunt.as_relationship") $(sql "SELECT count(*) FROM hunt.tier1")" "0 0 3" "--allow-empty is not meant for it"
for clique in "64496 x" "4294967296" "64496,64497"; do
	{
		echo "# inferred clique: $clique"
		cat $data/20261101.as-rel2.txt
	} >"$work/bad"
	refused "a clique of $clique" "line 1: a clique with what is not an AS number" scripts/exabgp-pg-as-data --relationships "$work/bad"
done
# edited by hand, with what could be more lines
sql "INSERT INTO hunt.tier1 VALUES (64498, E'mine\\n    + AS1'), (64499, NULL)"
as_data --relationships $data/20261101.as-rel.txt
is "$status ${out#*$'\n'}$err" "0 hunt.tier1: 0 added, 2 removed, 3 in all
hunt.tier1 is the clique of $data/20261101.as-rel.txt now; before, it was from $work/packed:
    - AS64498 'mine\n    + AS1'
    - AS64499" "what was added by hand goes, and is named"
as_data --relationships $data/20261101.as-rel.txt
is "$status $out$err" "0 hunt.as_relationship: 0 added, 0 removed, 5 in all
hunt.tier1: 0 added, 0 removed, 3 in all" "again: nothing to say"
as_data --keep-tier1 --relationships $data/20261101.as-rel2.txt

for file in asnames.txt asns.csv names.txt; do
	sql "DELETE FROM hunt.as_name"
	as_data --names $data/$file
	is "$status $out$err" "0 hunt.as_name: 4 added, 0 removed, 4 in all" "AS names, $file"
	is "$(sql "TABLE hunt.as_name ORDER BY asn")" "0|-Reserved AS-|ZZ
64496|EXAMPLE-NET - Example Networks, Inc.|US
64500|CAFÉ-AS Café → Åre|SE
64511|NOCOUNTRY|" "it has what it should"
done
as_data --names $data/asnames.txt --relationships $data/20261101.as-rel2.txt
is "$status $(grep -c '^hunt\.[a-z0-9_]*: ' "$work/out")" "0 3" "both at once"
is "$(sql "SELECT string_agg(asn || ' ' || coalesce(name, '-'), ', ' ORDER BY asn) FROM hunt.tier1")" \
	"64496 EXAMPLE-NET - Example Networks, Inc., 64497 -" "tier-1 networks by their AS names"

before=$(contents)
# rel NAME PATTERN LINE, named NAME PATTERN LINE: one more line in a good file
rel() {
	{
		cat $data/20261101.as-rel.txt
		printf '%s\n' "$3"
	} >"$work/bad"
	refused "relationships: $1" "line 10: .*$2" scripts/exabgp-pg-as-data --relationships "$work/bad"
}
rel "no line of it" "neither A" "hello"
rel "a bad ASN" "not an AS number" "1|x|0"
rel "an ASN too large" "not an AS number" "1|4294967296|0"
rel "another relationship" "neither -1 nor 0" "1|2|1"
rel "an AS and itself" "an AS and itself" "1|1|0"
rel "each the provider of the other" "each the provider" "64511|64500|-1"
rel "an empty line" "neither A" ""
printf '1|2|0\n3|4|' >"$work/bad"
refused "relationships: cut off" "cut off" scripts/exabgp-pg-as-data --relationships "$work/bad"
echo "# nothing" >"$work/bad"
refused "relationships: none" "no relationships" scripts/exabgp-pg-as-data --relationships "$work/bad"
named() {
	{
		cat $data/asnames.txt
		printf '%s\n' "$3"
	} >"$work/bad"
	refused "names: $1" "line 5: .*$2" scripts/exabgp-pg-as-data --names "$work/bad"
}
named "no line of it" "neither" "hello"
named "a bad ASN" "not an AS number" "x NAME, CC"
named "a second name" "second name" "64500 OTHER, SE"
named "a country of three letters" "two letters" "64501|NAME|SWE"
refused "names: of a bad file, relationships: of a good one" "cut off" \
	scripts/exabgp-pg-as-data --names "$work/cut.json" --relationships $data/20261101.as-rel.txt
is "$(contents)" "$before" "none of these changed anything"
for arguments in "" "--bogus" "--relationships" "--names" "extra" "--relationships - --names -"; do
	# shellcheck disable=SC2086 # several
	as_data $arguments
	is "$status $out" "64 " "exabgp-pg-as-data $arguments: exit 64"
done

# --- other encodings and time zones -------------------------------------------------------------------

for encoding in SQL_ASCII LATIN1; do
	name=${encoding,,}
	PGUSER=postgres createdb -O dba -T template0 -E $encoding --locale C "$name"
	PGUSER=postgres PGDATABASE=$name sql "ALTER DATABASE $name SET timezone = 'Pacific/Auckland'; ALTER DATABASE $name SET datestyle = 'German, DMY'"
	PGDATABASE=$name scripts/exabgp-pg-db init >/dev/null
	run env PGDATABASE="$name" scripts/exabgp-pg-as-data --names $data/asnames.txt
	is "$status $out" "0 hunt.as_name: 4 added, 0 removed, 4 in all" "names in a database of $encoding" || diag "$err"
	[ $encoding = LATIN1 ] && arrow='?' || arrow=→
	is "$(PGDATABASE=$name PGCLIENTENCODING=UTF8 sql "SELECT name FROM hunt.as_name WHERE asn = 64500")" "CAFÉ-AS Café $arrow Åre" "as well as it can be told there"
	run env PGDATABASE="$name" scripts/exabgp-pg-vrps $data/rpki-client.json
	is "$status $(PGDATABASE=$name sql "SELECT count(*) FROM hunt.vrp")" "0 5" "VRPs as well" || diag "$err"
	is "$(PGDATABASE=$name PGTZ=UTC PGDATESTYLE=ISO sql "SELECT data_time FROM hunt.data_source WHERE name = 'vrp'")" "2026-11-25 20:00:00+00" "of the time that it says"
done

# --- the operator's bogons stay ---------------------------------------------------------------------------

sql "DELETE FROM hunt.bogon_asn_list WHERE asns @> 64512::bigint; DELETE FROM hunt.bogon_prefix_list WHERE prefix = '10.0.0.0/8';
    INSERT INTO hunt.bogon_prefix_list (prefix, name) VALUES ('198.18.0.0/16', 'mine'); DELETE FROM hunt.tier1"
{
	echo "SET client_min_messages = warning;"
	cat sql/010-hunt-data.sql
} | psql -XAtq -1 -v ON_ERROR_STOP=1 >"$work/out" 2>&1
is "$? $(cat "$work/out") $(sql "SELECT count(*) FROM hunt.bogon_asn_list WHERE asns @> 64512::bigint") $(sql "SELECT count(*) FROM hunt.bogon_prefix_list WHERE prefix = '10.0.0.0/8'") $(sql "SELECT count(*) FROM hunt.tier1")" \
	"0  0 0 0" "what the operator deleted stays deleted"
is "$(sql "SELECT name, since = (now() AT TIME ZONE 'UTC')::date FROM hunt.bogon_prefix_list WHERE prefix = '198.18.0.0/16'")" "mine|t" "what he added stays"
is "$(sql "SELECT rows FROM hunt.data_status WHERE name = 'bogon_prefix_list'")" 52 "hunt.data_status counts them"

# --- installed ------------------------------------------------------------------------------------------------

mkdir -p "$work/usr/bin" "$work/usr/share/exabgp-pg"
cp scripts/exabgp-pg-vrps scripts/exabgp-pg-as-data "$work/usr/bin"
cp scripts/exabgp_pg_data.py "$work/usr/share/exabgp-pg"
run "$work/usr/bin/exabgp-pg-vrps" $data/routinator.csv
is "$status" 0 "run from where make install puts them" || diag "$err"
is "$(find "$work/usr" scripts -name '*.pyc')" "" "no compiled files are left about"

done_testing
