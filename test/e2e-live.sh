#!/bin/bash
# e2e-live.sh - the whole way, live: BGP peers -> ExaBGP -> exabgp-pg -> PostgreSQL.
#
# Part one: BIRD announces the routes of a table below on three sessions (IPv4, IPv6,
# iBGP); bgp.route_log must hold exactly these, with every attribute.  Routes change,
# PostgreSQL is away for a while, a session goes and comes back, ExaBGP ends.
#
# Part two, where ../shared/tools/mrt-replay.py and recorded data exist: the messages
# of real peers, replayed byte for byte; bgp.route_log must hold what bgpdump(1), an
# independent reader, finds in the same file, peer by peer and in its order.
#
# EXABGP_PG=PROGRAM tests another build.

# shellcheck disable=SC2317	# functions that are called by name
set -u

top=$(dirname "$(dirname "$(readlink -f "$0")")")
program=$(readlink -f "${EXABGP_PG:-$top/exabgp-pg}")
shared=$(readlink -f "$top/../shared")
local_asn=65000

# shellcheck source-path=SCRIPTDIR/.. source=test/lib/cluster.sh disable=SC1091
. "$top/test/lib/cluster.sh"

# shellcheck source-path=SCRIPTDIR/.. source=test/lib/live.sh disable=SC1091
. "$top/test/lib/live.sh"
live_begin exabgp bird birdc

# --- Part one: BIRD ------------------------------------------------------------

# The routes, one a line, "-" for what is absent:
# PEER PREFIX NEXT-HOP PATH ORIGIN MED LOCAL-PREF COMMUNITIES LARGE EXTENDED
# Lists are written as the database has them, sorted; BIRD sends them in that order.
table_a() {
	cat <<-'END'
		four 0.0.0.0/0 192.0.2.1 64501 igp - - - - -
		four 10.0.0.0/8 192.0.2.1 64501,64502 igp 0 - 64501:1 - -
		four 10.1.0.0/16 192.0.2.2 64501,64502,64503 egp 1 - 64501:1,64501:2,64502:0 - -
		four 10.1.2.0/24 192.0.2.3 64501,64501,64501,64504 incomplete 4294967295 - 0:0,65535:65281,65535:65535 - -
		four 10.1.2.3/32 192.0.2.4 64501,4200000000,23456,65551 igp 100 - - 64501:1:2,4294967295:0:4294967295 -
		four 10.2.0.0/15 192.0.2.5 64501,64505 igp - - 64501:7 64501:7:7 0x0388000000000001,target:64501:8
		four 198.51.100.0/25 192.0.2.6 64501,64506 igp - - - - target:192.0.2.9:77
		four 198.51.100.128/25 255.255.255.254 64501,64507 igp - - - - -
		four 2001:db8:4::/48 2001:db8::4 64501,64508 igp 5 - 64501:64 - -
		six ::/0 2001:db8::1 4200000001 igp - - - - -
		six 2001:db8::/32 2001:db8::1 4200000001,64502 igp 0 - 64501:1 - -
		six 2001:db8:1::/48 2001:db8::2 4200000001,64502,64503 egp 1 - 64501:1,64501:2 - -
		six 2001:db8:1:2::/64 2001:db8::3 4200000001,4200000001,64504 incomplete 7 - - 4200000001:1:2 -
		six 2001:db8:1:2::3/128 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 4200000001,64505 igp - - - - target:64501:8
		six 203.0.113.0/24 192.0.2.66 4200000001,64506 igp 9 - 64501:9 - -
		inner 172.16.0.0/12 192.0.2.7 - igp - 0 - - -
		inner 172.16.1.0/24 192.0.2.7 64509 igp - 100 - - -
		inner 172.16.2.0/24 192.0.2.8 64509,64510 incomplete 3 4294967295 64509:1 - -
		inner 2001:db8:1e::/48 2001:db8::8 64509 igp 4 200 - 64509:0:0 -
	END
	awk 'BEGIN {	# as many ASNs as take two segments
		printf "four 10.255.0.0/16 192.0.2.1 64501"
		for (i = 1; i < 300; i++)
			printf ",%d", 65536 + i
		print " igp - - - - -"
		for (i = 0; i < 200; i++)
			printf "inner 100.64.%d.0/24 192.0.2.9 64509,%d igp %d 100 64509:%d - -\n", i, 70000 + i % 7, i, i % 3
	}'
}

