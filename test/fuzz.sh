#!/usr/bin/env bash
# fuzz.sh - each fuzz target for some seconds, from real lines; make fuzz is for longer.
# Environment: FUZZ_SECONDS, for each.
set -u
cd "$(dirname "$0")/.." || exit 1

seconds=${FUZZ_SECONDS:-8}
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return p == 0 && n < 0; }' >"$work/none.c"
if ! clang -fsanitize=fuzzer,address,undefined -o "$work/none" "$work/none.c" 2>/dev/null; then
	echo "ok 1 - fuzzing # SKIP there is no clang with libFuzzer"
	echo "1..1"
	exit 0
fi
fuzzers=()
for source in test/fuzz/fuzz_*.c; do
	fuzzers+=("build/fuzz/$(basename "$source" .c)")
done
if ! "${MAKE:-make}" --no-print-directory -s "${fuzzers[@]}" >&2; then
	echo "not ok 1 - the fuzz targets build"
	echo "1..1"
	exit 1
fi
# its own corpus: what a long run has learnt would take these few seconds
FUZZ_CORPUS=$work/corpus test/fuzz/run "$seconds" "${fuzzers[@]}"
