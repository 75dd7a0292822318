-- 003-query.sql - what people query, and who may do what.

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

-- bgp.supernets: the prefix itself and every prefix that covers it, shortest first.
-- WHERE prefix = ANY (bgp.supernets('192.0.2.1')) finds the covering routes through
-- the (prefix, ts) index, which WHERE prefix >>= '192.0.2.1' cannot.
CREATE OR REPLACE FUNCTION bgp.supernets(prefix inet) RETURNS cidr[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT array_agg(network(set_masklen($1, n))::cidr ORDER BY n)
	FROM generate_series(0, masklen($1)) n
$$;
COMMENT ON FUNCTION bgp.supernets(inet) IS 'the prefix and all that cover it, for prefix = ANY (...)';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bgp FROM PUBLIC;
GRANT USAGE ON SCHEMA bgp TO exabgp_pg_writer, exabgp_pg_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA bgp TO exabgp_pg_reader;
GRANT EXECUTE ON FUNCTION bgp.supernets(inet) TO exabgp_pg_reader;
GRANT INSERT ON bgp.route_event, bgp.session_log, bgp.ingest_error, bgp.ingest_gap TO exabgp_pg_writer;
GRANT EXECUTE ON FUNCTION bgp.ensure_peer(text, inet, bigint, inet, bigint, timestamptz),
    bgp.ensure_partition(int, date), bgp.ingest_open(uuid, text), bgp.ingest_peers(text),
    bgp.ingest_commit(uuid, bigint, bigint, int, bigint, bigint, int, bigint, bigint, bigint,
    bigint, bigint, timestamptz, int[], timestamptz[], bigint[], bigint[], text[], timestamptz[], inet[])
    TO exabgp_pg_writer;
