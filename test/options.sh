#!/usr/bin/env bash
# options.sh - the command line, the environment, exit codes, signals, messages, and
# what the helper does while its database or its spool cannot be used.
# shellcheck disable=SC2317 # functions that traps, wait_for and ok call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-options.XXXXXX")
chmod 711 "$work"
helpers=()
cleanup() {
	local pid

	for pid in "${helpers[@]}"; do
		kill -9 "$pid" 2>/dev/null
	done
	exec 8>&- 9>&-
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
unset EXABGP_PG_DSN EXABGP_PG_COLLECTOR EXABGP_PG_SPOOL EXABGP_PG_SPOOL_MAX EXABGP_PG_METRICS
cluster_start "$work/pg" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1
nowhere="host=$work/nowhere"
python3 test/lib/lines.py 100 >"$work/lines"
mkdir "$work/spool"

# run COMMAND...: input is $input; leaves $status, $out and $err
input=/dev/null
run() {
	timeout 12 "$@" <"$input" >"$work/out" 2>"$work/err"
	status=$?
	out=$(cat "$work/out") err=$(cat "$work/err")
}

# exits NAME STATUS PATTERN COMMAND...: with this exit code, nothing on stdout and this on stderr
exits() {
	local name=$1 wanted=$2 pattern=$3

	shift 3
	run "$@"
	if [ $status -eq "$wanted" ] && [ -z "$out" ] && [[ $err =~ $pattern ]]; then
		pass "$name"
	else
		fail "$name" "exit $status, wanted $wanted; wanted on stderr: $pattern"$'\n'"stdout: $out"$'\n'"stderr: $err"
	fi
}

# accepts OPTION...: with --print and no input
accepts() {
	run "$PROGRAM" --print "$@"
	is "$status $out$err" "0 " "$*"
}

# start INPUT [option]...: a helper in the background, that reads a pipe held open by
# us or a file; its messages are in $log, its stdout in $log.out, its process id is $helper
start() {
	local from=$1

	shift
	log=$work/log.$((++started))
	"$PROGRAM" "$@" <"$from" >"$log.out" 2>"$log" 8>&- 9>&- &
	helper=$!
	helpers+=("$helper")
}
started=0

# ends NAME STATUS [PID]: it ends by itself, soon; its stdout stayed empty
ends() {
	local pid=${3:-$helper} got

	if ! wait_for 12 cluster_gone "$pid"; then
		kill -9 "$pid"
		wait "$pid" 2>/dev/null
		fail "$1" "it does not end: $(tail -n 3 "$log")"
		return
	fi
	wait "$pid"
	got=$?
	is "$got" "$2" "$1" || diag "$(tail -n 3 "$log")"
}

# says FILE PATTERN, rows COLLECTOR N: conditions to wait for
says() {
	grep -Eq -- "$2" "$1"
}
rows() {
	sql_true "SELECT count(*) = $2 FROM bgp.route_log WHERE collector = '$1'"
}

# --- help, version, wrong usage ---------------------------------------------------------

for option in -h --help; do
	run "$PROGRAM" $option
	is "$status $err" "0 " "$option: exit 0"
	is "$(grep -cE -- '--(dsn|collector|spool|spool-max|metrics|batch-rows|batch-ms|sync-ms|drain|resync|no-resync|print|verbose|quiet|version|help)( |$)' "$work/out")" \
		16 "$option names every option"
done
for option in -V --version; do
	run "$PROGRAM" $option
	ok "$option: exit 0, one line" [ "$status $err $(grep -Ec '^exabgp-pg [0-9]+\.[0-9]+' "$work/out")" = "0  1" ]
done
run env EXABGP_PG_COLLECTOR=a/b EXABGP_PG_SPOOL_MAX=x "$PROGRAM" --help
is $status 0 "--help, even if the environment is wrong"

exits "an unknown option: exit 64" 64 "bogus.*--help" "$PROGRAM" --bogus
exits "an unknown letter: exit 64" 64 "'x'.*--help" "$PROGRAM" -x
exits "an argument: exit 64" 64 'unexpected argument "file"' "$PROGRAM" file
exits "an argument after --: exit 64" 64 'unexpected argument "-p"' "$PROGRAM" -- -p
exits "two ways to abbreviate: exit 64" 64 "ambiguous" "$PROGRAM" --sp=x
exits "--print=x: exit 64" 64 "print" "$PROGRAM" --print=x
for option in dsn collector spool spool-max metrics batch-rows batch-ms sync-ms drain; do
	exits "--$option without a value: exit 64" 64 "--$option.*requires an argument" "$PROGRAM" --$option
done
for option in d c s m b t w; do
	exits "-$option without a value: exit 64" 64 "requires an argument -- '$option'" "$PROGRAM" -$option
done

for value in "" 0 -1 +1 1.5 x 10x " 1" 1000001 99999999999999999999; do
	exits "--batch-rows \"$value\": exit 64" 64 "^exabgp-pg: --batch-rows \"${value//[+.]/.}\" is not " "$PROGRAM" --batch-rows "$value"
done
for value in "" 0 -1 1s 3600001; do
	exits "--batch-ms \"$value\": exit 64" 64 "^exabgp-pg: --batch-ms \"$value\" is not " "$PROGRAM" --batch-ms "$value"
done
for value in "" 0 9 -1 1s 3600001; do
	exits "--sync-ms \"$value\": exit 64" 64 "^exabgp-pg: --sync-ms \"$value\" is not " "$PROGRAM" --sync-ms "$value"
done
for value in "" -1 1.5 infinite 1s; do
	exits "--drain \"$value\": exit 64" 64 "^exabgp-pg: --drain \"$value\" is not .* inf" "$PROGRAM" --drain "$value"
done
sizes=("" 0 -1 K 63K 65535 1.5G 16GB 16E "16 G" 99999999999999999999 99999999T)
for value in "${sizes[@]}"; do
	exits "--spool-max \"$value\": exit 64" 64 "^exabgp-pg: --spool-max \"$value\" is not a size" "$PROGRAM" --spool-max "$value"
done
for value in K 63K 16GB; do
	exits "EXABGP_PG_SPOOL_MAX=$value: exit 78" 78 "^exabgp-pg: EXABGP_PG_SPOOL_MAX \"$value\" is not a size" \
		env EXABGP_PG_SPOOL_MAX=$value "$PROGRAM" --print
done
long=$(printf 'a%.0s' {1..64})
names=("a/b" "/a" "a/" ".." "../a" "." ".a" "-a" "a b" "ä" $'a\nb' 'a"b' "${long}a")
for value in "" "${names[@]}"; do
	exits "--collector ${value@Q}: exit 64" 64 "^exabgp-pg: --collector .* is not a name" "$PROGRAM" --collector "$value"
done
for value in "${names[@]}"; do
	exits "EXABGP_PG_COLLECTOR=${value@Q}: exit 78" 78 "^exabgp-pg: EXABGP_PG_COLLECTOR .* is not a name" \
		env EXABGP_PG_COLLECTOR="$value" "$PROGRAM" --print
done
exits "--spool \"\": exit 64" 64 '^exabgp-pg: --spool "" is not ' "$PROGRAM" --spool ""
for value in "" / . .. a/ a/. ../.. "$(printf 'a%.0s' {1..250})" "$(printf '/%.0s' {1..4200})a"; do
	exits "--metrics ${value:0:9}: exit 64" 64 '^exabgp-pg: --metrics ".*" is not the name of a file' "$PROGRAM" --metrics "$value" --print
done
for value in / a/ ..; do
	exits "EXABGP_PG_METRICS=$value: exit 78" 78 '^exabgp-pg: EXABGP_PG_METRICS ".*" is not the name of a file' \
		env EXABGP_PG_METRICS=$value "$PROGRAM" --print
done
exits "wrong usage wins over a wrong environment: exit 64" 64 "unexpected argument" env EXABGP_PG_SPOOL_MAX=x "$PROGRAM" file
run env EXABGP_PG_SPOOL_MAX=x EXABGP_PG_COLLECTOR=a/b EXABGP_PG_METRICS=/ "$PROGRAM" --print -m 64K -c a --metrics a
is "$status $out$err" "0 " "a wrong value in the environment does not matter where the command line has another"
for value in "bogus=1" "host=x password" "postgresql://[::1"; do
	exits "--dsn \"$value\": exit 78" 78 "could not understand the connection string" "$PROGRAM" --dsn "$value" -s "$work/spool/none"
	exits "EXABGP_PG_DSN=\"$value\": exit 78" 78 "could not understand the connection string" \
		env EXABGP_PG_DSN="$value" "$PROGRAM" -s "$work/spool/none"
done
ok "found before anything is done" [ ! -e "$work/spool/none" ]
run "$PROGRAM" --dsn "host=x password=one sesame" -s "$work/spool/none"
is "$status $(grep -c sesame "$work/err") $(wc -l <"$work/err")" "78 0 1" "the message has no part of a password" || diag "$err"
run "$PROGRAM" --dsn "postgresql://user:open%sesame@host/bgp" -s "$work/spool/none"
is "$status $(grep -c sesame "$work/err") $(wc -l <"$work/err")" "78 0 1" "nor that of a URI" || diag "$err"

accepts -b 1
accepts -b 1000000
accepts --batch-ms=1
accepts --sync-ms=10
accepts -t 3600000
accepts -w 0
accepts -w 1000000
accepts --drain inf
accepts -m 64K
accepts -m 64k
accepts -m 65536
accepts -m 512M
accepts --spool-max=16G
accepts -m 2T
accepts -c "$long"
accepts -c rrc-wpg1.a_b
accepts --resync
accepts -R
accepts --no-resync
accepts -v -v
accepts -q
accepts -d "host=x"
accepts -d "postgresql://user@host:5432/bgp?sslmode=require"
accepts -d bgp
accepts -s "$work/spool/none"
accepts --metrics "$work/none.prom"
accepts --metrics none.prom
ok "--print writes no metrics" [ ! -e "$work/none.prom" ] && [ ! -e none.prom ]

# --- --print; environment and command line -------------------------------------------------

input=$work/lines
run env PGHOST="$work/nowhere" "$PROGRAM" --print -s "$work/spool/none"
is "$status $(wc -l <"$work/out") $err" "0 100 " "--print: no database needed, a line an event"
ok "nor a spool" [ ! -e "$work/spool/none" ]
is "$(grep -c '^{"ts":"2023-11-14T.*"collector":"'"$(uname -n)"'",.*}$' "$work/out")" 100 "the collector is the host's name"
run env EXABGP_PG_COLLECTOR=environment "$PROGRAM" --print
is "$(grep -c '"collector":"environment"' "$work/out")" 100 "EXABGP_PG_COLLECTOR"
run env EXABGP_PG_COLLECTOR=environment "$PROGRAM" --print -c option
is "$(grep -c '"collector":"option"' "$work/out")" 100 "--collector wins over it"
run env EXABGP_PG_COLLECTOR= EXABGP_PG_SPOOL= EXABGP_PG_SPOOL_MAX= EXABGP_PG_METRICS= "$PROGRAM" --print
is "$status $(wc -l <"$work/out")" "0 100" "an empty variable is none"
run bash -c '"$0" --print | head -n 1 >/dev/null; echo "${PIPESTATUS[0]}"' "$PROGRAM"
ok "--print into a pipe that closes ends" [ $status -eq 0 ]
run bash -c '"$0" --print >/dev/full' "$PROGRAM"
ok "--print on a full disk: not exit 0" [ $status -ne 0 ]

