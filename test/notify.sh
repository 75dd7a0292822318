#!/usr/bin/env bash
# notify.sh - exabgp-pg-notify: every way against a receiver that is there; receivers that fail,
# processes and servers that die: each change at least once, in order; the quiet time; what
# hostile text can do.
# shellcheck disable=SC2317 # functions that traps, wait_for and ok call
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
# (the interpreter itself: what version managers put before it takes longer than our scripts)
PATH=$(python3 -c 'import os, sys; print(os.path.dirname(os.path.realpath(sys.executable)))'):$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-notify-test.XXXXXX")
pids=()
cleanup() {
	local pid

	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	cluster_remove "$work/pg"
	rm -rf "$work"
}
trap cleanup EXIT
port=$(free_port)
mkdir "$work/got"
test/lib/receivers.py "$work/got" "$port" &
pids+=($!)
cluster_start "$work/pg" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1

# Findings as hunt.scan makes them: one transaction a change, under its lock.
psql -XAtq -v ON_ERROR_STOP=1 <<'SQL' >/dev/null || exit 1
CREATE ROLE teller LOGIN IN ROLE exabgp_pg_notifier;
CREATE ROLE analyst LOGIN IN ROLE exabgp_pg_reader;
CREATE SCHEMA t;
CREATE FUNCTION t.opened(prefix cidr, note text DEFAULT NULL, annotation text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	f	hunt.finding_row;
BEGIN
	PERFORM hunt.lock();
	INSERT INTO hunt.finding_row AS r (hunt, type, prefix, configured_prefix, hijacker_asn, state, first_seen, last_seen, last_event,
	    detected_at, peers_seen, rpki_status, config_version, note, community_annotation, evidence)
	VALUES ('hijack', 'S|0|-|-', prefix, '10.0.0.0/16', 666, 'ongoing', '2026-11-25 10:00:00.5+00', now(), now(), now(), '{64601}',
	    'invalid-asn', 1, note, annotation, '[{"ts": "2026-11-25T10:00:00.500000Z", "kind": "announce", "collector": "c",
	    "peer_address": "192.0.2.1", "peer_asn": 64601, "as_path": "64601 666"}]')
	RETURNING r.* INTO f;
	PERFORM hunt.finding_changed(f, 'opened');
	RETURN f.finding_id;
