-- 009-retention.sql - days that go: out of the log, into an archive, away; and back from an
-- archive.  For scripts/exabgp-pg-retention and exabgp-pg-restore; run by the owner.
--
-- A leaf goes in two steps, each whole or not at all.  bgp.retire takes it out of the log and
-- gives it the name bgp.route_event_<peer>_<yyyymmdd>_retired: from then on nothing is added
-- to it, and a late line of its day makes a leaf anew.  Then it is archived and dropped, or
-- bgp.unretire puts it back.
--
-- Retiring is DETACH PARTITION, without CONCURRENTLY if it can be: that leaves the leaf
-- half-detached until all transactions have ended that use the peer's log, and meanwhile a line
-- of its day can be stored nowhere, so that a helper with old lines would stand still.  The
-- lock that takes its place is asked for only when nobody who holds the table has held it for
-- long, and given up after 0.3 s.  Where there is always somebody, but nobody for ever, such a
-- moment does not come: then exabgp-pg-retention does it CONCURRENTLY (bgp.detach_statements).

-- bgp.retired: what was taken out of the log and is still there.
CREATE OR REPLACE VIEW bgp.retired AS
SELECT c.oid::regclass AS leaf,
    (regexp_match(c.relname, '^route_event_(\d+)_(\d{8})_retired$'))[1]::int AS peer_id,
    to_date((regexp_match(c.relname, '^route_event_(\d+)_(\d{8})_retired$'))[2], 'YYYYMMDD') AS day,
    pg_total_relation_size(c.oid) AS bytes
FROM pg_class c
WHERE c.relnamespace = 'bgp'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^route_event_\d+_\d{8}_retired$';
COMMENT ON VIEW bgp.retired IS
    'leafs that retention took out of bgp.route_event and has not dropped yet: the next run does';
GRANT SELECT ON bgp.retired TO exabgp_pg_reader;