run "$PROGRAM" -c default -s "$work/spool/default"
is "$status $out" "0 " "PGHOST and the like: libpq's own, exit 0"
is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'default'")" 100 "all is loaded"
is "$(stat -c %a "$work/spool/default")" 700 "the spool is made, of mode 0700"
is "$(find "$work/spool/default" -type f -printf '%m\n' | sort | uniq -c | tr -s ' ')" " $(find "$work/spool/default" -type f | wc -l) 600" \
	"its files are for nobody else"
is "$(grep -Evc '^exabgp-pg\[[0-9]+\] (error|warning|info|debug): [^ ].*$' "$work/err")" 0 "messages: one line each, with their level" || diag "$err"
is "$(grep -c ' info: ' "$work/err")" "$(wc -l <"$work/err")" "none but info where nothing is wrong" || diag "$err"
run env PGHOST="$work/nowhere" EXABGP_PG_DSN="host=$PGHOST port=$PGPORT" EXABGP_PG_SPOOL="$work/spool/environment" "$PROGRAM" -c dsn1
is "$status $(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'dsn1'")" "0 100" "EXABGP_PG_DSN"
ok "EXABGP_PG_SPOOL" [ -e "$work/spool/environment/id" ]
run env EXABGP_PG_DSN="$nowhere" EXABGP_PG_SPOOL="$work/spool/none" "$PROGRAM" -c dsn2 -d "host=$PGHOST" -s "$work/spool/option"
is "$status $(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'dsn2'")" "0 100" "--dsn wins over it"
ok "--spool as well" [ -e "$work/spool/option/id" ] && [ ! -e "$work/spool/none" ]
run "$PROGRAM" -c name -s "$work/spool/name" -d bgp
is "$status $(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'name'")" "0 100" "--dsn with the name of a database"
run "$PROGRAM" -c deep -s "$work/spool/not/there yet/deep"
is "$status $(stat -c %a "$work/spool/not/there yet/deep")" "0 700" "a spool some directories deep"
(
	umask 0137 # that of ExaBGP for its helpers
	exec "$PROGRAM" -q -c umask -s "$work/spool/umask"
) <"$work/lines"
is "$? $(stat -c %a "$work/spool/umask")" "0 700" "whatever the umask"

