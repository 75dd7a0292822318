-- 005-resync.sql - routes that were sent again because somebody asked (route refresh,
-- RFC 2918 and RFC 7313), and peers of which lines may have been missed.

ALTER TABLE bgp.peer
	ADD COLUMN IF NOT EXISTS stale_since timestamptz,
	ADD COLUMN IF NOT EXISTS enhanced_refresh boolean,
	ADD COLUMN IF NOT EXISTS refreshing text;
COMMENT ON COLUMN bgp.peer.stale_since IS 'since then lines of this peer may have been missed: what its routes are now is not certain until its session restarts or a resync ends; NULL: certain';
COMMENT ON COLUMN bgp.peer.enhanced_refresh IS 'its OPEN announced enhanced route refresh (RFC 7313); NULL: no OPEN was seen';
COMMENT ON COLUMN bgp.peer.refreshing IS 'the helper''s own: families being sent again, "PHASE MICROSECONDS FAMILY;..."; phase a asked, b begun, B asked and begun, m so and lines of it were missed, x asked and never ended';

-- NULL rather than false: it costs nothing in a row
ALTER TABLE bgp.route_event ADD COLUMN IF NOT EXISTS refreshed boolean;
COMMENT ON COLUMN bgp.route_event.refreshed IS 'true: came in answer to a route refresh';

-- bgp.route_log: the log as people read it.  Only columns and joins, so that
-- predicates on ts, peer_id, prefix, origin_asn, path and communities reach
-- partitions and indexes.
CREATE OR REPLACE VIEW bgp.route_log AS
SELECT e.ts, p.collector, e.peer_id, p.peer_address, p.peer_asn,
    CASE e.kind WHEN 'A' THEN 'announce' ELSE 'withdraw' END AS kind,
    coalesce(e.family, CASE family(e.prefix) WHEN 4 THEN 'ipv4 unicast' ELSE 'ipv6 unicast' END) AS family,
    e.prefix, e.path_id, e.rd, e.labels, e.next_hop,
    coalesce(e.as_path, array_to_string(e.path, ' ')) AS as_path,
    e.path, e.origin_asn,
    CASE e.origin WHEN 'i' THEN 'igp' WHEN 'e' THEN 'egp' WHEN '?' THEN 'incomplete' END AS origin,
    e.med, e.local_pref, e.communities, e.large_communities, e.ext_communities,
    e.aggregator, e.atomic_aggregate, e.attributes, e.nlri,
    coalesce(e.refreshed, false) AS refreshed
FROM bgp.route_event e JOIN bgp.peer p USING (peer_id);
COMMENT ON VIEW bgp.route_log IS 'every announcement and withdrawal, as received';
COMMENT ON COLUMN bgp.route_log.refreshed IS
    'announced in answer to a route refresh: it may only repeat what was known';
COMMENT ON COLUMN bgp.session_log.detail IS 'what the event says besides. resync: phase asked, end (of the family; from: when it began), unanswered or impossible (reason)';

-- bgp.ingest_peer_states: what the helper must remember of the peers of a collector.  (Helpers
-- of schema 4 use bgp.ingest_peers.)
CREATE OR REPLACE FUNCTION bgp.ingest_peer_states(collector text)
RETURNS TABLE (peer_id int, peer_address inet, peer_asn bigint, local_address inet,
    exabgp_pid bigint, line_counter bigint, last_seen timestamptz,
    state text, stale boolean, enhanced_refresh boolean, refreshing text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.peer_id, p.peer_address, p.peer_asn, p.local_address, p.exabgp_pid,
	    p.line_counter, p.last_seen, p.state, p.stale_since IS NOT NULL, p.enhanced_refresh, p.refreshing
	FROM bgp.peer p WHERE p.collector = $1
$$;
COMMENT ON FUNCTION bgp.ingest_peer_states(text) IS 'peers of a collector as the helper last left them';

-- bgp.ingest_commit: last statement of every batch.  Moves the journal's position
-- from where the batch began to where it ended and notes what it says of peers; the
-- arrays run in parallel, one element a peer, NULL where nothing is new, and -infinity
-- in stale_since and '' in refreshing where there is none any more.  If the position is not
-- where the batch began, another connection has loaded it: the error (SQLSTATE EP001)
-- undoes the batch and makes the helper ask where to go on.
CREATE OR REPLACE FUNCTION bgp.ingest_commit(journal_id uuid,
    from_segment bigint, from_position bigint, from_events int,
    to_segment bigint, to_position bigint, to_events int, to_seq bigint,
    new_rows bigint, new_errors bigint, new_gaps bigint,
    journal_bytes bigint, oldest_pending timestamptz,
    peer_ids int[], last_seen timestamptz[], pids bigint[], counters bigint[],
    states text[], states_since timestamptz[], router_ids inet[],
    stale_since timestamptz[], enhanced_refresh boolean[], refreshing text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	UPDATE bgp.ingest_position i
	SET segment = $5, position = $6, events = $7, seq = $8,
	    rows_total = i.rows_total + $9, errors_total = i.errors_total + $10,
	    gaps_total = i.gaps_total + $11, journal_bytes = $12,
	    oldest_pending = $13, last_commit = clock_timestamp()
	WHERE i.journal_id = $1 AND i.segment = $2 AND i.position = $3 AND i.events = $4;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'journal % is not at segment % position % event %', $1, $2, $3, $4
		    USING ERRCODE = 'EP001';
	END IF;
	IF cardinality($14) > 0 THEN
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
    text[], timestamptz[], inet[], timestamptz[], boolean[], text[]) IS
    'moves the position of a journal in the transaction of the rows it gave';

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

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bgp FROM PUBLIC;
GRANT SELECT ON bgp.route_log TO exabgp_pg_reader;
GRANT EXECUTE ON FUNCTION bgp.ingest_peer_states(text),
    bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint, bigint, bigint,
    bigint, bigint, timestamptz, int[], timestamptz[], bigint[], bigint[], text[], timestamptz[], inet[]),
    bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint, bigint, bigint,
    bigint, bigint, timestamptz, int[], timestamptz[], bigint[], bigint[], text[], timestamptz[], inet[],
    timestamptz[], boolean[], text[])
    TO exabgp_pg_writer;
