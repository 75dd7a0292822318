#!/bin/bash
# e2e-resync.sh - a helper that is killed under load loses what it had not read: the next
# one has the peers send their routes again, and the database ends up with what they have.
#
# BIRD's peer "churn" changes its routes all the time and can refresh them (RFC 7313);
# "plain" cannot.  EXABGP_PG=PROGRAM tests another build.
set -u

top=$(dirname "$(dirname "$(readlink -f "$0")")")
program=$(readlink -f "${EXABGP_PG:-$top/exabgp-pg}")

# shellcheck source-path=SCRIPTDIR/.. source=test/lib/cluster.sh disable=SC1091
. "$top/test/lib/cluster.sh"
# shellcheck source-path=SCRIPTDIR/.. source=test/lib/live.sh disable=SC1091
. "$top/test/lib/live.sh"
live_begin exabgp bird birdc

kills=4 # the sixth start within 64 s ends ExaBGP

# routes VERSION: into BIRD's files. Some come and go, some change, some stay.
routes() {
	awk -v v="$1" -v dir="$work" 'BEGIN {
		for (i = 0; i < 3000; i++)
			if ((i + v) % 7 != 0)
				printf "route 10.%d.%d.0/24 blackhole { bgp_path.prepend(64500); bgp_med = %d; };\n", i / 256, i % 256,
				    i % 3 == 0 ? v : 1 > (dir "/churn4.new")
		for (i = 1; i < 500; i++)
			if ((i + v) % 5 != 0)
				printf "route 2001:db8:%x::/48 blackhole { bgp_path.prepend(64500); bgp_med = %d; };\n", i,
				    i % 2 == 0 ? v : 1 > (dir "/churn6.new")
		for (i = 0; i < 50; i++)
			if ((i + v) % 5 != 0)
				printf "route 172.16.%d.0/24 blackhole { bgp_path.prepend(64500); bgp_med = %d; };\n", i, v > (dir "/plain4.new")
	}'
	mv "$work/churn4.new" "$work/churn4.routes"
	mv "$work/churn6.new" "$work/churn6.routes"
	mv "$work/plain4.new" "$work/plain4.routes"
}

announce() {
	routes "$1"
	birdc -s "$work/bird.ctl" configure >>"$work/birdc.log" 2>&1 || bail "BIRD does not take the routes: $(tail -n 3 "$work/birdc.log")"
}

# bird_peer NAME ASN FROM TO REFRESH
bird_peer() {
	cat <<-END
		ipv4 table ${1}4;
		ipv6 table ${1}6;
		protocol static static_${1}4 {
		    ipv4 { table ${1}4; };
		    include "$work/${1}4.routes";
		}
		protocol static static_${1}6 {
		    ipv6 { table ${1}6; };
		    include "$work/${1}6.routes";
		}
		protocol bgp $1 {
		    local $3 port $bird_port as $2;
		    neighbor $4 port $bgp_port as 65000;
		    strict bind yes;
		    multihop;
		    rs client; # keeps MED as it is
		    enable route refresh $5;
		    connect delay time 1;
		    connect retry time 1;
		    error wait time 1, 2;
		    ipv4 { table ${1}4; import none; export all; next hop self; };
		    ipv6 { table ${1}6; import none; export all; next hop address 2001:db8::1; };
		}
	END
}