run "$PROGRAM" -q -c quiet -s "$work/spool/quiet"
is "$status $out$err" "0 " "-q: nothing is said where nothing is wrong"
run "$PROGRAM" -q -c quiet -s "$work/spool/quiet" -d "$nowhere" -w 0
ok "-q: errors are" says "$work/err" ' error: could not load'
run "$PROGRAM" -c verbose -s "$work/spool/verbose"
is "$(grep -c ' debug: ' "$work/err")" 0 "no debugging messages"
run "$PROGRAM" -v -c verbose -s "$work/spool/verbose"
ok "-v: there are" says "$work/err" ' debug: '

# --- batches -----------------------------------------------------------------------------------

run "$PROGRAM" -c rows -s "$work/spool/rows" --batch-rows 10 --batch-ms 600000
# (the helper's start and stop are rows as well)
is "$status $(sql "SELECT sum(n), max(n), count(*) <= 12 FROM (SELECT count(*) AS n FROM bgp.route_event e JOIN bgp.peer USING (peer_id)
    WHERE collector = 'rows' GROUP BY e.xmin) t")" "0 100|10|t" "--batch-rows 10: a transaction for 10 rows"
run "$PROGRAM" -c one -s "$work/spool/one" -b 1 -t 1
is "$status $(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'one'")" "0 100" "batches of one row"
run "$PROGRAM" -c long -s "$work/spool/long" -b 1000000 -t 3600000
is "$status $(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'long'")" "0 100" "the end of input does not wait for --batch-ms"

