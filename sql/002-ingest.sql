-- 002-ingest.sql - what the helper calls.  Each function runs with the rights of
-- the schema's owner, so that exabgp_pg_writer needs nothing but these and INSERT.

-- bgp.ensure_peer: the peer_id of this peer of this collector, made if new.
CREATE OR REPLACE FUNCTION bgp.ensure_peer(collector text, peer_address inet, peer_asn bigint,
    local_address inet, local_asn bigint, seen timestamptz)
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	id	int;
BEGIN
	LOOP
		SELECT p.peer_id INTO id FROM bgp.peer p
		WHERE p.collector = $1
		  AND p.peer_address IS NOT DISTINCT FROM $2
		  AND p.peer_asn IS NOT DISTINCT FROM $3
		  AND p.local_address IS NOT DISTINCT FROM $4;
		EXIT WHEN FOUND;
		INSERT INTO bgp.peer (collector, peer_address, peer_asn, local_address,
		    local_asn, first_seen, last_seen)
		VALUES ($1, $2, $3, $4, $5, $6, $6)
		ON CONFLICT DO NOTHING
		RETURNING bgp.peer.peer_id INTO id;
		EXIT WHEN FOUND;
	END LOOP;
	RETURN id;
END
$$;
COMMENT ON FUNCTION bgp.ensure_peer(text, inet, bigint, inet, bigint, timestamptz) IS
    'peer_id of a peer, created if new';

-- bgp.is_attached: is there a table of this name in schema bgp, and is it a partition?
CREATE OR REPLACE FUNCTION bgp.is_attached(name text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_inherits i
	    WHERE i.inhrelid = to_regclass('bgp.' || quote_ident($1)) AND NOT i.inhdetachpending)
$$;
COMMENT ON FUNCTION bgp.is_attached(text) IS 'is this table of schema bgp a partition that is in use?';

-- bgp.days_max: so many leafs a peer may have, ten years; a clock that runs wild, or lines that
-- were made up, must not fill the catalog.
CREATE OR REPLACE FUNCTION bgp.days_max() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3660';
COMMENT ON FUNCTION bgp.days_max() IS 'most days of one peer that the log may have';

-- bgp.ensure_partition stands in 015-replication.sql.

-- bgp.ingest_open: where to go on loading this journal.  Waits for a commit of the
-- helper's last connection that may still be under way, so that its outcome is known.
-- schema_version: the newest that this database has.
CREATE OR REPLACE FUNCTION bgp.ingest_open(journal_id uuid, collector text,
    OUT segment bigint, OUT "position" bigint, OUT events int, OUT seq bigint, OUT schema_version int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO bgp.ingest_position AS i (journal_id, collector) VALUES ($1, $2)
	ON CONFLICT (journal_id) DO UPDATE SET collector = excluded.collector;
	SELECT i.segment, i.position, i.events, i.seq INTO $3, $4, $5, $6
	FROM bgp.ingest_position i WHERE i.journal_id = $1;
	SELECT max(v.version) INTO $7 FROM bgp.schema_version v;
END
$$;
COMMENT ON FUNCTION bgp.ingest_open(uuid, text) IS
    'position from which the helper goes on loading its journal';

-- bgp.ingest_peers: what the helper must remember of the peers of a collector.
CREATE OR REPLACE FUNCTION bgp.ingest_peers(collector text)
RETURNS TABLE (peer_id int, peer_address inet, peer_asn bigint, local_address inet,
    exabgp_pid bigint, line_counter bigint, last_seen timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.peer_id, p.peer_address, p.peer_asn, p.local_address, p.exabgp_pid,
	    p.line_counter, p.last_seen
	FROM bgp.peer p WHERE p.collector = $1
$$;
COMMENT ON FUNCTION bgp.ingest_peers(text) IS 'peers of a collector with their last line counters';
