#!/usr/bin/env bash
# rib-recorded.sh - what peers of recorded feeds held, at random moments, against a replay of
# the log; with sessions that drop, lines that come twice, or overtake others.
#
# EXABGP_CAPTURES: where the recordings are; LINES: of each; SEED.
# shellcheck disable=SC2317 # functions that traps call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

captures=${EXABGP_CAPTURES:-../shared/data/exabgp-json}
lines=${LINES:-3000}
seed=${SEED:-1}
if ! ls "$captures"/*.zst >/dev/null 2>&1 || ! command -v zstd >/dev/null; then
	skip "recorded feeds" "none in $captures, or zstd is not installed"
	done_testing
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-rib.XXXXXX")
trap 'cluster_remove "$work/pg"; rm -rf "$work"' EXIT
cluster_start "$work/pg" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1

for name in rrc00.20190101.0000 route-views.linx.20070211.0141; do
	file=$captures/$name.jsonl.zst
	if [ ! -e "$file" ]; then
		skip "$name" "no $file"
		continue
	fi
	zstd -dcq "$file" 2>/dev/null | head -n "$lines" | python3 test/lib/rib_trouble.py "$seed" >"$work/lines"
	"$PROGRAM" -c "$name" -s "$work/spool-$name" --no-resync --drain inf -b 1000 <"$work/lines" 2>"$work/helper.err"
	is "$? $(sql "SELECT count(*) FROM bgp.ingest_error")" "0 0" "$name is loaded"
	python3 test/lib/rib_replay.py check --seed "$seed" --states 5 --queries 4 >"$work/replay" 2>&1
	is $? 0 "what its peers held ($(tail -n 1 "$work/replay"))" || diag "$(cut -c 1-900 "$work/replay" | head -n 30)"
done
done_testing