mkfifo "$work/pipe"
exec 9<>"$work/pipe"
start "$work/pipe" -c ms -s "$work/spool/ms" -b 1000000 -t 100
cat "$work/lines" >&9
ok "--batch-ms: rows are there before the input ends" wait_for 20 rows ms 100

# --- statistics, signals -------------------------------------------------------------------------

kill -USR1 $helper
ok "SIGUSR1: statistics" wait_for 10 says "$log" 'statistics: .*lines_in=100 .*rows=10[0-9]'
kill -USR1 $helper
sleep 0.3
is "$(grep -c statistics: "$log")" 2 "one line each time"
ok "it goes on" kill -0 $helper

# signal_ends NAME SIGNAL STATUS [option]...: with lines read and stdin held open
signal_ends() {
	local name=$1 signal=$2 wanted=$3 began took

	shift 3
	start "$work/pipe" -c "$name" -s "$work/spool/$name" -t 100 "$@"
	cat "$work/lines" >&9
	if [ "$wanted" = 0 ]; then
		wait_for 20 rows "$name" 100
	else
		wait_for 20 says "$log" 'could not load'
		lines_taken() {
			[ "$(cat "$work/spool/$name"/*.jsonl 2>/dev/null | wc -l)" -eq 100 ]
		}
		wait_for 20 lines_taken
	fi
	began=${EPOCHREALTIME/[.,]/}
	kill -"$signal" $helper
	ends "$name: exit $wanted" "$wanted"
	took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
	ok "gone within 2 s of the signal" [ $took -lt 2500 ] # and some, for a busy machine
}
exec 8<&9 # stays
kill -TERM $helper
ends "SIGTERM, all loaded" 0
signal_ends term-loaded TERM 0
signal_ends int-loaded INT 0
signal_ends term-nowhere TERM 75 -d "$nowhere"
signal_ends int-nowhere INT 75 -d "$nowhere"
ok "it says where the rest is" says "$log" "warning: .* the rest waits in \"$work/spool/int-nowhere\""
input=/dev/null
run "$PROGRAM" -c int-nowhere -s "$work/spool/int-nowhere"
is "$status $(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'int-nowhere'")" "0 100" "the next helper loads it"
# a server that takes connections and says nothing
python3 -c "
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1] + '/.s.PGSQL.$PGPORT')
s.listen(9)
print(flush=True)
time.sleep(600)" "$work" >"$work/mute" 2>&1 9>&- 8>&- &
helpers+=($!)
disown # its end is not worth a message
wait_for 10 says "$work/mute" '^$'
start "$work/pipe" -c mute -s "$work/spool/mute" -d "host=$work"
cat "$work/lines" >&9
sleep 0.5
began=${EPOCHREALTIME/[.,]/}
kill -TERM $helper
ends "SIGTERM, a server that does not answer: exit 75" 75
ok "gone within 2 s of the signal" [ $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) -lt 2500 ]
# it hides no other server of the connection string
start "$work/pipe" -c hosts -s "$work/spool/hosts" -t 50 -d "host=$work,$PGHOST port=$PGPORT,$PGPORT connect_timeout=1"
cat "$work/lines" >&9
ok "a server that does not answer before one that does: the second is tried" wait_for 20 rows hosts 100
ok "the log says so" says "$log" 'error: could not load .* does not answer'
kill -TERM $helper
ends "SIGTERM, loaded into the second server: exit 0" 0
# a name server that does not answer holds libpq up
printf '#include <unistd.h>\nint getaddrinfo(void) { for (;;) pause(); }\n' >"$work/mute.c"
if ${CC:-cc} -shared -fPIC -w -o "$work/mute.so" "$work/mute.c"; then
	LD_PRELOAD=$work/mute.so ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 \
		start "$work/pipe" -c resolver -s "$work/spool/resolver" -d "host=mute.invalid"
	cat "$work/lines" >&9
	taken() {
		[ "$(cat "$work/spool/resolver"/*.jsonl 2>/dev/null | wc -l)" -eq 100 ]
	}
	ok "a name server that does not answer: lines are journaled" wait_for 20 taken
	began=${EPOCHREALTIME/[.,]/}
	kill -TERM $helper
	ends "SIGTERM then: exit 75" 75
	ok "gone within 2 s of the signal" [ $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) -lt 2500 ]
