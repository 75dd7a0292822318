-- 005-resync.sql - routes that were sent again because somebody asked (route refresh,
-- RFC 2918 and RFC 7313), and peers of which lines may have been missed.

ALTER TABLE bgp.peer
	ADD COLUMN IF NOT EXISTS stale_since timestamptz,
	ADD COLUMN IF NOT EXISTS enhanced_refresh boolean,
	ADD COLUMN IF NOT EXISTS refreshing text;
COMMENT ON COLUMN bgp.peer.stale_since IS
    'since then lines of this peer may have been missed: what its routes are now is not certain until its session
restarts or a resync ends; NULL: certain';
COMMENT ON COLUMN bgp.peer.enhanced_refresh IS
    'its OPEN announced enhanced route refresh (RFC 7313); NULL: no OPEN was seen';
COMMENT ON COLUMN bgp.peer.refreshing IS
    'the helper''s own: families being sent again, "PHASE MICROSECONDS FAMILY;..."; phase a asked, b begun, B asked and
begun, m so and lines of it were missed, x asked and never ended';

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
COMMENT ON COLUMN bgp.session_log.detail IS
    'what the event says besides. resync: phase asked, end (of the family; from: when it began), unanswered or
impossible (reason)';

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

-- bgp.ingest_commit stands in 007-rib.sql, in all its forms.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bgp FROM PUBLIC;
GRANT SELECT ON bgp.route_log TO exabgp_pg_reader;
GRANT EXECUTE ON FUNCTION bgp.ingest_peer_states(text) TO exabgp_pg_writer;
