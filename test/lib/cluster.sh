# shellcheck shell=bash
# cluster.sh - a throw-away PostgreSQL for tests, demo and benchmarks, and the few
# helpers that go with it: waiting for a condition, TAP output.
#
#	. test/lib/cluster.sh
#	work=$(mktemp -d)
#	trap 'cluster_remove "$work/pg"; rm -rf "$work"' EXIT
#	cluster_start "$work/pg" "log_min_duration_statement = 0"
#	wait_for 10 test_is_so
#	is "$(sql 'SELECT 1')" 1 "one is one"
#	done_testing
#
# The server listens on a unix socket in a directory that only its owner (and
# root) can enter, so trust authentication gives nothing away.  It is never the
# system's cluster: data directory and socket are this library's own.

# A version manager's python3 is a script that takes half a second to find the interpreter: tests
# start hundreds.
cluster_python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null)
if [ -n "$cluster_python" ] && [ "$cluster_python" != "$(command -v python3)" ]; then
	PATH=${cluster_python%/*}:$PATH
	export PATH
fi

# The newest server programs: EXABGP_PG_BINDIR, Debian's place, or pg_config's.
cluster_bindir() {
	local dir best=

	if [ -n "${EXABGP_PG_BINDIR:-}" ]; then
		echo "$EXABGP_PG_BINDIR"
		return
	fi
	for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V); do
		[ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && best=$dir
	done
	if [ -z "$best" ] && command -v pg_config >/dev/null; then
		dir=$(pg_config --bindir)
		[ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && best=$dir
	fi
	if [ -z "$best" ]; then
		echo "cluster: could not find initdb: is the PostgreSQL server installed?" >&2
		return 1
	fi
	echo "$best"
}

# The user that runs the server: PostgreSQL refuses root.
cluster_user() {
	if [ "$(id -u)" -ne 0 ]; then
		id -un
	elif id -u postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

# Run a command as the server's user, from a directory that it can enter.
cluster_as() {
	local user

	user=$(cluster_user)
	if [ "$(id -u)" -ne 0 ]; then
		(cd / && "$@")
	elif command -v setpriv >/dev/null; then
		(cd / && setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@")
	else
		(cd / && runuser -u "$user" -- "$@")
	fi
}

# Make an empty directory that the server's user owns and can reach.  mktemp -d
# makes directories that only their owner may enter: open the way through such a
# parent of ours, but through nothing that lies outside the directory for
# temporary files.
cluster_mkdir() {
	local dir=$1 parent tmp=${TMPDIR:-/tmp}

	(umask 077 && mkdir -p "$dir") || return 1
	chmod 0700 "$dir"
	[ "$(id -u)" -ne 0 ] && return 0
	chown "$(cluster_user)" "$dir"
	parent=$(dirname "$dir")
	while ! cluster_as test -x "$parent" && [ "$parent" != "${tmp%/}" ] &&
	    [[ "$parent" == "${tmp%/}"/* ]] && [ -O "$parent" ]; do
		chmod go+x "$parent"
		parent=$(dirname "$parent")
	done
	if ! cluster_as test -w "$dir"; then
		echo "cluster: $(cluster_user) cannot reach $dir: set TMPDIR to a directory open to all" >&2
		return 1
	fi
}

# The process id of the server of this directory, if it runs.
cluster_pid() {
	local pid

	pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && ! cluster_gone "$pid" &&
	    echo "$pid"
}

cluster_ctl() {
	local dir=$1

	shift
	cluster_as "$(cluster_bindir)/pg_ctl" -s -D "$dir/data" -l "$dir/log" "$@" </dev/null
}

# cluster_initdb DIR: DIR/data.  Tests that run after one another may all begin with a copy: CLUSTER_TEMPLATE
# names such a data directory that nothing has changed.
cluster_initdb() {
	# (which variables initdb heeds must not depend on the caller's)
	cluster_as env -u PGDATA "$(cluster_bindir)/initdb" -D "$1/data" -U postgres -A trust \
	    -E UTF8 --locale=C --no-sync >"$1/initdb.log" 2>&1 </dev/null || {
		cat "$1/initdb.log" >&2
		return 1
	}
}

# cluster_start DIR [CONFIGURATION LINE]...
# A new cluster in DIR with an empty database bgp, started and ready; or the one
# that cluster_stop or cluster_kill9 left there, with the lines added.  Leaves the
# environment such that libpq programs, psql first in PATH, connect to it.
cluster_start() {
	local dir bindir socket name

	case $1 in
	/*) dir=$1 ;;
	*) dir=$PWD/$1 ;;
	esac
	shift
	bindir=$(cluster_bindir) || return 1
	if [ ! -e "$dir/data/PG_VERSION" ]; then
		cluster_mkdir "$dir" || return 1
		# a socket's path has room for about 100 bytes (sockaddr_un)
		socket=$dir
		if [ ${#dir} -gt 80 ]; then
			socket=$(mktemp -d /tmp/pg.XXXXXX) || return 1
			[ "$(id -u)" -ne 0 ] || chown "$(cluster_user)" "$socket"
		fi
		echo "$socket" >"$dir/socket"
		if [ -e "${CLUSTER_TEMPLATE:-}/PG_VERSION" ]; then
			cluster_as cp -a "$CLUSTER_TEMPLATE" "$dir/data" || return 1
		else
			cluster_initdb "$dir" || return 1
		fi
		cat >>"$dir/data/postgresql.conf" <<-END
			listen_addresses = ''
			unix_socket_directories = '$socket'
			port = 6543
			fsync = off
			full_page_writes = off
			log_line_prefix = '%m [%p] %a '
		END
	fi
	if [ $# -gt 0 ]; then
		printf '%s\n' "$@" >>"$dir/data/postgresql.conf"
	fi
	# Variables of the caller's that would lead libpq elsewhere.
	for name in $(compgen -v PG | grep -E '^PG[A-Z]+$'); do
		unset "$name"
	done
	unset EXABGP_PG_DSN
	PGHOST=$(cat "$dir/socket")
	export PGHOST PGPORT=6543 PGUSER=postgres PGDATABASE=bgp
	case $PATH in
	"$bindir":*) ;;
	*) export PATH="$bindir:$PATH" ;;
	esac
	cluster_ctl "$dir" -w -t 60 start || {
		tail -n 20 "$dir/log" >&2
		return 1
	}
	if [ -z "$(psql -XAtqd postgres -c "SELECT 1 FROM pg_database WHERE datname = 'bgp'")" ]; then
		createdb bgp
	fi
}

# cluster_stop DIR [smart|fast|immediate]: stops it and waits for its end.
cluster_stop() {
	[ -n "$(cluster_pid "$1")" ] || return 0
	cluster_ctl "$1" -w -t 60 -m "${2:-fast}" stop
}

# cluster_restart DIR [MODE]
cluster_restart() {
	cluster_stop "$1" "${2:-fast}" && cluster_start "$1"
}

# cluster_kill9 DIR: all processes of the server at once, as when power fails.
cluster_kill9() {
	local pid pids

	pid=$(cluster_pid "$1")
	[ -n "$pid" ] || return 0
	# stopped, the server starts no further process while we list them
	kill -STOP "$pid"
	read -ra pids <<<"$(tr '\n' ' ' <"/proc/$pid/task/$pid/children" 2>/dev/null)"
	kill -KILL "$pid" "${pids[@]}" 2>/dev/null
	wait_for 10 cluster_gone "$pid" "${pids[@]}" || return 1
	# until somebody reaps it, PostgreSQL takes the dead server for a live one
	rm -f "$1/data/postmaster.pid" "$(cat "$1/socket")"/.s.PGSQL.6543*
}

# cluster_freeze DIR, cluster_thaw DIR: all processes of the server stand still, and go on
cluster_freeze() {
	local pid

	pid=$(cluster_pid "$1") && kill -STOP "$pid" || return 1
	read -ra cluster_frozen <<<"$(tr '\n' ' ' <"/proc/$pid/task/$pid/children")"
	cluster_frozen+=("$pid")
	kill -STOP "${cluster_frozen[@]}" 2>/dev/null
}

cluster_thaw() {
	kill -CONT "${cluster_frozen[@]}" 2>/dev/null
	cluster_frozen=()
}

cluster_gone() {
	local pid

	for pid in "$@"; do
		# a zombie that nobody reaps is gone as well
		if kill -0 "$pid" 2>/dev/null && ! grep -qs '^State:.Z' "/proc/$pid/status"; then
			return 1
		fi
	done
}

# cluster_remove DIR: ends the server and removes all that cluster_start made.
cluster_remove() {
	local socket

	[ -e "$1/socket" ] || return 0
	socket=$(cat "$1/socket")
	cluster_stop "$1" immediate || cluster_kill9 "$1"
	case $socket in
	/tmp/pg.??????) rm -rf "$socket" ;;
	esac
	rm -rf "$1"
}

# sql QUERY [psql option]...: rows as lines, columns parted by '|'
sql() {
	local query=$1

	shift
	psql -XAtq -v ON_ERROR_STOP=1 "$@" -c "$query"
}

# sql_true QUERY: whether it gives the one row "t"; the quiet form for wait_for
sql_true() {
	[ "$(sql "$1" 2>/dev/null)" = t ]
}

# wait_for SECONDS COMMAND...: until the command succeeds; 1 if it never does.
wait_for() {
	local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))

	shift
	until "$@"; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

# free_port: a TCP port of 127.0.0.1 and ::1 that nobody listens on
free_port() {
	local port

	for port in $(shuf -i 20000-32000 -n 100); do
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null &&
		    ! (exec 3<>"/dev/tcp/::1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	return 1
}

# --- TAP (https://testanything.org) ------------------------------------------

tap_count=0
tap_failed=0
tap_skipped=0
tap_todo=

# todo [REASON]: failures from here on are known and do not count; without one, they do
todo() {
	tap_todo=${1:-}
}

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

pass() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $*"
}

# fail NAME [WHY]
fail() {
	tap_count=$((tap_count + 1))
	[ -n "$tap_todo" ] || tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1${tap_todo:+ # TODO $tap_todo}"
	[ $# -lt 2 ] || diag "$2"
	return 1
}

# ok NAME COMMAND...: passes if the command does
ok() {
	local name=$1

	shift
	if "$@"; then
		pass "$name"
	else
		fail "$name" "failed: $*"
	fi
}

# is GOT WANTED NAME: equal texts, of however many lines
is() {
	if [ "$1" = "$2" ]; then
		pass "$3"
	elif [[ $1$2 == *$'\n'* ]]; then
		fail "$3" "$(diff -u --label wanted --label got <(echo "$2") <(echo "$1") | head -n 40)"
	else
		fail "$3" "     got: $1"$'\n'"  wanted: $2"
	fi
}

# skip NAME REASON
skip() {
	tap_count=$((tap_count + 1))
	tap_skipped=$((tap_skipped + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# skip_all REASON: for a test that cannot run here at all
skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

# done_testing: the plan; ends the script with 1 if a test failed or none ran
done_testing() {
	echo "1..$tap_count"
	[ "$tap_count" -gt 0 ] && [ "$tap_failed" -eq 0 ]
	exit
}