# Each of the following is made of the one before: routes removed, changed, added.
table_b() {
	table_a | awk '
		$2 == "10.1.0.0/16" { next }
		$2 == "2001:db8:1::/48" { next }
		$2 == "10.0.0.0/8" { $4 = "64501,64666" }
		$2 == "2001:db8::/32" { $6 = "-" }
		$2 == "172.16.1.0/24" { $7 = 101 }
		$2 == "10.1.2.0/24" { $8 = "-" }
		$2 == "10.2.0.0/15" { $3 = "192.0.2.55" }
		/^inner 100\.64\.[0-9]\.0/ { next }
		{ print }'
	echo "four 192.88.99.0/24 192.0.2.1 64501,64511 igp - - - - -"
	echo "six 2001:db8:99::/48 2001:db8::1 4200000001,64511 igp - - - - -"
}

table_c() {
	table_b | awk '
		$2 == "192.88.99.0/24" { next }
		$2 == "2001:db8:99::/48" { $4 = "4200000001,64512" }
		/^inner 100\.64\.[0-9][0-9]\.0/ { $6 += 1000 }
		{ print }'
}

table_d() {
	table_c | awk '/^inner 100\.64\.1[0-4]/ { next } { print }'
	echo "four 192.88.99.0/24 192.0.2.1 64501,64513 igp - - - - -"
}

# changes OLD NEW: what a peer says when its routes turn from one table to the other
changes() {
	awk '
		FILENAME == ARGV[1] { old[$1 " " $2] = $0; next }
		old[$1 " " $2] != $0 { print "announce", $0 }
		{ delete old[$1 " " $2] }
		END {
			for (key in old)
				print "withdraw", key, "- - - - - - - -"
		}' "$1" "$2" | LC_ALL=C sort
}

# received SINCE [PEER]: the same form, from the database
received() {
	sql "SELECT concat_ws(' ', kind, CASE peer_asn WHEN 64501 THEN 'four' WHEN 4200000001 THEN 'six' ELSE 'inner' END,
		prefix, coalesce(host(next_hop), '-'),
		CASE WHEN kind = 'withdraw' THEN coalesce(as_path, '-') ELSE coalesce(nullif(replace(as_path, ' ', ','), ''), '-') END,
		coalesce(origin, '-'), coalesce(med::text, '-'), coalesce(local_pref::text, '-'),
		coalesce(array_to_string(communities, ','), '-'),
		coalesce(array_to_string(large_communities, ','), '-'),
		coalesce(array_to_string(ext_communities, ','), '-'))
	    FROM bgp.route_log
	    WHERE collector = 'bird' AND ts > '$1'
	      AND ('${2:-}' = '' OR peer_asn = '0${2:-}')" | LC_ALL=C sort
}

# latest: the time of the last thing that the database knows of
latest() {
	sql "SELECT greatest((SELECT max(ts) FROM bgp.route_log), (SELECT max(ts) FROM bgp.session_log), '-infinity')"
}

has_rows() {
	[ "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = '$1' AND ts > '$2'" 2>/dev/null)" -ge "$3" ] 2>/dev/null
}

# arrived SINCE WANTED-FILE NAME [PEER]: waits for as many rows, then wants them equal
arrived() {
	wait_for 15 has_rows bird "$1" "$(wc -l <"$2")"
	sleep 0.3	# for what should not come
	is "$(received "$1" "${4:-}")" "$(cat "$2")" "$3"
}

