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
		DISKFAULT_CONTROL=$work/control "$PROGRAM" -q -c disk -s "$spool" --batch-rows 2000 --batch-ms 200 "$@" \
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

# tell_missing [OPTION]...: lines of each peer until the last ones are stored (the first may be dropped, too, where
# the helper still drops): their counters tell of all that is missing before them
tell_missing() {
	local try

	for try in {1..10}; do
		write_lines 30 "$@"
		written
		wait_for 10 sql_true "SELECT count(*) = 3 FROM bgp.numbered WHERE n > $((first - 4))" && return
		diag "lines are still dropped after $try times"
	done
	return 1
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

# so many lines
journaled() {
	[ "$(cat "$spool"/*.jsonl 2>/dev/null | wc -l)" -ge "$1" ]
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

# the journal's own gaps: of what was not whole, and of the kill
tells_where() {
	sql_true "SELECT bool_or(reason ~ 'segment [0-9]+ of the journal, bytes') AND bool_or(reason ~ 'killed')
	    FROM bgp.ingest_gap WHERE peer_id IS NULL"
}

power_loss() {
	local round log count from=$first

	mkdir "$work/grave"
	: >"$work/ledger"
	export DISKFAULT_LEDGER=$work/ledger DISKFAULT_GRAVE=$work/grave
	begin
	write_lines 6000 --rate 4000
	start_helper --spool-max 4M
	wait_for 20 known
	round=0
	# a round need not hurt what is not yet loaded: go on until one did
	while [ $round -lt "$ROUNDS" ] || { [ $round -lt $((ROUNDS * 4)) ] && ! tells_where; }; do
		round=$((round + 1))
		# lines come in all the time, also where all this takes long
		kill -0 "$writer" 2>/dev/null || write_lines 6000 --rate 4000
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
	write_lines 30 # lines that died last show in the counters of these
	written
	finish
	is $? 0 "after $round power failures the last helper loads all and exits 0"
	helper=''
	unset DISKFAULT_LEDGER DISKFAULT_GRAVE
	sound "power loss"
	count=$(sql "SELECT count(*) FROM bgp.numbered")
	is $((count + $(sql "SELECT coalesce(sum(lines), 0) FROM bgp.ingest_gap WHERE peer_id IS NOT NULL"))) $((first - from)) \
		"power loss: every line is stored or in a gap that its peer's counter shows"
	ok "power loss: the journal's own gaps say where" tells_where
	diag "$round power failures: $count of $((first - from)) lines stored; gaps by reason:"
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

# has memory been full?
dropping() {
	kill -USR1 "$helper"
	sleep 0.2
	[ "$(sed -n 's/^.* lines_dropped=\([0-9]*\) .*$/\1/p' "$work/log" | tail -n 1)" -gt 0 ] 2>/dev/null
}

# flaky NAME DROPS RULE...: these rules for 3 s; DROPS: "drops" if memory cannot hold what comes
# (for longer, where the writer is slow)
flaky() {
	local name=$1 drops=$2 from=$first

	shift 2
	begin
	# more than the helper's memory holds, or what it holds however slow the machine
	if [ "$drops" = drops ]; then
		write_lines 18000 --rate 4000 --pad 5000
	else
		write_lines 6000 --rate 1500 --pad 5000
	fi
	start_helper
	wait_for 20 known
	rules "$@"
	sleep 3
	[ "$drops" != drops ] || wait_for 20 dropping
	rules
	written
	if [ "$drops" = drops ]; then
		tell_missing --pad 5000 --report /dev/null
	fi
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
	flaky "short writes, nothing can be read" - "write short 1001" "pread * EIO"
	is "$(sql "SELECT count(*) FROM bgp.ingest_gap")" 0 "short writes, nothing can be read: that passes, and nothing is lost"
	flaky "no removing" - "unlink * EIO" "truncate * EIO"
	flaky "sync fails" - "sync * EIO"
	flaky "sync of the directory fails" - "syncdir * EIO"
	flaky "slow sync" - "sync delay 2000"
	flaky "stalled writes" drops "write delay 1500"
}

# --- the journal is full, or its file system ---------------------------------------------------

full() {
	local from=$first remounted=no

	begin
	write_lines 20000 --rate 4000 --pad 5000
	start_helper --spool-max 8M
	wait_for 20 known
	cluster_stop "$work/pg"
	written
	ok "full journal: it has at most what it may have" [ "$(du -cb "$spool"/*.jsonl "$spool"/*.index | tail -n 1 | cut -f1)" -le 8388608 ]
	cluster_start "$work/pg" 9>&-
	tell_missing --pad 5000 --report /dev/null
	finish
	is $? 0 "full journal: with the database back, all input is loaded"
	helper=''
	accounted "full journal" $((first - from))

	mkdir -p "$work/small"
	if [ "$(id -u)" -ne 0 ] || ! mount -t tmpfs -o size=8m none "$work/small" 2>/dev/null; then
		skip "a file system of 8 MB" "cannot mount one here"
		return
	fi
	mounted=$work/small spool=$work/small/spool from=$first
	begin
	write_lines 20000 --rate 4000 --pad 5000
	start_helper
	wait_for 20 known
	cluster_stop "$work/pg"
	sleep 2
	cluster_start "$work/pg" 9>&-
	# busy as long as a file is open for writing: some systems refuse
	if mount -o remount,ro "$mounted" 2>/dev/null; then
		remounted=yes
	fi
	sleep 1
	[ $remounted = no ] || mount -o remount,rw "$mounted"
	written
	tell_missing --pad 5000 --report /dev/null
	finish
	is $? 0 "small file system: all input is loaded"
	helper=''
	diag "remounted read-only: $remounted"
	accounted "small file system" $((first - from))
	umount "$mounted"
	mounted='' spool=$work/spool
}

# --- damage ---------------------------------------------------------------------------------

# The journal of a helper that was killed without a server, damaged at random places.
damage() {
	local round wrong unverified total=1500 bad=0

	begin
	cluster_stop "$work/pg"
	write_lines $total --pad 100
	start_helper --spool-max 1M
	written
	wait_for 20 journaled $total
	kill -9 "$helper"
	wait "$helper" 2>/dev/null
	helper=''
	exec 9>&-
	mv "$spool" "$work/original"
	cluster_start "$work/pg"
	for round in {1..12}; do
		begin
		cp -a "$work/original" "$spool"
		cat /proc/sys/kernel/random/uuid >"$spool/id"
		python3 - "$spool" $RANDOM <<-'END'
			import os, random, sys
			spool, rng = sys.argv[1], random.Random(int(sys.argv[2]))
			files = sorted(f for f in os.listdir(spool) if f[0] == "0")
			for _ in range(rng.randint(1, 3)):
			    path = os.path.join(spool, rng.choice(files))
			    how = rng.choice(["flip", "flip", "flip", "cut", "empty", "gone", "fifo", "directory"])
			    if not os.path.isfile(path) or os.path.getsize(path) == 0:
			        continue
			    size = os.path.getsize(path)
			    if how == "flip":
			        with open(path, "r+b") as file:
			            for _ in range(3):
			                at = rng.randrange(size)
			                file.seek(at)
			                byte = file.read(1)[0] ^ 1 << rng.randrange(8)
			                file.seek(at)
			                file.write(bytes([byte]))
			    elif how == "cut":
			        os.truncate(path, rng.randrange(size))
			    elif how == "empty":
			        os.truncate(path, 0)
			    else:
			        os.unlink(path)
			        if how == "fifo":
			            os.mkfifo(path)
			        elif how == "directory":
			            os.mkdir(path)
			    print(os.path.basename(path), how)
		END
		start_helper --spool-max 1M
		finish
		[ $? -eq 0 ] || bad=$((bad + 1))
		helper=''
		# where the checksums themselves are gone, that is said; then a few changed lines may pass
		wrong=$(($(sql "SELECT count(*) - count(DISTINCT n) FROM bgp.numbered") + $(damaged)))
		unverified=$(sql "SELECT count(*) FROM bgp.ingest_gap WHERE reason ~ 'without a checksum'")
		[ $wrong -le $((unverified > 0 ? 18 : 0)) ] &&
			sql_true "SELECT (SELECT count(*) FROM bgp.numbered) = $total OR (SELECT count(*) FROM bgp.ingest_gap) > 0" ||
			fail "damage: round $round" "$(sql "SELECT count(*) || ' rows, ' || count(DISTINCT n) || ' lines' FROM bgp.numbered"),\
 $(damaged) damaged, $(sql "SELECT count(*) FROM bgp.ingest_gap") gaps"
	done >"$work/damage"
	is "$(grep '^not ok' "$work/damage")" "" "damage: what is whole is loaded once, whatever is damaged" || cat "$work/damage" >&2
	is $bad 0 "damage: no helper failed"

	# an id that cannot be read is waited for: nothing is loaded twice under another one
	begin
	cp -a "$work/original" "$spool"
	echo garbage >"$spool/id"
	start_helper
	sleep 1
	ok "garbage in id: the helper waits" kill -0 "$helper"
	is "$(sql "SELECT count(*) FROM bgp.numbered")" 0 "garbage in id: nothing is loaded"
	cat /proc/sys/kernel/random/uuid >"$spool/id"
	finish
	is $? 0 "garbage in id: once it is right, all is loaded"
	helper=''
	is "$(sql "SELECT count(*) FROM bgp.numbered")" $total "garbage in id: all lines"
}

part faults && faults
part full && full
part damage && damage

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

part torn && torn
part power && ROUNDS=${ROUNDS:-12} power_loss

done_testing
