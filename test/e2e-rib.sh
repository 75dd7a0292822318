#!/bin/bash
# e2e-rib.sh - while BIRD's peers change their routes, restart and refresh, and helpers are
# killed, bgp.rib is what the peers have.
#
# RIB_SECONDS=3600: for an hour, instead of some seconds.  EXABGP_PG=PROGRAM tests another build.
set -u

top=$(dirname "$(dirname "$(readlink -f "$0")")")
program=$(readlink -f "${EXABGP_PG:-$top/exabgp-pg}")

# shellcheck source-path=SCRIPTDIR/.. source=test/lib/cluster.sh disable=SC1091
. "$top/test/lib/cluster.sh"
# shellcheck source-path=SCRIPTDIR/.. source=test/lib/live.sh disable=SC1091
. "$top/test/lib/live.sh"
live_begin exabgp bird birdc

seconds=${RIB_SECONDS:-8}

# routes VERSION: into BIRD's files. Some come and go, some change, some stay.
routes() {
	awk -v v="$1" -v dir="$work" 'BEGIN {
		srand(v)
		for (peer = 1; peer <= 2; peer++) {
			for (i = 0; i < 2000; i++)
				if ((i + v * peer) % 7 != 0)
					printf "route 10.%d.%d.0/24 blackhole { bgp_path.prepend(64500); bgp_med = %d; bgp_community.add((64500,%d)); };\n",
					    i / 256, i % 256, i % 3 == 0 ? v : 1, rand() * 2 > (dir "/" peer ".4.new")
			for (i = 1; i < 300; i++)
				if ((i + v) % 5 != 0)
					printf "route 2001:db8:%x::/48 blackhole { bgp_path.prepend(64500); bgp_med = %d; };\n", i,
					    i % 2 == 0 ? v : 1 > (dir "/" peer ".6.new")
		}
	}'
	for n in 1 2; do
		mv "$work/$n.4.new" "$work/$n.4.routes"
		mv "$work/$n.6.new" "$work/$n.6.routes"
	done
}

announce() {
	routes "$1"
	birdc -s "$work/bird.ctl" configure >>"$work/birdc.log" 2>&1 || bail "BIRD does not take the routes: $(tail -n 3 "$work/birdc.log")"
}

# bird_peer N
bird_peer() {
	cat <<-END
		ipv4 table t${1}4;
		ipv6 table t${1}6;
		protocol static s${1}4 {
		    ipv4 { table t${1}4; };
		    include "$work/$1.4.routes";
		}
		protocol static s${1}6 {
		    ipv6 { table t${1}6; };
		    include "$work/$1.6.routes";
		}
		protocol bgp p$1 {
		    local 127.0.6.$1 port $bird_port as 6450$1;
		    neighbor 127.0.7.$1 port $bgp_port as 65000;
		    strict bind yes;
		    multihop;
		    rs client; # keeps MED as it is
		    connect delay time 1;
		    connect retry time 1;
		    error wait time 1, 2;
		    ipv4 { table t${1}4; import none; export all; next hop self; };
		    ipv6 { table t${1}6; import none; export all; next hop address 2001:db8::1; };
		}
	END
}