# bird_table FILE: BIRD's static routes out of a table, one file a peer and family
bird_table() {
	local peer

	for peer in four six inner; do
		: >"$work/${peer}4.routes"
		: >"$work/${peer}6.routes"
	done
	awk -v dir="$work" '
		function each(list, name, n, f, i, s) {
			n = list == "-" ? 0 : split(list, f, ",")
			for (i = 1; i <= n; i++) {
				gsub(/:/, ",", f[i])
				sub(/^target/, "rt", f[i])
				if (sub(/^0x/, "", f[i]))
					f[i] = "generic,0x" substr(f[i], 1, 8) ",0x" substr(f[i], 9)
				s = s " " name ".add((" f[i] "));"
			}
			return s
		}
		{
			s = "route " $2 " blackhole { bgp_next_hop = " $3 ";"
			n = $4 == "-" ? 0 : split($4, f, ",")
			for (i = n; i > 0; i--)
				s = s " bgp_path.prepend(" f[i] ");"
			s = s " bgp_origin = ORIGIN_" toupper($5) ";"
			if ($6 != "-")
				s = s " bgp_med = " $6 ";"
			if ($7 != "-")
				s = s " bgp_local_pref = " $7 ";"
			s = s each($8, "bgp_community") each($9, "bgp_large_community") each($10, "bgp_ext_community")
			print s " };" > (dir "/" $1 ($2 ~ /:/ ? 6 : 4) ".routes")
		}' "$1"
}

# announce TABLE: lets BIRD turn to it
announce() {
	bird_table "$1"
	birdc -s "$work/bird.ctl" configure >>"$work/birdc.log" 2>&1 || bail "BIRD does not take the routes: $(tail -n 3 "$work/birdc.log")"
}

bird_peer() {
	local name=$1 asn=$2 from=$3 to=$4 kind=$5 af

	for af in 4 6; do
		cat <<-END
			ipv$af table $name$af;
			protocol static static_$name$af {
			    ipv$af { table $name$af; };
			    include "$work/$name$af.routes";
			}
		END
	done
	cat <<-END
		protocol bgp $name {
		    local $from port $bird_port as $asn;
		    neighbor $to port $bgp_port as $local_asn;
		    strict bind yes;
		    multihop;
		    $kind client;
		    interpret communities off;
		    connect delay time 1;
		    connect retry time 1;
		    error wait time 1, 2;
		    ipv4 { table ${name}4; import none; export all; next hop keep; };
		    ipv6 { table ${name}6; import none; export all; next hop keep; };
		}
	END
}

exabgp_peer() {
	cat <<-END
		neighbor $3 {
		    router-id 10.255.255.254;
		    local-address $4;
		    local-as $local_asn;
		    peer-as $2;
		    passive true;
		    hold-time 9;
		    adj-rib-in false;
		    capability { asn4 enable; route-refresh enable; }
		    family { ipv4 unicast; ipv6 unicast; }
		    api {
		        processes [ bgplog ];
		        neighbor-changes;
		        receive { parsed; open; update; notification; refresh; }
		    }
		}
	END
}

# each_peer FUNCTION: calls it for every session that this host can have
each_peer() {
	"$1" four 64501 127.0.2.2 127.0.3.2 rs
	[ -z "$six" ] || "$1" six 4200000001 ::1 ::1 rs
	"$1" inner "$local_asn" 127.0.2.3 127.0.3.3 rr
}

states_are() {
	[ "$(sql "SELECT string_agg(DISTINCT state, ',') FROM bgp.peer WHERE collector = 'bird'")" = "$1" ] &&
	    [ "$(sql "SELECT count(*) FROM bgp.peer WHERE collector = 'bird'")" -eq "$npeers" ]
}