else
	skip "a name server that does not answer" "no compiler"
fi
# nobody reads the messages, and their pipe is full
mkfifo "$work/messages"
exec 7<>"$work/messages"
head -c 65536 /dev/zero >&7
"$PROGRAM" -v -c stderr -s "$work/spool/stderr" -t 50 <"$work/pipe" >/dev/null 2>"$work/messages" 7<&- 8>&- 9>&- &
helper=$!
helpers+=("$helper")
cat "$work/lines" >&9
ok "standard error is full: lines are loaded all the same" wait_for 20 rows stderr 100
kill -TERM $helper
ends "SIGTERM then: exit 0" 0
exec 7<&-
# a limit of what a file may have, below that of a segment
(
	ulimit -f 2048
	exec "$PROGRAM" -c fsize -s "$work/spool/fsize" -d "$nowhere" -v <"$work/pipe" >/dev/null 2>"$work/log.fsize" 8>&- 9>&-
) &
helper=$!
helpers+=("$helper")
python3 test/lib/lines.py 8000 >&9
taken() {
	[ "$(cat "$work/spool/fsize"/*.jsonl 2>/dev/null | wc -l)" -eq 8000 ]
}
ok "ulimit -f: segments are shorter, nothing is dropped" wait_for 20 taken || diag "$(tail -n 3 "$work/log.fsize")"
kill -TERM $helper
ends "SIGTERM then: exit 75" 75
# lines that never stop
python3 test/lib/lines.py 1000000 --rate 2000 >&9 2>/dev/null 8>&- &
writer=$!
helpers+=("$writer")
start "$work/pipe" -c flood -s "$work/spool/flood" -t 50
wait_for 20 sql_true "SELECT count(*) > 500 FROM bgp.route_log WHERE collector = 'flood'"
began=${EPOCHREALTIME/[.,]/}
kill -TERM $helper
wait_for 20 cluster_gone $helper
took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
wait $helper
status=$?
kill $writer
wait $writer 2>/dev/null
ok "SIGTERM while lines flow: exit 0 or 75" [ $status -eq 0 -o $status -eq 75 ]
ok "gone within 2 s of the signal" [ $took -lt 2500 ]
exec 9>&- 8>&-
run "$PROGRAM" -c flood -s "$work/spool/flood"
is "$(sql "SELECT count(*) > 500, count(*) = count(DISTINCT med), count(*) = max(med) + 1 FROM bgp.route_log WHERE collector = 'flood'")" \
	"t|t|t" "what was read by then is all loaded, once"

# --- the end of input ------------------------------------------------------------------------------

input=$work/lines
failed=			# with no time at all it may leave before the connection has failed
for seconds in 0 1; do
	began=$SECONDS
	exits "--drain $seconds without a database: exit 75" 75 "${failed}warning: leaving before .* the rest waits in" \
		"$PROGRAM" -c drain -s "$work/spool/drain" -d "$nowhere" --drain $seconds
	ok "after that time" [ $((SECONDS - began)) -ge $seconds -a $((SECONDS - began)) -lt 10 ]
	failed='error: could not load .*'
done
input=/dev/null
exits "an empty input, later: exit 0" 0 "" "$PROGRAM" -c drain -s "$work/spool/drain"
is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'drain'")" 200 "and what waited is loaded"
exits "stdin is /dev/null: exit 0" 0 "" "$PROGRAM" -c null -s "$work/spool/null"
exits "--print, stdin is /dev/null: exit 0" 0 "^$" "$PROGRAM" -p
# closed from the start: the descriptor may become anything else's
run bash -c 'exec "$0" -c closed -s "$1" -w 1 <&-' "$PROGRAM" "$work/spool/closed"
ok "stdin is closed: it ends, and not by a signal" [ $status -lt 124 ] || diag "exit $status: $(tail -n 1 "$work/err")"
run bash -c 'exec timeout 5 "$0" -p <&-' "$PROGRAM"
ok "--print, stdin is closed: it ends" [ $status -lt 124 ] || diag "exit $status"

# stdout stays open to the end, here while nothing can be loaded
start "$work/lines" -c stdout -s "$work/spool/stdout" -d "$nowhere" -w 600
wait_for 20 says "$log" 'end of input'
is "$(readlink "/proc/$helper/fd/1")" "$log.out" "stdout is open after the end of input"
kill -TERM $helper
ends "SIGTERM while draining: exit 75" 75
start "$work/lines" -c stdout -s "$work/spool/stdout2" -d "$nowhere" -w inf
wait_for 20 says "$log" 'could not load'
sleep 1
ok "--drain inf: it goes on" kill -0 $helper
kill -INT $helper
ends "SIGINT while draining: exit 75" 75
is "$(find "$work" -name 'log.*.out' -size +0)" "" "nothing was ever written to stdout"

# --- resync -------------------------------------------------------------------------------------------

