#!/bin/sh
# exabgp-conf.sh - are the example configurations in exabgp/ what they claim?
#
# The 4.x files go through the parser of the installed ExaBGP 4, and what it
# understood is compared with what the files mean. The 5.x file uses the same
# words, so the same parser reads it. For 3.4 there is no parser here: its file
# is held against the grammar of 3.4. Broken copies must be rejected. At last
# ExaBGP is started for real and has to start the helper.
#
# Prints TAP; exits 1 if anything failed. Needs no privileges; leaves nothing.

set -u
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
conf=$(CDPATH='' cd -- "$here/../exabgp" && pwd) || exit 1
# Root's ExaBGP becomes nobody, who may have no way into root's TMPDIR.
base=${TMPDIR:-/tmp}
if [ "$(id -u)" -eq 0 ]; then
	base=/tmp
fi
tmp=$(mktemp -d "$base/exabgp-conf.XXXXXX") || exit 1
exabgp_pid=
helper_pid=

finish()
{
	for pid in $exabgp_pid $helper_pid; do
		kill -KILL "$pid" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

count=0
failed=0

# report STATUS NAME [FILE]: FILE is shown when STATUS says it went wrong
report()
{
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $count - $2"
	if [ -s "${3:-/dev/null}" ]; then
		tail -n 20 "$3" | sed 's/^/# /'
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# must_fail STATUS NAME: a check that accepts everything checks nothing
must_fail()
{
	if [ "$1" -eq 0 ]; then
		report 1 "$2"
	else
		report 0 "$2"
	fi
}

# clean [NAME=VALUE...] COMMAND...: become COMMAND, with no settings of this
# machine or user in the environment
clean()
{
	exec env -i PATH="$PATH" LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 "$@"
}

# quiet [NAME=VALUE...] COMMAND...: and with settings that suit a test
quiet()
{
	clean exabgp_daemon_user=nobody exabgp_api_cli=false \
	    exabgp_log_short=true "$@"
}

validate()
{
	(quiet timeout 60 exabgp --env "$tmp/empty.env" --validate "$1") \
	    >"$tmp/out" 2>&1
}

# localize FILE: a copy that runs the dummy, as there may be no exabgp-pg yet
localize()
{
	sed "s,/usr/local/bin/exabgp-pg,$tmp/helper," "$1"
}

# understood FILE: $tmp/out, what --validate printed, has every neighbor of
# FILE, set up as exabgp-pg needs it
understood()
{
	want=$(grep -c '^neighbor ' "$1")
	awk -v want="$want" '
	function bad(text) { print who ": " text; rc = 1 }
	/^neighbor / {
		n++
		who = $2
		split("", has)
		next
	}
	n { line = $0; gsub(/^ +|;$/, "", line); has[line] = 1 }
	n && /^ *processes / && $3 == "]" { bad("no process") }
	/^}/ {
		if (!has["adj-rib-in false"]) bad("keeps adj-rib-in")
		if (!has["route-refresh enable"]) bad("no route refresh")
		if (!has["add-path receive"]) bad("no add-path receive")
		if (!has["neighbor-changes"]) bad("no neighbor-changes")
		m = split("parsed update open notification refresh", need, " ")
		for (i = 1; i <= m; i++)
			if (!has[need[i]]) bad("no " need[i])
		if (has["packets"]) bad("packets")
		if (has["negotiated"]) bad("negotiated")
		if (has["send {"]) bad("send")
	}
	END {
		who = "file"
		if (n + 0 != want) bad(n + 0 " neighbors, not " want)
		exit rc
	}' "$tmp/out" >"$tmp/why"
}

# one_owner FILE: no two processes share a collector name, hence a journal
one_owner()
{
	awk '$1 == "process" { p++ }
	$1 == "run" {
		for (i = 2; i < NF; i++)
			if ($i == "--collector" && !seen[$(i + 1)]++)
				c++
	}
	END { exit !(p > 0 && p == c) }' "$1"
}

# documentation FILE: no address or AS of anybody outside of comments
documentation()
{
	sed 's/#.*//' "$1" | awk '
	function bad() { print FNR ": " $0; rc = 1 }
	{
		text = $0
		while (match(text, /[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/)) {
			if (substr(text, RSTART, 8) != "192.0.2.") bad()
			text = substr(text, RSTART + RLENGTH)
		}
		for (i = 1; i <= NF; i++)
			if ($i ~ /^[0-9a-f]+:[0-9a-f:]+;?$/ && $i !~ /^2001:db8:/)
				bad()
	}
	$1 == "local-as" || $1 == "peer-as" {
		as = $2 + 0
		if (!(as >= 64496 && as <= 64511) &&
		    !(as >= 65536 && as <= 65551)) bad()
	}
	END { exit rc }' >"$tmp/why"
}

# grammar34 FILE: the part of the grammar of 3.4 that a collector needs. One
# statement a line, comments on their own lines, the process inside a group or
# neighbor and above the neighbors that it is for.
grammar34()
{
	awk '
	function bad(text) {
		if (!rc) print FNR ": " text ": " $0
		rc = 1
	}
	function words(list, into,   a, i, n) {
		n = split(list, a, " ")
		for (i = 1; i <= n; i++) into[a[i]] = 1
	}
	BEGIN {
		peer = "description router-id local-address local-as peer-as " \
		    "passive hold-time add-path graceful-restart md5 " \
		    "ttl-security multi-session group-updates asn4 aigp " \
		    "auto-flush adj-rib-out"
		words("root/group root/neighbor group/neighbor group/process " \
		    "group/family group/capability neighbor/process " \
		    "neighbor/family neighbor/capability process/receive " \
		    "process/send", section)
		n = split(peer, a, " ")
		for (i = 1; i <= n; i++) {
			word["group/" a[i]] = 1
			word["neighbor/" a[i]] = 1
		}
		words("group/route-refresh process/run process/encoder " \
		    "send/packets receive/packets receive/parsed " \
		    "receive/consolidate receive/neighbor-changes " \
		    "receive/notification receive/open receive/keepalive " \
		    "receive/refresh receive/update receive/operational " \
		    "family/ipv4 family/ipv6 family/l2vpn family/all " \
		    "capability/route-refresh capability/graceful-restart " \
		    "capability/multi-session capability/operational " \
		    "capability/add-path capability/asn4 capability/aigp", word)
		words("ipv4/unicast ipv4/multicast ipv4/nlri-mpls " \
		    "ipv4/mpls-vpn ipv4/flow ipv4/flow-vpn ipv6/unicast " \
		    "ipv6/mpls-vpn ipv6/flow ipv6/flow-vpn l2vpn/vpls", safi)
		words("disable send receive send/receive", paths)
		stack[depth = 0] = "root"
	}
	{ sub(/^[ \t]+/, ""); sub(/[ \t]+$/, "") }
	/^$/ || /^#/ { next }
	!/[;{}]$/ { bad("a line must end in ; { or }") }
	/[;{}].*[;{}]$/ { bad("more than one statement") }
	/#/ { bad("a comment behind a statement") }
	/}$/ {
		if ($0 != "}") bad("words before }")
		if (depth == 0) { bad("one } too many"); next }
		if (stack[depth] == "process" && !(run && json))
			bad("process without run and encoder json")
		if (stack[depth] == "process" && !got["receive/parsed"])
			bad("process without parsed")
		if (stack[depth] == "process" && !got["receive/update"])
			bad("process without update")
		if (stack[depth] == "neighbor" && !served)
			bad("neighbor without a process above it")
		if (stack[depth] == "neighbor" &&
		    !(got["local-address"] && got["peer-as"] &&
		    (got["local-as"] || common["local-as"]) &&
		    (got["router-id"] || common["router-id"])))
			bad("incomplete neighbor")
		depth--
		next
	}
	/{$/ {
		name = $1
		if (!((stack[depth] "/" name) in section))
			bad("no " name " in " stack[depth])
		if (name == "process" || name == "group" || name == "neighbor")
			nf = 3
		else
			nf = 2
		if (NF != nf) bad("wrong number of words")
		if (name == "process") run = json = 0
		if (name == "process" || name == "neighbor") split("", got)
		if (name == "process") served = 1
		if (name == "neighbor") neighbors++
		stack[++depth] = name
		next
	}
	{
		sub(/[ \t]*;$/, "")
		at = stack[depth]
		if (!((at "/" $1) in word)) bad("no " $1 " in " at)
		got[$1] = got[at "/" $1] = 1
		if (at == "group") common[$1] = 1
	}
	$1 == "run" { run = 1; if ($2 !~ /^\//) bad("not an absolute path") }
	$1 == "encoder" { json = $2 == "json" }
	$1 == "passive" && NF != 1 { bad("passive takes no value") }
	at == "receive" && NF != 1 { bad("no value here") }
	at == "family" && $1 != "all" && !(($1 "/" $2) in safi) {
		bad("unknown family")
	}
	at == "capability" && $1 == "add-path" && !($2 in paths) {
		bad("unknown add-path")
	}
	$1 ~ /-as$/ && $2 !~ /^[0-9]+$/ { bad("not an AS") }
	$1 == "description" && !/^description "[^"]*"$/ { bad("not quoted") }
	END {
		if (depth != 0) bad("missing }")
		if (!neighbors) bad("no neighbor")
		exit rc
	}' "$1" >"$tmp/why"
}

# known_settings FILE: ExaBGP knows every name in it and reads the same value
# back; it would ignore a misspelt name
known_settings()
{
	(clean timeout 60 exabgp --env "$1" --fi) >"$tmp/fi" 2>"$tmp/why" ||
	    return 1
	awk '
	/^\[/ { section = $1; next }
	/^#/ || !/=/ { next }
	{
		name = section " " $1
		value = $0
		sub(/^[^=]*= */, "", value)
		gsub("\047", "", value)
	}
	NR == FNR { known[name] = value; next }
	!(name in known) { print "unknown: " name; rc = 1; next }
	known[name] != value {
		print name ": " value " is read as " known[name]
		rc = 1
	}
	{ n++ }
	END { exit rc || !n }' "$tmp/fi" "$1" >"$tmp/why"
}

# broken NAME SED: ExaBGP rejects exabgp-4.conf changed like this
broken()
{
	localize "$conf/exabgp-4.conf" | sed "$2" >"$tmp/broken.conf"
	if cmp -s "$tmp/broken.conf" "$tmp/exabgp-4.conf"; then
		report 1 "broken copy is rejected: $1 (the change did not apply)"
		return
	fi
	validate "$tmp/broken.conf"
	must_fail $? "broken copy is rejected: $1"
}

# broken34 NAME AWK: so does the grammar of 3.4
broken34()
{
	awk "$2" "$conf/exabgp-3.4.conf" >"$tmp/broken.conf"
	if cmp -s "$tmp/broken.conf" "$conf/exabgp-3.4.conf"; then
		report 1 "broken 3.4 copy is caught: $1 (the change did not apply)"
		return
	fi
	grammar34 "$tmp/broken.conf"
	must_fail $? "broken 3.4 copy is caught: $1"
}

# alive PID: it is there and not merely waiting to be reaped
alive()
{
	case $(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) in
	'' | Z) return 1 ;;
	esac
}

# within SECONDS COMMAND...: COMMAND comes true before the deadline
within()
{
	tries=$(($1 * 20))
	shift
	while [ "$tries" -gt 0 ]; do
		if "$@"; then
			return 0
		fi
		sleep 0.05
		tries=$((tries - 1))
	done
	return 1
}

started_or_gone()
{
	[ -s "$tmp/drop/started" ] || ! alive "$exabgp_pid"
}

gone()
{
	! alive "$1"
}

# live: start ExaBGP with exabgp-4.conf on loopback and see the helper run.
# All neighbors are passive here, so that no packet leaves the machine.
live()
{
	localize "$conf/exabgp-4.conf" |
	    sed 's/192\.0\.2\./127.0.0./g
		s/inherit collector;/& passive true;/' >"$tmp/live.conf"
	tries=0
	port=$((20000 + $$ % 20000))
	while :; do
		quiet exabgp_tcp_bind=127.0.0.1 exabgp_tcp_port=$port \
		    exabgp --env "$tmp/empty.env" "$tmp/live.conf" \
		    >"$tmp/log" 2>&1 &
		exabgp_pid=$!
		within 20 started_or_gone
		if [ -s "$tmp/drop/started" ] || [ $tries -ge 5 ] ||
		    ! grep -q 'can not bind' "$tmp/log"; then
			break
		fi
		tries=$((tries + 1))
		port=$((port + 1))
	done

	if [ ! -s "$tmp/drop/started" ]; then
		report 1 "live: ExaBGP starts the helper" "$tmp/log"
		return
	fi
	report 0 "live: ExaBGP starts the helper"
	helper_pid=$(sed -n 's/^pid=//p' "$tmp/drop/started")

	grep -qx 'args=--collector rrc-wpg1' "$tmp/drop/started"
	report $? "live: with the arguments of the file" "$tmp/drop/started"

	if [ "$(id -u)" -eq 0 ]; then
		grep -qx "uid=$(id -u nobody)" "$tmp/drop/started"
		report $? "live: not as root" "$tmp/drop/started"
	else
		skip "live: not as root" "only root has privileges to drop"
	fi

	sleep 2
	alive "$exabgp_pid" && alive "$helper_pid"
	report $? "live: both are still there after 2 seconds" "$tmp/log"

	kill -TERM "$exabgp_pid"
	within 20 gone "$exabgp_pid"
	report $? "live: SIGTERM ends ExaBGP" "$tmp/log"
	grep -q "stopped listening on 127.0.0.1:$port" "$tmp/log"
	report $? "live: it had been listening on loopback" "$tmp/log"
	within 5 gone "$helper_pid"
	report $? "live: and the helper is gone" "$tmp/log"
	if gone "$exabgp_pid"; then exabgp_pid=; fi
	if gone "$helper_pid"; then helper_pid=; fi
}

# The dummy: ExaBGP takes a closed file descriptor 1 for a dead helper, so this
# shell keeps it and writes elsewhere.
mkdir "$tmp/drop"
chmod 755 "$tmp"
chmod 1777 "$tmp/drop"
: >"$tmp/empty.env"
cat >"$tmp/helper" <<EOF
#!/bin/sh
printf 'pid=%s\nuid=%s\nargs=%s\n' "\$\$" "\$(id -u)" "\$*" >"$tmp/drop/new"
mv "$tmp/drop/new" "$tmp/drop/started"
while read -r line; do :; done
EOF
chmod 755 "$tmp/helper"

for f in exabgp-3.4 exabgp-4 exabgp-4-helper-per-peer exabgp-5; do
	documentation "$conf/$f.conf"
	report $? "$f.conf: documentation addresses and ASNs only" "$tmp/why"
done

grammar34 "$conf/exabgp-3.4.conf"
report $? "exabgp-3.4.conf: follows the grammar of 3.4" "$tmp/why"
broken34 "misspelt keyword" '{ sub(/notification;/, "notifications;"); print }'
# shellcheck disable=SC2016	# awk, not the shell
broken34 "two statements on a line" \
    '/^\t\t\tupdate;/ { printf "%s ", $0; next } { print }'
broken34 "comment behind a statement" '{ sub(/encoder json;/, "& # x"); print }'
# shellcheck disable=SC2016
broken34 "process below the neighbors" \
    '/^\tprocess/, /^\t}/ { p = p $0 "\n"; next } /^}/ { printf "%s", p } { print }'
# shellcheck disable=SC2016
broken34 "process at the top" \
    '/^group/ { g = $0; next } /^\tlocal-as/ { print g } { print }'
broken34 "missing brace" '/^}/ { next } { print }'
broken34 "api section of 4.x" '{ sub(/receive {/, "api {"); print }'
skip "exabgp-3.4.conf: parsed by ExaBGP 3.4" \
    "a 3.4 ExaBGP is not available here: it needs Python 2"

version=
if command -v exabgp >/dev/null 2>&1; then
	version=$( (clean timeout 60 exabgp --version) 2>/dev/null |
	    sed -n 's/^ExaBGP : //p')
fi
case $version in
4.*)
	for f in exabgp-4 exabgp-4-helper-per-peer exabgp-5; do
		with="ExaBGP $version"
		if [ $f = exabgp-5 ]; then
			with="$with, whose words 5.x shares"
		fi
		localize "$conf/$f.conf" >"$tmp/$f.conf"
		validate "$tmp/$f.conf"
		report $? "$f.conf: parsed by $with" "$tmp/out"
		understood "$tmp/$f.conf"
		report $? "$f.conf: each neighbor is set up as needed" "$tmp/why"
		one_owner "$conf/$f.conf"
		report $? "$f.conf: a collector name for each helper"
	done

	broken "misspelt keyword" 's/notification;/notifications;/'
	broken "old spelling of route-refresh" 's/route-refresh enable/route refresh/'
	broken "missing semicolon" 's/local-as 64496;/local-as 64496/'
	broken "undefined process" 's/processes \[ bgplog/processes [ bgplogs/'
	broken "process without encoder" '/encoder json;/d'
	broken "program that is not there" "s,$tmp/helper,$tmp/none,"
	broken "program that is not executable" "s,$tmp/helper,$tmp/empty.env,"
	broken "incomplete neighbor" '/peer-as 65540;/d'
	broken "undefined template" 's/inherit collector;/inherit collectors;/'

	# ExaBGP takes these, so the comparison must not.
	sed '/^neighbor 192.0.2.12/i }' "$tmp/exabgp-4.conf" >"$tmp/broken.conf"
	validate "$tmp/broken.conf"
	understood "$tmp/broken.conf"
	must_fail $? "broken copy is caught: one brace too many"
	sed 's/parsed;/parsed; packets;/' "$tmp/exabgp-4.conf" >"$tmp/broken.conf"
	validate "$tmp/broken.conf"
	understood "$tmp/broken.conf"
	must_fail $? "broken copy is caught: packets"
	sed '/neighbor-changes;/d' "$tmp/exabgp-4.conf" >"$tmp/broken.conf"
	validate "$tmp/broken.conf"
	understood "$tmp/broken.conf"
	must_fail $? "broken copy is caught: no neighbor-changes"
	sed 's/--collector rrc-wpg1-r2/--collector rrc-wpg1-r1/' \
	    "$conf/exabgp-4-helper-per-peer.conf" >"$tmp/broken.conf"
	one_owner "$tmp/broken.conf"
	must_fail $? "broken copy is caught: two helpers, one journal"

	localize "$conf/exabgp-3.4.conf" >"$tmp/exabgp-3.4.conf"
	validate "$tmp/exabgp-3.4.conf"
	must_fail $? "exabgp-3.4.conf: not taken for a file of 4.x"

	if id exabgp >/dev/null 2>&1; then
		known_settings "$conf/exabgp.env"
		report $? "exabgp.env: names and values are ExaBGP's" "$tmp/why"
		sed 's/^terminate =/terminates =/' "$conf/exabgp.env" \
		    >"$tmp/broken.env"
		known_settings "$tmp/broken.env"
		must_fail $? "broken copy is caught: misspelt setting"
		sed 's/^level = INFO/level = CRITICAL/' "$conf/exabgp.env" \
		    >"$tmp/broken.env"
		known_settings "$tmp/broken.env"
		must_fail $? "broken copy is caught: log level of 5.x"
	else
		skip "exabgp.env: names and values are ExaBGP's" \
		    "there is no user exabgp"
	fi

	live
	;;
'')
	skip "exabgp-4.conf: parsed by ExaBGP 4" "exabgp is not installed"
	skip "live: ExaBGP starts the helper" "exabgp is not installed"
	;;
*)
	skip "exabgp-4.conf: parsed by ExaBGP 4" "exabgp is $version"
	skip "live: ExaBGP starts the helper" "exabgp is $version"
	;;
esac

echo "1..$count"
[ "$failed" -eq 0 ]