-- bgp.retention_days: how many days before today each peer's log is kept; NULL: for ever.
CREATE OR REPLACE FUNCTION bgp.retention_days(keep int, addresses inet[], address_keep int[])
RETURNS TABLE (peer_id int, days int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.peer_id, coalesce((SELECT max(u.days) FROM unnest($2, $3) AS u (address, days)
	    WHERE u.address = p.peer_address), $1)
	FROM bgp.peer p
$$;
COMMENT ON FUNCTION bgp.retention_days(int, inet[], int[]) IS
    'days that each peer''s log is kept: that of its address, else the general one';

-- bgp.retention_plan: the leafs that go.  Those of more days ago than is kept, and, while what
-- is left (with indexes and base states) is larger than max_bytes, the oldest days of all
-- peers.  Never the day of today or one to come.
CREATE OR REPLACE FUNCTION bgp.retention_plan(keep int, addresses inet[], address_keep int[], max_bytes bigint)
RETURNS TABLE (peer_id int, day date, leaf text, bytes bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH leafs AS (
		SELECT l.peer_id, l.day, l.leaf::text AS leaf, l.table_bytes + l.index_bytes AS bytes,
		    l.day < (now() AT TIME ZONE 'UTC')::date AS past,
		    coalesce(l.day < (now() AT TIME ZONE 'UTC')::date - coalesce(d.days, $1), false) AS old
		FROM bgp.partition l LEFT JOIN bgp.retention_days($1, $2, $3) d USING (peer_id)
	), sized AS (
		SELECT l.day, l.bytes FROM leafs l WHERE NOT l.old
		UNION ALL
		SELECT to_date(right(c.relname, 8), 'YYYYMMDD'), pg_total_relation_size(c.oid) FROM pg_class c
		WHERE c.relnamespace = 'bgp'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^rib_base_\d{8}$'
	), days AS (
		-- what is there with this day and all after it
		SELECT s.day, sum(sum(s.bytes)) OVER (ORDER BY s.day DESC) AS from_here FROM sized s GROUP BY s.day
	)
	SELECT l.peer_id, l.day, l.leaf, l.bytes
	FROM leafs l
	WHERE l.past AND (l.old OR (SELECT d.from_here > $4 FROM days d WHERE d.day = l.day))
	ORDER BY l.day, l.peer_id
$$;
COMMENT ON FUNCTION bgp.retention_plan(int, inet[], int[], bigint) IS
    'leafs that are older than is kept, or that have to go for the log to be smaller than max_bytes; oldest first';

-- bgp.log_bytes: what max_bytes of bgp.retention_plan is compared with.
CREATE OR REPLACE FUNCTION bgp.log_bytes() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
	WHERE c.relnamespace = 'bgp'::regnamespace AND c.relkind = 'r'
	  AND c.relname ~ '^(route_event_\d+_\d{8}(_retired)?|rib_base_\d{8})$'
$$;
COMMENT ON FUNCTION bgp.log_bytes() IS 'size of the log and of base states, with indexes';

-- bgp.lock_holders: the transactions that hold tables of this database at this moment.  Those
-- that a second call, a little later, has as well are the long ones.
CREATE OR REPLACE FUNCTION bgp.lock_holders() RETURNS text[]
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(array_agg(DISTINCT l.virtualtransaction), '{}') FROM pg_locks l
	WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
	  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
$$;
COMMENT ON FUNCTION bgp.lock_holders() IS 'transactions that hold tables of this database';

-- bgp.lock_for_retention: these tables for us alone, or why not.  Does not ask for a table that
-- one of the transactions "avoid" holds, and waits for none longer than the caller's
-- lock_timeout: while one waits, all others wait behind it.
CREATE OR REPLACE FUNCTION bgp.lock_for_retention(tables text[], avoid text[])
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found	text;
	name	text;
BEGIN
	-- nobody makes a partition meanwhile
	IF NOT pg_try_advisory_xact_lock(hashtextextended('bgp.ensure_partition', 0)) THEN
		RETURN 'a partition is being made';
	END IF;
	SELECT string_agg(DISTINCT format('process %s%s', l.pid, coalesce(' of ' || a.usename, '') ||
	    coalesce(', since ' || date_trunc('second', a.xact_start), '')), '; ') INTO found
	FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
	WHERE l.locktype = 'relation' AND l.granted AND l.virtualtransaction = ANY ($2)
	  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
	  AND l.relation = ANY (SELECT to_regclass('bgp.' || quote_ident(t))::oid FROM unnest($1) t);
	IF found IS NOT NULL THEN
		RETURN 'in use by ' || found;
	END IF;
	FOREACH name IN ARRAY $1 LOOP
		EXECUTE format('LOCK TABLE ONLY bgp.%I IN ACCESS EXCLUSIVE MODE', name);
	END LOOP;
	RETURN NULL;
EXCEPTION WHEN lock_not_available THEN
	RETURN 'in use';
END
$$;
COMMENT ON FUNCTION bgp.lock_for_retention(text[], text[]) IS
    'locks tables of the log for a moment; NULL, or why they could not be locked';

-- bgp.detach_statements: detach a leaf while others use the peer's log, or end that if it was
-- interrupted; then bgp.retire.  To be run one by one, outside of a transaction.  The comment
-- tells it from a leaf that somebody detached by hand.
CREATE OR REPLACE FUNCTION bgp.detach_statements(peer_id int, day date) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT s.statement
	FROM (SELECT format('route_event_%s', $1) AS top,
	    format('route_event_%s_%s', $1, to_char($2, 'YYYYMMDD')) AS leaf) n,
	    pg_inherits i, LATERAL (VALUES
	    (1, format('COMMENT ON TABLE bgp.%I IS %L', leaf, 'on its way out: exabgp-pg-retention')),
	    (2, format('ALTER TABLE bgp.%I DETACH PARTITION bgp.%I %s', top, leaf,
		CASE WHEN i.inhdetachpending THEN 'FINALIZE' ELSE 'CONCURRENTLY' END))) AS s (step, statement)
	WHERE i.inhrelid = to_regclass('bgp.' || quote_ident(leaf))
	    AND i.inhparent = to_regclass('bgp.' || quote_ident(top))
	ORDER BY s.step
$$;
COMMENT ON FUNCTION bgp.detach_statements(int, date) IS 'statements that detach a leaf while others use the log';

-- bgp.detaching: leafs on which these were begun.
CREATE OR REPLACE VIEW bgp.detaching AS
SELECT c.oid::regclass AS leaf, (regexp_match(c.relname, '^route_event_(\d+)_(\d{8})$'))[1]::int AS peer_id,
    to_date((regexp_match(c.relname, '^route_event_(\d+)_(\d{8})$'))[2], 'YYYYMMDD') AS day,
    NOT c.relispartition AS done
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relnamespace = 'bgp'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^route_event_\d+_\d{8}$'
  AND (i.inhdetachpending OR i.inhrelid IS NULL
      AND obj_description(c.oid, 'pg_class') = 'on its way out: exabgp-pg-retention');
COMMENT ON VIEW bgp.detaching IS 'leafs that are half out of bgp.route_event: the next run of retention ends that';
GRANT SELECT ON bgp.detaching TO exabgp_pg_reader;

-- bgp.retire: takes a leaf out of the log.  NULL if it did or there is none, else why it could
-- not now: call it again later.
CREATE OR REPLACE FUNCTION bgp.retire(peer_id int, day date, avoid text[])
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
SET lock_timeout = '300ms' AS $$
DECLARE
	top	text := format('route_event_%s', $1);
	leaf	text := format('route_event_%s_%s', $1, to_char($2, 'YYYYMMDD'));
	why	text;
	name	text;
BEGIN
	IF NOT bgp.is_attached(leaf) THEN
		CASE (SELECT d.done FROM bgp.detaching d WHERE d.peer_id = $1 AND d.day = $2)
		WHEN true THEN NULL;
		WHEN false THEN RETURN 'half detached';
		ELSE RETURN NULL;
		END CASE;
	END IF;
	IF to_regclass('bgp.' || quote_ident(leaf || '_retired')) IS NOT NULL THEN
		RETURN format('bgp.%s_retired is still there', leaf);
	END IF;
	why := bgp.lock_for_retention(CASE WHEN bgp.is_attached(leaf) THEN ARRAY[top, leaf] ELSE ARRAY[leaf] END, $3);
	IF why IS NOT NULL THEN
		RETURN why;
	END IF;
	-- no waiting for a standby with these locks; if it is lost in a crash, the leaf is still a leaf
	PERFORM set_config('synchronous_commit', 'off', true);
	IF bgp.is_attached(leaf) THEN
		EXECUTE format('ALTER TABLE bgp.%I DETACH PARTITION bgp.%I', top, leaf);
	END IF;
	EXECUTE format('COMMENT ON TABLE bgp.%I IS NULL', leaf);
	EXECUTE format('ALTER TABLE bgp.%I RENAME TO %I', leaf, leaf || '_retired');
	-- the indexes of a closed day: their names are for a new leaf
	FOREACH name IN ARRAY ARRAY['_path', '_communities', '_closed'] LOOP
		EXECUTE format('DROP INDEX IF EXISTS bgp.%I', leaf || name);
	END LOOP;
	DELETE FROM bgp.route_day d WHERE d.peer_id = $1 AND d.day = $2;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION bgp.retire(int, date, text[]) IS
    'takes a leaf out of bgp.route_event and renames it; NULL, or why it is to be tried again';

-- bgp.attach_as_leaf: makes this table of schema bgp, which has a leaf's columns, the leaf of
-- the peer and day, or adds its rows to the leaf that is there (only_new: those that the leaf
-- does not have) and drops it.  The number of rows added, NULL: the table is the leaf now.
-- Nobody waits: it is checked before it is attached.
CREATE OR REPLACE FUNCTION bgp.attach_as_leaf(table_name text, peer_id int, day date, only_new boolean DEFAULT false)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
SET client_min_messages = warning AS $$
DECLARE
	leaf	text := format('route_event_%s_%s', $2, to_char($3, 'YYYYMMDD'));
	columns	text;
	same	boolean;
	added	bigint;
BEGIN
	SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
	FROM pg_attribute a WHERE a.attrelid = to_regclass('bgp.' || quote_ident($1)) AND a.attnum > 0
	    AND NOT a.attisdropped;
	SELECT NOT EXISTS (SELECT a.attname, a.atttypid FROM pg_attribute a
	    WHERE a.attrelid = 'bgp.route_event'::regclass AND a.attnum > 0 AND NOT a.attisdropped
	    EXCEPT
	    SELECT a.attname, a.atttypid FROM pg_attribute a WHERE a.attrelid = to_regclass('bgp.' || quote_ident($1)))
	    INTO same;
	IF to_regclass('bgp.' || quote_ident(leaf)) IS NULL AND same THEN
		EXECUTE format('ALTER TABLE bgp.%I DROP CONSTRAINT IF EXISTS is_of_leaf, ADD CONSTRAINT is_of_leaf
		    CHECK (peer_id = %s AND ts >= %L AND ts < %L)', $1, $2, bgp.day_start($3), bgp.day_start($3 + 1));
		EXECUTE format('ALTER TABLE bgp.%I SET (autovacuum_vacuum_insert_scale_factor = 0.5)', $1);
		EXECUTE format('GRANT SELECT ON bgp.%I TO exabgp_pg_reader', $1);
		PERFORM pg_advisory_xact_lock(hashtextextended('bgp.ensure_partition', 0));
		-- none was made while that was done
		IF to_regclass('bgp.' || quote_ident(leaf)) IS NULL THEN
			EXECUTE format('ALTER TABLE bgp.%I RENAME TO %I', $1, leaf);
			PERFORM bgp.ensure_partition($2, $3);
			EXECUTE format('ALTER TABLE bgp.%I DROP CONSTRAINT is_of_leaf', leaf);
			RETURN NULL;
		END IF;
	ELSE
		PERFORM bgp.ensure_partition($2, $3);
	END IF;
	EXECUTE format(CASE WHEN $4 THEN 'INSERT INTO bgp.%1$I (%2$s) SELECT %2$s FROM bgp.%3$I EXCEPT ALL SELECT %2$s'
	    ' FROM bgp.%1$I'
	    ELSE 'INSERT INTO bgp.%1$I (%2$s) SELECT %2$s FROM bgp.%3$I' END, leaf, columns, $1);
	GET DIAGNOSTICS added = ROW_COUNT;
	EXECUTE format('DROP TABLE bgp.%I', $1);
	RETURN added;
END
$$;
COMMENT ON FUNCTION bgp.attach_as_leaf(text, int, date, boolean) IS
    'makes a table the leaf of a peer and day, or adds its rows to the leaf that is there';

-- bgp.unretire: puts a retired leaf back into the log; false if there is none.
CREATE OR REPLACE FUNCTION bgp.unretire(peer_id int, day date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	retired	text := format('route_event_%s_%s_retired', $1, to_char($2, 'YYYYMMDD'));
BEGIN
	IF to_regclass('bgp.' || quote_ident(retired)) IS NULL THEN
		RETURN false;
	END IF;
	PERFORM bgp.attach_as_leaf(retired, $1, $2);
	RETURN true;
END
$$;
COMMENT ON FUNCTION bgp.unretire(int, date) IS 'puts a leaf that retention took out back into the log';

-- bgp.empty_peer: what a peer without a day in the log still has: its part of the log, and
-- that of the routes it holds if there are none.
CREATE OR REPLACE VIEW bgp.empty_peer AS
SELECT c.relname::text AS name, p.relname::text AS parent, (regexp_match(c.relname, '\d+$'))[1]::int AS peer_id
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE (i.inhparent = 'bgp.route_event'::regclass AND c.relname ~ '^route_event_\d+$'
	AND NOT EXISTS (SELECT FROM pg_inherits l WHERE l.inhparent = c.oid))
   OR (i.inhparent = 'bgp.rib_entry'::regclass AND c.relname ~ '^rib_entry_\d+$'
	AND NOT EXISTS (SELECT FROM pg_inherits l
	    WHERE l.inhparent = to_regclass('bgp.' || replace(c.relname, 'rib_entry', 'route_event')))
	AND NOT EXISTS (SELECT FROM bgp.rib_entry e WHERE e.peer_id = (regexp_match(c.relname, '\d+$'))[1]::int));
COMMENT ON VIEW bgp.empty_peer IS 'empty partitions of peers of which the log has no day';
GRANT SELECT ON bgp.empty_peer TO exabgp_pg_reader;

-- bgp.drop_empty: drops what bgp.empty_peer shows; the peer's row in bgp.peer stays.  NULL if it
-- did or there is none, else why it could not now.
CREATE OR REPLACE FUNCTION bgp.drop_empty(name text, avoid text[])
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '300ms' AS $$
DECLARE
	parent	text := (SELECT e.parent FROM bgp.empty_peer e WHERE e.name = $1);
	why	text;
BEGIN
	IF parent IS NULL THEN
		RETURN NULL;
	END IF;
	why := bgp.lock_for_retention(ARRAY[parent, $1], $2);
	IF why IS NULL AND EXISTS (SELECT FROM bgp.empty_peer e WHERE e.name = $1) THEN
		PERFORM set_config('synchronous_commit', 'off', true);
		EXECUTE format('DROP TABLE bgp.%I', $1);
	END IF;
	RETURN why;
END
$$;
COMMENT ON FUNCTION bgp.drop_empty(text, text[]) IS
    'drops an empty partition of a peer without days; NULL, or why it is to be tried again';

-- bgp.forget_sessions: deletes at most so many rows of bgp.session_log, bgp.ingest_error and
-- bgp.ingest_gap that are older than what is kept; how many.  A peer that is kept longer than
-- others keeps its session rows as long as its routes, with those of its collector.
CREATE OR REPLACE FUNCTION bgp.forget_sessions(keep int, addresses inet[], address_keep int[], at_most int)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	today	timestamp := (now() AT TIME ZONE 'UTC')::date;
	general	timestamptz := (today - make_interval(days => $1)) AT TIME ZONE 'UTC';
	longest	timestamptz := (today - make_interval(days => greatest($1, (SELECT max(k) FROM unnest($3) k)))) AT TIME
	    ZONE 'UTC';
	gone	bigint;
	n	bigint;
BEGIN
	DELETE FROM bgp.session_log WHERE ctid = ANY (ARRAY(
	    SELECT s.ctid FROM bgp.session_log s LEFT JOIN bgp.retention_days($1, $2, $3) d USING (peer_id)
	    WHERE s.ts < general AND (s.ts < longest OR s.peer_id IS NOT NULL
		AND s.ts < (today - make_interval(days => greatest($1, d.days))) AT TIME ZONE 'UTC')
	    ORDER BY s.ts LIMIT $4));
	GET DIAGNOSTICS gone = ROW_COUNT;
	DELETE FROM bgp.ingest_error WHERE ctid = ANY (ARRAY(
	    SELECT e.ctid FROM bgp.ingest_error e WHERE e.ts < general ORDER BY e.ts LIMIT $4));
	GET DIAGNOSTICS n = ROW_COUNT;
	gone := gone + n;
	DELETE FROM bgp.ingest_gap WHERE ctid = ANY (ARRAY(
	    SELECT g.ctid FROM bgp.ingest_gap g
	    WHERE g.from_ts < longest AND coalesce(g.to_ts < longest, true) ORDER BY g.from_ts LIMIT $4));
	GET DIAGNOSTICS n = ROW_COUNT;
	DELETE FROM bgp.peer_stale s WHERE s.to_ts < longest;
	RETURN gone + n;
END
$$;
COMMENT ON FUNCTION bgp.forget_sessions(int, inet[], int[], int) IS
    'deletes so many of the oldest rows of the session log, input errors and gaps that are no longer kept';

-- --- base states ---------------------------------------------------------------------------

-- bgp.forget_bases: forgets the base states of days that are gone, with the rows of those
-- partitions of bgp.rib_base that others still need.  Returns the days whose partition nobody
-- needs: for bgp.drop_base.
CREATE OR REPLACE FUNCTION bgp.forget_bases() RETURNS SETOF date
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM bgp.rib_base_day b
	USING bgp.rib_horizon h
	    LEFT JOIN (SELECT l.peer_id, min(l.day) AS day FROM
		(SELECT l.peer_id, l.day FROM bgp.partition l UNION ALL SELECT r.peer_id, r.day FROM bgp.retired r) l
		GROUP BY l.peer_id) f USING (peer_id)
	WHERE b.peer_id = h.peer_id AND b.day < least(h.day, f.day);
	DELETE FROM bgp.late_day l USING bgp.rib_horizon h WHERE l.peer_id = h.peer_id AND l.day < h.day;
	DELETE FROM bgp.rib_base b
	WHERE b.day IN (SELECT d.day FROM bgp.rib_base_day d) AND b.day < (now() AT TIME ZONE 'UTC')::date
	  AND NOT EXISTS (SELECT FROM bgp.rib_base_day d WHERE d.day = b.day AND d.peer_id = b.peer_id);
	RETURN QUERY
	SELECT l.day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
	    LATERAL (SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day) l
	WHERE i.inhparent = 'bgp.rib_base'::regclass AND c.relname ~ '^rib_base_\d{8}$'
	    AND l.day < (now() AT TIME ZONE 'UTC')::date
	  AND NOT EXISTS (SELECT FROM bgp.rib_base_day d WHERE d.day = l.day);
END
$$;
COMMENT ON FUNCTION bgp.forget_bases() IS
    'forgets base states before the days that are kept; the days whose partition can go';

-- bgp.drop_base: drops the partition of bgp.rib_base of a day of which no peer has a base.  NULL
-- if it did or there is none, else why it could not now.
CREATE OR REPLACE FUNCTION bgp.drop_base(day date, avoid text[])
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '300ms' AS $$
DECLARE
	leaf	text := format('rib_base_%s', to_char($1, 'YYYYMMDD'));
	why	text;
BEGIN
	IF NOT bgp.is_attached(leaf) THEN
		RETURN NULL;
	END IF;
	why := bgp.lock_for_retention(ARRAY['rib_base', leaf], $2);
	IF why IS NULL AND NOT EXISTS (SELECT FROM bgp.rib_base_day b WHERE b.day = $1) THEN
		PERFORM set_config('synchronous_commit', 'off', true);
		EXECUTE format('DROP TABLE bgp.%I', leaf);
	END IF;
	RETURN why;
END
$$;
COMMENT ON FUNCTION bgp.drop_base(date, text[]) IS
    'drops a partition of bgp.rib_base that no peer needs; NULL, or why it is to be tried again';

-- --- archives ---------------------------------------------------------------------------

-- bgp.archive_sections: what the archive of a peer and day consists of: the rows of the leaf,
-- and what reading them again needs.  peer_id is in none of them: another database has others.
CREATE OR REPLACE FUNCTION bgp.archive_sections(leaf text, peer_id int, day date)
RETURNS TABLE (n int, name text, columns jsonb, query text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
	WITH whole_day AS (
		SELECT format('ts >= %L AND ts < %L', bgp.day_start($3), bgp.day_start($3 + 1)) AS condition,
		    (SELECT p.collector FROM bgp.peer p WHERE p.peer_id = $2) AS collector
	), section (n, name, relation, condition) AS (
		SELECT 1, 'route_event', to_regclass('bgp.' || quote_ident($1)), 'true'
		UNION ALL SELECT 2, 'session_log', 'bgp.session_log'::regclass,
		    format('peer_id = %s AND %s', $2, w.condition) FROM whole_day w
		UNION ALL SELECT 3, 'collector_log', 'bgp.session_log'::regclass,
		    format('peer_id IS NULL AND collector = %L AND %s', w.collector, w.condition) FROM whole_day w
		-- when the state was uncertain, as far as that is of this day
		UNION ALL SELECT 4, 'peer_stale', 'bgp.peer_stale'::regclass,
		    format('peer_id = %s AND from_ts < %L AND coalesce(to_ts > %L, true)',
		    $2, bgp.day_start($3 + 1), bgp.day_start($3))
		UNION ALL SELECT 5, 'rib_base', 'bgp.rib_base'::regclass, format('peer_id = %s AND day = %L', $2, $3)
		WHERE bgp.rib_base_find($2, bgp.day_start($3)) = $3
	), described AS (
		SELECT s.*, jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod))
		    ORDER BY a.attnum) AS columns, string_agg(CASE WHEN s.name = 'peer_stale' AND a.attname = 'to_ts'
		    THEN format('least(to_ts, %L)', bgp.day_start($3 + 1))
			ELSE quote_ident(a.attname) END, ', ' ORDER BY a.attnum) AS list
		FROM section s JOIN pg_attribute a ON a.attrelid = s.relation AND a.attnum > 0 AND NOT a.attisdropped
		    AND a.attname <> 'peer_id'
		GROUP BY s.n, s.name, s.relation, s.condition
	)
	SELECT d.n, d.name, d.columns, format('SELECT %s FROM %s WHERE %s', d.list, d.relation, d.condition)
	FROM described d ORDER BY d.n
$$;
COMMENT ON FUNCTION bgp.archive_sections(text, int, date) IS 'queries for what the archive of a peer and day holds';

-- bgp.archive_head: the first two lines of an archive: what it is and how many lines it has but
-- for the last one, which is its checksum; then everything that says what it holds.
CREATE OR REPLACE FUNCTION bgp.archive_head(leaf text, peer_id int, day date) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
	sections	jsonb := '[]';
	s		record;
	n		bigint;
	lines		bigint := 2;
BEGIN
	IF NOT EXISTS (SELECT FROM bgp.peer p WHERE p.peer_id = $2) THEN
		RAISE EXCEPTION 'there is no peer %: its archive would be nobody''s', $2;
	END IF;
	FOR s IN SELECT * FROM bgp.archive_sections($1, $2, $3) LOOP
		EXECUTE format('SELECT count(*) FROM (%s) x', s.query) INTO n;
		sections := sections || jsonb_build_object('name', s.name, 'rows', n, 'columns', s.columns);
		lines := lines + n + 1;
	END LOOP;
	RETURN NEXT format('exabgp-pg archive 1 %s', lines);
	RETURN NEXT jsonb_build_object('day', to_char($3, 'YYYY-MM-DD'), 'sections', sections,
	    'schema_version', (SELECT max(v.version) FROM bgp.schema_version v),
	    'peer', (SELECT to_jsonb(p) FROM bgp.peer p WHERE p.peer_id = $2))::text;
END
$$;
COMMENT ON FUNCTION bgp.archive_head(text, int, date) IS 'the first lines of an archive: what it holds';

-- bgp.restore_peer: the peer of an archive, made with all that is known of it if it is new here.
CREATE OR REPLACE FUNCTION bgp.restore_peer(head jsonb) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	p	bgp.peer := jsonb_populate_record(NULL::bgp.peer, $1->'peer');
	unknown	text;
	last_id	int;
	id	int;
BEGIN
	IF p.collector IS NULL OR $1->>'day' IS NULL THEN
		RAISE EXCEPTION 'the archive does not say of which peer and day it is';
	END IF;
	SELECT string_agg(c->>0, ', ') INTO unknown
	FROM jsonb_array_elements($1->'sections') s, jsonb_array_elements(s->'columns') c
	WHERE s->>'name' = 'route_event' AND NOT EXISTS (SELECT FROM pg_attribute a
	    WHERE a.attrelid = 'bgp.route_event'::regclass AND a.attnum > 0 AND NOT a.attisdropped
	    AND a.attname = c->>0);
	IF unknown IS NOT NULL THEN
		RAISE EXCEPTION 'the archive was made with schema version %,'
		    ' this database has version %: there is no column %',
		    $1->>'schema_version', (SELECT max(v.version) FROM bgp.schema_version v), unknown;
	END IF;
	SELECT max(q.peer_id) INTO last_id FROM bgp.peer q;
	id := bgp.ensure_peer(p.collector, p.peer_address, p.peer_asn, p.local_address, p.local_asn, p.first_seen);
	IF id > coalesce(last_id, 0) THEN
		UPDATE bgp.peer q SET router_id = p.router_id, label = p.label, last_seen = p.last_seen
		WHERE q.peer_id = id;
	END IF;
	UPDATE bgp.peer q SET first_seen = p.first_seen WHERE q.peer_id = id AND q.first_seen > p.first_seen;
	RETURN id;
END
$$;
COMMENT ON FUNCTION bgp.restore_peer(jsonb) IS 'peer_id of the peer of an archive, created if new';

-- bgp.restore_script: what psql has to do to read the sections of an archive, from its standard
-- input, into tables of their own.
CREATE OR REPLACE FUNCTION bgp.restore_script(head jsonb, peer_id int) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	restored text := format('route_event_%s_%s_restored', $2, to_char(($1->>'day')::date, 'YYYYMMDD'));
	s	record;
	source	regclass;
BEGIN
	FOR s IN
		SELECT x.s->>'name' AS name, string_agg(quote_ident(c->>0), ', ' ORDER BY n) AS columns,
		    jsonb_array_length(x.s->'columns') AS width, array_agg(c->>0) AS names
		FROM jsonb_array_elements($1->'sections') WITH ORDINALITY x (s, place),
		    jsonb_array_elements(x.s->'columns') WITH ORDINALITY y (c, n)
		GROUP BY x.place, x.s ORDER BY x.place
	LOOP
		IF s.name !~ '^[a-z_]+$' THEN	-- it goes into the script
			RAISE EXCEPTION 'the archive has a section of an impossible name';
		END IF;
		IF s.name = 'route_event' THEN
			RETURN NEXT format('CREATE TABLE bgp.%I (LIKE bgp.route_event INCLUDING ALL);', restored);
			RETURN NEXT format('ALTER TABLE bgp.%I ALTER peer_id SET DEFAULT %s;', restored, $2);
			RETURN NEXT format('\copy bgp.%I (%s) FROM pstdin', restored, s.columns);
			CONTINUE;
		END IF;
		source := CASE s.name WHEN 'collector_log' THEN 'bgp.session_log'
		    WHEN 'session_log' THEN 'bgp.session_log' WHEN 'peer_stale' THEN 'bgp.peer_stale' WHEN 'rib_base'
		    THEN 'bgp.rib_base' END;
		IF source IS NULL OR EXISTS (SELECT unnest(s.names)
		    EXCEPT SELECT a.attname FROM pg_attribute a WHERE a.attrelid = source AND a.attnum > 0
		    AND NOT a.attisdropped) THEN
			-- of another schema version: to be read, and forgotten
			RETURN NEXT format('CREATE TEMP TABLE %I (%s) ON COMMIT DROP;', 'restored_unknown_' || s.name,
			    (SELECT string_agg('c' || n || ' text', ', ') FROM generate_series(1, s.width) n));
			RETURN NEXT format('\copy pg_temp.%I FROM pstdin', 'restored_unknown_' || s.name);
		ELSIF s.name = 'rib_base' THEN
			-- text, since its type may have been another
			RETURN NEXT format('CREATE TEMP TABLE restored_rib_base (%s text) ON COMMIT DROP;',
			    replace(s.columns, ',', ' text,'));
			RETURN NEXT '\copy pg_temp.restored_rib_base FROM pstdin';
		ELSE
			RETURN NEXT format('CREATE TEMP TABLE %I ON COMMIT DROP AS SELECT %s FROM %s WITH NO DATA;',
			    'restored_' || s.name, s.columns, source);
			RETURN NEXT format('\copy pg_temp.%I FROM pstdin', 'restored_' || s.name);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION bgp.restore_script(jsonb, int) IS 'psql commands that read the sections of an archive';

-- bgp.restore_rows: puts rows that were read into the table they came from, but for those that
-- are there already.
CREATE OR REPLACE FUNCTION bgp.restore_rows(section text, target regclass, condition text, peer_id int) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	source	regclass := to_regclass('pg_temp.' || quote_ident('restored_' || $1));
	columns	text;
	added	bigint;
BEGIN
	IF source IS NULL THEN
		RETURN 0;
	END IF;
	SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
	FROM pg_attribute a WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped;
	EXECUTE format('INSERT INTO %s (peer_id, %s) SELECT %L::int, x.* FROM (SELECT %2$s FROM %4$s EXCEPT ALL
	    SELECT %2$s FROM %1$s WHERE %5$s) x', $2, columns, $4, source, $3);
	GET DIAGNOSTICS added = ROW_COUNT;
	RETURN added;
END
$$;
COMMENT ON FUNCTION bgp.restore_rows(text, regclass, text, int) IS 'inserts restored rows that are not there yet';

-- bgp.restore_base: the base state of a restored day, if it has none and this schema's are of
-- the same form: without it, what a peer held on that day can only be told from its log.
CREATE OR REPLACE FUNCTION bgp.restore_base(peer_id int, day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n	bigint;
BEGIN
	IF bgp.rib_base_find($1, bgp.day_start($2)) = $2 THEN
		RETURN;
	END IF;
	PERFORM bgp.rib_base_leaf($2);
	DELETE FROM bgp.rib_base b WHERE b.peer_id = $1 AND b.day = $2;
	DELETE FROM bgp.rib_base_day b WHERE b.peer_id = $1 AND b.day = $2;
	EXECUTE format('WITH w AS (INSERT INTO bgp.rib_base (day, peer_id, first_prefix, last_prefix, routes)
	    SELECT day::date, %s, first_prefix::cidr, last_prefix::cidr, routes::bgp.rib_base_route[]
	    FROM pg_temp.restored_rib_base
	    RETURNING cardinality(routes) AS n) SELECT coalesce(sum(n), 0) FROM w', $1) INTO n;
	INSERT INTO bgp.rib_base_day (peer_id, day, seen, routes) VALUES ($1, $2, pg_current_snapshot(), n);
EXCEPTION WHEN data_exception OR datatype_mismatch OR undefined_column OR cannot_coerce THEN
	RAISE WARNING 'the base state of that day is of another form and was left out: %', SQLERRM;
END
$$;
COMMENT ON FUNCTION bgp.restore_base(int, date) IS 'puts the base state of an archive back';

-- bgp.restore_finish: puts into the log what bgp.restore_script has read, and says what it did.
-- Refuses if the log has other rows of that peer and day, unless "add": then those of the
-- archive that it does not have are added.
CREATE OR REPLACE FUNCTION bgp.restore_finish(head jsonb, peer_id int, "add" boolean) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET client_min_messages = warning AS $$
DECLARE
	day	date := ($1->>'day')::date;
	leaf	text := format('route_event_%s_%s', $2, to_char(day, 'YYYYMMDD'));
	restored text := leaf || '_restored';
	there	boolean := false;
	differs	boolean;
	wanted	bigint;
	n	bigint;
	added	bigint;
	s	record;
	condition text;
BEGIN
	-- what was read is what the archive says it holds
	FOR s IN SELECT x->>'name' AS name, (x->>'rows')::bigint AS rows
	    FROM jsonb_array_elements($1->'sections') x LOOP
		EXECUTE format('SELECT count(*) FROM %s', CASE WHEN s.name = 'route_event'
		    THEN format('bgp.%I', restored)
		    ELSE format('pg_temp.%I',
		    coalesce(to_regclass('pg_temp.' || quote_ident('restored_' || s.name))::text,
			'restored_unknown_' || s.name)) END) INTO n;
		IF n IS DISTINCT FROM s.rows THEN
			RAISE EXCEPTION 'the archive says that it has % rows of %, but there are %', s.rows, s.name, n;
		END IF;
		wanted := CASE WHEN s.name = 'route_event' THEN n ELSE wanted END;
	END LOOP;
	EXECUTE format('ALTER TABLE bgp.%I ALTER peer_id DROP DEFAULT', restored);
	IF to_regclass('bgp.' || quote_ident(leaf)) IS NOT NULL THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM bgp.%I)', leaf) INTO there;
	END IF;
	IF there AND NOT $3 THEN
		EXECUTE format('SELECT EXISTS (TABLE bgp.%1$I EXCEPT ALL TABLE bgp.%2$I)'
		    ' OR EXISTS (TABLE bgp.%2$I EXCEPT ALL TABLE bgp.%1$I)', leaf, restored) INTO differs;
		IF differs THEN
			RAISE EXCEPTION 'bgp.% has other rows than the archive: they would be mixed (--add does that)',
			    leaf;
		END IF;
	END IF;
	condition := format('ts >= %L AND ts < %L', bgp.day_start(day), bgp.day_start(day + 1));
	PERFORM bgp.restore_rows('session_log', 'bgp.session_log', format('peer_id = %s AND ', $2) || condition, $2);
	PERFORM bgp.restore_rows('collector_log', 'bgp.session_log', format('peer_id IS NULL AND collector = %L AND ',
	    $1->'peer'->>'collector') || condition, NULL);
	PERFORM bgp.restore_rows('peer_stale', 'bgp.peer_stale', format('peer_id = %s', $2), $2);
	IF to_regclass('pg_temp.restored_rib_base') IS NOT NULL THEN
		PERFORM bgp.restore_base($2, day);
	END IF;
	-- last, since helpers that make partitions wait from here to the end
	IF there AND NOT $3 THEN
		EXECUTE format('DROP TABLE bgp.%I', restored);
		added := 0;
	ELSE
		added := coalesce(bgp.attach_as_leaf(restored, $2, day, $3), wanted);
	END IF;
	RETURN CASE WHEN added = 0 AND wanted > 0 THEN format('bgp.%s: all %s rows are already there', leaf, wanted)
	    ELSE format('bgp.%s: restored %s rows', leaf, added) END;
END
$$;
COMMENT ON FUNCTION bgp.restore_finish(jsonb, int, boolean) IS 'puts the rows of an archive into the log';

REVOKE ALL ON FUNCTION bgp.retention_days(int, inet[], int[]), bgp.retention_plan(int, inet[], int[], bigint),
    bgp.log_bytes(), bgp.lock_holders(), bgp.lock_for_retention(text[], text[]), bgp.detach_statements(int, date),
    bgp.retire(int, date, text[]),
    bgp.attach_as_leaf(text, int, date, boolean), bgp.unretire(int, date), bgp.drop_empty(text, text[]),
    bgp.rib_base_leaf(date), bgp.forget_bases(), bgp.drop_base(date, text[]), bgp.restore_base(int, date),
    bgp.forget_sessions(int, inet[], int[], int), bgp.archive_sections(text, int, date),
    bgp.archive_head(text, int, date),
    bgp.restore_peer(jsonb), bgp.restore_script(jsonb, int), bgp.restore_rows(text, regclass, text, int),
    bgp.restore_finish(jsonb, int, boolean) FROM PUBLIC;
