#!/usr/bin/env bash
# golden.sh - recorded output of every version of ExaBGP beside the rows that it must
# become.
#
# golden/NAME.input is the standard input of a helper as it was, NAME.expected what
# golden/normalize.py makes of it, which knows nothing of the program's own decoder.
# NAME begins with the version: v3.4 is 3.4.28, v4 4.2.21, v5 5.0.13, main 6.0.0.
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-./exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh
golden=test/golden
captures=${EXABGP_CAPTURES:-../shared/data/exabgp-json}

work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-golden.XXXXXX")
trap 'rm -rf "$work"' EXIT
normalize() { python3 -B $golden/normalize.py "$@"; }

command -v python3 >/dev/null || skip_all "python3 is not installed"

# rows NAME INPUT: what the program prints for it, checked to be JSON, in NAME.rows
rows() {
	"$PROGRAM" --print --collector golden <"$2" >"$work/$1.printed" 2>"$work/$1.log" &&
		normalize --canonical <"$work/$1.printed" >"$work/$1.rows" 2>>"$work/$1.log"
}

# same WANTED GOT NAME
same() {
	if cmp -s "$1" "$2"; then
		pass "$3"
	else
		fail "$3" "$(diff -u --label wanted --label got "$1" "$2" | cut -c 1-600 | head -n 30)"
	fi
}

# --- each recording becomes its rows ---------------------------------------------

for input in "$golden"/*.input; do
	name=$(basename "$input" .input)
	if rows "$name" "$input"; then
		same "$golden/$name.expected" "$work/$name.rows" "$name: $(wc -l <"$golden/$name.expected") rows"
	else
		fail "$name" "$(tail -n 5 "$work/$name.log")"
	fi
done

# --- the same packets give the same rows in each version -------------------------

compare() {
	local out

	if out=$(normalize --compare "v4=$work/v4-$1.rows" "v3.4=$work/v3.4-$1.rows" "v5=$work/v5-$1.rows" \
	    "main=$work/main-$1.rows" 2>&1); then
		diag "$out"
		pass "$1: 3.4, 4, 5 and main agree"
	else
		fail "$1: 3.4, 4, 5 and main agree" "$(cut -c 1-400 <<<"$out" | head -n 30)"
	fi
}
compare unicast
compare ipv6

# --- every piece of a line gives the rows of the whole ---------------------------

# a pipe that gives what it likes, as ExaBGP's does
for input in "$golden"/v4-unicast.input "$golden"/v5-session-events.input; do
	name=$(basename "$input" .input)
	dd if="$input" bs=613 2>/dev/null | "$PROGRAM" --print --collector golden 2>/dev/null >"$work/piped"
	same "$work/$name.printed" "$work/piped" "$name: through a pipe as from a file"
done

# --- real feeds, where they are at hand ------------------------------------------

if ! command -v zstd >/dev/null || [ -z "$(compgen -G "$captures/*.jsonl.zst")" ]; then
	skip "recorded feeds" "none in $captures, or zstd is not installed"
else
	for capture in "$captures"/*.jsonl.zst; do
		name=$(basename "$capture" .jsonl.zst)
		# all lines of the small ones, each 20th of the big ones
		every=1
		[ "$(stat -c %s "$capture")" -gt 200000 ] && every=20
		zstd -dcq "$capture" | awk -v n=$every 'NR % n == 0' >"$work/capture"
		normalize <"$work/capture" >"$work/wanted" 2>"$work/log"
		if rows capture "$work/capture"; then
			same "$work/wanted" "$work/capture.rows" "$name: $(wc -l <"$work/wanted") rows of $(wc -l <"$work/capture") lines"
		else
			fail "$name" "$(tail -n 5 "$work/capture.log")"
		fi
	done
fi

done_testing