# asked NAME [option]...: what is written to ExaBGP after a helper was killed; $answer: what
# ExaBGP says to "show neighbor extensive"
answer=
asked() {
	local spool=$work/spool/$1 reader

	shift
	exec 9<>"$work/pipe"
	start "$work/pipe" -c resync -s "$spool" -d "$nowhere"
	cat "$work/lines" >&9
	wait_for 20 says "$log" 'could not load'
	kill -9 $helper
	wait $helper 2>/dev/null
	rm -f "$work/commands"
	mkfifo "$work/commands"
	cat "$work/commands" >"$work/asked" 9>&- &
	reader=$!
	log=$work/log.$((++started))
	"$PROGRAM" -c resync -s "$spool" -d "$nowhere" -w 0 "$@" <"$work/pipe" >"$work/commands" 2>"$log" 9>&- &
	helper=$!
	helpers+=("$helper")
	wait_for 20 says "$log" 'could not load'
	if [ -n "$answer" ] && wait_for 20 says "$work/asked" '^show neighbor extensive$'; then
		echo "$answer" >&9
		wait_for 20 says "$log" 'asking .* peers|could not have the peers'
	fi
	kill -TERM $helper
	wait $helper
	wait $reader
	exec 9>&-
}
# neighbor ADDRESS LOCAL STATE REFRESH: as ExaBGP 4.2 tells of it
neighbor() {
	cat <<-END
		Neighbor $1

		  Session                         Local
		   local                          $2
		   state                $3
		   up for                       0:00:10

		  Setup                           Local          Remote
		   AS                             64512           64501

		  Capability                      Local          Remote
		   route-refresh:               enabled        $4

		  Families                        Local          Remote        Add-Path
		   ipv4 unicast:                enabled         enabled        disabled
		   ipv6 unicast:                enabled         enabled        disabled
		   ipv4 flow:                   enabled        disabled        disabled

		  Message Statistic                Sent        Received
		   update:                            0               4

	END
}
# (the first "done" is what the helper before was told)
answer=$(echo "done"; neighbor 192.0.2.1 192.0.2.254 ESTABLISHED enabled; neighbor 192.0.2.2 192.0.2.254 ESTABLISHED disabled
	neighbor 192.0.2.3 192.0.2.254 IDLE n/a; neighbor 2001:db8::1 auto ESTABLISHED enabled; echo "done")
asked resync1
is "$(cat "$work/asked")" "show neighbor extensive
neighbor 192.0.2.1 local-ip 192.0.2.254 peer-as 64501 announce route-refresh ipv4 unicast
neighbor 192.0.2.1 local-ip 192.0.2.254 peer-as 64501 announce route-refresh ipv6 unicast
neighbor 2001:db8::1 peer-as 64501 announce route-refresh ipv4 unicast
neighbor 2001:db8::1 peer-as 64501 announce route-refresh ipv6 unicast" \
	"after a helper that was killed, each peer that can is asked for its routes, by family"
ok "the log says who cannot" says "$log" 'warning: peer 192\.0\.2\.2 AS64501 cannot send its routes again'
is "$(grep -h ^resync "$work/spool/resync1"/*.index | cut -d ' ' -f 4-7 | sort | uniq -c | tr -s ' ')" \
	" 2 asked 192.0.2.1 192.0.2.254 64501
 2 asked 2001:db8::1 - 64501
 1 impossible 192.0.2.2 192.0.2.254 64501" "the journal has a note of each"
answer=error
asked resync2
ok "an ExaBGP that does not know the command: the log says so" says "$log" 'warning: could not have the peers .* does not know'
is "$(cat "$work/asked")" "show neighbor extensive" "and nothing else is asked"
answer=
asked resync3 --no-resync
is "$(cat "$work/asked")" "" "--no-resync: it is not"
asked resync4 --no-resync -R
is "$(cat "$work/asked")" "show neighbor extensive" "the last of the two options wins"

# --- the spool --------------------------------------------------------------------------------------------

# cannot be made, until the file in its way is gone
touch "$work/spool/blocked"
exec 9<>"$work/pipe"
start "$work/pipe" -c blocked -s "$work/spool/blocked/spool"
python3 test/lib/lines.py 5000 >"$work/more" # more than a pipe holds
timeout 10 cat "$work/more" >&9
is $? 0 "a spool that cannot be made: the input is read all the same"
ok "the log says so" wait_for 10 says "$log" "error: could not open the journal \"$work/spool/blocked/spool\": Not a directory"
ok "the helper stays" kill -0 $helper
rm "$work/spool/blocked"
ok "when it can be made, all is loaded" wait_for 20 rows blocked 5000
exec 9>&-
ends "at the end of input: exit 0" 0
touch "$work/spool/blocked2"
input=$work/lines
exits "a spool that cannot be made until the end: exit 75" 75 'could not open the journal' \
	"$PROGRAM" -c blocked2 -s "$work/spool/blocked2/spool" --drain 1

