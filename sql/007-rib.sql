-- 007-rib.sql - what every peer holds now, following the log; and who follows it.

-- --- committed batches, for those who follow the log -----------------------------------

CREATE TABLE IF NOT EXISTS bgp.consumer (
	name	text PRIMARY KEY
);
COMMENT ON TABLE bgp.consumer IS 'who is told of each committed batch through bgp.batch_pending';

-- Written in the transaction of the rows, deleted in that of the work: each event is dealt
-- with once, whatever the order of commits.
CREATE TABLE IF NOT EXISTS bgp.batch_pending (
	batch_id	bigint GENERATED ALWAYS AS IDENTITY,
	consumer	text NOT NULL,
	peer_id		int NOT NULL,
	from_seq	bigint NOT NULL,
	to_seq		bigint NOT NULL,
	from_ts		timestamptz NOT NULL,
	to_ts		timestamptz NOT NULL,
	queued_at	timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 1);
CREATE INDEX IF NOT EXISTS batch_pending_consumer ON bgp.batch_pending (consumer, peer_id, batch_id);
COMMENT ON TABLE bgp.batch_pending IS
    'rows of a peer that a consumer has yet to deal with: ts from from_ts to to_ts, seq above from_seq up to to_seq';

-- The last transaction that added rows to a UTC day that was over.  What was derived from
-- that day or from those before is right only if it saw this transaction.
CREATE TABLE IF NOT EXISTS bgp.late_day (
	peer_id		int NOT NULL,
	day		date NOT NULL,
	xid		xid8 NOT NULL,
	PRIMARY KEY (peer_id, day)
) WITH (fillfactor = 50);
COMMENT ON TABLE bgp.late_day IS 'days to which rows were added after their end, and the last transaction that did';

-- When the state of a peer was uncertain: bgp.peer.stale_since as it was.
CREATE TABLE IF NOT EXISTS bgp.peer_stale (
	peer_id		int NOT NULL,
	from_ts		timestamptz NOT NULL,
	to_ts		timestamptz
);
CREATE INDEX IF NOT EXISTS peer_stale_peer ON bgp.peer_stale (peer_id, from_ts);
COMMENT ON TABLE bgp.peer_stale IS
    'when lines of a peer may have been missed, until its session restarted or a resync ended (to_ts NULL: not yet)';
INSERT INTO bgp.peer_stale (peer_id, from_ts)
SELECT p.peer_id, p.stale_since FROM bgp.peer p
WHERE p.stale_since IS NOT NULL AND NOT EXISTS (SELECT FROM bgp.peer_stale s WHERE s.peer_id = p.peer_id);