part_one() {
	local bgp_port bird_port npeers=3 table since helper end down_for

	[ -n "$six" ] || npeers=2
	bgp_port=$(free_port)
	bird_port=$(free_port)
	for table in a b c d; do
		"table_$table" | { if [ -n "$six" ]; then cat; else grep -v ^six; fi; } >"$work/$table"
	done
	: >"$work/none"
	{
		echo "process bgplog { run $program --collector bird --spool $work/spool-bird; encoder json; }"
		each_peer exabgp_peer
	} >"$work/exabgp.conf"
	{
		echo "log \"$work/bird.log\" all; router id 10.0.0.1; protocol device { }"
		each_peer bird_peer
	} >"$work/bird.conf"
	bird_table "$work/a"
	run_exabgp exabgp "127.0.3.2 127.0.3.3${six:+ ::1}" "$bgp_port" "$work/exabgp.conf"
	bird -f -c "$work/bird.conf" -s "$work/bird.ctl" -P "$work/bird.pid" </dev/null >"$work/bird-start.log" 2>&1 &
	pids+=("$!")

	ok "all $npeers sessions are up in bgp.peer" wait_for 20 states_are up
	changes "$work/none" "$work/a" >"$work/want"
	arrived -infinity "$work/want" "the first table of each peer, every attribute"
	is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'bird'
	    AND (family <> CASE family(prefix) WHEN 4 THEN 'ipv4 unicast' ELSE 'ipv6 unicast' END
		OR path_id IS NOT NULL OR rd IS NOT NULL OR labels IS NOT NULL OR nlri IS NOT NULL
		OR attributes IS NOT NULL OR aggregator IS NOT NULL OR atomic_aggregate)")" 0 \
	    "nothing in the columns of what was not sent"
	is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'bird' AND (
		origin_asn IS DISTINCT FROM path[cardinality(path)]
		OR coalesce(array_to_string(path, ' '), '') <> coalesce(as_path, ''))")" 0 \
	    "path and origin_asn agree with as_path"
	is "$(sql "SELECT count(DISTINCT router_id), min(host(router_id)) FROM bgp.peer WHERE collector = 'bird'")" \
	    "1|10.0.0.1" "router_id comes from the peer's OPEN"
	is "$(sql "SELECT count(*) FROM bgp.session_log s JOIN bgp.peer USING (peer_id)
	    WHERE s.collector = 'bird' AND event = 'eor'")" $((2 * npeers)) \
	    "End-of-RIB of each peer and family"

	since=$(latest)
	announce "$work/b"
	changes "$work/a" "$work/b" >"$work/want"
	arrived "$since" "$work/want" "changes, withdrawals and new routes, and nothing else"

	since=$(latest)
	end=$((SECONDS + 11))
	cluster_stop "$work/pg" immediate
	announce "$work/c"
	sleep 1.5
	announce "$work/d"
	sleep $((end > SECONDS ? end - SECONDS : 0))
	cluster_start "$work/pg" || bail "PostgreSQL did not come back"
	{ changes "$work/b" "$work/c"; changes "$work/c" "$work/d"; } | LC_ALL=C sort >"$work/want"
	arrived "$since" "$work/want" "nothing is lost while PostgreSQL is away for longer than a hold time"
	is "$(sql "SELECT count(*) FROM bgp.session_log WHERE ts > '$since' AND event IN ('up', 'down')")" 0 \
	    "and no session goes down"
	is "$(sql "SELECT string_agg(kind || ' ' || coalesce(origin_asn::text, '-'), ', ' ORDER BY ts)
	    FROM bgp.route_log WHERE prefix = '192.88.99.0/24'")" \
	    "announce 64511, withdraw -, announce 64513" "the order is that of the peer"

	since=$(latest)
	birdc -s "$work/bird.ctl" disable four >/dev/null
	ok "a session that ends shows in bgp.peer.state" wait_for 10 sql_true "SELECT state = 'down'
	    AND state_since > '$since' FROM bgp.peer WHERE collector = 'bird' AND peer_asn = 64501"
	is "$(sql "SELECT count(*) FROM bgp.session_log JOIN bgp.peer USING (peer_id)
	    WHERE ts > '$since' AND event = 'down' AND peer_asn = 64501")" 1 "and once in bgp.session_log"
	is "$(sql "SELECT string_agg(DISTINCT state, ',') FROM bgp.peer
	    WHERE collector = 'bird' AND peer_asn <> 64501")" up "the other sessions stay up"
	since=$(latest)
	birdc -s "$work/bird.ctl" enable four >/dev/null
	ok "it comes back up" wait_for 20 sql_true "SELECT state = 'up' AND state_since > '$since'
	    FROM bgp.peer WHERE collector = 'bird' AND peer_asn = 64501"
	grep '^four ' "$work/d" >"$work/four"
	changes "$work/none" "$work/four" >"$work/want"
	arrived "$since" "$work/want" "and its whole table with it" 64501
	down_for=$(sql "SELECT string_agg(event, ' ' ORDER BY ts) FROM bgp.session_log JOIN bgp.peer USING (peer_id)
	    WHERE peer_asn = 64501 AND event IN ('up', 'down')")
	is "$down_for" "up down up" "bgp.session_log tells the whole story"

	# nothing tells what a killed helper had not read: the new one asks for all routes
	since=$(latest)
	helper=$(helper_of "$exabgp")
	kill -KILL "$helper"
	ok "ExaBGP starts a killed helper again" wait_for 10 other_helper "$exabgp" "$helper"
	changes "$work/none" "$work/d" >"$work/want"
	arrived "$since" "$work/want" "and it has each peer send its table once more"
	is "$(sql "SELECT count(*) FROM bgp.session_log WHERE collector = 'bird' AND ts > '$since'
	    AND event IN ('up', 'down')")" 0 "without a session going down"

	since=$(latest)
	helper=$(helper_of "$exabgp")
	announce "$work/a"
	wait_for 10 has_rows bird "$since" 1
	end=$SECONDS
	kill -TERM "$exabgp"
	ok "ExaBGP and the helper end on SIGTERM" wait_for 10 cluster_gone "$exabgp" "$helper"
	ok "within 5 s" test $((SECONDS - end)) -le 5
	ok "all peers are down then" states_are down
	is "$(sql "SELECT count(*) FROM bgp.ingest_error WHERE collector = 'bird'")" 0 "no line was refused"
	is "$(sql "SELECT count(lines) || ' ' || count(*) FROM bgp.ingest_gap WHERE collector = 'bird'")" "0 1" \
	    "no gap but the one, of unknown size, of the killed helper"
	since=$(sql "SELECT count(*), max(ts) FROM bgp.route_log WHERE collector = 'bird'")
	PGUSER=e2e_helper "$program" --collector bird --spool "$work/spool-bird" --no-resync --drain inf \
	    </dev/null >>"$work/again.log" 2>&1
	is "$?|$(sql "SELECT count(*), max(ts) FROM bgp.route_log WHERE collector = 'bird'")" "0|$since" \
	    "the helper had left nothing in its journal"
}

# --- Part two: recorded messages -------------------------------------------------

replays=(
	"rrc06.updates.20150401.0000.gz"
	"rrc05.updates.20100722.2015.gz"
	"route-views.jinx.updates.20150401.0000.bz2"
	"rrc00.updates.20071015.1505.gz"
	# large and extended communities, sets, IPv6
	"rrc00.updates.20190101.0000.gz --peer 165.254.255.2 --peer 2001:728:1808::2 --peer 2a06:e881:121::4
	    --peer 2a07:1c44:3100::1 --peer 193.0.0.56 --peer 203.119.104.1 --peer 185.215.214.1
	    --peer 45.61.0.85 --peer 2602:fed2:fc0::1 --peer 2a02:20c8:1f:1::4"
)

# What bgpdump says of each UPDATE, one row a prefix: the number of the message, then
# the columns of e2e.want.  The long form, since -m hides whether there was a MED.
replay_want() {
	bgpdump "$1" 2>>"$work/bgpdump.log" | awk '
		BEGIN { RS = ""; FS = "\n"; OFS = "\t" }
		!/TYPE: BGP4MP.*\/Update/ { next }
		{
			split("", a)
			for (i = 1; i <= NF; i++)
				line($i)
		}

		function line(l,    name, value) {
			if (l == "WITHDRAW" || l == "ANNOUNCE")
				a["kind"] = tolower(l)
			else if (l ~ /^MP_REACH/)
				a["six"] = 6
			else if (l ~ /^  [0-9a-f.:]+\/[0-9]+$/)
				row(substr(l, 3))
			else if (l ~ /UNKNOWN_ATTR\([0-9]+, 16,/)
				a["EXT"] = targets(substr(l, index(l, "): ") + 3))
			else if (l ~ /^[A-Z_]+:/) {
				name = l
				sub(/:.*/, "", name)
				value = substr(l, length(name) + 3)
				if (name == "NEXT_HOP")	# a second one is link-local
					name = name a["six"]
				if (!(name in a))
					a[name] = value
			} else if (l == "ATOMIC_AGGREGATE")
				a[l] = "t"
		}

		function row(prefix,    from) {
			from = a["FROM"]
			sub(/ AS.*/, "", from)
			if (a["kind"] == "withdraw") {
				print NR, from, a["kind"], prefix, "", "", "", "", "", "", "", "", "", ""
				return
			}
			sub(/^AS/, "", a["AGGREGATOR"])
			sub(/ /, ":", a["AGGREGATOR"])
			print NR, from, a["kind"], prefix, a["ASPATH"], tolower(a["ORIGIN"]),
			    a["NEXT_HOP" (prefix ~ /:/ ? 6 : "")], a["LOCAL_PREF"], a["MULTI_EXIT_DISC"],
			    a["COMMUNITY"], a["LARGE_COMMUNITY"], a["EXT"],
			    a["ATOMIC_AGGREGATE"] == "t" ? "t" : "f", a["AGGREGATOR"]
		}

		# the route targets (RFC 4360, RFC 5668) among the extended communities
		function targets(bytes,    n, b, i, s) {
			n = split(bytes, b, " ")
			for (i = 1; i <= n; i += 8)
				if (b[i] b[i + 1] == "0002")
					s = s " target:" hex(b[i + 2] b[i + 3]) ":" hex(b[i + 4] b[i + 5] b[i + 6] b[i + 7])
				else if (b[i] b[i + 1] == "0202")
					s = s " target:" hex(b[i + 2] b[i + 3] b[i + 4] b[i + 5]) ":" hex(b[i + 6] b[i + 7])
			return substr(s, 2)
		}

		function hex(digits,    i, n) {
			for (i = 1; i <= length(digits); i++)
				n = 16 * n + index("0123456789abcdef", substr(digits, i, 1)) - 1
			return sprintf("%.0f", n)
		}'
}

# replay_start NUMBER FILE [OPTION]...
replay_start() {
	local name=replay$1 port file=$shared/data/mrt/$2

	port=$(free_port)
	shift 2
	mrt-replay --port "$port" "$@" --write-config "$work/$name.conf" --write-mrt "$work/$name.mrt" \
	    --run "$program --collector $name --spool $work/spool-$name --no-resync" "$file" &&
	    mrt-replay "$@" --list "$file" >"$work/$name.list" || return 1
	run_exabgp "$name" 127.0.0.1 "$port" "$work/$name.conf"
	wait_for 15 listens "$port" || return 1
	mrt-replay --port "$port" "$@" "$file" >"$work/$name.out" 2>&1
}

mrt-replay() {
	python3 "$shared/tools/mrt-replay.py" "$@" 2>>"$work/mrt-replay.log"
}

listens() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

part_two() {
	local i jobs=() words name

	if [ ! -f "$shared/tools/mrt-replay.py" ]; then
		skip "replay of recorded messages" "no ../shared/tools/mrt-replay.py"
		return
	fi
	if ! command -v python3 >/dev/null || ! command -v bgpdump >/dev/null; then
		skip "replay of recorded messages" "needs python3 and bgpdump"
		return
	fi
	sql "CREATE SCHEMA e2e
	    CREATE TABLE e2e.want (collector text DEFAULT current_setting('e2e.name'), n int, peer inet, kind text,
		prefix cidr, as_path text, origin text, next_hop inet, local_pref bigint, med bigint, communities text,
		large_communities text, targets text, atomic_aggregate boolean, aggregator text)
	    CREATE TABLE e2e.session (collector text DEFAULT current_setting('e2e.name'), address inet, peer inet)"
	for i in "${!replays[@]}"; do
		read -rd '' -a words <<<"${replays[i]}"
		replay_start "$i" "${words[@]}" &
		jobs+=("$!")
	done
	for i in "${!replays[@]}"; do
		wait "${jobs[i]}"
		is "$?" 0 "replay of ${replays[i]%% *}"
		diag "$(cat "$work/replay$i.out")"
	done
	for i in "${!replays[@]}"; do
		name=replay$i
		{
			echo "SET e2e.name = '$name';"
			echo "COPY e2e.session (address, peer) FROM stdin;"
			awk -v OFS='\t' 'NR > 1 { print $1, $2 }' "$work/$name.list"
			echo '\.'
			echo "COPY e2e.want (n, peer, kind, prefix, as_path, origin, next_hop, local_pref, med, communities," \
			    "large_communities, targets, atomic_aggregate, aggregator) FROM stdin (NULL '');"
			replay_want "$work/$name.mrt"
			echo '\.'
		} | psql -Xq -v ON_ERROR_STOP=1 ||
		    bail "could not load what bgpdump says of $name"
		replay_compare "$name" "${replays[i]%% *}"
	done
}

# replay_compare COLLECTOR NAME
replay_compare() {
	local want

	want=$(sql "SELECT count(*) FROM e2e.want WHERE collector = '$1'")
	wait_for 30 has_rows "$1" -infinity "$want"
	is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = '$1'")" "$want" \
	    "$2: $want rows in the database"
	is "$(replay_differences "$1")" "" "$2: they are those that bgpdump reads, in order"
	is "$(sql "SELECT error, count(*) FROM bgp.ingest_error WHERE collector = '$1' GROUP BY 1")" "" \
	    "$2: no line was refused"
	is "$(sql "SELECT count(*) FROM bgp.ingest_gap WHERE collector = '$1'")" 0 "$2: no gap"
}

# Per peer, message after message: the rows of one message have the same ts, and no
# order among them.  Paths as both sides can tell them: ExaBGP 4.2 does not say where
# in a path a set stood, so sets go last, as one.
replay_differences() {
	psql -XAtq -v ON_ERROR_STOP=1 <<-END
		CREATE FUNCTION pg_temp.path(text) RETURNS text LANGUAGE sql IMMUTABLE AS \$\$
			SELECT concat_ws(' ', string_agg(w, ' ' ORDER BY o) FILTER (WHERE w !~ '\{'),
			    '{' || (SELECT string_agg(DISTINCT n, ',' ORDER BY n) FROM regexp_split_to_table(
				string_agg(trim(w, '{}'), ',') FILTER (WHERE w ~ '\{'), ',') n) || '}')
			FROM unnest(string_to_array(\$1, ' ')) WITH ORDINALITY AS u (w, o) WHERE w <> ''
		\$\$;
		CREATE FUNCTION pg_temp.list(text[]) RETURNS text LANGUAGE sql IMMUTABLE AS \$\$
			SELECT string_agg(DISTINCT CASE c WHEN 'no-export' THEN '65535:65281'
			    WHEN 'no-advertise' THEN '65535:65282' WHEN 'local-AS' THEN '65535:65283' ELSE c END, ' ')
			FROM unnest(\$1) c WHERE c <> ''
		\$\$;
		CREATE TEMP TABLE got AS
		SELECT s.peer, dense_rank() OVER (PARTITION BY s.peer ORDER BY ts) AS message,
		    kind, prefix, pg_temp.path(as_path) AS as_path, origin, next_hop, local_pref, med,
		    pg_temp.list(communities) AS communities, pg_temp.list(large_communities) AS large_communities,
		    (SELECT pg_temp.list(array_agg(replace(c, 'L:', ':'))) -- ExaBGP 4.2 marks four octets so
			FROM unnest(ext_communities) c WHERE c ~ '^target:\d+L?:') AS targets,
		    atomic_aggregate, aggregator
		FROM bgp.route_log r JOIN e2e.session s ON s.collector = r.collector AND s.address = r.peer_address
		WHERE r.collector = '$1';
		CREATE TEMP TABLE want AS
		SELECT peer, dense_rank() OVER (PARTITION BY peer ORDER BY n) AS message,
		    kind, prefix, pg_temp.path(as_path) AS as_path, origin, next_hop, local_pref, med,
		    pg_temp.list(string_to_array(communities, ' ')) AS communities,
		    pg_temp.list(string_to_array(large_communities, ' ')) AS large_communities,
		    pg_temp.list(string_to_array(targets, ' ')) AS targets,
		    atomic_aggregate, aggregator
		FROM e2e.want WHERE collector = '$1';
		SELECT * FROM (
		    (SELECT 'wanted', * FROM (TABLE want EXCEPT ALL TABLE got) w)
		    UNION ALL
		    (SELECT 'got', * FROM (TABLE got EXCEPT ALL TABLE want) g)) d
		ORDER BY peer, message, prefix, 1 DESC LIMIT 20;
	END
}

# a copy, that no make replaces meanwhile
cp "$program" "$work/exabgp-pg" || bail "there is no $program: run make first"
program=$work/exabgp-pg
cluster_start "$work/pg" || bail "could not start PostgreSQL"
"$top/scripts/exabgp-pg-db" init --dsn "host=$PGHOST port=$PGPORT user=$PGUSER dbname=$PGDATABASE" \
    >"$work/init.log" 2>&1 || bail "could not create the schema: $(cat "$work/init.log")"
sql "CREATE ROLE e2e_helper LOGIN IN ROLE exabgp_pg_writer"
part_one
part_two
done_testing
