#!/usr/bin/env bash
# faults-protocol.sh - the connection is cut at each message of PostgreSQL's protocol, also
# between COMMIT and its answer, with and without the commit being done; helpers are killed.
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=test/lib/faults.sh
. test/lib/faults.sh

faults_begin protocol
# (ExaBGP's clock goes to and fro, also over midnight)
helper_begin cuts --rate 500 --peers 3 --steps -- --quiet --batch-rows 1000 --batch-ms 100
ok "the helper loads" wait_for 30 has_peers cuts

# commits NUMBER: whether there were others than so many
commits() {
	[[ $(proxy seen) =~ commit-answer=([0-9]+) ]] && [ "${BASH_REMATCH[1]}" != "$1" ]
}

missed=''
for kind in startup query parse bind describe execute sync copy-data copy-done commit \
	authentication ready parse-complete bind-complete row-description data-row copy-in complete commit-answer; do
	for place in before after; do
		fault_cut $kind $place 10 || missed+=" $kind-$place"
		# a helper waits longer for each connection that came to nothing
		commits ''
		wait_for 10 commits "${BASH_REMATCH[1]:-}"
	done
done
is "$missed" "" "the connection was cut before and after each kind of message"
ok "loading goes on" loads_again cuts
tell cuts kills 300
fault_random 8
tell cuts kills 0
sleep 0.5
tell cuts end
helper_end cuts 60 "cuts"
check_lines cuts "cuts"
ok "the clock went over midnight and back" sql_true "SELECT count(DISTINCT day) > 1 FROM bgp.partition"
check_stall cuts "cuts"
faults_end
