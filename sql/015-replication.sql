-- 015-replication.sql - the logs of several collectors in one central database, by logical
-- replication (sql/NOTES.md); and partitions, of which a subscriber hears.

-- bgp.route_day: the days that the log has a partition for.  Written before the first row of
-- the day, in a transaction of its own, so that a subscriber hears of it before that row.
CREATE TABLE IF NOT EXISTS bgp.route_day (
	peer_id		int NOT NULL,
	day		date NOT NULL,
	PRIMARY KEY (peer_id, day)
) WITH (fillfactor = 50);
COMMENT ON TABLE bgp.route_day IS 'days that the log has a partition for, for a central database to make it as well';
INSERT INTO bgp.route_day (peer_id, day)
SELECT p.peer_id, p.day FROM bgp.partition p ON CONFLICT DO NOTHING;

-- bgp.ensure_partition: makes the leaf of this peer and UTC day if it is missing;
-- true if it did.  SQLSTATE EP002: the peer has bgp.days_max() already.  CREATE and ATTACH
-- rather than CREATE ... PARTITION OF: ATTACH takes SHARE UPDATE EXCLUSIVE on the parent,
-- which neither COPY nor SELECT waits for.
CREATE OR REPLACE FUNCTION bgp.ensure_partition(peer_id int, day date)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning AS $$
DECLARE
	top	text := format('route_event_%s', $1);
	leaf	text := format('route_event_%s_%s', $1, to_char($2, 'YYYYMMDD'));
BEGIN
	IF bgp.is_attached(leaf) THEN
		RETURN false;
	END IF;
	IF NOT EXISTS (SELECT FROM bgp.peer p WHERE p.peer_id = $1) THEN
		RAISE EXCEPTION 'there is no peer %', $1 USING ERRCODE = 'foreign_key_violation';
	END IF;
	-- one creator at a time; the others then find it made
	PERFORM pg_advisory_xact_lock(hashtextextended('bgp.ensure_partition', 0));
	IF NOT bgp.is_attached(top) THEN
		IF to_regclass('bgp.' || quote_ident(top)) IS NULL THEN
			EXECUTE format('CREATE TABLE bgp.%I (LIKE bgp.route_event INCLUDING ALL) PARTITION BY'
			    ' RANGE (ts)', top);
			EXECUTE format('GRANT SELECT ON bgp.%I TO exabgp_pg_reader', top);
		END IF;
		EXECUTE format('ALTER TABLE bgp.route_event ATTACH PARTITION bgp.%I FOR VALUES IN (%s)', top, $1);
	END IF;
	IF bgp.is_attached(leaf) THEN
		RETURN false;
	END IF;
	IF (SELECT count(*) FROM pg_inherits i
	    WHERE i.inhparent = to_regclass('bgp.' || quote_ident(top))) >= bgp.days_max() THEN
		RAISE EXCEPTION 'peer % has % days in the log', $1, bgp.days_max() USING ERRCODE = 'EP002';
	END IF;
	-- insert-only: vacuum seldom, for the visibility map and freezing; analyze as ever,
	-- since a leaf without statistics is badly planned
	-- (one that is there but detached, by hand or by a retention that did not end, comes back)
	IF to_regclass('bgp.' || quote_ident(leaf)) IS NULL THEN
		EXECUTE format('CREATE TABLE bgp.%I (LIKE bgp.%I INCLUDING ALL)
		    WITH (autovacuum_vacuum_insert_scale_factor = 0.5)', leaf, top);
		EXECUTE format('GRANT SELECT ON bgp.%I TO exabgp_pg_reader', leaf);
	END IF;
	EXECUTE format('ALTER TABLE bgp.%I ATTACH PARTITION bgp.%I FOR VALUES FROM (%L) TO (%L)', top, leaf,
	    to_char($2, 'YYYY-MM-DD') || ' 00:00:00+00', to_char($2 + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
	-- published is the INSERT alone, whatever was there before
	DELETE FROM bgp.route_day d WHERE d.peer_id = $1 AND d.day = $2;
	INSERT INTO bgp.route_day VALUES ($1, $2);
	RETURN true;
END
$$;
COMMENT ON FUNCTION bgp.ensure_partition(int, date) IS
    'makes the partition of bgp.route_event for one peer and UTC day; true if it was missing';
REVOKE ALL ON FUNCTION bgp.ensure_partition(int, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bgp.ensure_partition(int, date) TO exabgp_pg_writer;

-- --- at the subscriber: triggers that fire for replicated rows only ------------------------

-- A day that another database notes is noted here by making its partition, if that is missing.
CREATE OR REPLACE FUNCTION bgp.replicated_day() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM bgp.ensure_partition(NEW.peer_id, NEW.day);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION bgp.replicated_day() IS
    'makes the partition of a day for rows of another database that are to come';
CREATE OR REPLACE TRIGGER replicated_day BEFORE INSERT ON bgp.route_day
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION bgp.replicated_day();
ALTER TABLE bgp.route_day ENABLE REPLICA TRIGGER replicated_day;

-- The consumers that are told of a batch are those of this database, whoever is told in the
-- other; and which days are over is a matter of when the rows came here.
CREATE OR REPLACE FUNCTION bgp.replicated_batch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NEW.consumer = 'rib' THEN
		PERFORM bgp.batch_note(NEW.from_seq, NEW.to_seq, ARRAY[NEW.peer_id], ARRAY[NEW.from_ts],
		    ARRAY[NEW.to_ts]);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION bgp.replicated_batch() IS
    'tells the consumers of this database of a batch that was loaded in another';
CREATE OR REPLACE TRIGGER replicated_batch BEFORE INSERT ON bgp.batch_pending
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION bgp.replicated_batch();
ALTER TABLE bgp.batch_pending ENABLE REPLICA TRIGGER replicated_batch;

-- its rows change and it has no key
ALTER TABLE bgp.peer_stale REPLICA IDENTITY FULL;

-- bgp.replication_ready: has a subscription copied what was there before?
CREATE OR REPLACE FUNCTION bgp.replication_ready(subscription text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(bool_and(r.srsubstate = 'r'), false)
	FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid
	WHERE s.subname = $1 AND s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
$$;
COMMENT ON FUNCTION bgp.replication_ready(text) IS
    'does a subscription follow, all of what was there before being copied?';

REVOKE ALL ON FUNCTION bgp.replicated_day(), bgp.replicated_batch(), bgp.replication_ready(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bgp.replication_ready(text) TO exabgp_pg_reader;
GRANT SELECT ON bgp.route_day TO exabgp_pg_reader;