# exabgp_peer ASN PEER LOCAL
exabgp_peer() {
	cat <<-END
		neighbor $2 {
		    router-id 10.255.255.254;
		    local-address $3;
		    local-as 65000;
		    peer-as $1;
		    passive true;
		    hold-time 9;
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

# peer_table ASN: what the database says that this peer holds now
peer_table() {
	sql "SELECT concat_ws(' ', prefix, med) FROM bgp.rib WHERE peer_asn = $1" | LC_ALL=C sort
}

bird_routes() {
	sed -E 's/^route ([^ ]+) .*bgp_med = ([0-9]+).*/\1 \2/' "$work/${1}4.routes" "$work/${1}6.routes" | LC_ALL=C sort
}

same_tables() {
	[ "$(peer_table 64501)" = "$(bird_routes churn)" ]
}

# an ended resync for each that was asked for
resynced() {
	sql_true "SELECT count(*) FILTER (WHERE detail->>'phase' = 'end') >= 2 AND NOT EXISTS (
		SELECT FROM bgp.peer WHERE peer_asn = 64501 AND (stale_since IS NOT NULL OR refreshing IS NOT NULL))
	    FROM bgp.session_log WHERE event = 'resync' AND ts > '$1'"
}

cp "$program" "$work/exabgp-pg" || bail "there is no $program: run make first"
program=$work/exabgp-pg
cluster_start "$work/pg" || bail "could not start PostgreSQL"
"$top/scripts/exabgp-pg-db" init >"$work/init.log" 2>&1 || bail "could not create the schema: $(cat "$work/init.log")"
sql "CREATE ROLE e2e_helper LOGIN IN ROLE exabgp_pg_writer"

bgp_port=$(free_port)
bird_port=$(free_port)
: >"$work/plain6.routes"
routes 0
{
	echo "process bgplog { run $program --collector resync --spool $work/spool; encoder json; }"
	exabgp_peer 64501 127.0.4.2 127.0.5.2
	exabgp_peer 64502 127.0.4.3 127.0.5.3
} >"$work/exabgp.conf"
{
	echo "log \"$work/bird.log\" all; router id 10.0.0.1; protocol device { }"
	bird_peer churn 64501 127.0.4.2 127.0.5.2 on
	bird_peer plain 64502 127.0.4.3 127.0.5.3 off
} >"$work/bird.conf"
run_exabgp exabgp "127.0.5.2 127.0.5.3" "$bgp_port" "$work/exabgp.conf"
bird -f -c "$work/bird.conf" -s "$work/bird.ctl" -P "$work/bird.pid" </dev/null >"$work/bird-start.log" 2>&1 &
pids+=("$!")

ok "the first table arrives" wait_for 30 same_tables
marks() {
	sql "SELECT string_agg(peer_asn || ' ' || coalesce(enhanced_refresh::text, '-') || ' ' || (stale_since IS NULL), ', ' ORDER BY peer_asn)
	    FROM bgp.peer"
}
# a peer stands there before the batch that has its OPEN
opened() {
	[[ $(marks) != *-* ]]
}
wait_for 20 opened
is "$(marks)" "64501 true true, 64502 false true" "its OPEN says whether a peer marks a refresh, and nothing is stale"

for ((n = 1; n <= kills; n++)); do
	began=$(sql "SELECT clock_timestamp()")
	# what it does not read fills the pipe, and dies with it; while ExaBGP itself is writing, a helper
	# had better not die: 4.2 then stops the peer for good ("lost the helper process for this peer")
	helper=$(helper_of "$exabgp")
	kill -STOP "$helper"
	announce $((10 * n))
	sleep 1.5
	kill -KILL "$helper"
	sleep 0.5
	for i in 1 2 3 4; do # changes go on while it starts, asks and is answered
		announce $((10 * n + i))
		sleep 0.7
	done
	ok "kill $n: the next helper is started" wait_for 10 other_helper "$exabgp" "$helper"
	ok "kill $n: peers are asked and answer" wait_for 60 resynced "$began"
done
ok "the database has the peer's table exactly, $kills kills later" wait_for 30 same_tables ||
    diff <(bird_routes churn) <(peer_table 64501) | head -n 20 | sed 's/^/# /'

# the database stands still for longer than a session lasts without being heard of
cluster_freeze "$work/pg"
for i in {1..14}; do
	announce $((100 + i))
	sleep 0.75
done
cluster_thaw
ok "nor is anything lost while PostgreSQL stands still for more than a hold time" wait_for 30 same_tables

is "$(sql "SELECT count(*) FROM bgp.session_log WHERE event IN ('up', 'down')")" 2 "no session went down, with hold times of 9 s"
# by the peer's own marks of begin and end, which are in the log as well
is "$(sql "WITH windows AS (
	SELECT peer_id, family, b.seq AS first, (SELECT min(e.seq) FROM bgp.session_log e WHERE e.peer_id = b.peer_id
	    AND e.family = b.family AND e.event = 'refresh' AND e.detail->'route-refresh'->>'subtype' = 'end' AND e.seq > b.seq) AS last
	FROM bgp.session_log b WHERE event = 'refresh' AND detail->'route-refresh'->>'subtype' = 'begin')
    SELECT count(*) FROM bgp.route_event e WHERE (refreshed IS TRUE) <> (kind = 'A' AND EXISTS (SELECT FROM windows w
	WHERE w.peer_id = e.peer_id AND w.family = CASE family(prefix) WHEN 4 THEN 'ipv4 unicast' ELSE 'ipv6 unicast' END
	  AND e.seq BETWEEN w.first AND w.last))")" 0 \
    "the routes between the peer's marks of begin and end are marked as refreshed, and no others"
is "$(sql "SELECT count(*) > 1000 AND bool_and(kind = 'announce') AND bool_and(peer_asn = 64501) FROM bgp.route_log WHERE refreshed")" t \
    "those that were sent again are"
is "$(sql "SELECT count(*) FROM bgp.session_log a WHERE event = 'resync' AND detail->>'phase' = 'asked' AND NOT EXISTS (
    SELECT FROM bgp.session_log e WHERE e.peer_id = a.peer_id AND e.family = a.family AND e.event = 'resync'
	AND e.detail->>'phase' = 'end' AND (e.detail->>'from')::timestamptz > a.ts)")" 0 "each request has its end in the log"
is "$(sql "SELECT count(*) || ' ' || min(detail->>'reason') FROM bgp.session_log JOIN bgp.peer USING (peer_id)
    WHERE event = 'resync' AND detail->>'phase' = 'impossible' AND peer_asn = 64502")" \
    "$kills the session has no route refresh (RFC 2918)" "the log says which peer cannot"
is "$(sql "SELECT state || ' ' || (stale_since IS NOT NULL) FROM bgp.peer WHERE peer_asn = 64502")" "up true" \
    "its state is marked as stale"
birdc -s "$work/bird.ctl" restart plain >/dev/null
ok "until its session restarts" wait_for 20 sql_true "SELECT stale_since IS NULL AND state = 'up' FROM bgp.peer WHERE peer_asn = 64502"
is "$(sql "SELECT count(*) FROM bgp.ingest_error")" 0 "no answer of ExaBGP's is taken for an error" ||
    sql "SELECT error, line FROM bgp.ingest_error LIMIT 10" | sed 's/^/# /'
done_testing
