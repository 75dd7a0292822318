-- 004-maintenance.sql - for cron: days to come and days gone by.  Run by the owner.

-- bgp.partition: the leafs of the log.
CREATE OR REPLACE VIEW bgp.partition AS
SELECT c.oid::regclass AS leaf,
    (regexp_match(c.relname, '^route_event_(\d+)_(\d{8})$'))[1]::int AS peer_id,
    to_date((regexp_match(c.relname, '^route_event_(\d+)_(\d{8})$'))[2], 'YYYYMMDD') AS day,
    pg_table_size(c.oid) AS table_bytes,
    pg_indexes_size(c.oid) AS index_bytes,
    to_regclass(format('bgp.%I', c.relname || '_closed')) IS NOT NULL AS closed
FROM pg_class c
WHERE c.relnamespace = 'bgp'::regnamespace AND c.relkind = 'r' AND c.relispartition
  AND c.relname ~ '^route_event_\d+_\d{8}$';
COMMENT ON VIEW bgp.partition IS 'leafs of bgp.route_event: one a peer and UTC day';
COMMENT ON COLUMN bgp.partition.closed IS 'has the indexes that only history needs';

-- bgp.ensure_partitions_ahead: makes the leafs of today and so many days to come for
-- each peer that was heard of within the last week, so that no update at midnight has
-- to wait.  Returns the names of those that were missing.
CREATE OR REPLACE FUNCTION bgp.ensure_partitions_ahead(days int) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY
	SELECT format('bgp.route_event_%s_%s', p.peer_id, to_char(d, 'YYYYMMDD'))
	FROM bgp.peer p,
	    generate_series(date_trunc('day', now() AT TIME ZONE 'UTC'),
		date_trunc('day', now() AT TIME ZONE 'UTC') + make_interval(days => $1), '1 day') d
	WHERE p.last_seen > now() - interval '7 days' AND bgp.ensure_partition(p.peer_id, d::date)
	ORDER BY 1;
END
$$;
COMMENT ON FUNCTION bgp.ensure_partitions_ahead(int) IS
    'makes the partitions of today and the given number of days to come';

-- bgp.close_statements: what closes the leafs of days before this one that are not
-- closed: indexes for AS on path and communities, then statistics.  The last index made
-- marks the leaf as closed.  To be run one by one, outside of a transaction: each
-- CREATE INDEX lets readers go on, and late updates of that one day wait for it.
CREATE OR REPLACE FUNCTION bgp.close_statements(before date) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
	SELECT s.statement
	FROM (SELECT *, format('route_event_%s_%s', peer_id, to_char(day, 'YYYYMMDD')) AS name FROM bgp.partition) p,
	    LATERAL (VALUES
	    (1, format('CREATE INDEX IF NOT EXISTS %I ON %s USING gin (path)', p.name || '_path', p.leaf)),
	    (2, format('CREATE INDEX IF NOT EXISTS %I ON %s USING gin (communities)', p.name
	    || '_communities', p.leaf)),
	    (3, format('CREATE INDEX IF NOT EXISTS %I ON %s USING gin (large_communities)', p.name
	    || '_closed', p.leaf)),
	    (4, format('VACUUM (ANALYZE) %s', p.leaf))) AS s (step, statement)
	WHERE p.day < $1 AND NOT p.closed
	ORDER BY p.day, p.peer_id, s.step
$$;
COMMENT ON FUNCTION bgp.close_statements(date) IS
    'statements that build on older days the indexes that only history needs';

REVOKE ALL ON FUNCTION bgp.ensure_partitions_ahead(int), bgp.close_statements(date) FROM PUBLIC;
GRANT SELECT ON bgp.partition TO exabgp_pg_reader;
