-- 003-query.sql - what people query, and who may do what.

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
    bgp.ingest_open(uuid, text), bgp.ingest_peers(text) TO exabgp_pg_writer;
