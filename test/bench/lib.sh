# shellcheck shell=bash
# lib.sh - what the benchmarks share: a server set up as one would set up a real one,
# databases made from templates, medians, and the figures that the report is made of.
# Needs $top; provides $work, which is removed at the end.
# shellcheck disable=SC2034	# what is set here is used by the others

# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/cluster.sh disable=SC1091,SC2154
. "$top/test/lib/cluster.sh"

bench=${top:?}/test/bench
program=${PROGRAM:-$top/exabgp-pg}
columns="peer_id, ts, seq, kind, prefix, path_id, family, rd, labels, nlri, next_hop, origin_asn, med, local_pref,
    origin, atomic_aggregate, path, communities, large_communities, ext_communities, aggregator, as_path, attributes"
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-bench.XXXXXX") || exit 1
children=()

bench_end() {
	local status=$? pid

	trap - EXIT
	for pid in "${children[@]}"; do
		cluster_gone "$pid" || kill -TERM "$pid" 2>/dev/null
	done
	cluster_remove "$work/pg"
	rm -rf "$work"
	exit "$status"
}
trap bench_end EXIT
trap 'exit 130' INT TERM HUP

die() {
	echo "bench: $*" >&2
	exit 1
}

say() {
	printf '%s\n' "$*" >&2
}

# Autovacuum is off so that it does not come between in one of two runs.
bench_server() {
	say "starting a server of its own"
	cluster_start "$work/pg" "shared_buffers = 1GB" "max_wal_size = 8GB" "checkpoint_timeout = 60min" \
	    "fsync = on" "full_page_writes = on" "autovacuum = off" "jit = off" "maintenance_work_mem = 64MB" \
	    "max_parallel_workers_per_gather = 0" "max_parallel_maintenance_workers = 0" || die "could not start a server"
	database_new pristine
	PGDATABASE=pristine "$top/scripts/exabgp-pg-db" init >/dev/null || die "could not make the schema"
	# the log alone: test/bench/rib measures what bgp.rib costs
	sql "DELETE FROM bgp.consumer" -d pristine
}

# database_new NAME [TEMPLATE]: anew, if there is one of that name
database_new() {
	PGOPTIONS="-c client_min_messages=warning" psql -Xqd postgres -v ON_ERROR_STOP=1 \
	    -c "DROP DATABASE IF EXISTS \"$1\"" -c "CREATE DATABASE \"$1\" TEMPLATE ${2:-template0}" ||
	    die "could not make the database $1"
}

# measure INPUT COMMAND...: sets seconds, clock, cpu, server_cpu, rss (KiB), status.  On
# a machine that does other things as well, the clock says little: seconds is what it
# says less the time in which the busiest thread was ready and had no CPU.
measure() {
	local figures waited

	figures=$(BENCH_POSTMASTER=$(cluster_pid "$work/pg") python3 "$bench/measure.py" "$@") || die "could not run $2"
	read -r clock waited cpu server_cpu rss status <<<"$figures"
	seconds=$(calc "$clock - $waited" %.4f)
}

# load FILE DATABASE: the whole path, with a journal of its own
load() {
	rm -rf "$work/spool"
	PGDATABASE=$2 measure "$1" "$program" --quiet --no-resync --drain inf --spool "$work/spool" --collector bench
	rm -rf "$work/spool"
	[ "$status" -eq 0 ] || die "exabgp-pg ended with $status"
}

# median NUMBER...
median() {
	printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# calc EXPRESSION [FORMAT]
calc() {
	awk "BEGIN { printf \"${2:-%.2f}\", $1 }"
}

# one line on the machine, for reports
machine() {
	printf '%s, %s CPUs, %s GiB of memory, PostgreSQL %s, jansson %s, Linux %s' \
	    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
	    "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(sql 'SHOW server_version' -d postgres | cut -d ' ' -f 1)" \
	    "$(pkg-config --modversion jansson)" "$(uname -r)"
}

# ExaBGP's real output: files that are there, unpacked into $work, in $inputs
inputs=()
inputs_find() {
	local dir=${BENCH_DATA:-$top/../shared/data/exabgp-json} name

	for name in "$@"; do
		if [ -r "$dir/$name.jsonl.zst" ] && zstd -dcq "$dir/$name.jsonl.zst" >"$work/$name.jsonl"; then
			inputs+=("$work/$name.jsonl")
		fi
	done
}

# label FILE: for the report
label() {
	basename "$1" .jsonl
}