# exabgp_peer N
exabgp_peer() {
	cat <<-END
		neighbor 127.0.6.$1 {
		    router-id 10.255.255.254;
		    local-address 127.0.7.$1;
		    local-as 65000;
		    peer-as 6450$1;
		    passive true;
		    hold-time 30;
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

bird_routes() {
	sed -E 's/^route ([^ ]+) .*bgp_med = ([0-9]+);( bgp_community.add\(\((64500),([0-9])\)\))?.*/\1 \2 \4:\5/; s/:$//; s/ $//' \
	    "$work/$1.4.routes" "$work/$1.6.routes" | LC_ALL=C sort
}

# held N [FROM]: what the database says that the peer has
held() {
	sql "SELECT concat_ws(' ', r.prefix, r.med, r.communities[1]) FROM ${2:-bgp.rib} r WHERE r.peer_asn = 6450$1" | LC_ALL=C sort
}

# shellcheck disable=SC2317 # called by wait_for
same() {
	[ "$(held 1)" = "$(bird_routes 1)" ] && [ "$(held 2)" = "$(bird_routes 2)" ]
}

cp "$program" "$work/exabgp-pg" || bail "there is no $program: run make first"
program=$work/exabgp-pg
cluster_start "$work/pg" || bail "could not start PostgreSQL"
"$top/scripts/exabgp-pg-db" init >"$work/init.log" 2>&1 || bail "could not create the schema: $(cat "$work/init.log")"
sql "CREATE ROLE e2e_helper LOGIN IN ROLE exabgp_pg_writer"
bgp_port=$(free_port)
bird_port=$(free_port)
routes 0
{
	echo "process bgplog { run $program --collector rib --spool $work/spool; encoder json; }"
	exabgp_peer 1
	exabgp_peer 2
} >"$work/exabgp.conf"
{
	echo "log \"$work/bird.log\" all; router id 10.0.0.1; protocol device { }"
	bird_peer 1
	bird_peer 2
} >"$work/bird.conf"
run_exabgp exabgp "127.0.7.1 127.0.7.2" "$bgp_port" "$work/exabgp.conf"
bird -f -c "$work/bird.conf" -s "$work/bird.ctl" -P "$work/bird.pid" </dev/null >"$work/bird-start.log" 2>&1 &
pids+=("$!")
ok "the first tables arrive" wait_for 40 same

# differ: what is not the same
differ() {
	for n in 1 2; do
		diff <(bird_routes $n) <(held $n) | head -n 20 | sed 's/^/# /'
	done
}

version=0
checks=0
last_kill=0
worst=0
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
	for ((i = 0; i < 1 + RANDOM % 5; i++)); do
		announce $((++version))
		sleep "0.$((RANDOM % 10))"
	done
	case $((RANDOM % 6)) in
	0) birdc -s "$work/bird.ctl" restart p$((1 + RANDOM % 2)) >/dev/null ;;
	1) birdc -s "$work/bird.ctl" reload out p$((1 + RANDOM % 2)) >/dev/null ;;
	2) # the sixth start within 64 s ends ExaBGP; while it is writing, a helper had better not die (see e2e-resync.sh)
		if [ $((SECONDS - last_kill)) -ge 30 ]; then
			last_kill=$SECONDS
			helper=$(helper_of "$exabgp")
			kill -STOP "$helper"
			announce $((++version))
			sleep 1.5
			kill -KILL "$helper"
			wait_for 10 other_helper "$exabgp" "$helper" || break
		fi
		;;
	esac
	began=${EPOCHREALTIME/[.,]/}
	if ! wait_for 60 same; then
		break
	fi
	took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
	[ $took -le $worst ] || worst=$took
	checks=$((checks + 1))
done
# (a session that was told to restart may have been looked at just before it went down)
sleep 1
ok "bgp.rib was what the peers had, $checks times in $seconds s, after $worst ms at most" wait_for 60 same || differ
is "$(held 1 "bgp.rib_at('infinity')") $(held 2 "bgp.rib_at('infinity')")" "$(held 1) $(held 2)" "so is bgp.rib_at"
is "$(sql "SELECT count(*) FROM bgp.rib WHERE stale")" 0 "nothing is stale"
is "$(sql "SELECT count(*) FROM bgp.ingest_error")" 0 "no line was refused"
python3 "$top/test/lib/rib_replay.py" check --states 5 --queries 3 --no-current >"$work/replay.log" 2>&1
is $? 0 "the tables at random moments equal a replay ($(tail -n 1 "$work/replay.log"))" || diag "$(cut -c 1-600 "$work/replay.log" | head -n 20)"
done_testing
