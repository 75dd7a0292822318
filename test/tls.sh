#!/usr/bin/env bash
# tls.sh - the connection to PostgreSQL is as safe as libpq's settings say: TLS, the
# server's certificate and its name, a password from a file.
set -u
cd "$(dirname "$0")/.." || exit 1
PROGRAM=${PROGRAM:-$PWD/exabgp-pg}
# shellcheck source=test/lib/cluster.sh
. test/lib/cluster.sh

command -v openssl >/dev/null || skip_all "openssl is not installed"
work=$(mktemp -d "${TMPDIR:-/tmp}/exabgp-pg-tls.XXXXXX")
trap 'cluster_remove "$work/pg"; rm -rf "$work"' EXIT
cluster_start "$work/pg" "log_connections = on" || exit 1
scripts/exabgp-pg-db init >/dev/null || exit 1
sql "CREATE ROLE loader LOGIN PASSWORD 'open sesame' IN ROLE exabgp_pg_writer"
cluster_stop "$work/pg"

# certificate DIRECTORY: one that signs itself, of localhost
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost -keyout "$1/server.key" -out "$1/server.crt" 2>>"$work/openssl"
}
mkdir "$work/other" "$work/ours"
certificate "$work/other" && certificate "$work/ours" || cat "$work/openssl" >&2
install -m 600 -o "$(cluster_user)" "$work"/ours/server.* "$work/pg/data"
cat >"$work/pg/data/pg_hba.conf" <<-'END'
	local all all trust
	hostssl bgp loader 127.0.0.1/32 scram-sha-256
END
port=$(free_port)
cluster_ctl "$work/pg" -w -t 60 -o "-p $port -c listen_addresses=127.0.0.1 -c ssl=on" start || tail -n 20 "$work/pg/log" >&2
export PGPORT=$port
echo "*:*:*:loader:open sesame" >"$work/pgpass"
chmod 600 "$work/pgpass"
export PGPASSFILE=$work/pgpass
python3 test/lib/lines.py 100 >"$work/lines"

# loads NAME SETTINGS: a file, as the writer over TCP; the exit status, messages in log.NAME
loads() {
	"$PROGRAM" -c "$1" -s "$work/$1" -w 1 -d "host=localhost hostaddr=127.0.0.1 user=loader dbname=bgp $2" \
		<"$work/lines" 2>"$work/log.$1"
	echo $?
}

# refused NAME SETTINGS PATTERN WHAT: nothing is loaded, the log says why
refused() {
	is "$(loads "$1" "$2")" 75 "$4: the input waits"
	ok "$4: the log says so" grep -Eq "could not load into PostgreSQL: .*$3" "$work/log.$1" || diag "$(cat "$work/log.$1")"
}

is "$(loads full "sslmode=verify-full sslrootcert=$work/ours/server.crt")" 0 "sslmode=verify-full: all is loaded" ||
	diag "$(cat "$work/log.full")"
is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector = 'full'")" 100 "each line"
ok "through TLS" grep -Eq 'connection authorized: user=loader .*SSL enabled' "$work/pg/log"
is "$(grep -c sesame "$work"/log.*)" 0 "no message has the password"
refused name "sslmode=verify-full sslrootcert=$work/ours/server.crt host=db.example" 'does not match host name' \
	"the server's certificate is of another name"
refused unknown "sslmode=verify-full sslrootcert=$work/other/server.crt" 'certificate verify failed' \
	"the server's certificate is not trusted"
refused plain "sslmode=disable" 'no encryption' "without TLS, which the server wants"
is "$(sql "SELECT count(*) FROM bgp.route_log WHERE collector <> 'full'")" 0 "nothing went to a server that was not the right one"
echo "*:*:*:loader:other" >"$work/pgpass"
refused password "sslmode=require" 'password authentication failed' "a wrong password"
done_testing
