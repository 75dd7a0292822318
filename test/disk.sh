#!/usr/bin/env bash
# disk.sh - the disk of the journal fails in all ways while lines flow: whole lines are
# dropped at most, and counted; what a power failure or damage leaves is loaded once.
# Environment: SEED (of the random part), ROUNDS (power failures), ONLY (a part's name).
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

shim=$PWD/${BUILD:-build}/diskfault.so
[[ ${BUILD:-build} != /* ]] || shim=$BUILD/diskfault.so
[ -e "$shim" ] || make -s BUILD="${BUILD:-build}" "$shim" 2>/dev/null || make -s "${shim#"$PWD"/}" || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-disk.XXXXXX")
writer='' helper='' mounted=''
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[ -n "$writer" ] && kill "$writer" 2>/dev/null
	[ -n "$helper" ] && kill -9 "$helper" 2>/dev/null
	exec 9>&-
	[ -n "$mounted" ] && umount -l "$mounted"
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
cluster_start "$work/pg" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1
sql "CREATE VIEW bgp.numbered AS SELECT med AS n, * FROM bgp.route_log"
RANDOM=${SEED:=$RANDOM}
diag "SEED=$SEED"
mkfifo "$work/pipe"
spool=$work/spool

part() {
	[ -z "${ONLY:-}" ] || [ "$ONLY" = "$1" ]
}

# start_helper [OPTION]...: with the shim, which has rules from "rules" on; a sanitizer
# would rather come first
start_helper() {
	LD_PRELOAD=$shim ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 DISKFAULT_DIR=$spool \
		DISKFAULT_CONTROL=$work/control "$PROGRAM" -q -c disk -s "$spool" --batch-rows 2000 --batch-ms 50 "$@" \
		<"$work/pipe" >/dev/null 2>>"$work/log" 9>&- &
	helper=$!
}

# rules [RULE]...: what the disk does from now on
rules() {
	printf '%s\n' "$@" >"$work/control.new"
	mv "$work/control.new" "$work/control"
}

# write_lines COUNT [OPTION]...: they go on where the last ones ended
first=1
write_lines() {
	local count=$1

	shift
	python3 test/lib/lines.py "$count" --peers 3 --first $first --report "$work/report" "$@" >"$work/pipe" 9>&- &
	writer=$!
	first=$((first + count))
}

written() {
	wait "$writer"
	writer=''
}

# the end of input
finish() {
	exec 9>&-
	wait "$helper"
}

begin() {
	rm -rf "$spool"
	: >"$work/log"
	rules
	sql "TRUNCATE bgp.route_event, bgp.ingest_gap, bgp.ingest_error"
	exec 9<>"$work/pipe"
}

# all three peers are known: from then on a jump of their counters is noticed
known() {
	[ "$(sql "SELECT count(*) FROM bgp.peer WHERE line_counter > 0")" = 3 ]
}

# stored rows that are not what lines.py has written
damaged() {
	sql "SELECT count(*) FROM bgp.numbered WHERE prefix <> set_masklen('10.0.0.0'::inet + n, 32)::cidr
	    OR ts <> to_timestamp(1700000000) + n * interval '1 ms' OR peer_asn <> 64601 + n % 3
	    OR as_path <> format('%s 64500 64501', peer_asn) OR communities <> ARRAY[format('64500:%s', n % 1000)]
	    OR origin <> 'igp' OR next_hop <> '192.0.2.0'::inet + 1 + n % 3 OR prefix IS NULL OR n IS NULL"
}

# once, whole and in order
sound() {
	is "$(sql "SELECT count(*) - count(DISTINCT n) FROM bgp.numbered")" 0 "$1: no line is stored twice"
	is "$(sql "SELECT count(*) FROM (SELECT n < lag(n) OVER (PARTITION BY peer_id ORDER BY seq) AS back
	    FROM (SELECT med AS n, seq, peer_id FROM bgp.route_event) x) y WHERE back")" 0 "$1: order is kept per peer"
	is "$(damaged)" 0 "$1: each stored line is as it was written"
	is "$(sql "SELECT count(*) FROM bgp.ingest_error")" 0 "$1: no line is torn" ||
		sql "SELECT error, left(line, 300) FROM bgp.ingest_error LIMIT 5" >&2
}

# --- power fails ------------------------------------------------------------------------

power_loss() {
	local round log count

	mkdir "$work/grave"
	: >"$work/ledger"
	export DISKFAULT_LEDGER=$work/ledger DISKFAULT_GRAVE=$work/grave
	begin
	write_lines $((ROUNDS * 3000)) --rate 4000
	start_helper --spool-max 4M
	wait_for 20 known
	round=0
	while [ $round -lt "$ROUNDS" ] && kill -0 "$writer" 2>/dev/null; do
		round=$((round + 1))
		sleep "$((RANDOM % 12 / 10)).$((RANDOM % 9 + 1))"
		kill -9 "$helper"
		wait "$helper" 2>/dev/null
		# some time for power to come back: lines wait in the pipe
		log=$(python3 test/lib/powerloss.py "$spool" "$work/ledger" "$work/grave" $RANDOM) || fail "powerloss.py"
		[ -z "${VERBOSE:-}" ] || diag "$round: $log"
		# a helper that commits at once, and one that has all yet to load when power fails
		if [ $((RANDOM % 2)) -eq 0 ]; then
			start_helper --spool-max 4M
		else
			start_helper --spool-max 4M --batch-ms 60000 --batch-rows 1000000
		fi
	done
	kill -9 "$helper"
	wait "$helper" 2>/dev/null
	start_helper --spool-max 4M
	written
	finish
	is $? 0 "after $round power failures the last helper loads all and exits 0"
	helper=''
	unset DISKFAULT_LEDGER DISKFAULT_GRAVE
	sound "power loss"
	count=$(sql "SELECT count(*) FROM bgp.numbered")
	is $((count + $(sql "SELECT coalesce(sum(lines), 0) FROM bgp.ingest_gap WHERE peer_id IS NOT NULL"))) $((first - 1)) \
		"power loss: every line is stored or in a gap that its peer's counter shows"
	ok "power loss: the journal's own gaps say where" sql_true "SELECT bool_or(reason ~ 'segment [0-9]+ of the journal, bytes') \
		AND bool_or(reason ~ 'killed') FROM bgp.ingest_gap WHERE peer_id IS NULL"
	diag "$round power failures: $count of $((first - 1)) lines stored; gaps by reason:"
	diag "$(sql "SELECT count(*), sum(lines), sum(bytes), min(left(reason, 60)) FROM bgp.ingest_gap
	    GROUP BY left(regexp_replace(reason, '[0-9]+', 'N', 'g'), 20)")"
}

# --- the disk fails for a while, input flows on ---------------------------------------------

# all lines are stored or in gaps, both as the intake counted them and as the counters show
accounted() {
	local name=$1 wanted=$2 stored own counted

	sound "$name"
	stored=$(sql "SELECT count(*) FROM bgp.numbered")
	own=$(sql "SELECT coalesce(sum(lines), 0) FROM bgp.ingest_gap WHERE peer_id IS NULL")
	counted=$(sql "SELECT coalesce(sum(lines), 0) FROM bgp.ingest_gap WHERE peer_id IS NOT NULL")
	is "$((stored + own)) $((stored + counted))" "$wanted $wanted" \
		"$name: stored and dropped lines are all there were, by our count and by that of the peers"
	is "$(sql "SELECT count(*) FROM bgp.ingest_gap WHERE peer_id IS NULL AND NOT (reason ~ 'could not be written' AND
	    lines > 0 AND bytes BETWEEN lines * (5500 - 20) AND lines * 5560 AND from_ts <= to_ts AND
	    from_ts > now() - interval '2 minutes' AND to_ts <= clock_timestamp())")" 0 \
		"$name: gaps say from when to when, how many lines and bytes, and why" ||
		sql "SELECT * FROM bgp.ingest_gap WHERE peer_id IS NULL" >&2
	diag "$name: $stored stored, $own dropped, in $(sql "SELECT count(*) FROM bgp.ingest_gap WHERE peer_id IS NULL") gaps;" \
		"a writer waited at most $(cut -d' ' -f2 "$work/report") ms"
}

# flaky NAME DROPS RULE...: these rules for 3 s; DROPS: "drops" if memory cannot hold what comes
flaky() {
	local name=$1 drops=$2 from=$first

	shift 2
	begin
	write_lines 18000 --rate 4000 --pad 5000
	start_helper
	wait_for 20 known
	rules "$@"
	sleep 3
	rules
	written
	ok "$name: the helper goes on" kill -0 "$helper"
	finish
	is $? 0 "$name: it ends with all input in the database"
	helper=''
	accounted "$name" $((first - from))
	[ "$drops" != drops ] || ok "$name: lines were dropped" sql_true "SELECT count(*) > 0 FROM bgp.ingest_gap WHERE peer_id IS NULL"
	ok "$name: no writer waited for seconds" [ "$(cut -d' ' -f2 "$work/report")" -lt 2000 ]
}

faults() {
	flaky "disk full" drops "write * ENOSPC 100000" "open * ENOSPC"
	flaky "quota" drops "write .jsonl EDQUOT 77777"
	flaky "input/output error" drops "write * EIO 50001" "truncate * EIO"
	flaky "read-only" drops "write * EROFS" "open * EROFS" "unlink * EROFS" "truncate * EROFS" "syncdir * EROFS"
	flaky "no descriptors" - "open * EMFILE" "read * EMFILE"
	flaky "short writes" - "write short 1001"
	flaky "no removing" - "unlink * EIO" "truncate * EIO"
	flaky "sync fails" - "sync * EIO"
	flaky "sync of the directory fails" - "syncdir * EIO"
	flaky "slow sync" - "sync delay 2000"
	flaky "stalled writes" drops "write delay 1500"
}

part faults && faults

# --- a block that can neither be written whole nor taken back ------------------------------

# the index or the data can not be written and not be cut off: the block is in the next
# segment as well, but is loaded once, by this helper and by one that comes after it
torn() {
	local file rc

	for file in .index .jsonl; do
		begin
		write_lines 6000 --rate 4000
		start_helper --batch-ms 60000 --batch-rows 1000000
		wait_for 20 journaled 500
		rules "write $file EIO 1300" "truncate * EIO"
		sleep 0.3
		rules
		written
		wait_for 20 journaled 5900
		kill -9 "$helper"
		wait "$helper" 2>/dev/null
		ok "torn $file: the segment after it says so" grep -qsh '^torn 0 1 ' "$spool/000000000002.index"
		start_helper
		finish
		rc=$?
		helper=''
		is "$rc" 0 "torn $file: the next helper loads all"
		sound "torn $file"
		is "$(sql "SELECT count(*) FROM bgp.numbered")" 6000 "torn $file: all lines are there"
	done
}

journaled() {
	[ "$(cat "$spool"/*.jsonl 2>/dev/null | wc -l)" -ge "$1" ]
}

part torn && torn
part power && ROUNDS=${ROUNDS:-20} power_loss

done_testing