-- bgp.batch_note: what ingest_commit says of the rows of its batch, by peer; NULL: a peer without rows.
CREATE OR REPLACE FUNCTION bgp.batch_note(from_seq bigint, to_seq bigint, peer_ids int[],
    from_ts timestamptz[], to_ts timestamptz[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO bgp.batch_pending (consumer, peer_id, from_seq, to_seq, from_ts, to_ts)
	SELECT c.name, u.id, $1, $2, u.from_ts, u.to_ts
	FROM bgp.consumer c, unnest($3, $4, $5) AS u (id, from_ts, to_ts)
	WHERE u.from_ts IS NOT NULL;

	-- already shortly before the day's end: this transaction may yet commit after it, when the
	-- base state of the next day is written
	WITH t AS MATERIALIZED (SELECT date_trunc('day',
	    (clock_timestamp() + interval '10 minutes') AT TIME ZONE 'UTC') AS today)
	INSERT INTO bgp.late_day (peer_id, day, xid)
	SELECT u.id, d::date, pg_current_xact_id()
	FROM t, unnest($3, $4, $5) AS u (id, from_ts, to_ts),
	    generate_series(date_trunc('day', u.from_ts AT TIME ZONE 'UTC'), u.to_ts AT TIME ZONE 'UTC', '1 day') d
	WHERE u.from_ts < t.today AT TIME ZONE 'UTC' AND d < t.today
	ON CONFLICT (peer_id, day) DO UPDATE SET xid = excluded.xid;
$$;
COMMENT ON FUNCTION bgp.batch_note(bigint, bigint, int[], timestamptz[], timestamptz[]) IS
    'tells the consumers of a batch, in its transaction';

-- bgp.ingest_commit: last statement of every batch.  Moves the journal's position
-- from where the batch began to where it ended and notes what it says of peers; the
-- arrays run in parallel, one element a peer, NULL where nothing is new, and -infinity
-- in stale_since and '' in refreshing where there is none any more.  If the position is not
-- where the batch began, another connection has loaded it: the error (SQLSTATE EP001)
-- undoes the batch and makes the helper ask where to go on.
-- rows_from, rows_to: the times of the rows of each peer, NULL where there are none.
CREATE OR REPLACE FUNCTION bgp.ingest_commit(journal_id uuid,
    from_segment bigint, from_position bigint, from_events int,
    to_segment bigint, to_position bigint, to_events int, to_seq bigint,
    new_rows bigint, new_errors bigint, new_gaps bigint,
    journal_bytes bigint, oldest_pending timestamptz,
    peer_ids int[], last_seen timestamptz[], pids bigint[], counters bigint[],
    states text[], states_since timestamptz[], router_ids inet[],
    stale_since timestamptz[], enhanced_refresh boolean[], refreshing text[],
    rows_from timestamptz[], rows_to timestamptz[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	from_seq	bigint;
BEGIN
	SELECT i.seq INTO from_seq FROM bgp.ingest_position i
	WHERE i.journal_id = $1 AND i.segment = $2 AND i.position = $3 AND i.events = $4
	FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'journal % is not at segment % position % event %', $1, $2, $3, $4
		    USING ERRCODE = 'EP001';
	END IF;
	UPDATE bgp.ingest_position i
	SET segment = $5, position = $6, events = $7, seq = $8,
	    rows_total = i.rows_total + $9, errors_total = i.errors_total + $10,
	    gaps_total = i.gaps_total + $11, journal_bytes = $12,
	    oldest_pending = $13, last_commit = clock_timestamp()
	WHERE i.journal_id = $1;
	IF cardinality($14) > 0 THEN
		PERFORM bgp.batch_note(from_seq, $8, $14, $24, $25);
		IF array_remove($21, NULL) <> '{}' THEN
			-- (a state may have begun earlier in the batch)
			UPDATE bgp.peer_stale s SET to_ts = greatest(u.since, u.seen)
			FROM unnest($14, $15, $19, $21) AS u (id, seen, since, stale)
			WHERE s.peer_id = u.id AND s.to_ts IS NULL AND u.stale = '-infinity';
			INSERT INTO bgp.peer_stale (peer_id, from_ts)
			SELECT u.id, u.stale FROM unnest($14, $21) AS u (id, stale) JOIN bgp.peer p ON p.peer_id = u.id
			WHERE isfinite(u.stale) AND p.stale_since IS NULL;
		END IF;
		UPDATE bgp.peer p
		SET last_seen = greatest(p.last_seen, u.seen),
		    exabgp_pid = coalesce(u.pid, p.exabgp_pid),
		    line_counter = coalesce(u.counter, p.line_counter),
		    state = coalesce(u.state, p.state),
		    state_since = CASE WHEN u.state IS NULL OR u.state = p.state
			THEN p.state_since ELSE u.since END,
		    router_id = coalesce(u.router, p.router_id),
		    stale_since = CASE WHEN u.stale = '-infinity' THEN NULL ELSE coalesce(p.stale_since, u.stale) END,
		    enhanced_refresh = coalesce(u.enhanced, p.enhanced_refresh),
		    refreshing = nullif(coalesce(u.refreshing, p.refreshing), '')
		FROM unnest($14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
		    AS u (id, seen, pid, counter, state, since, router, stale, enhanced, refreshing)
		WHERE p.peer_id = u.id;
	END IF;
END
$$;
COMMENT ON FUNCTION bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint,
    bigint, bigint, bigint, bigint, timestamptz, int[], timestamptz[], bigint[], bigint[],
    text[], timestamptz[], inet[], timestamptz[], boolean[], text[], timestamptz[], timestamptz[]) IS
    'moves the position of a journal in the transaction of the rows it gave';

-- As helpers of schemas 5 and 6 call it, which may run on after an upgrade.  They do not
-- say when their rows are from: between the last line before and the last of the batch,
-- unless time went back.
CREATE OR REPLACE FUNCTION bgp.ingest_commit(journal_id uuid,
    from_segment bigint, from_position bigint, from_events int,
    to_segment bigint, to_position bigint, to_events int, to_seq bigint,
    new_rows bigint, new_errors bigint, new_gaps bigint,
    journal_bytes bigint, oldest_pending timestamptz,
    peer_ids int[], last_seen timestamptz[], pids bigint[], counters bigint[],
    states text[], states_since timestamptz[], router_ids inet[],
    stale_since timestamptz[], enhanced_refresh boolean[], refreshing text[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT bgp.ingest_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
	    $18, $19, $20, $21, $22, $23, t.rows_from, t.rows_to)
	FROM (SELECT array_agg(CASE WHEN u.seen >= p.last_seen THEN p.last_seen ELSE least(p.first_seen, u.seen) END
	    ORDER BY u.n) AS rows_from,
		array_agg(greatest(u.seen, p.last_seen) ORDER BY u.n) AS rows_to
	    FROM unnest($14, $15) WITH ORDINALITY AS u (id, seen, n) LEFT JOIN bgp.peer p ON p.peer_id = u.id) t
$$;

COMMENT ON FUNCTION bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint,
    bigint, bigint, bigint, bigint, timestamptz, int[], timestamptz[], bigint[], bigint[],
    text[], timestamptz[], inet[], timestamptz[], boolean[], text[])
    IS 'bgp.ingest_commit as helpers of schemas 5 and 6 call it';

-- The form that a helper of schema 4 calls, which may run on after an upgrade.
CREATE OR REPLACE FUNCTION bgp.ingest_commit(journal_id uuid,
    from_segment bigint, from_position bigint, from_events int,
    to_segment bigint, to_position bigint, to_events int, to_seq bigint,
    new_rows bigint, new_errors bigint, new_gaps bigint,
    journal_bytes bigint, oldest_pending timestamptz,
    peer_ids int[], last_seen timestamptz[], pids bigint[], counters bigint[],
    states text[], states_since timestamptz[], router_ids inet[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT bgp.ingest_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
	    $18, $19, $20, '{}'::timestamptz[], '{}'::boolean[], '{}'::text[])
$$;
COMMENT ON FUNCTION bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint,
    bigint, bigint, bigint, bigint, timestamptz, int[], timestamptz[], bigint[], bigint[],
    text[], timestamptz[], inet[]) IS 'bgp.ingest_commit as helpers of schema 4 call it';

-- --- the routes that peers hold ---------------------------------------------------------

-- A route is told apart, within its peer, by prefix, path_id and qualifier: all that else
-- its NLRI is known by, '' for IPv4 and IPv6 unicast.  What an NLRI that is a prefix says
-- besides (a label) is an attribute of the route.  fillfactor: an update of a route
-- stays in its page and touches no index (HOT).
CREATE TABLE IF NOT EXISTS bgp.rib_entry (
	since			timestamptz NOT NULL,
	first_announced		timestamptz NOT NULL,
	ts			timestamptz NOT NULL,
	seq			bigint NOT NULL,
	attributes_hash		bigint NOT NULL,
	path_id			bigint NOT NULL,
	origin_asn		bigint,
	med			bigint,
	local_pref		bigint,
	peer_id			int NOT NULL,
	origin			"char",
	atomic_aggregate	boolean,
	prefix			cidr NOT NULL,
	qualifier		text NOT NULL,
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
COMMENT ON TABLE bgp.rib_entry IS 'routes that each peer holds now, one leaf a peer; query bgp.rib instead';
COMMENT ON COLUMN bgp.rib_entry.ts IS 'when it was last announced, changed or not';
COMMENT ON COLUMN bgp.rib_entry.path_id IS 'ADD-PATH identifier, -1: none';
COMMENT ON COLUMN bgp.rib_entry.prefix IS '::/0 where the NLRI is no prefix (qualifier begins with *)';
COMMENT ON COLUMN bgp.rib_entry.qualifier IS
    'family and route distinguisher of what is not IPv4 or IPv6 unicast, and hash of the NLRI of what is no prefix';
COMMENT ON COLUMN bgp.rib_entry.attributes_hash IS 'of all that makes an announcement differ from the one before';

-- what an AS originates now.  (An origin seldom changes, so updates stay HOT.)
CREATE INDEX IF NOT EXISTS rib_entry_origin ON bgp.rib_entry (origin_asn);

-- How far the routes of a peer follow the log.
CREATE TABLE IF NOT EXISTS bgp.rib_peer (
	peer_id		int PRIMARY KEY,
	applied_ts	timestamptz,
	rebuild		boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE bgp.rib_peer IS 'how far bgp.rib follows the log of a peer';
COMMENT ON COLUMN bgp.rib_peer.applied_ts IS
    'time of the latest row that the routes show; older rows to come make them be read again from the log';
COMMENT ON COLUMN bgp.rib_peer.rebuild IS 'the routes are to be made anew from the log';
ALTER TABLE bgp.rib_peer
	ADD COLUMN IF NOT EXISTS failing_since timestamptz,
	ADD COLUMN IF NOT EXISTS retry_at timestamptz,
	ADD COLUMN IF NOT EXISTS error text;
COMMENT ON COLUMN bgp.rib_peer.failing_since IS 'since then the routes cannot be brought up to date; NULL: they can';
COMMENT ON COLUMN bgp.rib_peer.retry_at IS 'it is not tried again before';
COMMENT ON COLUMN bgp.rib_peer.error IS 'why not: SQLSTATE and message of the last try';

ALTER TABLE bgp.rib_peer ADD COLUMN IF NOT EXISTS ahead_ts timestamptz;
COMMENT ON COLUMN bgp.rib_peer.ahead_ts IS
    'the routes may show rows up to this time of batches that are pending: those of prefixes that were read again';

-- bgp.rib is told of batches from now on; a log that was there before has to be read
WITH told AS (INSERT INTO bgp.consumer VALUES ('rib') ON CONFLICT DO NOTHING RETURNING name)
INSERT INTO bgp.rib_peer (peer_id, rebuild)
SELECT p.peer_id, true FROM bgp.peer p
ON CONFLICT (peer_id) DO UPDATE SET rebuild = true WHERE EXISTS (SELECT FROM told);

-- bgp.nlri_key: the part of an NLRI that tells its route apart (EVPN: RFC 7432 section 7, RFC 9136).
CREATE OR REPLACE FUNCTION bgp.nlri_key(family text, nlri jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN family <> 'l2vpn evpn' OR NOT coalesce((nlri -> 'parsed')::boolean, false) THEN nlri
	WHEN nlri ->> 'code' IN ('2', '5') THEN nlri - '{raw,name,label,esi,gateway}'::text[]
	ELSE nlri - '{raw,name,label}'::text[] END
$$;
COMMENT ON FUNCTION bgp.nlri_key(text, jsonb) IS 'what of an NLRI identifies the route; a label, say, does not';

-- bgp.route_qualifier: see bgp.rib_entry.
CREATE OR REPLACE FUNCTION bgp.route_qualifier(family text, prefix cidr, rd text, nlri jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN family IS NULL OR prefix IS NOT NULL AND family IN ('ipv4 unicast', 'ipv6 unicast') THEN ''
	WHEN prefix IS NOT NULL THEN family || coalesce(' ' || rd, '')
	ELSE '*' || family || coalesce(' ' || rd, '') || coalesce(' ' || md5(bgp.nlri_key(family, nlri)::text), '') END
$$;
COMMENT ON FUNCTION bgp.route_qualifier(text, cidr, text, jsonb) IS
    'what besides prefix and path_id tells a route of a peer apart; '''' for IPv4 and IPv6 unicast';

-- bgp.rib_family: as people read it.
CREATE OR REPLACE FUNCTION bgp.rib_family(family text, prefix cidr) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT coalesce($1, CASE family($2) WHEN 4 THEN 'ipv4 unicast' ELSE 'ipv6 unicast' END)
$$;
COMMENT ON FUNCTION bgp.rib_family(text, cidr) IS 'address family of a row whose family is NULL for plain unicast';

-- bgp.rib_attributes: the columns that a route has besides what tells it apart and its times.
CREATE OR REPLACE FUNCTION bgp.rib_attributes() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT 'origin_asn, med, local_pref, origin, atomic_aggregate, next_hop, path, communities, large_communities,'
	    ' ext_communities, aggregator, as_path, family, rd, labels, attributes, nlri'
$$;
COMMENT ON FUNCTION bgp.rib_attributes() IS 'columns of bgp.rib_entry besides times and what tells routes apart';

-- bgp.rib_sweeps: route refreshes of a peer that ended in this time (RFC 7313 section 4):
-- what was last announced before begin is gone at the end.
CREATE OR REPLACE FUNCTION bgp.rib_sweeps(peer_id int, from_ts timestamptz, to_ts timestamptz)
RETURNS TABLE (family text, begin_ts timestamptz, begin_seq bigint, end_ts timestamptz, end_seq bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT e.family, b.ts, b.seq, e.ts, e.seq
	FROM bgp.session_log e, LATERAL (
	    SELECT s.ts, s.seq, s.event FROM bgp.session_log s
	    WHERE s.peer_id = e.peer_id AND s.ts <= e.ts AND (s.ts, s.seq) < (e.ts, e.seq)
	      AND (s.event IN ('up', 'down') OR s.event = 'refresh' AND s.family = e.family
		AND s.detail -> 'route-refresh' ->> 'subtype' = 'begin'
		    AND s.detail ->> 'direction' IS DISTINCT FROM 'send')
	    ORDER BY s.ts DESC, s.seq DESC LIMIT 1) b
	WHERE e.peer_id = $1 AND e.ts >= $2 AND e.ts <= $3 AND e.event = 'refresh'
	  AND e.detail -> 'route-refresh' ->> 'subtype' = 'end' AND e.detail ->> 'direction' IS DISTINCT FROM 'send'
	  AND b.event = 'refresh'
$$;
COMMENT ON FUNCTION bgp.rib_sweeps(int, timestamptz, timestamptz) IS
    'route refreshes that ended: what was not announced again since their begin is gone';
CREATE INDEX IF NOT EXISTS session_log_state ON bgp.session_log (peer_id, ts) WHERE event IN ('up', 'down', 'refresh');

-- bgp.rib_events: the SQL of events of a peer as bgp.rib_fold takes them; condition: our own.
CREATE OR REPLACE FUNCTION bgp.rib_events(peer_id int, condition text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format($f$SELECT coalesce(prefix, '::/0') AS prefix, coalesce(path_id, -1) AS path_id,
	    bgp.route_qualifier(family, prefix, rd, nlri) AS qualifier, kind, ts, seq,
	    hash_record_extended(ROW(next_hop, labels, path, as_path, origin, med, local_pref, communities,
	    large_communities,
		ext_communities, aggregator, atomic_aggregate, attributes, nlri), 0) AS attributes_hash, %s
	    FROM bgp.%I WHERE %s$f$, bgp.rib_attributes(),
	    CASE WHEN to_regclass(format('bgp.route_event_%s', $1)) IS NULL THEN 'route_event'
	    ELSE format('route_event_%s', $1) END,
	    CASE WHEN to_regclass(format('bgp.route_event_%s', $1)) IS NULL THEN 'false' ELSE $2 END)
$$;
COMMENT ON FUNCTION bgp.rib_events(int, text) IS 'SQL that gives the events of a peer for which a condition holds';

-- bgp.rib_fold: the SQL of the last event of each route that has events: kind W if it is gone;
-- last_since, last_first: since and first_announced as they result.  base: how to join l, the
-- events, of which is_first is the first of its route, to b, the routes that were there before.
-- sweeps: SQL of bgp.rib_sweeps, or NULL if there are none.
CREATE OR REPLACE FUNCTION bgp.rib_fold(events text, base text, sweeps text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format($f$
	SELECT * FROM (
	    SELECT l.*, max(CASE WHEN begins OR attributes_hash <> was_hash THEN ts WHEN is_first
	    THEN b_since END) OVER w AS last_since,
		max(CASE WHEN begins THEN ts WHEN is_first THEN b_first END) OVER w AS last_first
	    FROM (SELECT l.*, was IS DISTINCT FROM 'A' %3$s AS begins
		FROM (SELECT l.*, b.since AS b_since, b.first_announced AS b_first,
			CASE WHEN is_first THEN CASE WHEN b.ts IS NOT NULL THEN 'A'::"char" END
			    ELSE lag_kind END AS was,
			CASE WHEN is_first THEN b.attributes_hash ELSE lag_hash END AS was_hash%4$s
		    FROM (SELECT e.*, lag(kind) OVER w AS lag_kind, lag(attributes_hash) OVER w AS lag_hash,
			    lag(kind) OVER w IS NULL AS is_first, lead(kind) OVER w IS NULL AS is_last%5$s
			FROM (%1$s OFFSET 0) e -- (so that the hash is computed once)
			WINDOW w AS (PARTITION BY prefix, path_id, qualifier ORDER BY ts, seq)) l
		    LEFT JOIN %2$s) l) l
	    WINDOW w AS (PARTITION BY prefix, path_id, qualifier ORDER BY ts, seq)) l
	WHERE is_last$f$, $1, $2, CASE WHEN $3 IS NULL THEN '' ELSE format($f$
		    OR EXISTS (SELECT FROM %s s WHERE s.family = bgp.rib_family(l.family, l.prefix)
			AND (l.was_ts, l.was_seq) < (s.begin_ts, s.begin_seq)
			    AND (s.end_ts, s.end_seq) < (l.ts, l.seq))$f$, $3) END,
	    CASE WHEN $3 IS NULL THEN '' ELSE ', CASE WHEN is_first THEN b.ts ELSE lag_ts END AS was_ts,'
		' CASE WHEN is_first THEN b.seq ELSE lag_seq END AS was_seq' END,
	    CASE WHEN $3 IS NULL THEN '' ELSE ', lag(ts) OVER w AS lag_ts, lag(seq) OVER w AS lag_seq' END)
$$;
COMMENT ON FUNCTION bgp.rib_fold(text, text, text) IS 'SQL that gives what each route is after its last event';

-- bgp.rib_entry_create: the leaf of a peer's routes, if it is missing.
CREATE OR REPLACE FUNCTION bgp.rib_entry_create(peer_id int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
	leaf	text := format('rib_entry_%s', $1);
BEGIN
	IF bgp.is_attached(leaf) THEN
		RETURN;
	END IF;
	-- a lock of its own: this transaction may be long, and loading is not to wait for it
	PERFORM pg_advisory_xact_lock(hashtextextended('bgp.rib_entry_create', 0));
	IF bgp.is_attached(leaf) THEN
		RETURN;
	END IF;
	EXECUTE format('CREATE TABLE bgp.%I (LIKE bgp.rib_entry INCLUDING ALL) WITH (fillfactor = 70,
	    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.5)', leaf);
	EXECUTE format('CREATE UNIQUE INDEX %I ON bgp.%I (prefix, path_id, qualifier)', leaf || '_route', leaf);
	EXECUTE format('CREATE INDEX %I ON bgp.%I (qualifier) WHERE left(qualifier, 1) = ''*''', leaf
	    || '_other', leaf);
	EXECUTE format('GRANT SELECT ON bgp.%I TO exabgp_pg_reader', leaf);
	EXECUTE format('ALTER TABLE bgp.rib_entry ATTACH PARTITION bgp.%I FOR VALUES IN (%s)', leaf, $1);
END
$$;
COMMENT ON FUNCTION bgp.rib_entry_create(int) IS 'makes the partition of bgp.rib_entry for a peer if it is missing';

-- --- base states: what a peer held when a UTC day began -----------------------------------

-- The same columns as bgp.rib_entry, as a type of its own since a table whose row type is
-- stored elsewhere cannot get columns.
DO $$
BEGIN
	IF to_regtype('bgp.rib_base_route') IS NULL THEN
		CREATE TYPE bgp.rib_base_route AS (
			since timestamptz, first_announced timestamptz, ts timestamptz, seq bigint,
			    attributes_hash bigint,
			path_id bigint, origin_asn bigint, med bigint, local_pref bigint, origin "char",
			atomic_aggregate boolean, prefix cidr, qualifier text, next_hop inet, path bigint[],
			communities text[], large_communities text[], ext_communities text[], aggregator text,
			    as_path text, family text, rd text, labels int[], attributes jsonb, nlri jsonb);
	END IF;
END
$$;

-- Some hundred routes a row, in order of prefix: compressed together they take a fraction
-- of what rows of their own would.
CREATE TABLE IF NOT EXISTS bgp.rib_base (
	day		date NOT NULL,
	peer_id		int NOT NULL,
	first_prefix	cidr NOT NULL,
	last_prefix	cidr NOT NULL,
	routes		bgp.rib_base_route[] NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX IF NOT EXISTS rib_base_peer ON bgp.rib_base (peer_id, first_prefix);

-- bgp.route_origins: the origins of some routes, for an index: which chunks have routes of an AS
CREATE OR REPLACE FUNCTION bgp.route_origins(routes bgp.rib_base_route[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT array_agg(DISTINCT r.origin_asn) FROM unnest($1) r WHERE r.origin_asn IS NOT NULL
$$;
COMMENT ON FUNCTION bgp.route_origins(bgp.rib_base_route[]) IS 'the origins that routes of a base state have';
-- (ONLY: the days of an earlier version stay without it, since to read all of them takes very long)
CREATE INDEX IF NOT EXISTS rib_base_origins ON ONLY bgp.rib_base USING gin (bgp.route_origins(routes))
    WITH (fastupdate = off);
COMMENT ON TABLE bgp.rib_base IS 'routes of a peer when a UTC day began, in chunks; derived from the log';

-- A base is right if it saw all that was added to the days before it, back to the horizon.
CREATE TABLE IF NOT EXISTS bgp.rib_base_day (
	peer_id		int NOT NULL,
	day		date NOT NULL,
	seen		pg_snapshot NOT NULL,
	routes		bigint NOT NULL,
	written_at	timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (peer_id, day)
);
COMMENT ON TABLE bgp.rib_base_day IS 'which days of a peer have a base state';
COMMENT ON COLUMN bgp.rib_base_day.seen IS
    'the transactions that it is made of: later ones that add to days before make it invalid';

CREATE TABLE IF NOT EXISTS bgp.rib_horizon (
	peer_id		int PRIMARY KEY,
	day		date NOT NULL
);
COMMENT ON TABLE bgp.rib_horizon IS 'the log of a peer before this day is gone: its base state is where history begins';

-- bgp.day_start: when a UTC day begins.
CREATE OR REPLACE FUNCTION bgp.day_start(day date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT $1::timestamp AT TIME ZONE 'UTC' $$;
COMMENT ON FUNCTION bgp.day_start(date) IS 'the moment at which a UTC day begins';

-- bgp.rib_base_find: the newest valid base of a peer that is not after this moment: that of a day is what there was
-- just before the day began, a microsecond before its first.
CREATE OR REPLACE FUNCTION bgp.rib_base_find(peer_id int, at timestamptz) RETURNS date
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT b.day FROM bgp.rib_base_day b
	    WHERE b.peer_id = $1 AND b.day <= CASE WHEN isfinite($2)
	    THEN (($2 + interval '1 microsecond') AT TIME ZONE 'UTC')::date ELSE $2::date END
	      AND NOT EXISTS (SELECT FROM bgp.late_day l
		WHERE l.peer_id = $1 AND l.day < b.day AND NOT pg_visible_in_snapshot(l.xid, b.seen)
		  AND l.day >= coalesce((SELECT h.day FROM bgp.rib_horizon h WHERE h.peer_id = $1), '-infinity'))
	    ORDER BY b.day DESC LIMIT 1);
END
$$;
COMMENT ON FUNCTION bgp.rib_base_find(int, timestamptz) IS
    'day of the newest base state of a peer that is right, or NULL';

-- (Here and below, times in SQL that is built are written as ISO 8601 has them: whatever else a
-- session's DateStyle may give need not be read as the same time: IST is India's, and Israel's.)

-- bgp.rib_sql: the SQL that gives the routes of a peer as they were at this moment, as rows
-- like those of bgp.rib_entry but for peer_id.  within: only it and its more specifics;
-- exact: only these prefixes.  kept: what bgp.rib_entry has may serve as the base, where it is not
-- later than this moment; without it the log and base states alone tell.
DROP FUNCTION IF EXISTS bgp.rib_sql(int, timestamptz, cidr, cidr[]);
CREATE OR REPLACE FUNCTION bgp.rib_sql(peer_id int, at timestamptz, within cidr, exact cidr[],
    kept boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
#variable_conflict use_variable
DECLARE
	base_day	date;
	from_ts		timestamptz;
	due_ts		timestamptz;
	due_from_seq	bigint;
	due_to_seq	bigint;
	wipe		record;
	condition	text := format('ts <= %L', at);
	filter		text := '';
	chunks		text := '';
	base		text := 'SELECT (NULL::bgp.rib_base_route).* WHERE false';
	sweeps		text;
	columns		text := 'since, first_announced, ts, seq, attributes_hash, path_id, prefix, qualifier, '
	    || bgp.rib_attributes();
	has_events	boolean := true;
BEGIN
	IF kept THEN	-- with the batches that bgp.rib_follow_peer would apply to it now
		SELECT q.* INTO due_ts, due_from_seq, due_to_seq FROM bgp.rib_peer r, LATERAL (
		    SELECT min(b.from_ts) AS from_ts, min(b.from_seq) AS from_seq, max(b.to_seq) AS to_seq
		    FROM bgp.batch_pending b WHERE b.consumer = 'rib' AND b.peer_id = r.peer_id) q
		WHERE r.peer_id = rib_sql.peer_id AND greatest(r.applied_ts, r.ahead_ts) <= at AND NOT r.rebuild
		  AND r.applied_ts IS NOT NULL AND (q.from_ts IS NULL OR q.from_ts >= r.applied_ts)
		  AND EXISTS (SELECT FROM bgp.consumer c WHERE c.name = 'rib')
		  AND to_regclass('bgp.rib_entry_' || r.peer_id) IS NOT NULL;
		kept := FOUND;
	END IF;
	IF NOT kept OR due_ts IS NOT NULL THEN
		base_day := bgp.rib_base_find(peer_id, at);
		from_ts := coalesce(bgp.day_start(base_day), '-infinity');
		-- (a base state that is newer than the first of those batches leaves less to be read)
		kept := kept AND due_ts >= from_ts;
	END IF;
	IF kept THEN
		from_ts := coalesce(due_ts, 'infinity');
	ELSE
		due_ts := NULL;
	END IF;
	SELECT s.ts, s.seq INTO wipe FROM bgp.session_log s
	WHERE s.peer_id = rib_sql.peer_id AND s.event IN ('up', 'down') AND s.ts >= from_ts AND s.ts <= at
	ORDER BY s.ts DESC, s.seq DESC LIMIT 1;
	IF FOUND THEN
		kept := false;
		base_day := NULL;
		from_ts := wipe.ts;
		condition := condition || format(' AND (ts > %1$L OR seq > %2$s)', wipe.ts, wipe.seq);
	ELSIF due_ts IS NOT NULL THEN
		condition := condition || format(' AND seq > %s AND seq <= %s', due_from_seq, due_to_seq);
	ELSIF kept THEN
		has_events := false;
	END IF;
	IF from_ts > '-infinity' THEN
		condition := condition || format(' AND ts >= %L', from_ts);
	END IF;
	IF within IS NOT NULL THEN
		filter := format(' AND prefix <<= %L::cidr', within);
		chunks := format(' AND b.first_prefix <= %L::cidr AND b.last_prefix >= %L::cidr',
		    set_masklen(broadcast(within), CASE family(within) WHEN 4 THEN 32 ELSE 128 END)::cidr, within);
	END IF;
	IF exact IS NOT NULL THEN
		filter := filter || format(' AND prefix = ANY (%L::cidr[])', exact);
		chunks := chunks || format($f$ AND b.first_prefix IN (SELECT c.first_prefix FROM unnest(%L::cidr[]) x,
		    LATERAL (SELECT i.first_prefix, i.last_prefix FROM bgp.rib_base i WHERE i.day = %L
		    AND i.peer_id = %s
			AND i.first_prefix <= x ORDER BY i.first_prefix DESC LIMIT 1) c WHERE c.last_prefix >= x)$f$,
		    exact, base_day, peer_id);
	END IF;
	IF kept THEN
		base := format('SELECT %s FROM bgp.%I WHERE %s OFFSET 0', columns, 'rib_entry_' || peer_id,
		    CASE WHEN filter = '' THEN 'true' ELSE 'left(qualifier, 1) <> ''*''' || filter END);
	ELSIF base_day IS NOT NULL THEN
		-- (OFFSET 0: what is joined with it is not joined with each chunk)
		base := format('SELECT u.* FROM bgp.rib_base b, unnest(b.routes) u WHERE b.day = %L'
		    ' AND b.peer_id = %s%s%s OFFSET 0',
		    base_day, peer_id, chunks, CASE WHEN filter <> '' THEN ' AND left(u.qualifier, 1) <> ''*''' END ||
		    replace(filter, ' AND prefix', ' AND u.prefix'));
	END IF;
	IF EXISTS (SELECT FROM bgp.session_log s
	    WHERE s.peer_id = rib_sql.peer_id AND s.event = 'refresh' AND s.ts >= from_ts AND s.ts <= at) THEN
		sweeps := format('bgp.rib_sweeps(%s, %L, %L)', peer_id, from_ts, at);
	ELSIF has_events AND filter <> '' THEN
		-- of a few prefixes there is often nothing since the day began: then the base says it all
		EXECUTE format('SELECT EXISTS (%s)', bgp.rib_events(peer_id, condition || filter)) INTO has_events;
	END IF;
	IF NOT has_events AND sweeps IS NULL THEN
		RETURN format('SELECT %s FROM (%s) b', columns, base);
	END IF;
	RETURN format($f$
	    WITH b AS %6$s MATERIALIZED (%4$s), f AS MATERIALIZED (%1$s)
	    SELECT last_since AS since, last_first AS first_announced, ts, seq, attributes_hash, path_id, prefix,
	    qualifier, %2$s
	    FROM f AS r WHERE kind = 'A' %3$s
	    UNION ALL
	    SELECT %5$s FROM b AS r
	    WHERE NOT EXISTS (SELECT FROM f WHERE f.prefix = r.prefix AND f.path_id = r.path_id
	    AND f.qualifier = r.qualifier) %3$s$f$, bgp.rib_fold(bgp.rib_events(peer_id, condition || filter),
		'b ON l.is_first AND b.prefix = l.prefix AND b.path_id = l.path_id AND b.qualifier = l.qualifier',
		    sweeps),
	    bgp.rib_attributes(),
	    CASE WHEN sweeps IS NOT NULL THEN format($f$AND NOT EXISTS (SELECT FROM %s s
		WHERE s.family = bgp.rib_family(r.family, r.prefix) AND (r.ts, r.seq) < (s.begin_ts, s.begin_seq))$f$,
		    sweeps) END,
	    base, columns, CASE WHEN filter = '' THEN 'NOT' END);
END
$$;
COMMENT ON FUNCTION bgp.rib_sql(int, timestamptz, cidr, cidr[], boolean) IS
    'SQL that gives the routes of a peer as they were at a moment';

-- bgp.rib_base_leaf: the partition of bgp.rib_base for this day, made if it is missing.  Before
-- bgp.rib_base_write in a transaction of its own, which takes no time: others wait for it.
CREATE OR REPLACE FUNCTION bgp.rib_base_leaf(day date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
	leaf	text := format('rib_base_%s', to_char($1, 'YYYYMMDD'));
BEGIN
	IF bgp.is_attached(leaf) THEN
		RETURN false;
	END IF;
	-- (not that of bgp.ensure_partition, for which loading waits)
	PERFORM pg_advisory_xact_lock(hashtextextended('bgp.rib_base_write', 0));
	IF bgp.is_attached(leaf) THEN
		RETURN false;
	END IF;
	EXECUTE format('CREATE TABLE IF NOT EXISTS bgp.%I (LIKE bgp.rib_base INCLUDING ALL)', leaf);
	EXECUTE format('GRANT SELECT ON bgp.%I TO exabgp_pg_reader', leaf);
	BEGIN
		EXECUTE format('ALTER TABLE bgp.%I ALTER routes SET COMPRESSION lz4', leaf);
	EXCEPTION WHEN feature_not_supported THEN
		NULL;	-- a server built without it: pglz then
	END;
	EXECUTE format('ALTER TABLE bgp.rib_base ATTACH PARTITION bgp.%I FOR VALUES FROM (%L) TO (%L)', leaf, $1,
	    $1 + 1);
	RETURN true;
END
$$;
COMMENT ON FUNCTION bgp.rib_base_leaf(date) IS 'makes the partition of bgp.rib_base for a day; true if it was missing';

-- bgp.rib_base_write: the base state of a peer for a day, if there is no valid one; the number
-- of routes written, NULL if there was nothing to do.  The day must have begun.
CREATE OR REPLACE FUNCTION bgp.rib_base_write(peer_id int, day date) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET jit = off SET work_mem = '64MB'
SET enable_nestloop = off
SET client_min_messages = warning AS $$
#variable_conflict use_variable
DECLARE
	leaf	text := format('rib_base_%s', to_char(day, 'YYYYMMDD'));
	seen	pg_snapshot;
	n	bigint;
BEGIN
	IF bgp.day_start(day) > now() THEN
		RAISE EXCEPTION 'the day % has not begun', day;
	END IF;
	-- one writer of a peer's bases at a time
	PERFORM pg_advisory_xact_lock(hashtext('bgp.rib_base_write'), peer_id);
	IF bgp.rib_base_find(peer_id, bgp.day_start(day)) = day THEN
		RETURN NULL;
	END IF;
	PERFORM bgp.rib_base_leaf(day);
	seen := pg_current_snapshot();
	EXECUTE format('DELETE FROM bgp.%I WHERE peer_id = %s', leaf, peer_id);
	DELETE FROM bgp.rib_base_day b WHERE b.peer_id = rib_base_write.peer_id AND b.day = rib_base_write.day;
	EXECUTE format($f$WITH w AS (
	    INSERT INTO bgp.%I (day, peer_id, first_prefix, last_prefix, routes)
	    SELECT %L, %s, (array_agg(prefix ORDER BY n))[1], (array_agg(prefix ORDER BY n DESC))[1],
		array_agg(ROW(since, first_announced, ts, seq, attributes_hash, path_id, origin_asn, med, local_pref,
		    origin, atomic_aggregate, prefix, qualifier, next_hop, path, communities, large_communities,
		    ext_communities,
		    aggregator, as_path, family, rd, labels, attributes, nlri)::bgp.rib_base_route ORDER BY n)
	    FROM (SELECT r.*, rank() OVER (ORDER BY prefix) AS chunk, row_number() OVER (ORDER BY prefix) AS n
		FROM (%s) r) r
	    GROUP BY chunk / 200
	    RETURNING cardinality(routes) AS n)
	    SELECT coalesce(sum(n), 0) FROM w$f$, leaf, day, peer_id,
	    bgp.rib_sql(peer_id, bgp.day_start(day) - interval '1 microsecond', NULL, NULL)) INTO n;
	INSERT INTO bgp.rib_base_day (peer_id, day, seen, routes) VALUES (peer_id, day, seen, n);
	RETURN n;
END
$$;
COMMENT ON FUNCTION bgp.rib_base_write(int, date) IS
    'writes what a peer held when a UTC day began, if that is missing or no longer right; the number of routes, or
NULL';

-- bgp.rib_forget_before: to be called before the log of a peer's earlier days is dropped.
CREATE OR REPLACE FUNCTION bgp.rib_forget_before(peer_id int, day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
	PERFORM bgp.rib_base_write(peer_id, day);
	-- What was not applied yet goes as well: the base state has it.  (In any case the row is written: if
	-- bgp.rib_follow is at this peer and does not see the base state yet, it fails and begins anew.)
	INSERT INTO bgp.rib_peer AS r (peer_id, rebuild)
	VALUES (peer_id, EXISTS (SELECT FROM bgp.batch_pending b
	    WHERE b.consumer = 'rib' AND b.peer_id = rib_forget_before.peer_id AND b.from_ts < bgp.day_start(day)))
	ON CONFLICT ON CONSTRAINT rib_peer_pkey DO UPDATE SET rebuild = r.rebuild OR excluded.rebuild;
	INSERT INTO bgp.rib_horizon AS h VALUES (peer_id, day)
	ON CONFLICT ON CONSTRAINT rib_horizon_pkey DO UPDATE SET day = greatest(h.day, excluded.day);
END
$$;
COMMENT ON FUNCTION bgp.rib_forget_before(int, date) IS
    'writes the base state of a day and makes it the beginning of history, so that the log before it can go';

-- bgp.partition anew: its sizes are computed only where they are asked for.  pg_table_size
-- and pg_indexes_size are volatile, which made every query of the view open every leaf.
CREATE OR REPLACE FUNCTION bgp.table_bytes(name regclass) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT pg_table_size($1) $$;
COMMENT ON FUNCTION bgp.table_bytes(regclass) IS 'pg_table_size, which a query may leave out where it is not needed';
CREATE OR REPLACE FUNCTION bgp.index_bytes(name regclass) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT pg_indexes_size($1) $$;
COMMENT ON FUNCTION bgp.index_bytes(regclass) IS 'pg_indexes_size, which a query may leave out where it is not needed';
CREATE OR REPLACE VIEW bgp.partition AS
SELECT c.oid::regclass AS leaf,
    (regexp_match(c.relname, '^route_event_(\d+)_(\d{8})$'))[1]::int AS peer_id,
    to_date((regexp_match(c.relname, '^route_event_(\d+)_(\d{8})$'))[2], 'YYYYMMDD') AS day,
    bgp.table_bytes(c.oid) AS table_bytes,
    bgp.index_bytes(c.oid) AS index_bytes,
    to_regclass(format('bgp.%I', c.relname || '_closed')) IS NOT NULL AS closed
FROM pg_class c
WHERE c.relnamespace = 'bgp'::regnamespace AND c.relkind = 'r' AND c.relispartition
  AND c.relname ~ '^route_event_\d+_\d{8}$';

-- bgp.rib_bases_due: base states of today that are missing although there is a log before it.
CREATE OR REPLACE FUNCTION bgp.rib_bases_due() RETURNS TABLE (peer_id int, day date)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.peer_id, t.day
	FROM (SELECT DISTINCT l.peer_id FROM bgp.partition l WHERE l.day < (now() AT TIME ZONE 'UTC')::date) p,
	    (SELECT (now() AT TIME ZONE 'UTC')::date AS day) t
	WHERE bgp.rib_base_find(p.peer_id, now()) IS DISTINCT FROM t.day
	ORDER BY 1
$$;
COMMENT ON FUNCTION bgp.rib_bases_due() IS 'base states that bgp.rib_base_write is to make: those of today';

-- --- following the log -----------------------------------------------------------------------

-- bgp.rib_rebuild: the routes of a peer anew from the log; exact: only those of these prefixes.
CREATE OR REPLACE FUNCTION bgp.rib_rebuild(peer_id int, exact cidr[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
SET enable_nestloop = off AS $$
#variable_conflict use_variable
DECLARE
	leaf	text := format('rib_entry_%s', peer_id);
	columns	text := 'since, first_announced, ts, seq, attributes_hash, path_id, prefix, qualifier, '
	    || bgp.rib_attributes();
BEGIN
	EXECUTE format('DELETE FROM bgp.%I WHERE $1 IS NULL OR prefix = ANY ($1) AND left(qualifier, 1) <> ''*''', leaf)
	    USING exact;
	EXECUTE format('INSERT INTO bgp.%I (peer_id, %s) SELECT %s, %s FROM (%s) r', leaf, columns, peer_id, columns,
	    bgp.rib_sql(peer_id, 'infinity', NULL, exact));
END
$$;
COMMENT ON FUNCTION bgp.rib_rebuild(int, cidr[]) IS 'makes the routes that a peer holds now anew from the log';

-- bgp.rib_apply: the rows of these batches change the routes of a peer; the number of routes
-- they are of.
CREATE OR REPLACE FUNCTION bgp.rib_apply(peer_id int, from_seq bigint, to_seq bigint, from_ts timestamptz,
    to_ts timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET jit = off
SET work_mem = '64MB'
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_variable
DECLARE
	leaf		text := format('rib_entry_%s', peer_id);
	condition	text := format('ts >= %L AND ts <= %L AND seq > %s AND seq <= %s', from_ts, to_ts, from_seq,
	    to_seq);
	columns		text := 'ts, seq, attributes_hash, path_id, prefix, qualifier, ' || bgp.rib_attributes();
	sweeps		text;
	wipe		record;
	n		bigint;
BEGIN
	-- a session that ends takes its routes along, one that begins has none
	SELECT s.ts, s.seq INTO wipe FROM bgp.session_log s
	WHERE s.peer_id = rib_apply.peer_id AND s.event IN ('up', 'down') AND s.ts >= from_ts AND s.ts <= to_ts
	  AND s.seq > from_seq AND s.seq <= to_seq
	ORDER BY s.ts DESC, s.seq DESC LIMIT 1;
	IF FOUND THEN
		EXECUTE format('DELETE FROM bgp.%I', leaf);
		condition := condition || format(' AND ts >= %1$L AND (ts > %1$L OR seq > %2$s)', wipe.ts, wipe.seq);
	END IF;
	-- (one of the same microsecond may be of a batch to come)
	IF EXISTS (SELECT FROM bgp.rib_sweeps(peer_id, from_ts, to_ts) WHERE end_seq <= to_seq) THEN
		sweeps := format('(SELECT * FROM bgp.rib_sweeps(%s, %L, %L) WHERE end_seq <= %s)', peer_id, from_ts,
		    to_ts, to_seq);
	END IF;
	EXECUTE format($f$
	    WITH f AS MATERIALIZED (%1$s),
	    d AS (DELETE FROM bgp.%2$I r USING f
		WHERE f.kind = 'W' AND r.prefix = f.prefix AND r.path_id = f.path_id AND r.qualifier = f.qualifier),
	    i AS (INSERT INTO bgp.%2$I AS r (peer_id, since, first_announced, %3$s)
		SELECT %4$s, last_since, last_first, %3$s FROM f WHERE kind = 'A'
		ON CONFLICT (prefix, path_id, qualifier) DO UPDATE
		SET (since, first_announced, %3$s) = ROW (excluded.since, excluded.first_announced, %5$s))
	    SELECT count(*) FROM f$f$,
	    bgp.rib_fold(bgp.rib_events(peer_id, condition),
		-- LIMIT: by the index, whatever the planner thinks of the size of the table
		format($b$LATERAL (SELECT b.since, b.first_announced, b.ts, b.seq, b.attributes_hash FROM bgp.%I b
		    WHERE l.is_first AND b.prefix = l.prefix AND b.path_id = l.path_id AND b.qualifier = l.qualifier
		    LIMIT 1) b ON true$b$, leaf), sweeps),
	    leaf, columns, peer_id,
	    regexp_replace(columns, '(\w+)', 'excluded.\1', 'g')) INTO n;
	IF sweeps IS NOT NULL THEN
		EXECUTE format($f$DELETE FROM bgp.%I r USING %s s
		    WHERE s.family = bgp.rib_family(r.family, r.prefix)
		      AND (r.ts, r.seq) < (s.begin_ts, s.begin_seq)$f$, leaf, sweeps);
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION bgp.rib_apply(int, bigint, bigint, timestamptz, timestamptz) IS
    'changes the routes that a peer holds by rows of the log that follow those applied before';

-- bgp.rib_late: rows came that are older than what the routes show: what they touch is read
-- again from the log.
CREATE OR REPLACE FUNCTION bgp.rib_late(peer_id int, from_seq bigint, to_seq bigint, from_ts timestamptz,
    to_ts timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
#variable_conflict use_variable
DECLARE
	prefixes	cidr[];
	others		boolean;
BEGIN
	IF NOT EXISTS (SELECT FROM bgp.session_log s WHERE s.peer_id = rib_late.peer_id
	    AND s.event IN ('up', 'down', 'refresh')
	    AND s.ts >= from_ts AND s.ts <= to_ts AND s.seq > from_seq AND s.seq <= to_seq) THEN
		EXECUTE format('SELECT array_agg(DISTINCT prefix), bool_or(left(qualifier, 1) = ''*'') FROM (%s) e',
		    bgp.rib_events(peer_id, format('ts >= %L AND ts <= %L AND seq > %s AND seq <= %s', from_ts, to_ts,
		    from_seq, to_seq)))
		INTO prefixes, others;
		IF prefixes IS NULL THEN
			RETURN;
		END IF;
		IF NOT others AND cardinality(prefixes) <= 2000 THEN
			PERFORM bgp.rib_rebuild(peer_id, prefixes);
			RETURN;
		END IF;
	END IF;
	PERFORM bgp.rib_rebuild(peer_id);
END
$$;
COMMENT ON FUNCTION bgp.rib_late(int, bigint, bigint, timestamptz, timestamptz) IS
    'changes the routes that a peer holds by rows of the log that are older than some applied before';

-- bgp.rib_follow_peer: brings the routes of a peer up to date with the log, a hundred thousand
-- events at most; how many batches that were, and what it cost in events.
CREATE OR REPLACE FUNCTION bgp.rib_follow_peer(peer_id int, rebuild boolean, OUT batches bigint, OUT cost bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	b	record;
	ahead	timestamptz;
BEGIN
	-- a peer that is new here, but whose log is not (it was restored or replicated)
	IF NOT rebuild AND (SELECT r.applied_ts FROM bgp.rib_peer r WHERE r.peer_id = $1) IS NULL THEN
		EXECUTE format('SELECT EXISTS (%s)', bgp.rib_events($1, 'ts < $1')) INTO rebuild
		    USING (SELECT min(q.from_ts) FROM bgp.batch_pending q WHERE q.consumer = 'rib' AND q.peer_id = $1);
	END IF;
	WITH due AS (
		SELECT x.batch_id FROM (SELECT batch_id,
		    sum(to_seq - from_seq) OVER (ORDER BY batch_id) - (to_seq - from_seq) AS before
		    FROM bgp.batch_pending WHERE consumer = 'rib' AND peer_id = $1) x
		WHERE x.before < 100000 OR rebuild),
	gone AS (
		DELETE FROM bgp.batch_pending d USING due
		WHERE d.batch_id = due.batch_id AND d.consumer = 'rib' AND d.peer_id = $1
		RETURNING d.*)
	SELECT count(*) AS batches, min(from_seq) AS from_seq, max(to_seq) AS to_seq, min(from_ts) AS from_ts,
	    max(to_ts) AS to_ts
	INTO b FROM gone;
	PERFORM bgp.rib_entry_create($1);
	IF rebuild THEN
		PERFORM bgp.rib_rebuild($1);
		-- (of a peer whose log was replicated or restored, the log alone tells the time of its latest row)
		EXECUTE format('SELECT greatest($1, max(ts)) FROM (%s) e', bgp.rib_events($1, 'true')) INTO b.to_ts
		    USING greatest(b.to_ts, (SELECT q.last_seen FROM bgp.peer q WHERE q.peer_id = $1));
		cost := 200000;
	ELSIF b.from_ts < (SELECT r.applied_ts FROM bgp.rib_peer r WHERE r.peer_id = $1) THEN
		PERFORM bgp.rib_late($1, b.from_seq, b.to_seq, b.from_ts, b.to_ts);
		ahead := (SELECT max(q.to_ts) FROM bgp.batch_pending q WHERE q.consumer = 'rib' AND q.peer_id = $1);
		cost := 100000;
	ELSE
		cost := bgp.rib_apply($1, b.from_seq, b.to_seq, b.from_ts, b.to_ts);
	END IF;
	batches := b.batches;
	INSERT INTO bgp.rib_peer AS r (peer_id, applied_ts, ahead_ts) VALUES ($1, b.to_ts, ahead)
	ON CONFLICT (peer_id) DO UPDATE SET applied_ts = greatest(r.applied_ts, excluded.applied_ts),
	    ahead_ts = greatest(r.ahead_ts, excluded.ahead_ts), rebuild = false, failing_since = NULL, retry_at = NULL,
	    error = NULL;
END
$$;
COMMENT ON FUNCTION bgp.rib_follow_peer(int, boolean) IS 'brings the routes of a peer up to date with the log';

-- bgp.rib_follow: brings the routes of a collector's peers up to date with the log, some
-- hundred thousand events at most; the number of batches dealt with, 0: there was nothing
-- left, -1: another session is at it, which may not see all that is committed now.  In
-- REPEATABLE READ, so that log and pending batches are seen as of the same moment.
--
-- A peer that fails keeps its batches, and its routes as they were; the others go on.
-- bgp.rib_peer says why; it is tried again after 1 s, then after as long as it has been failing,
-- a minute at most.  What is no peer's fault ends the call: lost to another transaction (class
-- 40), no room (53), cancelled (57).
CREATE OR REPLACE FUNCTION bgp.rib_follow(collector text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	budget	bigint;
	total	bigint;
	p	record;
	done	record;
	at	int;	-- the peer that is under way
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') THEN
		RAISE EXCEPTION 'bgp.rib_follow needs a REPEATABLE READ transaction'
		    USING ERRCODE = 'invalid_transaction_state';
	END IF;
	IF NOT pg_try_advisory_xact_lock(hashtextextended('bgp.rib_follow ' || $1, 0)) THEN
		RETURN -1;
	END IF;
	-- If one fails, all is begun anew without it.  (A subtransaction for each peer would cost a
	-- tenth: in each, SQL functions are planned again.)
	LOOP
		budget := 200000;
		total := 0;
		at := NULL;
		BEGIN
			FOR p IN
				SELECT q.peer_id, q.peer_address, q.peer_asn, bool_or(w.rebuild) AS rebuild
				FROM (SELECT b.peer_id, false AS rebuild, b.batch_id FROM bgp.batch_pending b
				    WHERE b.consumer = 'rib'
				    UNION ALL SELECT r.peer_id, true, 0 FROM bgp.rib_peer r WHERE r.rebuild) w
				    JOIN bgp.peer q USING (peer_id) LEFT JOIN bgp.rib_peer r USING (peer_id)
				WHERE q.collector = $1 AND coalesce(r.retry_at <= now(), true)
				-- those first that may fail again: there is little to undo yet
				GROUP BY q.peer_id, r.failing_since ORDER BY r.failing_since IS NULL, min(w.batch_id)
			LOOP
				EXIT WHEN budget <= 0;
				at := p.peer_id;
				done := bgp.rib_follow_peer(at, p.rebuild);
				budget := budget - done.cost;
				total := total + greatest(done.batches, 1);
			END LOOP;
			RETURN total;
		EXCEPTION WHEN OTHERS THEN
			IF at IS NULL OR left(SQLSTATE, 2) IN ('40', '53', '57') THEN
				RAISE;
			END IF;
			RAISE WARNING 'could not bring bgp.rib up to date for peer % (%, AS %): SQLSTATE %: %',
			    p.peer_id, p.peer_address, p.peer_asn, SQLSTATE, SQLERRM;
			INSERT INTO bgp.rib_peer AS r (peer_id, failing_since, retry_at, error)
			VALUES (p.peer_id, now(), now() + interval '1 second',
			    left(format('SQLSTATE %s: %s', SQLSTATE, SQLERRM), 1000))
			ON CONFLICT (peer_id) DO UPDATE SET failing_since = coalesce(r.failing_since, now()),
			    error = excluded.error, retry_at = greatest(excluded.retry_at,
			    now() + least(now() - coalesce(r.failing_since, now()), interval '1 minute'));
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION bgp.rib_follow(text) IS
    'brings bgp.rib up to date with the log of a collector; call until it returns 0';

-- --- what people query -------------------------------------------------------------------------

-- bgp.rib_projection: the columns of bgp.rib, of rows r like those of bgp.rib_entry and their peer p.
CREATE OR REPLACE FUNCTION bgp.rib_projection(prefix text, stale text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT format($f$r.ts, p.collector, p.peer_id, p.peer_address, p.peer_asn,
	    bgp.rib_family(r.family, r.prefix) AS family,
	    %s AS prefix, nullif(r.path_id, -1) AS path_id, r.rd, r.labels,
	    r.next_hop, coalesce(r.as_path, array_to_string(r.path, ' ')) AS as_path, r.path, r.origin_asn,
	    CASE r.origin WHEN 'i' THEN 'igp' WHEN 'e' THEN 'egp' WHEN '?' THEN 'incomplete' END AS origin,
	    r.med, r.local_pref, r.communities, r.large_communities, r.ext_communities, r.aggregator,
	    r.atomic_aggregate, r.attributes, r.nlri, r.since, r.first_announced, %s AS stale$f$, $1, $2)
$$;
COMMENT ON FUNCTION bgp.rib_projection(text, text) IS 'the columns of bgp.rib in SQL';

-- Two branches, so that a predicate on prefix reaches the index: it is a plain column of the
-- first, and ends the second.
DO $$
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW bgp.rib AS
	    SELECT %s FROM bgp.rib_entry r JOIN bgp.peer p USING (peer_id) WHERE left(r.qualifier, 1) <> ''*''
	    UNION ALL
	    SELECT %s FROM bgp.rib_entry r JOIN bgp.peer p USING (peer_id) WHERE left(r.qualifier, 1) = ''*''',
	    bgp.rib_projection('r.prefix', 'coalesce(r.ts < p.stale_since, false)'),
	    bgp.rib_projection('NULL::cidr', 'coalesce(r.ts < p.stale_since, false)'));
END
$$;
COMMENT ON VIEW bgp.rib IS 'the routes that each peer holds now';
COMMENT ON COLUMN bgp.rib.ts IS 'when it was last announced, changed or not';
COMMENT ON COLUMN bgp.rib.since IS 'when this route with exactly these attributes arrived';
COMMENT ON COLUMN bgp.rib.first_announced IS 'since when it has been there without interruption';
COMMENT ON COLUMN bgp.rib.stale IS
    'lines of the peer may have been missed since it was announced: it may be gone or changed';

-- bgp.ingest_status: does data flow, and how far behind is it.
-- What the database knows of a helper is what it last committed: one that has nothing to
-- commit and one that was killed with nothing left to load look the same ("quiet"); while
-- the database itself was away, nothing could be noted (the helper's own metrics tell).
CREATE OR REPLACE VIEW bgp.ingest_status AS
SELECT i.collector,
    max(i.last_commit) AS last_commit,
    coalesce(max(now() - i.oldest_pending), interval '0') AS lag,
    sum(i.journal_bytes)::bigint AS journal_bytes,
    sum(i.rows_total)::bigint AS rows_total,
    sum(i.errors_total)::bigint AS errors_total,
    sum(i.gaps_total)::bigint AS gaps_total,
    now() - max(i.last_commit) AS since_commit,
    CASE
    WHEN max(i.last_commit) IS NULL THEN 'new'
    WHEN bool_or(i.oldest_pending IS NOT NULL AND i.last_commit < now() - interval '1 minute') THEN 'stalled'
    WHEN bool_or(i.oldest_pending < now() - interval '1 minute') THEN 'behind'
    WHEN (array_agg(s.event = 'stop' AND s.seq = i.seq ORDER BY i.last_commit DESC NULLS LAST))[1] THEN 'stopped'
    WHEN max(i.last_commit) < now() - interval '1 minute' THEN 'quiet'
    ELSE 'loading'
    END AS helper,
    (SELECT count(*) FROM bgp.peer p WHERE p.collector = i.collector AND p.state = 'up') AS peers_up,
    (SELECT count(*) FROM bgp.peer p WHERE p.collector = i.collector) AS peers,
    (SELECT coalesce(now() - min(b.queued_at), interval '0') FROM bgp.batch_pending b JOIN bgp.peer p USING (peer_id)
	WHERE p.collector = i.collector AND b.consumer = 'rib') AS rib_lag,
    (SELECT coalesce(now() - min(b.queued_at), interval '0') FROM bgp.batch_pending b JOIN bgp.peer p USING (peer_id)
	WHERE p.collector = i.collector AND b.consumer = 'hunt') AS hunt_lag,
    (SELECT count(*) FROM bgp.rib_peer r JOIN bgp.peer p USING (peer_id)
	WHERE p.collector = i.collector AND r.failing_since IS NOT NULL) AS rib_failing
FROM bgp.ingest_position i
LEFT JOIN LATERAL (SELECT l.event, l.seq FROM bgp.session_log l
    WHERE l.peer_id IS NULL AND l.collector = i.collector AND l.event IN ('start', 'stop')
    ORDER BY l.ts DESC, l.seq DESC LIMIT 1) s ON true
GROUP BY i.collector;
COMMENT ON VIEW bgp.ingest_status IS 'does data flow, and how far behind is it, per collector';
COMMENT ON COLUMN bgp.ingest_status.rows_total IS 'announcements and withdrawals loaded';
COMMENT ON COLUMN bgp.ingest_status.journal_bytes IS 'lines on disk that were not loaded at the last commit';
COMMENT ON COLUMN bgp.ingest_status.lag IS
    'age of the oldest journaled line that was not loaded at the last commit; grows while the helper is down';
COMMENT ON COLUMN bgp.ingest_status.since_commit IS 'how long ago the last commit was';
COMMENT ON COLUMN bgp.ingest_status.helper IS
    'loading; behind: by more than a minute; stalled: lines wait and nothing was committed for a minute, the helper is
gone or cannot load; quiet: all was loaded, nothing came for a minute or the helper is gone; stopped: ended in order,
all loaded; new: nothing committed yet';
COMMENT ON COLUMN bgp.ingest_status.peers_up IS 'peers whose session was up as far as is loaded';
COMMENT ON COLUMN bgp.ingest_status.peers IS 'peers that were ever seen';
COMMENT ON COLUMN bgp.ingest_status.rib_lag IS 'age of the oldest committed batch that bgp.rib does not show yet';
COMMENT ON COLUMN bgp.ingest_status.rib_failing IS
    'peers of which bgp.rib cannot be brought up to date: bgp.rib_peer says why';
COMMENT ON COLUMN bgp.ingest_status.hunt_lag IS 'age of the oldest committed batch that no rule was applied to yet';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bgp FROM PUBLIC;
GRANT SELECT ON bgp.ingest_status, bgp.rib, bgp.rib_entry, bgp.rib_base, bgp.rib_base_day, bgp.rib_horizon,
    bgp.late_day, bgp.rib_peer, bgp.peer_stale, bgp.batch_pending, bgp.consumer TO exabgp_pg_reader;
GRANT EXECUTE ON FUNCTION bgp.table_bytes(regclass), bgp.index_bytes(regclass) TO exabgp_pg_reader;
GRANT EXECUTE ON FUNCTION bgp.rib_follow(text),
    bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint, bigint, bigint, bigint,
    bigint, timestamptz, int[], timestamptz[], bigint[], bigint[], text[], timestamptz[], inet[],
    timestamptz[], boolean[], text[], timestamptz[], timestamptz[]),
    bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint, bigint, bigint, bigint,
    bigint, timestamptz, int[], timestamptz[], bigint[], bigint[], text[], timestamptz[], inet[],
    timestamptz[], boolean[], text[]),
    bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint, bigint, bigint, bigint,
    bigint, timestamptz, int[], timestamptz[], bigint[], bigint[], text[], timestamptz[], inet[])
    TO exabgp_pg_writer;
