#!/usr/bin/env bash
# rib-upgrade.sh - a database of schema 6 gets the routes that peers hold, from the log that is
# there, while a helper of that time goes on loading.
# shellcheck disable=SC2317 # functions that traps and wait_for call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

old=15851c3 # the last of schema 6
# cannot WHY
cannot() {
	skip "upgrade from schema 6" "$1"
	done_testing
}
git cat-file -e "$old^{commit}" 2>/dev/null || cannot "no git history with $old"
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-rib.XXXXXX")
helper=
cleanup() {
	[ -z "$helper" ] || kill -KILL "$helper" 2>/dev/null
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/old"
git archive "$old" | tar x -C "$work/old"
env -u BUILD make -s -j2 -C "$work/old" OPT=-O0 PROGRAM=exabgp-pg exabgp-pg >"$work/make.log" 2>&1 ||
    cannot "$old does not build: $(tail -n 1 "$work/make.log")"
cluster_start "$work/pg" || exit 1
seed=${SEED:-1}
first=$(($(date +%s) / 86400 * 86400 - 2 * 86400))

# replayed NAME [OPTION]...: of rib_replay.py check
replayed() {
	local name=$1

	shift
	if python3 test/lib/rib_replay.py check --seed "$seed" --states 8 --queries 3 "$@" >"$work/replay" 2>&1; then
		pass "$name ($(tail -n 1 "$work/replay"))"
	else
		fail "$name (seed $seed)" "$(cut -c 1-900 "$work/replay" | head -n 30)"
	fi
}

rows_are() {
	[ "$(sql "SELECT coalesce(sum(rows_total), 0) FROM bgp.ingest_position")" -ge "$1" ]
}

follow() {
	while [ "$(psql -XAtq -c 'BEGIN ISOLATION LEVEL REPEATABLE READ' -c "SELECT bgp.rib_follow('up')" -c COMMIT)" != 0 ]; do :; done
}

"$work/old/scripts/exabgp-pg-db" init >/dev/null || exit 1
is "$(sql "SELECT max(version) FROM bgp.schema_version")" 6 "a database of schema 6"
python3 test/lib/rib_lines.py 1200 --from "$first" --seed "$seed" --peers 2 >"$work/lines"
mkfifo "$work/in"
"$work/old/exabgp-pg" -c up -s "$work/spool" --no-resync --drain inf -b 11 <"$work/in" 2>"$work/old.err" &
helper=$!
exec {in}>"$work/in"
head -n 500 "$work/lines" >&$in
ok "is loaded by its helper" wait_for 20 rows_are 500
# what is sent during the upgrade, a bit at a time
(tail -n +501 "$work/lines" | head -n 400 | while IFS= read -r line; do
	echo "$line"
	sleep 0.002
done >&$in) &
feeder=$!
newest=$(find sql -name '[0-9]*.sql' | sort | sed -n '$s/.*\/0*\([0-9]*\)-.*/\1/p')
scripts/exabgp-pg-db upgrade >"$work/upgrade" 2>&1
is "$? $(tail -n 1 "$work/upgrade")" "0 schema version $newest" "it is upgraded meanwhile"
wait "$feeder"
is "$(sql "SELECT bool_and(rebuild) FROM bgp.rib_peer")" t "the routes of the peers that are there are to be made"
follow
is "$(sql "SELECT bool_or(rebuild) FROM bgp.rib_peer")" f "and are"
# the helper goes on, without the new one's word of where its rows are
tail -n +901 "$work/lines" >&$in
exec {in}>&-
wait "$helper"
is $? 0 "the old helper goes on" || diag "$(tail -n 3 "$work/old.err")"
helper=
ok "and tells of what it loads" sql_true "SELECT count(*) > 0 FROM bgp.batch_pending"
follow
replayed "the routes follow"
# time goes back, from one run to the next and within it
for n in 1 2; do
	python3 test/lib/rib_lines.py 100 --from $((first + 86400 * (n - 1))) --days 1 --seed $((seed + n)) --pid $((5000 + n)) --routes --peers 2 >"$work/late"
	"$work/old/exabgp-pg" -c up -s "$work/spool" --no-resync --drain inf -b 11 <"$work/late" 2>"$work/old.err"
	follow
	replayed "also when its lines come late ($n)"
done
python3 test/lib/rib_lines.py 300 --from "$first" --seed $((seed + 3)) --pid 6000 --peers 3 >"$work/new"
"$PROGRAM" -c up -s "$work/spool" --no-resync --drain inf -b 11 <"$work/new" 2>"$work/helper.err"
is "$? $(sql "SELECT count(*) FROM bgp.batch_pending")" "0 0" "the new helper goes on where it ended"
replayed "with the same routes"
is "$(sql "SELECT peer_id, day FROM bgp.partition EXCEPT SELECT peer_id, day FROM bgp.route_day") $(sql "SELECT count(*) > 0 FROM bgp.partition WHERE peer_id = 3")" " t" \
	"partitions made since are noted for subscribers"
done_testing
