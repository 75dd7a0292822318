# shellcheck shell=bash
# live.sh - what tests with a live ExaBGP share.  After test/lib/cluster.sh:
#
#	live_begin exabgp bird birdc	(or the test is skipped)
#
# gives $work, a directory; $pids, of background processes, which are ended at the
# exit; $six, not empty where this host has IPv6.

live_begin() {
	local needed

	PATH=$PATH:/usr/sbin:/sbin
	for needed in "$@"; do
		command -v "$needed" >/dev/null || skip_all "$needed is not installed"
	done
	work=$(mktemp -d) || exit 1
	pids=()
	six=
	# shellcheck disable=SC2034 # for the tests
	if grep -qs ^00000000000000000000000000000001 /proc/net/if_inet6; then
		six=1
	fi
	trap live_end EXIT
	trap 'exit 130' INT TERM HUP
}

# shellcheck disable=SC2317 # called by the trap
live_end() {
	local status=$? pid log children

	trap - EXIT
	read -ra children <<<"$(cat "$work"/*.exabgp-pid 2>/dev/null | paste -sd ' ' -)"
	pids+=("${children[@]}")
	for pid in "${pids[@]}"; do
		cluster_gone "$pid" || kill -TERM "$pid"
	done
	wait_for 10 cluster_gone "${pids[@]}" || kill -KILL "${pids[@]}" 2>/dev/null
	if [ "$status" -ne 0 ]; then
		for log in "$work"/*.log; do
			[ -s "$log" ] && diag "last lines of $(basename "$log"):"$'\n'"$(tail -n 20 "$log")"
		done
	fi
	cluster_thaw
	cluster_remove "$work/pg"
	rm -rf "$work"
	exit "$status"
}
bail() {
	echo "Bail out! $*"
	exit 1
}

# run_exabgp NAME BIND PORT CONF: in the background, its pid in $exabgp
run_exabgp() {
	env PGUSER=e2e_helper exabgp.tcp.bind="$2" exabgp.tcp.port="$3" \
	    exabgp.daemon.user="$(id -un)" exabgp.daemon.daemonize=false exabgp.api.cli=false \
	    exabgp.log.destination=stdout exabgp.log.level=WARNING \
	    exabgp "$4" </dev/null >"$work/$1.log" 2>&1 &
	exabgp=$!
	echo "$exabgp" >"$work/$1.exabgp-pid"
}

# helper_of PID: the pid of the helper that this ExaBGP runs
helper_of() {
	local children

	# (the list does not end in a newline)
	read -ra children <<<"$(cat "/proc/$1/task/$1/children")"
	echo "${children[0]:-}"
}

other_helper() {
	local now

	now=$(helper_of "$1")
	[ -n "$now" ] && [ "$now" != "$2" ]
}
