#!/usr/bin/env bash
# replication.sh - the logs of two collectors in one central database, by logical
# replication, with the statements that stand in sql/NOTES.md.
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

work=$(mktemp -d) || exit 1
trap 'cluster_remove "$work/centre"; cluster_remove "$work/collectors"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# statements WORD...: those of this kind in sql/NOTES.md
statements() {
	sed -n "/^ *\`\`\`sql $*\$/,/^ *\`\`\`\$/{/\`\`\`/d;p;}" sql/NOTES.md
}

# at PLACE QUERY: in the database of collector 1 or 2, or the centre
at() {
	local place=$1

	shift
	if [ "$place" = centre ]; then
		PGHOST=$centre sql "$@"
	else
		PGHOST=$collectors PGDATABASE=bgp$place sql "$@"
	fi
}

# load COLLECTOR FIRST COUNT START: that many lines of two peers, from this time on
load() {
	PGHOST=$collectors PGDATABASE=bgp$1 ./exabgp-pg --quiet --no-resync --drain inf --collector "collector$1" --spool "$work/spool$1" \
		< <(/usr/bin/python3 test/lib/lines.py "$3" --peers 2 --first "$2" --start "$4")
}

# what a database has of a collector's log, in one line
log_of() {
	at "$1" "SELECT count(*) || ' ' || md5(string_agg(l::text, chr(10) ORDER BY l.peer_id, l.ts, l.med, l::text))
	    FROM bgp.route_log l WHERE l.collector = '$2'"
	at "$1" "SELECT count(*) || ' ' || md5(string_agg(s::text, chr(10) ORDER BY s.ts, s.seq, s::text))
	    FROM bgp.session_log s WHERE s.collector = '$2'"
	at "$1" "SELECT string_agg(format('%s %s %s', p.peer_id, p.peer_address, p.last_seen), ', ' ORDER BY peer_id)
	    FROM bgp.peer p WHERE p.collector = '$2'"
	at "$1" "SELECT rows_total FROM bgp.ingest_status WHERE collector = '$2'"
}

rib_of() {
	at "$1" "SELECT count(*) || ' ' || md5(string_agg(r::text, chr(10) ORDER BY r.peer_id, r.prefix, r::text)) FROM bgp.rib r WHERE r.collector = '$2'"
}

follow() {
	until [ "$(at "$1" "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT bgp.rib_follow('$2'); COMMIT")" = 0 ]; do
		:
	done
}

# arrived COLLECTOR: the centre has all that its database wrote
arrived() {
	local lsn

	lsn=$(at "$1" "SELECT pg_current_wal_lsn()")
	wait_for 30 at_lsn "$1" "$lsn"
}
at_lsn() {
	[ "$(at "$1" "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'collector$1' AND confirmed_flush_lsn >= '$2'")" = 1 ]
}
ready() {
	[ "$(at centre "SELECT bgp.replication_ready('collector$1')")" = t ]
}

cluster_start "$work/collectors" "wal_level = logical" || exit 1
collectors=$PGHOST
scripts/exabgp-pg-db init >/dev/null || exit 1
for n in 1 2 3; do	# the third has the range of the first
	createdb -T bgp "bgp$n"
	PGDATABASE=bgp$n psql -Xq -v ON_ERROR_STOP=1 < <(statements collector | sed "s/RESTART WITH 1/RESTART WITH $((n % 3 + n / 3))/") || exit 1
done
cluster_start "$work/centre" "wal_retrieve_retry_interval = 100" || exit 1
centre=$PGHOST
export PGOPTIONS=-cclient_min_messages=warning
scripts/exabgp-pg-db init >/dev/null || exit 1

# --- what was there before ----------------------------------------------------------------

now=$(date +%s)
load 1 0 2000 $((now - 4 * 86400))
load 2 0 2000 $((now - 3 * 86400))
for n in 1 2; do
	subscribe() {
		statements "$@" | sed "s/collector1/collector$n/; s|CONNECTION '.*'|CONNECTION 'host=$collectors port=$PGPORT dbname=bgp$n user=postgres'|"
	}
	ok "collector $n: its peers are subscribed to" at centre "$(subscribe centre peers)"
	ok "collector $n: and are there soon" wait_for 30 ready "$n" || {
		tail "$work/centre/log" | sed 's/^/# /'
		exit 1
	}
	ok "collector $n: its log is subscribed to" at centre "$(subscribe centre log)"
done
for n in 1 2; do
	ok "collector $n: the log is copied" wait_for 30 ready "$n"
	is "$(log_of centre "collector$n")" "$(log_of "$n" "collector$n")" "collector $n: all of what was there before is at the centre"
done
at centre "$(statements centre rib)"

# --- what comes -----------------------------------------------------------------------------

# today and the days to come, the day after, and of one that is long over
load 1 2000 2000 "$now"
load 2 2000 2000 $((now + 86400))
load 1 4000 500 $((now - 40 * 86400))
for n in 1 2; do
	ok "collector $n: the centre follows" arrived "$n"
	is "$(log_of centre "collector$n")" "$(log_of "$n" "collector$n")" "collector $n: new and late days are at the centre"
