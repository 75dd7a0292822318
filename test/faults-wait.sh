#!/usr/bin/env bash
# faults-wait.sh - whatever state the database is in, standard input is read, the helper
# stays, and all is loaded once when the trouble is over.
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=test/lib/faults.sh
. test/lib/faults.sh

faults_begin wait "max_connections = 15"
helper_begin wait --rate 800 --peers 3 -- --quiet --batch-ms 200
ok "the helper loads" wait_for 30 has_peers wait
for fault in fast immediate freeze refuse blackhole stall_up stall_down stall_both read_only connections lock \
	"lock bgp.session_log" "lock bgp.peer" "sqlstate 53100" "sqlstate 53200" "sqlstate 40001" "sqlstate 40P01" \
	"sqlstate 57014" timeouts serialization deadlock upgrade; do
	read -r fault argument <<<"$fault"
	"fault_$fault" 1.5 ${argument:+"$argument"} 2>>"$work/trouble"
	ok "$fault${argument:+ $argument}: loading goes on" loads_again wait
done
ok "the helper was the victim of a deadlock" grep -q 'exabgp-pg ERROR:  deadlock detected' "$work/pg/log"
ok "and of a conflict of transactions" grep -q 'exabgp-pg ERROR:  could not serialize' "$work/pg/log"
tell wait end
helper_end wait 60 "trouble"
is "$(report wait spawns)" 1 "it was one helper all the time"
check_lines wait "trouble" whole
check_stall wait "trouble"

# a batch that is sent while it is being filled fails when there is nothing more to send
helper_begin stream --rate 1000 -- --quiet --batch-ms 1500 --batch-rows 100000
wait_for 30 has_peers stream
fault_sqlstate 4 53100
have=$(rows stream)
ok "a COPY that failed while more rows were awaited: loading goes on within 30 s" wait_for 30 has_rows stream "$have"
tell stream end
helper_end stream 90 "failed COPY"
check_lines stream "failed COPY" whole
faults_end