END
$$;
CREATE FUNCTION t.seen(id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	f	hunt.finding_row;
BEGIN
	PERFORM hunt.lock();
	UPDATE hunt.finding_row r SET peers_seen = r.peers_seen || (64601 + cardinality(r.peers_seen))::bigint
	WHERE r.finding_id = id RETURNING r.* INTO f;
	PERFORM hunt.finding_changed(f, 'seen');
END
$$;
CREATE FUNCTION t.into(id bigint, new_state text, over boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	f	hunt.finding_row;
BEGIN
	PERFORM hunt.lock();
	UPDATE hunt.finding_row r SET state = new_state, ended_at = CASE WHEN over THEN now() END WHERE r.finding_id = id RETURNING r.* INTO f;
	PERFORM hunt.finding_changed(f, new_state);
END
$$;
CREATE FUNCTION t.merged(id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	f	hunt.finding_row;
BEGIN
	PERFORM hunt.lock();
	DELETE FROM hunt.finding_row r WHERE r.finding_id = id RETURNING r.* INTO f;
	PERFORM hunt.finding_changed(f, 'merged');
END
$$;
INSERT INTO hunt.as_name VALUES (666, 'EVIL <b>&', NULL);
SELECT hunt.config_load('{"rules": [{"name": "one", "prefixes": ["10.0.0.0/16^16-24"], "origin_asns": [64500], "mitigation": "call the NOC"}]}');
SQL

# run COMMAND...: leaves $status, $out and $err
run() {
	timeout 60 "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(cat "$work/out") err=$(cat "$work/err")
}
# each QUERY...: one transaction each
each() {
	local query arguments=()

	for query in "$@"; do
		arguments+=(-c "$query")
	done
	psql -XAtq -v ON_ERROR_STOP=1 "${arguments[@]}" >/dev/null
}
notify() {
	run env PGUSER=teller scripts/exabgp-pg-notify "$@"
}
url=http://127.0.0.1:$port

# taken [FILTER]: what the webhook took
taken() {
	python3 -c 'import json, sys
for line in open(sys.argv[1]):
    b = json.loads(line)["body"]
    f = b["finding"]
    print(f["finding_id"], b["change"], b["state"], f["state"], b["changes"], len(f["peers_seen"]))' "$work/got/http"
}
# took N: that many posts
took() {
	[ "$(wc -l <"$work/got/http")" = "$1" ]
}
fresh() {
	: >"$work/got/http"
	: >"$work/got/refused"
	: >"$work/got/syslog"
}
# start [ARGUMENT]...: in the background, its pid in $notifier
start() {
	PGUSER=teller setsid scripts/exabgp-pg-notify "$@" >"$work/log" 2>&1 </dev/null &
	notifier=$!
	pids+=("$notifier")
}
# where NAME: its place, as the number of changes that it was not told of
waiting() {
	sql "SELECT waiting FROM hunt.notify_status WHERE receiver = '$1'"
}

# --- options ------------------------------------------------------------------------------

n=0 checks=()
for arguments in "" "--syslog --mail a@b" "--bogus --syslog" "--webhook ftp://x/" "--webhook http://a:b@x/" "--webhook nonsense" \
	"--syslog --body slack" "--webhook $url --body xml" "--syslog --quiet-time 5y" "--syslog --give-up never" "--syslog --timeout 0" "--syslog --repeat 0" "--" \
	"--mail -oQ/tmp@x" "--mail a@b,;id@x" "--syslog --mail-from a@b" "--once extra" "--syslog --onc"; do
	# shellcheck disable=SC2086 # several
	{
		timeout 60 scripts/exabgp-pg-notify $arguments 2>"$work/usage.$n" </dev/null
		echo $? "$(grep -c '^exabgp-pg-notify --mail' "$work/usage.$n") $arguments"
	} >"$work/usage.$n.out" &
	checks+=($!)
	n=$((n + 1))
done
wait "${checks[@]}"
is "$(cat "$work"/usage.*.out | grep -vc '^64 1 ') $n" "0 18" "wrong usage: exit 64, with the usage" || diag "$(cat "$work"/usage.*.out)"
run scripts/exabgp-pg-notify --mail $'a@b\nBcc: c@d' --once
is "$status" 64 "a mail address of two lines: exit 64"
run scripts/exabgp-pg-notify --help
is "$status $(grep -c -- '^--quiet-time' <<<"$out")" "0 1" "--help"
run env PGUSER=nobody scripts/exabgp-pg-notify --syslog --once
is "$status" 75 "a login that there is not: exit 75"
run env PGUSER=analyst scripts/exabgp-pg-notify --syslog
is "$status" 78 "a login without the role: exit 78"
ok "it says why" grep -q 'permission denied for function notify_begin' "$work/err"
run scripts/exabgp-pg-notify --syslog --dsn "dbname=postgres"
is "$status" 78 "a database without the schema: exit 78"
notify --syslog --since yesterdayish --once
is "$status" 78 "--since of no time: exit 78"
notify --webhook @"$work/none"
is "$status" 78 "a file that is not there: exit 78"
is "$(PGUSER=teller sql "SELECT count(*) FROM hunt.finding" 2>&1 | grep -c 'permission denied')" 1 "the role cannot read tables"
is "$(PGUSER=teller sql "SELECT hunt.resolve(1)" 2>&1 | grep -c 'permission denied')" 1 "nor move findings"
is "$(sql "SELECT count(*) FROM hunt.notify_receiver")" 0 "no receiver was added"

# --- a webhook: plain ------------------------------------------------------------------------

ok "receivers" wait_for 20 test -e "$work/got/ready"
fresh
sql "SELECT t.opened('10.0.1.0/24'), t.opened('10.0.2.0/24'), t.opened('10.0.3.0/24')" >/dev/null
sql "SELECT t.into(3, 'withdrawn', true); SELECT t.seen(1)" >/dev/null
notify --webhook "$url/in" --dry-run
is "$status $(grep -c '"receiver": "webhook"' <<<"$out") $(sql "SELECT count(*) FROM hunt.notify_receiver")" "0 2 0" "--dry-run: what is open, nothing changed" || diag "$err"
notify --webhook "$url/in" --once
is "$status $out" "0 " "--once" || diag "$err"
is "$(taken)" "2 opened ongoing ongoing 1 1
1 seen ongoing ongoing 1 2" "a new receiver is told of what is open, in the order of changes"
ok "it says so" grep -q 'receiver "webhook" is new' "$work/err"
notify --webhook "$url/in" --once
is "$status $(taken | wc -l)" "0 2" "nothing more to tell"
notify --webhook "$url/in" --once --receiver all --since=-infinity --quiet-time 0
is "$(taken | tail -n +3)" "1 opened ongoing ongoing 1 2
2 opened ongoing ongoing 1 1
3 opened ongoing withdrawn 1 1
3 withdrawn withdrawn withdrawn 1 1
1 seen ongoing ongoing 1 2" "--since: all changes"
is "$(python3 -c 'import json, sys
r = json.loads(open(sys.argv[1]).readline())
f = r["body"]["finding"]
print(r["path"], r["headers"]["Content-Type"], r["body"]["text"])
print(f["first_seen"], f["hijacker_name"], f["rules"], len(f["evidence"]), f["rpki_status"])' "$work/got/http")" \
	"/in application/json finding 2 opened: hijack of 10.0.2.0/24 (within 10.0.0.0/16) by AS666 EVIL <b>&
2026-11-25T10:00:00.5+00:00 EVIL <b>& [{'name': 'one', 'mitigation': 'call the NOC'}] 1 invalid-asn" "the document"

# --- live, order, quiet time, restarts -------------------------------------------------------------

fresh
start --webhook "$url/live" --quiet-time 5s
ok "awake" wait_for 10 sql_true "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'teller' AND query LIKE '%notify_next%' AND state = 'idle'"
notify --webhook "$url/in" --once
is "$status" 75 "another process for the same receiver: exit 75"
ok "it says so" grep -q 'another process has receiver "webhook"' "$work/err"
sql "SELECT t.opened('10.0.4.0/24')" >/dev/null
ok "NOTIFY wakes it" wait_for 5 took 1
each "SELECT t.seen(4)" "SELECT t.seen(4)" "SELECT t.seen(4)"
sql "SELECT t.into(2, 'dormant', false)" >/dev/null
ok "one more message when the quiet time is over" wait_for 20 took 3
is "$(taken)" "4 opened ongoing ongoing 1 1
2 dormant dormant dormant 1 1
4 seen ongoing ongoing 3 4" "it stands for three changes; another finding did not wait for it"
sql "SELECT t.into(4, 'withdrawn', true)" >/dev/null
ok "and the end" wait_for 10 took 4
kill -TERM $notifier
wait $notifier
is "$?" 0 "SIGTERM: exit 0"
each "SELECT t.opened('10.0.5.0/24')" "SELECT t.seen(5)" "SELECT t.into(5, 'withdrawn', true)" "SELECT t.opened('10.0.6.0/24')"
fresh
notify --webhook "$url/live" --quiet-time 1h --once
is "$(taken)" "5 opened ongoing withdrawn 1 2
5 withdrawn withdrawn withdrawn 2 2
6 opened ongoing ongoing 1 1" "what came meanwhile, in order"
sql "SELECT t.into(6, 'ignored', false); SELECT t.seen(6); SELECT t.into(6, 'ongoing', false); SELECT t.seen(6); SELECT hunt.annotate(6, 'hm')" >/dev/null
fresh
notify --webhook "$url/live" --quiet-time inf --once
is "$(taken)" "6 ignored ignored ongoing 1 3
6 ongoing ongoing ongoing 1 3" "ignored, and no longer: told even if quiet for ever; of what is ignored nothing more"
sql "SELECT t.merged(6); SELECT t.opened('10.0.7.0/24'); SELECT t.seen(7); SELECT t.merged(7)" >/dev/null
fresh
notify --webhook "$url/live" --quiet-time inf --once
is "$(taken)" "6 merged ongoing ongoing 3 3" "merged: told of one that it knows"
notify --webhook "$url/live" --quiet-time 0 --repeat 1h --once
is "$(taken | wc -l)" 1 "--repeat: not yet"
sql "UPDATE hunt.notify_finding SET told_at = told_at - interval '2 hours' WHERE receiver = 'webhook'"
notify --webhook "$url/live" --quiet-time 0 --repeat 1h --once
is "$(taken | tail -n +2)" "1 repeated ongoing ongoing 1 2
2 repeated dormant dormant 1 1" "--repeat: what is open"

# changes that wait for one another are told in the order in which they become visible
fresh
mkfifo "$work/session"
psql -XAtq <"$work/session" >/dev/null 2>&1 &
pids+=($!)
exec 3>"$work/session"
echo "BEGIN; SELECT hunt.annotate(1, 'first');" >&3
ok "an operator's move that has not committed" wait_for 10 sql_true "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"
sql "SELECT hunt.annotate(2, 'second')" >/dev/null &
second=$!
ok "another waits for it" wait_for 10 sql_true "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
notify --webhook "$url/live" --quiet-time 0 --once
is "$(taken)" "" "nothing is visible yet"
echo "COMMIT;" >&3
exec 3>&-
wait $second
notify --webhook "$url/live" --quiet-time 0 --once
is "$(taken)" "1 annotated ongoing ongoing 1 2
2 annotated dormant dormant 1 1" "both, in order"

# --- receivers that fail, processes that die ---------------------------------------------------------

fresh
echo 503 >"$work/got/answer"
sql "SELECT t.opened('10.0.8.0/24'); SELECT t.seen(8)" >/dev/null
notify --webhook "$url/live" --quiet-time 0 --once
is "$status $(wc -l <"$work/got/refused") $(waiting webhook)" "75 1 2" "a receiver that fails: exit 75, after one attempt, nothing is skipped"
ok "it says so" grep -q 'could not deliver change .* of finding 8 to webhook: http://127.0.0.1:.* answered 503 Service Unavailable: no' "$work/err"
is "$(sql "SELECT failures, error LIKE '%503%', failing_since IS NOT NULL FROM hunt.notify_status WHERE receiver = 'webhook'")" "1|t|t" "so does hunt.notify_status"
echo 302 >"$work/got/answer"
notify --webhook "$url/live" --quiet-time 0 --once
is "$status $(grep -c '"GET"' "$work/got/refused")" "75 0" "a redirection is no delivery"
echo "0 30" >"$work/got/answer"
notify --webhook "$url/live" --quiet-time 0 --once --timeout 200ms
is "$status" 75 "one that does not answer in time"
echo 500 >"$work/got/answer"
fresh
start --webhook "$url/live" --quiet-time 0
refused() {
	[ "$(wc -l <"$work/got/refused")" -ge "$1" ]
}
ok "tried again" wait_for 10 refused 2
sql "SELECT t.opened('10.0.9.0/24')" >/dev/null
rm "$work/got/answer"
ok "until it is taken, and what follows" wait_for 10 took 3
is "$(taken)" "8 opened ongoing ongoing 1 2
8 seen ongoing ongoing 1 2
9 opened ongoing ongoing 1 1" "in order"
ok "it says so" wait_for 5 grep -q 'webhook takes messages again, after' "$work/log"
ok "without a busy loop" [ "$(wc -l <"$work/got/refused")" -le 6 ]
is "$(sql "SELECT failures, error IS NULL FROM hunt.notify_status WHERE receiver = 'webhook'")" "0|t" "nor is it failing any more"
# killed while the receiver has the message
echo "200 0.7" >"$work/got/answer"
fresh
sql "SELECT t.into(9, 'withdrawn', true); SELECT t.seen(8)" >/dev/null
sleep 0.3
kill -KILL $notifier
wait $notifier 2>/dev/null
rm "$work/got/answer"
ok "the receiver has it" wait_for 10 took 1
ok "the lock goes with the process" wait_for 10 sql_true "SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'teller'"
start --webhook "$url/live" --quiet-time 0
ok "after kill -9 it is told once more, and what follows" wait_for 10 took 3
is "$(taken)" "9 withdrawn withdrawn withdrawn 1 1
9 withdrawn withdrawn withdrawn 1 1
8 seen ongoing ongoing 1 3" "in order"
# the server dies
cluster_kill9 "$work/pg"
cluster_start "$work/pg"
fresh
id=$(sql "SELECT t.opened('10.0.10.0/24')") # (a crash leaves a gap in the numbers)
ok "after the server died as well" wait_for 15 took 1
ok "it says so" grep -q 'could not ask the database: .*; trying again in' "$work/log"
is "$(taken)" "$id opened ongoing ongoing 1 1" "what it was not told yet"
kill -TERM $notifier
wait $notifier
is "$?" 0 "and ends in order"

# --- what a receiver refuses --------------------------------------------------------------------------

picky() {
	notify --receiver picky --webhook "$url/picky" --quiet-time 0 --once "$@"
}
# aside: what was set aside: finding, change, how often it was refused
aside() {
	sql "SELECT a.finding_id, c.change, a.refusals FROM hunt.notify_aside a JOIN hunt.finding_change c USING (change_id) WHERE a.receiver = 'picky' ORDER BY a.aside_id"
}
picky
is "$status" 0 "a receiver that takes what is open"
fresh
echo 10.0.11.0/24 >"$work/got/hates"
hated=$(sql "SELECT t.opened('10.0.11.0/24')")
other=$(sql "SELECT t.opened('10.0.12.0/24')")
picky --give-up 0
is "$status $(wc -l <"$work/got/refused") $(waiting picky) $(aside)" "75 1 2 " "one that answers 400: exit 75, nothing is skipped"
start --receiver picky --webhook "$url/picky" --quiet-time 0 --give-up 2s
ok "the next one is told" wait_for 15 took 1
is "$(taken)" "$other opened ongoing ongoing 1 1" "it is"
is "$(aside) $(($(wc -l <"$work/got/refused") > 2))" "$hated|opened|$(wc -l <"$work/got/refused") 1" "the one refused is set aside, after some attempts"
ok "not before its time" sql_true "SELECT set_aside_at >= refused_since + interval '2 seconds' AND refused_since < now() FROM hunt.notify_aside"
ok "the log says so" grep -q "set change [0-9]* of finding $hated aside, picky is not told of it: $url answered 400 Bad Request: no\$" "$work/log"
is "$(PGUSER=analyst sql "SELECT waiting, set_aside, last_set_aside > now() - interval '1 minute', why_set_aside FROM hunt.notify_status WHERE receiver = 'picky'")" \
	"0|1|t|$url answered 400 Bad Request: no" "so does hunt.notify_status"
is "$(PGUSER=teller sql "TABLE hunt.notify_aside" 2>&1 | grep -c 'permission denied')" 1 "the role of the notifier reads none of it"
kill -TERM $notifier
wait $notifier
is "$?" 0 "it goes on, and ends in order"
# the same finding again, with the patience of an hour: it does not keep the others waiting
fresh
each "SELECT t.seen($hated)" "SELECT t.seen($other)"
picky
is "$status $(taken)" "75 " "refused again"
picky
is "$status $(taken)" "75 " "and again"
picky
is "$status $(taken)" "0 $other seen ongoing ongoing 1 2" "three times are enough, where one was set aside before"
is "$(aside | tail -n 1)" "$hated|seen|3" "it is set aside"
rm "$work/got/hates"
fresh
sql "SELECT t.seen($hated)" >/dev/null
picky
is "$status $(taken) $(waiting picky)" "0 $hated seen ongoing ongoing 1 3 0" "taken, when it can be"
echo 10.0.11.0/24 >"$work/got/hates"
sql "SELECT t.seen($hated)" >/dev/null
for give_up in 1h 1h 1h inf inf; do
	picky --give-up $give_up
done
is "$status $(aside | wc -l) $(sql "SELECT refusals FROM hunt.notify_receiver WHERE receiver = 'picky'")" "75 2 3" "then there is an hour for the next; with --give-up inf it lasts"
rm "$work/got/hates"
# not for now
fresh
for answer in 503 429 408 425 302 401 403 404 410; do
	echo $answer >"$work/got/answer"
	picky --give-up 0
	echo "$status"
done | sort | uniq -c >"$work/statuses"
is "$(tr -s ' ' <"$work/statuses") $(aside | wc -l) $(waiting picky)" " 9 75 2 1" "503, 408, 425, 429, 401, 404: later, however often"
for answer in "429 0 3" "503 0 $(LC_ALL=C date -u -d '30 seconds' '+%a, %d %b %Y %H:%M:%S GMT')" "429 0 soon" "429 0 -1"; do
	echo "$answer" >"$work/got/answer"
	: >"$work/log"
	start --receiver picky --webhook "$url/picky" --quiet-time 0
	wait_for 10 grep -q 'trying again in' "$work/log"
	kill -TERM $notifier
	wait $notifier
	sed -n 's/.*answered \([0-9]*\).*trying again in \([0-9]*\) s.*/\1 \2/p' "$work/log"
done >"$work/later"
ok "Retry-After, in seconds or a date" awk 'NR == 1 && $0 == "429 3" || NR == 2 && $1 == 503 && $2 > 20 && $2 <= 30 || NR > 2 && $0 == "429 1" { n++ } END { exit n != 4 }' "$work/later" ||
	diag "$(cat "$work/later")"
rm "$work/got/answer"
fresh
picky
is "$status $(taken)" "0 $hated seen ongoing ongoing 1 4" "told at last"
# a command
sql "SELECT t.seen($hated)" >/dev/null
for code in 1 75 64 65 65 65; do
	notify --receiver picky --quiet-time 0 --give-up 0 --once -- sh -c "echo no >&2; exit $code"
	echo "$code $status"
done >"$work/statuses"
is "$(paste -sd , "$work/statuses")" "1 75,75 75,64 75,65 75,65 75,65 0" "a command refuses by exit code 65, not by others"
is "$(aside | tail -n 1) $(sql "SELECT why_set_aside FROM hunt.notify_status WHERE receiver = 'picky'")" "$hated|seen|3 \"sh\" failed (exit code 65): no" "that is set aside as well"

# --- syslog -------------------------------------------------------------------------------------

fresh
id=$(sql "SELECT t.opened('10.1.0.0/16')")
notify --syslog "$work/got/dgram" --once --since "$(sql "SELECT max(changed_at) FROM hunt.finding_change")"
ok "syslog" wait_for 5 test -s "$work/got/syslog"
ok "a line with priority daemon.crit and the facts" grep -Eq "^<26>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} exabgp-pg-notify\[[0-9]+\]: finding $id opened: hijack of 10.1.0.0/16 \(within 10.0.0.0/16\) by AS666 EVIL <b>&; change_id=[0-9]+ state=ongoing type=S\|0\|-\|- first_seen=.* peers_seen=1 peers_withdrawn=0 rpki=invalid-asn\$" "$work/got/syslog"
sql "SELECT hunt.resolve($id)" >/dev/null
notify --syslog "$work/got/stream" --once
ok "through a stream socket; the end is a notice" wait_for 5 grep -q "^stream <29>.*finding $id resolved: " "$work/got/syslog"
sql "SELECT hunt.annotate($id, 'x')" >/dev/null
notify --syslog "$work/got/none" --once --quiet-time 0
is "$status $(waiting syslog)" "75 1" "a socket that is not there"

# --- mail ---------------------------------------------------------------------------------------

cat >"$work/sendmail" <<END
#!/bin/sh
[ ! -e "$work/mail.fails" ] || { echo "queue is full" >&2; exit 75; }
printf '%s\n' "\$@" >"$work/mail.arguments"
cat >"$work/mail"
env >"$work/mail.environment"
END
chmod +x "$work/sendmail"
id=$(sql "SELECT t.opened('10.2.0.0/16', E'Grüße\r\nBcc: victim@example.net\n.\nX')")
sql "UPDATE hunt.as_name SET name = E'EVIL\r\nBcc: victim@example.net\r\n\r\nhello' WHERE asn = 666"
since=$(sql "SELECT max(changed_at) FROM hunt.finding_change")
touch "$work/mail.fails"
mail=(--mail "noc@example.net,two@example.net" --mail-from bgp@example.net --sendmail "$work/sendmail" --since "$since" --once)
notify "${mail[@]}"
is "$status" 75 "sendmail that fails"
ok "it says so" grep -q 'failed (exit code 75): queue is full' "$work/err"
rm "$work/mail.fails"
EXABGP_PG_DSN="host=$PGHOST user=teller" PGPASSWORD=secret notify "${mail[@]}"
is "$status $(paste -sd ' ' "$work/mail.arguments")" "0 -oi -f bgp@example.net -- noc@example.net two@example.net" "sendmail"
ok "it is not told of the database" [ "$(grep -cE '^(EXABGP_PG_DSN|PGPASSWORD)=' "$work/mail.environment")" = 0 ]
is "$(python3 -c 'import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
print(m["To"], "|", m["From"], "|", m["Subject"])
print(m["Bcc"], m["Auto-Submitted"], m["Message-ID"].startswith("<exabgp-pg." + sys.argv[2] + "."), m["References"] == m["In-Reply-To"], m.get_content_type(), m.defects)
t = m.get_content()
print([l for l in t.split("\n") if "Bcc" in l or "note:" in l or "rule" in l or "64601 666" in l])' "$work/mail" "$id")" \
	"noc@example.net, two@example.net | bgp@example.net | [exabgp-pg] finding $id opened: hijack of 10.2.0.0/16 (within 10.0.0.0/16) by AS666 EVIL Bcc: victim@example.net hello
None auto-generated True True text/plain []
['finding $id opened: hijack of 10.2.0.0/16 (within 10.0.0.0/16) by AS666 EVIL Bcc: victim@example.net hello', '                 Bcc: victim@example.net', 'note:            Grüße', '                 Bcc: victim@example.net', 'rule one:        call the NOC', ' 2026-11-25T10:00:00.500000Z announce c 192.0.2.1 AS64601: 64601 666']" "a mail; text from elsewhere makes no header"

# --- Slack, Alertmanager ----------------------------------------------------------------------------

fresh
sql "UPDATE hunt.as_name SET name = '<!channel> & <http://x|y> @here' WHERE asn = 666; SELECT hunt.annotate($id, '<script>@all')" >/dev/null
printf '%s\nAuthorization: Bearer s3cret\n' "$url/slack" >"$work/hook"
notify --webhook @"$work/hook" --body slack --receiver slack --since "$since" --quiet-time 0 --once
is "$status" 0 "Slack"
is "$(python3 -c 'import json, sys
for line in open(sys.argv[1]):
    r = json.loads(line)
    b = r["body"]
    a = b["attachments"][0]
    print(r["headers"]["Authorization"], b["text"], a["color"], [f["value"] for f in a["fields"] if f["title"] == "note"], any(c in json.dumps(b) for c in "<>"))' "$work/got/http" | tail -n 1 | tr -d '\342\200\213')" \
	"Bearer s3cret finding $id annotated: hijack of 10.2.0.0/16 (within 10.0.0.0/16) by AS666 &lt;!channel&gt; &amp; &lt;http://x|y&gt; @here #e01e5a ['&lt;script&gt;@\\u200ball'] False" "its markup is escaped, the header is there"
fresh
sql "SELECT hunt.resolve($id)" >/dev/null
notify --webhook "$url/api/v2/alerts" --body alertmanager --receiver am --since "$since" --quiet-time 0 --once
is "$(python3 -c 'import datetime, json, sys
now = datetime.datetime.now(datetime.timezone.utc)
posts = [json.loads(line)["body"] for line in open(sys.argv[1])]
print(len(posts), {json.dumps(p[0]["labels"], sort_keys=True) for p in posts})
for p in posts:
    start, end = (datetime.datetime.fromisoformat(p[0][k]) for k in ("startsAt", "endsAt"))
    print(len(p), start <= end, end <= now, sorted(p[0]["annotations"]))' "$work/got/http")" \
	"3 {'{\"alertname\": \"BGPFinding\", \"finding_id\": \"$id\", \"hijacker_asn\": \"666\", \"hunt\": \"hijack\", \"prefix\": \"10.2.0.0/16\", \"type\": \"S|0|-|-\"}'}
1 True True ['description', 'summary']
1 True True ['description', 'summary']
1 True True ['description', 'summary']" "Alertmanager: labels that stay, resolved when it is over"
fresh
id=$(sql "SELECT t.opened('10.3.0.0/16')")
notify --webhook "$url/api/v2/alerts" --body alertmanager --receiver am --once
is "$(python3 -c 'import json, sys, time
b = json.loads(open(sys.argv[1]).readline())["body"][0]
print(b["endsAt"] > time.strftime("%Y-%m-%dT%H:%M:%S"), b["startsAt"])' "$work/got/http")" "True 2026-11-25T10:00:00.500000+00:00" "firing as long as it is open"

# --- a command ----------------------------------------------------------------------------------------

# shellcheck disable=SC2016 # for that shell
notify --receiver cmd --since "$(sql "SELECT max(changed_at) FROM hunt.finding_change")" --once -- \
	sh -c 'printf "%s\n" "$1" "$EXABGP_PG_FINDING_ID $EXABGP_PG_CHANGE $EXABGP_PG_PREFIX $EXABGP_PG_STATE" "$EXABGP_PG_TEXT" >"$2"; cat >"$2.in"' - '$(id); `id`' "$work/command"
is "$status $(cat "$work/command")" '0 $(id); `id`'"
$id opened 10.3.0.0/16 ongoing
finding $id opened: hijack of 10.3.0.0/16 (within 10.0.0.0/16) by AS666 <!channel> & <http://x|y> @here" "a command"
ok "the document on its standard input" python3 -c 'import json, sys
sys.exit(json.load(open(sys.argv[1]))["finding"]["finding_id"] != int(sys.argv[2]))' "$work/command.in" "$id"
sql "SELECT t.seen($id)" >/dev/null
notify --receiver cmd --quiet-time 0 --timeout 300ms --once -- sh -c 'sleep 30 & sleep 30'
is "$status $(grep -c 'was not done within 0.3 s' "$work/err")" "75 1" "one that hangs"
notify --receiver cmd --quiet-time 0 --once -- "$work/none"
is "$status" 75 "one that is not there"
# shellcheck disable=SC2016 # for that shell
notify --receiver cmd --quiet-time 0 --once -- sh -c 'exec 0<&-; sleep 5 & echo $! >"$1"' - "$work/left"
is "$status" 0 "one that reads nothing, and leaves another process"
kill "$(cat "$work/left")"

# --- from a line of ExaBGP to the message ------------------------------------------------------------------

# update N UPDATE
update() {
	printf '{"exabgp": "4.0.1", "time": %s, "host": "test", "pid": 4242, "ppid": 1, "counter": %s, "type": "update", "neighbor": {"address": {"local": "192.0.2.254", "peer": "192.0.2.1"}, "asn": {"local": 64512, "peer": 64601}, "direction": "receive", "message": {"update": %s}}}\n' "$EPOCHREALTIME" "$1" "$2"
}
sql "CREATE ROLE loader LOGIN IN ROLE exabgp_pg_writer"
mkfifo "$work/lines"
PGUSER=loader "$PROGRAM" -c live -s "$work/spool" --no-resync --batch-ms 50 --drain 10 <"$work/lines" 2>"$work/helper" &
helper=$!
pids+=("$helper")
exec 4>"$work/lines"
fresh
start --webhook "$url/end-to-end" --receiver end-to-end
update 1 '{"attribute": {"origin": "igp", "as-path": [ 64601, 667 ]}, "announce": {"ipv4 unicast": {"192.0.2.1": [{"nlri": "10.0.200.0/24"}]}}}' >&4
hijack() {
	grep -q "opened: hijack of 10.0.200.0/24 by AS667" "$work/got/http"
}
ok "a hijack is told" wait_for 15 hijack
update 2 '{"withdraw": {"ipv4 unicast": [{"nlri": "10.0.200.0/24"}]}}' >&4
ok "and that it is over" wait_for 15 grep -q "withdrawn: hijack of 10.0.200.0/24" "$work/got/http"
kill -TERM $notifier
wait $notifier
exec 4>&- # (the notifier had it as well)
wait $helper

# --- many --------------------------------------------------------------------------------------------------

notify --receiver cmd --quiet-time 0 --once -- true
sql "INSERT INTO hunt.finding_change (finding_id, change, state) SELECT $id, 'seen', 'ongoing' FROM generate_series(1, 5000)"
notify --receiver cmd --quiet-time 1h --once -- false
is "$status $(waiting cmd) $(sql "SELECT held FROM hunt.notify_finding WHERE receiver = 'cmd' AND finding_id = $id")" "0 0 5000" "5,000 changes of one finding within the quiet time"

# --- rights ---------------------------------------------------------------------------------------------------

is "$(PGUSER=teller sql "SELECT hunt.notify_done('cmd', 1000000)" 2>&1 | grep -c 'is not what receiver')" 1 "a place cannot be moved past changes"
each "SELECT t.seen($id)" "SELECT t.seen($id)"
is "$(sql "SELECT hunt.notify_done('cmd', (SELECT max(change_id) FROM hunt.finding_change))" 2>&1 | grep -c 'is not what')" 1 "nor over some"
is "$(PGUSER=analyst sql "SELECT count(*) > 5 FROM hunt.notify_status")" t "readers see how it is going"
is "$(PGUSER=analyst sql "SELECT hunt.notify_done('cmd', 1)" 2>&1 | grep -c 'permission denied')" 1 "and move nothing"
done_testing