done
is "$(at centre "SELECT string_agg(DISTINCT (peer_id / 10000)::text, ' ') || ' ' || count(DISTINCT peer_id) FROM bgp.route_log")" "1 2 4" \
	"one log of four peers"
is "$(at centre "SELECT count(*) FROM bgp.partition")" "$(($(at 1 "SELECT count(*) FROM bgp.partition") + $(at 2 "SELECT count(*) FROM bgp.partition")))" \
	"the centre has the partitions of both"
is "$(at centre "SELECT count(*) FROM bgp.late_day WHERE day < current_date - 30")" 2 "it knows that rows came to days that were over"

# --- routes and consumers --------------------------------------------------------------------

for n in 1 2; do
	follow "$n" "collector$n"
	follow centre "collector$n"
	is "$(rib_of centre "collector$n")" "$(rib_of "$n" "collector$n")" "collector $n: bgp.rib at the centre is that of the collector"
done
is "$(at centre "SELECT count(*) FROM bgp.rib") $(at centre "SELECT count(*) FROM bgp.batch_pending")" "$(($(at 1 "SELECT count(*) FROM bgp.rib") + $(at 2 "SELECT count(*) FROM bgp.rib"))) 0" \
	"and all batches are dealt with"

# --- the link is down -------------------------------------------------------------------------

at centre "INSERT INTO bgp.consumer VALUES ('other')"
cluster_stop "$work/centre" immediate
load 1 5000 1000 $((now + 10))
cluster_start "$work/centre" || exit 1
export PGOPTIONS=-cclient_min_messages=warning
ok "the centre goes on after it was away" arrived 1
is "$(log_of centre collector1)" "$(log_of 1 collector1)" "nothing is missing, nothing there twice"
follow 1 collector1
follow centre collector1
is "$(rib_of centre collector1)" "$(rib_of 1 collector1)" "bgp.rib as well"
is "$(at centre "SELECT count(DISTINCT peer_id) FROM bgp.batch_pending WHERE consumer = 'other'") $(at 1 "SELECT count(*) FROM bgp.batch_pending")" "2 0" \
	"a consumer that only the centre has is told of each batch"

# --- days that are dropped ------------------------------------------------------------------------

# retention PLACE: drops what is older than ten days
retention() {
	if [ "$1" = centre ]; then
		PGHOST=$centre scripts/exabgp-pg-retention --keep 10d
	else
		PGHOST=$collectors PGDATABASE=bgp$1 scripts/exabgp-pg-retention --keep 10d
	fi >/dev/null
}
# days PLACE: those that a new subscriber would make, and those of the log
days() {
	at "$1" "SELECT count(*), (SELECT count(*) FROM bgp.partition), (SELECT count(*) FROM bgp.route_day JOIN bgp.partition USING (peer_id, day)) FROM bgp.route_day"
}

before=$(at centre "SELECT count(*) FROM bgp.route_log")
ok "the collector drops old days" retention 1
is "$(days 1)" "$(at 1 "SELECT count(*), count(*), count(*) FROM bgp.partition")" "a day that is dropped is none that a new subscriber would make"
load 1 6000 100 $((now + 2 * 86400))
ok "the centre follows" arrived 1
is "$(at centre "SELECT count(*) FROM bgp.route_log")" "$((before + 100))" "a day dropped at the collector stays at the centre"
load 1 6100 100 $((now - 40 * 86400))
ok "lines come of a day that only the centre has still" arrived 1
is "$(at centre "SELECT count(*) FROM bgp.route_log")" "$((before + 200))" "they are added to it"
ok "both drop it" retention 1 && retention centre
is "$(days centre)" "$(at centre "SELECT count(*), count(*), count(*) FROM bgp.partition")" "the centre knows what it has"
load 1 6200 100 $((now - 40 * 86400))
ok "lines come of a day that neither has" arrived 1
is "$(at centre "SELECT count(*) FROM bgp.route_log WHERE ts < now() - interval '39 days'") $(at 1 "SELECT count(*) FROM bgp.route_log WHERE ts < now() - interval '39 days'")" \
	"100 100" "both have it again"
# (sql/NOTES.md: why the centre is not to keep less)
ok "the centre drops it" retention centre
load 1 6300 100 $((now - 40 * 86400))
stopped() {
	grep -q 'no partition of relation .* found for row' "$work/centre/log"
}
ok "lines of a day that only the collector has stop the subscription" wait_for 30 stopped
at centre "SELECT bgp.ensure_partition(peer_id, (to_timestamp($now) AT TIME ZONE 'UTC')::date - 40) FROM bgp.peer WHERE collector = 'collector1'" >/dev/null
ok "until the day is made" arrived 1
is "$(at centre "SELECT count(*) FROM bgp.route_log WHERE ts < now() - interval '39 days'")" 100 "then it goes on with them"

# --- two databases with the same ids -------------------------------------------------------------

load 3 0 10 "$now"
n=3
at centre "$(subscribe centre peers)"
refused() {
	grep -q 'duplicate key value violates unique constraint "peer_pkey"' "$work/centre/log"
}
ok "a database with ids that the centre has is refused" wait_for 20 refused
is "$(at centre "SELECT count(*) FROM bgp.peer WHERE collector = 'collector3'")" 0 "and does not mix with the other"

done_testing