# as a user who may not write there
install -m 755 "$PROGRAM" "$work/exabgp-pg"
mkdir -m 555 "$work/spool/read-only"
chmod 711 "$work/spool"
as_nobody=()
[ "$(id -u)" -ne 0 ] || as_nobody=(setpriv --reuid nobody --regid nogroup --clear-groups)
if ! "${as_nobody[@]}" test -x "$work/exabgp-pg"; then
	skip "a spool that may not be written" "nobody cannot enter $work"
else
	exec 9<>"$work/pipe"
	log=$work/log.nobody
	"${as_nobody[@]}" "$work/exabgp-pg" -c nobody -s "$work/spool/read-only" -d "$nowhere" -w 1 <"$work/pipe" >"$log.out" 2>"$log" 9>&- &
	helper=$!
	helpers+=("$helper")
	timeout 10 cat "$work/more" >&9
	is $? 0 "a spool that may not be written: the input is read all the same"
	ok "the log says so" wait_for 10 says "$log" "error: could not open the journal .*: Permission denied"
	ok "the helper stays" kill -0 $helper
	exec 9>&-
	ends "at the end of input: exit 75" 75
	is "$(find "$work/spool/read-only" -mindepth 1)" "" "nothing was written"
	exec 9<>"$work/pipe"
	log=$work/log.nobody2
	"${as_nobody[@]}" "$work/exabgp-pg" -c nobody -d "$nowhere" <"$work/pipe" >"$log.out" 2>"$log" 9>&- &
	helper=$!
	helpers+=("$helper")
	ok "without --spool it is /var/spool/exabgp-pg/NAME" wait_for 10 says "$log" 'journal "/var/spool/exabgp-pg/nobody"'
	kill -TERM $helper
	wait $helper
	exec 9>&-
fi

# owned by another helper
exec 9<>"$work/pipe"
start "$work/pipe" -c owner -s "$work/spool/owned" -t 50
first=$helper
head -n 50 "$work/lines" >&9
ok "the owner of a spool loads" wait_for 20 rows owner 50
start "$work/lines" -c owner -s "$work/spool/owned" -t 50
second=$helper
ok "a second helper of the same spool waits" wait_for 20 says "$log" 'warning: waiting for another helper that owns the journal'
python3 test/lib/lines.py 50 --first 1000 >&9
wait_for 20 rows owner 100
ok "the first goes on, the second waits" kill -0 $first $second
exec 9>&-
ends "the first ends" 0 $first
ends "the second takes over and loads its input" 0 $second
is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'owner'")" 200 "of both, all is there"
exec 9<>"$work/pipe"
start "$work/pipe" -c owner -s "$work/spool/owned" -t 50
first=$helper
wait_for 20 says "$log" "info: "
wait_for 20 sql_true "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'exabgp-pg'"
exits "one whose input ends while it waits: exit 75 after --drain" 75 'waiting for another helper' \
	"$PROGRAM" -c owner -s "$work/spool/owned" --drain 1
kill -TERM $first
ends "the owner ends" 0 $first
exec 9>&-

# two helpers of one collector, each its own spool
start "$work/more" -c both -s "$work/spool/both1" -b 500
first=$helper
python3 test/lib/lines.py 5000 --first 5000 >"$work/more2"
start "$work/more2" -c both -s "$work/spool/both2" -b 500
ends "two helpers of one collector, the first" 0 $first
ends "two helpers of one collector, the second" 0
is "$(sql "SELECT count(*), count(DISTINCT med), count(DISTINCT peer_id) FROM bgp.route_log WHERE collector = 'both'")" \
	"10000|10000|1" "all is there, of one peer"
is "$(sql "SELECT rows_total FROM bgp.ingest_status WHERE collector = 'both'")" 10000 "one line in bgp.ingest_status"

# too small for what comes in while the database is away; more than memory holds as well
lines=70000
python3 test/lib/lines.py $lines >"$work/many"
cluster_stop "$work/pg"
exec 9<>"$work/pipe"
mkfifo "$work/full-commands"
cat "$work/full-commands" >"$work/full-asked" 9>&- &
log=$work/log.full
"$PROGRAM" -c full -s "$work/spool/full" --spool-max 1M --batch-ms 100 <"$work/pipe" >"$work/full-commands" 2>"$log" 9>&- &
helper=$!
helpers+=("$helper")
timeout 30 cat "$work/many" >&9
is $? 0 "a full spool and no database: the input is read all the same"
ok "the log says that the spool is full" wait_for 10 says "$log" 'error: the journal .* is full: [0-9]+ of 1048576 bytes'
is "$(du -sb "$work/spool/full" | awk '{ print $1 <= 1048576 + 65536 }')" 1 "it stays within its size"
sleep 1
kill -USR1 $helper
wait_for 10 says "$log" 'statistics: '
dropped=$(sed -n 's/^.* lines_dropped=\([0-9]*\) .*$/\1/p' "$log" | tail -n 1)
ok "lines were dropped ($dropped)" [ "$dropped" -gt 100 ]
cluster_start "$work/pg" 9>&-
all_loaded() {
	sql_true "SELECT count(*) > 0 FROM bgp.ingest_gap WHERE collector = 'full'" && rows full $((lines - dropped))
}
ok "when the database is back, the rest is loaded" wait_for 20 all_loaded || diag "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'full'") of $((lines - dropped))"
is "$(sql "SELECT stale_since >= (SELECT min(from_ts) FROM bgp.ingest_gap WHERE collector = 'full') FROM bgp.peer WHERE collector = 'full'")" t \
	"what the peer's routes are now is marked as not certain"
