-- 001-schema.sql - roles, tables and partitions of the exabgp-pg log.
-- Run by scripts/exabgp-pg-db inside one transaction; runs in psql as it stands.

-- Roles: group roles without login.  GRANT exabgp_pg_writer TO the login that the
-- helper uses, exabgp_pg_reader TO analysts and dashboards.
DO $$
DECLARE
	role	text;
BEGIN
	FOREACH role IN ARRAY ARRAY['exabgp_pg_writer', 'exabgp_pg_reader'] LOOP
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
			BEGIN
				EXECUTE format('CREATE ROLE %I NOLOGIN', role);
			EXCEPTION WHEN duplicate_object OR unique_violation THEN
				NULL;	-- another database's init was quicker: roles are the cluster's
			END;
		END IF;
	END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS bgp;
COMMENT ON SCHEMA bgp IS 'BGP updates and session events as ExaBGP saw them (exabgp-pg)';

CREATE TABLE IF NOT EXISTS bgp.schema_version (
	version		int PRIMARY KEY,
	name		text NOT NULL,
	applied_at	timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE bgp.schema_version ADD COLUMN IF NOT EXISTS checksum text;
COMMENT ON TABLE bgp.schema_version IS 'Files of sql/ that this database has, one row each';
COMMENT ON COLUMN bgp.schema_version.checksum IS 'MD5 of the file as it was applied';

-- A BGP peer as one collector sees it.  Identity is (collector, peer address,
-- peer ASN, local address); an address or ASN that ExaBGP did not give is NULL
-- and equal to NULL.  fillfactor: every batch updates last_seen, HOT.
CREATE TABLE IF NOT EXISTS bgp.peer (
	peer_id		int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	collector	text NOT NULL,
	peer_address	inet,
	peer_asn	bigint,
	local_address	inet,
	local_asn	bigint,
	router_id	inet,
	label		text,
	state		text NOT NULL DEFAULT 'unknown'
			CHECK (state IN ('up', 'down', 'unknown')),
	state_since	timestamptz,
	first_seen	timestamptz,
	last_seen	timestamptz,
	exabgp_pid	bigint,
	line_counter	bigint,
	UNIQUE NULLS NOT DISTINCT (collector, peer_address, peer_asn, local_address)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE bgp.peer IS 'BGP peers, told apart by collector, peer address, peer ASN and local address';
COMMENT ON COLUMN bgp.peer.router_id IS 'BGP identifier of the peer, from its OPEN (RFC 4271 section 4.2)';
COMMENT ON COLUMN bgp.peer.label IS 'free for the operator; never written by exabgp-pg';
COMMENT ON COLUMN bgp.peer.state IS 'up, down, or unknown when no state change has been seen';
COMMENT ON COLUMN bgp.peer.exabgp_pid IS 'process id of the ExaBGP that line_counter belongs to';
COMMENT ON COLUMN bgp.peer.line_counter IS 'ExaBGP''s own count of the last line loaded for this peer; a jump is a gap';

-- The log.  Physical columns, widest alignment first; people query bgp.route_log.
-- What can be derived is not stored: family is NULL for unicast of the prefix's
-- own address family, as_path is NULL where path joined by spaces says the same.
CREATE TABLE IF NOT EXISTS bgp.route_event (
	ts			timestamptz NOT NULL,
	seq			bigint NOT NULL,
	origin_asn		bigint,
	med			bigint,
	local_pref		bigint,
	path_id			bigint,
	peer_id			int NOT NULL,
	kind			"char" NOT NULL,
	origin			"char",
	atomic_aggregate	boolean,
	prefix			cidr,
	next_hop		inet,
	path			bigint[],
	communities		text[],
	large_communities	text[],
	ext_communities		text[],
	aggregator		text,
	as_path			text,
	family			text,
	rd			text,
	labels			int[],
	attributes		jsonb,
	nlri			jsonb
) PARTITION BY LIST (peer_id);
COMMENT ON TABLE bgp.route_event IS 'the log, one leaf per peer and UTC day; query bgp.route_log instead';
COMMENT ON COLUMN bgp.route_event.seq IS 'order of arrival at the collector: sorts events of the same microsecond';
COMMENT ON COLUMN bgp.route_event.kind IS 'A announce, W withdraw';
COMMENT ON COLUMN bgp.route_event.origin IS 'i igp, e egp, ? incomplete (RFC 4271 section 5.1.1)';
COMMENT ON COLUMN bgp.route_event.family IS 'NULL: unicast of the address family of prefix';
COMMENT ON COLUMN bgp.route_event.as_path IS 'only where path does not tell it all: sets, confederations';

-- Live indexes, on every leaf from its first row; what each costs is in make bench.  (ts)
-- and not BRIN, which knows nothing of new pages before VACUUM.  Those on prefix and on what
-- is new are in 016; what only history needs is built when a day closes: bgp.close_statements.
CREATE INDEX IF NOT EXISTS route_event_ts ON bgp.route_event (ts);
CREATE INDEX IF NOT EXISTS route_event_origin_asn ON bgp.route_event (origin_asn);

CREATE TABLE IF NOT EXISTS bgp.session_log (
	ts		timestamptz NOT NULL,
	seq		bigint NOT NULL,
	peer_id		int,
	collector	text NOT NULL,
	event		text NOT NULL,
	family		text,
	detail		jsonb
);
CREATE INDEX IF NOT EXISTS session_log_peer_ts ON bgp.session_log (peer_id, ts);
CREATE INDEX IF NOT EXISTS session_log_ts ON bgp.session_log (ts);
COMMENT ON TABLE bgp.session_log IS
    'state changes and messages of BGP sessions other than routes, and of the helper itself';
COMMENT ON COLUMN bgp.session_log.event IS
    'up, down, connected, eor, refresh, open, notification, start, stop, resync; and what ExaBGP reports besides:
negotiated, fsm, keepalive, operational, signal';

CREATE TABLE IF NOT EXISTS bgp.ingest_error (
	ts		timestamptz NOT NULL,
	seq		bigint NOT NULL,
	collector	text NOT NULL,
	line		text,
	error		text NOT NULL
);
CREATE INDEX IF NOT EXISTS ingest_error_ts ON bgp.ingest_error (ts);
COMMENT ON TABLE bgp.ingest_error IS 'input lines that gave no rows, or a row that PostgreSQL refused, with the reason';
COMMENT ON COLUMN bgp.ingest_error.line IS 'first 64 KiB; bytes that are not valid UTF-8 text as \xNN';

CREATE TABLE IF NOT EXISTS bgp.ingest_gap (
	collector	text NOT NULL,
	from_ts		timestamptz,
	to_ts		timestamptz,
	lines		bigint,
	bytes		bigint,
	reason		text NOT NULL,
	peer_id		int
);
CREATE INDEX IF NOT EXISTS ingest_gap_from_ts ON bgp.ingest_gap (from_ts);
COMMENT ON TABLE bgp.ingest_gap IS 'input known to be lost: when, how much and why; NULL where it cannot be known';

-- How far each journal is loaded.  Written in the same transaction as the rows,
-- so that nothing is stored twice or skipped, whatever was killed when.
CREATE TABLE IF NOT EXISTS bgp.ingest_position (
	journal_id	uuid PRIMARY KEY,
	collector	text NOT NULL,
	segment		bigint NOT NULL DEFAULT 0,
	position	bigint NOT NULL DEFAULT 0,
	events		int NOT NULL DEFAULT 0,
	seq		bigint NOT NULL DEFAULT 0,
	rows_total	bigint NOT NULL DEFAULT 0,
	errors_total	bigint NOT NULL DEFAULT 0,
	gaps_total	bigint NOT NULL DEFAULT 0,
	journal_bytes	bigint NOT NULL DEFAULT 0,
	oldest_pending	timestamptz,
	last_commit	timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX IF NOT EXISTS ingest_position_collector ON bgp.ingest_position (collector);
COMMENT ON TABLE bgp.ingest_position IS 'how far the journal of each helper is loaded';
COMMENT ON COLUMN bgp.ingest_position.position IS 'byte offset in the segment of the first line not wholly loaded';
COMMENT ON COLUMN bgp.ingest_position.events IS 'events of that line already loaded';
COMMENT ON COLUMN bgp.ingest_position.rows_total IS 'announcements and withdrawals';
COMMENT ON COLUMN bgp.ingest_position.oldest_pending IS
    'when the oldest journaled line not loaded at last_commit was read; NULL: none';
