#!/usr/bin/env bash
# badinput.sh - whatever comes on stdin: a bad line is quarantined, alone and with a
# reason, and its neighbours are stored as if it had not been there.
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-./exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

command -v python3 >/dev/null || skip_all "python3 is not installed"
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-badinput.XXXXXX")
trap 'cluster_remove "$work/pg"; rm -rf "$work"' EXIT
bad() { python3 -B test/badinput.py "$@"; }

# checked NAME EXPECTED ROWS: the rows are as expected
checked() {
	local out

	if out=$(bad check "$2" <"$3" 2>&1); then
		pass "$1: $out"
	else
		fail "$1" "$(tail -n 15 <<<"$out")"
	fi
}

# --- to stdout ----------------------------------------------------------------------

bad hostile "$work/hostile" "$work/hostile.expected"
"$PROGRAM" --print --collector bad <"$work/hostile" >"$work/printed" 2>"$work/log"
is $? 0 "--print of hostile lines: exit 0"
checked "hostile lines, printed" "$work/hostile.expected" "$work/printed"

bad cut "$work/cut" "$work/cut.expected"
"$PROGRAM" --print --collector bad <"$work/cut" >"$work/cut.printed" 2>"$work/log"
is $? 0 "--print of lines cut off: exit 0"
checked "a line cut off at every byte" "$work/cut.expected" "$work/cut.printed"

# a time that the line does not have is that of now
timeless() { sed -E 's/^\{"ts":"[^"]*"/{/' "$1"; }
for seed in 1 2 3; do
	bad pieces "$work/hostile" $seed | "$PROGRAM" --print --collector bad >"$work/pieces" 2>/dev/null
	ok "in random pieces ($seed) as from a file" cmp <(timeless "$work/printed") <(timeless "$work/pieces")
done

# --- time is proportional to length ----------------------------------------------------

# a quadratic algorithm takes hours for 16 MiB: this tells it from a busy machine
# shellcheck disable=SC1003	# a backslash is meant
for piece in '[' '{' '"' '"a' '"a":' '{"a":' '\' '\"' '{"exabgp":"\' ' ' 9 - '""a' '"reason":"' '[ "eor":' '{ "exabgp": "3.4", "1/":'; do
	bad line "$piece" | timeout 60 "$PROGRAM" --print --collector bad >"$work/long" 2>/dev/null
	is "$? $(grep -c '"prefix"' "$work/long")" "0 2" "16 MiB of $piece between two good lines"
done

# --- into the database ------------------------------------------------------------------

cluster_start "$work/pg" || {
	fail "the database is there"
	done_testing
}
scripts/exabgp-pg-db init >"$work/log" 2>&1
is $? 0 "the schema is made" || diag "$(cat "$work/log")"

# what the database has, in the order in which it came
stored() {
	sql "SELECT row FROM (
	    SELECT seq, json_build_object('prefix', prefix)::text AS row FROM bgp.route_event
	    UNION ALL SELECT seq, json_build_object('line', line, 'error', error)::text FROM bgp.ingest_error) x ORDER BY seq"
}

# load FILE NAME [option]...
load() {
	local file=$1 name=$2

	shift 2
	sql "TRUNCATE bgp.route_event, bgp.ingest_error, bgp.ingest_gap"
	"$PROGRAM" --collector "$name" --spool "$work/spool-$name" --drain inf "$@" <"$file" 2>"$work/log"
}

load "$work/hostile" hostile
is $? 0 "hostile lines are loaded: exit 0" || diag "$(tail -n 5 "$work/log")"
stored >"$work/rows"
checked "hostile lines, stored" "$work/hostile.expected" "$work/rows"
is "$(grep -c 'encoder json' "$work/log")" 1 "one warning about the text encoder"
is "$(sql "SELECT coalesce(sum(lines), 0) FROM bgp.ingest_gap WHERE lines > 1000000")" 0 "no gap of absurd size"

# Through a pipe, in small batches.  (A pipe cannot be told to wait: after two lines of 16 MiB
# in a row its memory is full, by intent.)
bad short "$work/short" "$work/short.expected"
mkfifo "$work/fifo"
bad pieces "$work/short" 4 >"$work/fifo" &
load "$work/fifo" pieces --batch-rows 7
is $? 0 "hostile lines in pieces: exit 0" || diag "$(tail -n 5 "$work/log")"
wait
stored >"$work/rows"
checked "hostile lines in pieces, in batches of 7 rows" "$work/short.expected" "$work/rows"

# --- a row that PostgreSQL refuses ----------------------------------------------------------

bad refused "$work/refused" "$work/refused.expected"
rows=$(grep -c prefix "$work/refused.expected")

# refused NAME PREFIX...: all rows but these are stored once, and these are quarantined
refused() {
	local name=$1 prefix list

	shift
	list=$(printf "'%s'," "$@")
	is "$(sql "SELECT count(*) || ' ' || count(DISTINCT prefix) FROM bgp.route_event")" "$((rows - $#)) $((rows - $#))" \
		"$name: all other rows of the line and the batch are stored once"
	is "$(sql "SELECT count(*) FROM bgp.route_event WHERE prefix IN (${list%,})")" 0 "$name: the row itself is not"
	is "$(sql "SELECT count(*) FROM bgp.ingest_error")" $# "$name: one row of bgp.ingest_error for each"
	for prefix in "$@"; do
		ok "$name: bgp.ingest_error names $prefix and the reason" sql_true "SELECT count(*) = 1 FROM bgp.ingest_error
		    WHERE (line || error) LIKE '%$prefix%' AND error ~ 'not_this|not that'"
	done
	is "$(sql "SELECT count(*) FROM (SELECT prefix < lag(prefix) OVER (ORDER BY seq) AS back FROM bgp.route_event) x
	    WHERE back")" 0 "$name: order is kept"
}

sql "TRUNCATE bgp.route_event"
sql "ALTER TABLE bgp.route_event ADD CONSTRAINT not_this CHECK (prefix <> '10.0.101.0/24')"
load "$work/refused" check
is $? 0 "with a constraint: exit 0" || diag "$(tail -n 5 "$work/log")"
refused "constraint" 10.0.101.0/24

sql "ALTER TABLE bgp.route_event DROP CONSTRAINT not_this"
sql "CREATE FUNCTION public.not_that() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
    IF new.prefix IN ('10.0.0.0/24', '10.0.55.0/24', '10.0.56.0/24', '10.3.0.0/24') THEN RAISE EXCEPTION 'not that'; END IF;
    RETURN new; END \$\$"
sql "CREATE TRIGGER not_that BEFORE INSERT ON bgp.route_event FOR EACH ROW EXECUTE FUNCTION public.not_that()"
load "$work/refused" trigger --batch-rows 100
is $? 0 "with a trigger: exit 0" || diag "$(tail -n 5 "$work/log")"
refused "trigger" 10.0.0.0/24 10.0.55.0/24 10.0.56.0/24 10.3.0.0/24

done_testing