ok "and ExaBGP is asked for its peers" wait_for 10 says "$work/full-asked" '^show neighbor extensive$'
{ neighbor 192.0.2.1 192.0.2.254 ESTABLISHED enabled; echo "done"; } >&9
ok "to have them send their routes again" wait_for 10 says "$work/full-asked" '^neighbor 192\.0\.2\.1 .* announce route-refresh ipv6 unicast$'
head -n 10 "$work/lines" >&9
exec 9>&-
ends "at the end of input: exit 0" 0
is "$(grep -c show "$work/full-asked")" 1 "once"
gaps=$(sql "SELECT sum(lines) || ' ' || sum(bytes) FROM bgp.ingest_gap WHERE collector = 'full' AND peer_id IS NULL AND lines IS NOT NULL")
is "${gaps% *}" "$dropped" "the gap is recorded, with its lines"
sql "SELECT DISTINCT med FROM bgp.route_log WHERE collector = 'full'" | sort -n >"$work/there"
is "${gaps#* }" "$(awk 'NR == FNR { there[$1] = 1; next } !(FNR - 1 in there) { bytes += length + 1 } END { print bytes }' "$work/there" "$work/many")" \
	"and its bytes: those of the lines that are missing"
is "$(sql "SELECT count(*) FROM bgp.ingest_error WHERE collector = 'full'")" 0 "only whole lines were dropped"
is "$(sql "SELECT count(*) FROM bgp.ingest_gap WHERE collector = 'full' AND (from_ts > to_ts OR reason = '' OR to_ts < now() - interval '10 minutes')")" 0 \
	"the gap has a time and a reason"
is "$(sql "SELECT gaps_total FROM bgp.ingest_status WHERE collector = 'full'")" \
	"$(sql "SELECT count(*) FROM bgp.ingest_gap WHERE collector = 'full'")" "bgp.ingest_status counts it"
# shellcheck disable=SC2002 # a pipe is what is wanted: a file would be waited for
cat "$work/many" | {
	timeout 12 "$PROGRAM" -q -c full2 -s "$work/spool/full2" -m 1M -d "$nowhere" --drain 1 2>/dev/null
	echo $? >"$work/status"
}
is "$(cat "$work/status")" 75 "a full spool at the end of input, no database: exit 75 after --drain"
# it is committed before its time, rather than dropped
exec 9<>"$work/pipe"
start "$work/pipe" -c early -s "$work/spool/early" -m 1M -b 1000000 -t 3600000
cat "$work/more" >&9
early() {
	sql_true "SELECT count(*) > 3000 FROM bgp.route_log WHERE collector = 'early'"
}
ok "a full spool does not wait for --batch-ms" wait_for 20 early
exec 9>&-
ends "at the end of input: exit 0" 0
is "$(sql "SELECT count(*) || ' ' || (SELECT count(*) FROM bgp.ingest_gap WHERE collector = 'early') FROM bgp.route_log WHERE collector = 'early'")" \
	"5000 0" "and nothing is dropped"
# a file can wait: nothing of it is dropped
start "$work/many" -c file -s "$work/spool/file" -m 1M -t 20
ends "a file larger than --spool-max" 0
is "$(sql "SELECT count(*) || ' ' || (SELECT count(*) FROM bgp.ingest_gap WHERE collector = 'file') FROM bgp.route_log WHERE collector = 'file'")" \
	"$lines 0" "is loaded whole"

# EXABGP_PG_SPOOL_MAX, and that the command line wins
head -n 1000 "$work/more" >"$work/some"
exec 9<>"$work/pipe"
export EXABGP_PG_SPOOL_MAX=64K
for option in "" "-m 128K"; do
	# shellcheck disable=SC2086 # none or two
	start "$work/pipe" -c max -s "$work/spool/max$started" -d "$nowhere" $option
	cat "$work/some" >&9
	bytes=65536
	[ -z "$option" ] || bytes=131072
	ok "EXABGP_PG_SPOOL_MAX=64K $option" wait_for 10 says "$log" "is full: [0-9]+ of $bytes bytes"
	kill -TERM $helper
	wait $helper
done
unset EXABGP_PG_SPOOL_MAX
exec 9>&-

done_testing
