-- 013-hunt-history.sql - hunts that ask what is new, and the summaries that they compare with.
--
-- What is new is what the days before did not have.  Those days are not read again for each question: every day
-- gone by has a summary, made once by cron (hunt.summarize_missing) and made anew when late updates changed the
-- day.  A summary has a row for what was seen that day at all, not one for each peer that saw it: it is a tenth
-- of the size, and "new" means new to all peers.  What has no summary yet, as the day that is still going on,
-- is read from the log.
--
-- A day's summary also answers what 012 asks of a whole day: who originated what, and what was gone when it ended.

CREATE SCHEMA IF NOT EXISTS hunt;

CREATE TABLE IF NOT EXISTS hunt.summary_day (
	day		date NOT NULL,
	peer_id		int NOT NULL,
	events		bigint NOT NULL,
	bytes		bigint NOT NULL,
	inserted	bigint,
	summarized_at	timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (day, peer_id)
);
COMMENT ON TABLE hunt.summary_day IS
    'which leafs of the log are in the summaries of their day, and what they were like then';
COMMENT ON COLUMN hunt.summary_day.events IS 'rows of the leaf';
COMMENT ON COLUMN hunt.summary_day.bytes IS
    'size of its table: when it or inserted is another, rows may have come since';
COMMENT ON COLUMN hunt.summary_day.inserted IS 'rows ever inserted, as the server''s statistics had it';

CREATE TABLE IF NOT EXISTS hunt.day_origin (
	first_ts	timestamptz NOT NULL,
	last_ts		timestamptz NOT NULL,
	origin_asn	bigint NOT NULL,
	events		bigint NOT NULL,
	day		date NOT NULL,
	prefix		cidr NOT NULL,
	peer_ids	int[] NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX IF NOT EXISTS day_origin_pair ON hunt.day_origin (prefix, origin_asn);
DROP INDEX IF EXISTS hunt.day_origin_prefix;
CREATE INDEX IF NOT EXISTS day_origin_origin_asn ON hunt.day_origin (origin_asn);
COMMENT ON TABLE hunt.day_origin IS 'unicast prefixes and who originated them, a row per UTC day; a partition each';
COMMENT ON COLUMN hunt.day_origin.events IS 'announcements; answers to a route refresh are not counted';
COMMENT ON COLUMN hunt.day_origin.peer_ids IS 'peers that saw it, the first one first';

CREATE TABLE IF NOT EXISTS hunt.day_link (
	first_ts	timestamptz NOT NULL,
	last_ts		timestamptz NOT NULL,
	asn1		bigint NOT NULL,
	asn2		bigint NOT NULL,
	events		bigint NOT NULL,
	day		date NOT NULL,
	to_origin	boolean NOT NULL,
	peer_ids	int[] NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX IF NOT EXISTS day_link_asns ON hunt.day_link (asn1, asn2);
CREATE INDEX IF NOT EXISTS day_link_asn2 ON hunt.day_link (asn2);
COMMENT ON TABLE hunt.day_link IS 'pairs of ASNs side by side on unicast paths, a row per UTC day; a partition each';
COMMENT ON COLUMN hunt.day_link.asn1 IS 'the one that is nearer to the peer: asn2 announced to asn1';
COMMENT ON COLUMN hunt.day_link.to_origin IS 'asn2 was the origin at least once';
COMMENT ON COLUMN hunt.day_link.peer_ids IS 'peers that saw it, the first one first';

CREATE TABLE IF NOT EXISTS hunt.day_community (
	first_ts	timestamptz NOT NULL,
	last_ts		timestamptz NOT NULL,
	events		bigint NOT NULL,
	day		date NOT NULL,
	community	text NOT NULL,
	peer_ids	int[] NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX IF NOT EXISTS day_community_community ON hunt.day_community (community);
COMMENT ON TABLE hunt.day_community IS
    'communities and large communities on unicast routes, a row per UTC day; a partition each';
COMMENT ON COLUMN hunt.day_community.peer_ids IS 'peers that saw it, the first one first';

CREATE TABLE IF NOT EXISTS hunt.day_lost (
	announced	timestamptz,
	origin_asn	bigint,
	day		date NOT NULL,
	lost		int NOT NULL,
	prefix		cidr NOT NULL,
	peer_ids	int[] NOT NULL,
	lost_peer_ids	int[] NOT NULL,
	lost_path_ids	bigint[] NOT NULL,
	lost_origin_asns bigint[] NOT NULL,
	lost_announced	timestamptz[] NOT NULL,
	lost_withdrawn	timestamptz[] NOT NULL
) PARTITION BY RANGE (day);
COMMENT ON TABLE hunt.day_lost IS
    'unicast prefixes that at least one session had withdrawn, and not announced again, when a UTC day ended, a row
each; a partition each day';
COMMENT ON COLUMN hunt.day_lost.announced IS 'last announcement of the day by any session; NULL: there was none';
COMMENT ON COLUMN hunt.day_lost.origin_asn IS 'the highest origin of the day';
COMMENT ON COLUMN hunt.day_lost.lost IS
    'sessions that had lost it: those of lost_peer_ids, where one that sends several paths (ADD-PATH) stands once for
each';
COMMENT ON COLUMN hunt.day_lost.peer_ids IS 'sessions that said something of it that day, and had it when it ended';
COMMENT ON COLUMN hunt.day_lost.lost_withdrawn IS
    'last withdrawal of each path at each session that had lost it; the other arrays are in the same order';

-- --- making them ------------------------------------------------------------------------------------------

-- hunt.summary_columns: columns of a kind of summary: what a row is about, in the order that it is stored, and all
CREATE OR REPLACE FUNCTION hunt.summary_columns(what text, OUT keys text, OUT columns text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT k, k || CASE $1 WHEN 'lost'
	    THEN ', announced, origin_asn, lost, peer_ids, lost_peer_ids, lost_path_ids, lost_origin_asns,'
	    ' lost_announced, lost_withdrawn'
	    ELSE ', first_ts, last_ts, events, peer_ids' END
	FROM (SELECT CASE $1 WHEN 'origin' THEN 'prefix, origin_asn' WHEN 'link' THEN 'asn1, asn2, to_origin'
	    WHEN 'community' THEN 'community' WHEN 'lost' THEN 'prefix' END) c (k)
$$;
COMMENT ON FUNCTION hunt.summary_columns(text) IS 'columns of a kind of summary: origin, link, community or lost';

-- hunt.summary_leaf: the table that has a kind of summary of a day
CREATE OR REPLACE FUNCTION hunt.summary_leaf(what text, day date) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('hunt.day_%s_%s', $1, to_char($2, 'YYYYMMDD'))
$$;
COMMENT ON FUNCTION hunt.summary_leaf(text, date) IS 'name of the table that has a kind of summary of a day';

-- hunt.summary_query: what the updates of a log clause have of origins, links or communities, or what was lost
-- when they ended
CREATE OR REPLACE FUNCTION hunt.summary_query(what text, log text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format(CASE what
	WHEN 'origin' THEN $q$
		SELECT s.prefix, s.origin_asn, min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts,
		    sum(s.events)::bigint AS events, array_agg(s.peer_id ORDER BY s.first_ts, s.peer_id) AS peer_ids
		FROM (SELECT e.peer_id, e.prefix, e.origin_asn, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
			count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events
		    FROM %s AND e.kind = 'A' AND e.origin_asn IS NOT NULL GROUP BY e.peer_id, e.prefix, e.origin_asn) s
		GROUP BY s.prefix, s.origin_asn$q$
	WHEN 'link' THEN $q$
		SELECT l.asn1, l.asn2, bool_or(l.to_origin) AS to_origin, min(l.first_ts) AS first_ts,
		    max(l.last_ts) AS last_ts, sum(l.events)::bigint AS events,
		    array_agg(l.peer_id ORDER BY l.first_ts, l.peer_id) AS peer_ids
		FROM (SELECT s.peer_id, s.path[i] AS asn1, s.path[i + 1] AS asn2,
		    bool_or(s.path[i + 1] = s.path[cardinality(s.path)]) AS to_origin,
			min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts, sum(s.events) AS events
		    FROM (SELECT d.*, generate_series(1, cardinality(d.path) - 1) AS i
			FROM (SELECT e.peer_id, e.path, min(e.ts) AS first_ts, max(e.ts) AS last_ts, count(*)
			    FILTER (WHERE e.refreshed IS NOT TRUE) AS events
			    FROM %s AND e.kind = 'A' AND cardinality(e.path) >= 2
			    AND (e.as_path IS NULL OR e.as_path NOT LIKE '%%{%%')
			    GROUP BY e.peer_id, e.path) d) s
		    WHERE s.path[i] <> s.path[i + 1]
		    GROUP BY 1, 2, 3) l
		GROUP BY l.asn1, l.asn2$q$
	WHEN 'lost' THEN $q$
		WITH path AS MATERIALIZED (
			SELECT e.peer_id, e.prefix, e.path_id, max(e.origin_asn) AS origin_asn, max(e.ts)
			    FILTER (WHERE e.kind = 'A') AS a, max(e.ts) FILTER (WHERE e.kind = 'W') AS w
			FROM %s GROUP BY e.peer_id, e.prefix, e.path_id),
		-- a peer that sends several paths has lost the prefix when all of them are gone (as in hunt.lost)
		peer AS MATERIALIZED (
			SELECT p.peer_id, p.prefix, bool_and(coalesce(p.w >= coalesce(p.a, '-infinity'), false)) AS lost
			    FROM path p GROUP BY p.peer_id, p.prefix)
		SELECT p.prefix, max(p.a) AS announced, max(p.origin_asn) AS origin_asn,
		    (count(DISTINCT p.peer_id) FILTER (WHERE k.lost))::int AS lost,
		    coalesce(array_agg(DISTINCT p.peer_id) FILTER (WHERE NOT k.lost), '{}') AS peer_ids,
		    array_agg(p.peer_id ORDER BY p.w, p.peer_id, p.path_id) FILTER (WHERE k.lost) AS lost_peer_ids,
		    array_agg(p.path_id ORDER BY p.w, p.peer_id, p.path_id) FILTER (WHERE k.lost) AS lost_path_ids,
		    array_agg(p.origin_asn ORDER BY p.w, p.peer_id, p.path_id)
		    FILTER (WHERE k.lost) AS lost_origin_asns,
		    array_agg(p.a ORDER BY p.w, p.peer_id, p.path_id) FILTER (WHERE k.lost) AS lost_announced,
		    array_agg(p.w ORDER BY p.w, p.peer_id, p.path_id) FILTER (WHERE k.lost) AS lost_withdrawn
		FROM path p JOIN peer k USING (peer_id, prefix)
		WHERE p.prefix IN (SELECT l.prefix FROM peer l WHERE l.lost)
		GROUP BY p.prefix$q$
	WHEN 'community' THEN $q$
		SELECT c.community, min(c.first_ts) AS first_ts, max(c.last_ts) AS last_ts,
		    sum(c.events)::bigint AS events, array_agg(c.peer_id ORDER BY c.first_ts, c.peer_id) AS peer_ids
		FROM (SELECT s.peer_id, u.community, min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts,
		    sum(s.events) AS events
		    FROM (SELECT e.peer_id, e.communities, e.large_communities, min(e.ts) AS first_ts,
		    max(e.ts) AS last_ts,
			count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events
			FROM %s AND e.kind = 'A' AND (e.communities IS NOT NULL OR e.large_communities IS NOT NULL)
			GROUP BY e.peer_id, e.communities, e.large_communities) s
		    CROSS JOIN LATERAL unnest(s.communities || s.large_communities) u (community)
		    GROUP BY s.peer_id, u.community) c
		GROUP BY c.community$q$ END, log)
$$;
COMMENT ON FUNCTION hunt.summary_query(text, text) IS
    'the summary (origin, link, community or lost) of the updates of hunt.log_clause, as a query';

CREATE OR REPLACE FUNCTION hunt.summarize(day date) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET client_min_messages = warning SET timezone = 'UTC' SET datestyle = ISO
SET jit = off
SET enable_partitionwise_aggregate = on SET work_mem = '64MB' SET parallel_tuple_cost = 0.001
SET parallel_setup_cost = 100 AS $$
DECLARE
	log	text := hunt.log_clause($1::timestamp AT TIME ZONE 'UTC', ($1 + 1)::timestamp AT TIME ZONE 'UTC', NULL,
	    NULL, NULL);
	what	text;
	leaf	text;
	part	record;
	n	bigint;
	total	bigint := 0;
BEGIN
	IF $1 >= (now() AT TIME ZONE 'UTC')::date THEN
		RAISE EXCEPTION 'day % is not over', $1 USING ERRCODE = 'invalid_parameter_value';
	END IF;
	-- one at a time
	PERFORM pg_advisory_xact_lock(hashtextextended('hunt.summarize', 0));
	-- first what the leafs are like, then their rows: what comes in between is noticed later
	DELETE FROM hunt.summary_day d WHERE d.day = $1;
	FOR part IN SELECT p.* FROM bgp.partition p WHERE p.day = $1 LOOP
		INSERT INTO hunt.summary_day (day, peer_id, events, bytes, inserted)
		VALUES ($1, part.peer_id, 0, pg_relation_size(part.leaf), pg_stat_get_tuples_inserted(part.leaf));
		EXECUTE format('UPDATE hunt.summary_day d SET events = (SELECT count(*) FROM %s) WHERE d.day = %L'
		    ' AND d.peer_id = %s', part.leaf, $1, part.peer_id);
	END LOOP;
	FOREACH what IN ARRAY '{origin,link,community,lost}'::text[] LOOP
		leaf := hunt.summary_leaf(what, $1);
		IF to_regclass(leaf) IS NULL THEN
			-- made aside and attached, so that no question has to wait
			EXECUTE format('CREATE TABLE %s (LIKE hunt.%I INCLUDING ALL)', leaf, 'day_' || what);
			EXECUTE format('GRANT SELECT ON %s TO exabgp_pg_reader', leaf);
			EXECUTE format('ALTER TABLE hunt.%I ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
			    'day_' || what, leaf, $1, $1 + 1);
		ELSE
			EXECUTE format('DELETE FROM %s', leaf);
		END IF;
		EXECUTE format('INSERT INTO %1$s (day, %2$s) SELECT %3$L::date, %2$s FROM (%4$s) s ORDER BY %5$s',
		    leaf, c.columns, $1, hunt.summary_query(what, log), c.keys)
		FROM hunt.summary_columns(what) c;
		GET DIAGNOSTICS n = ROW_COUNT;
		total := total + n;
		EXECUTE format('ANALYZE %s', leaf);
	END LOOP;
	RETURN total;
END
$$;
COMMENT ON FUNCTION hunt.summarize(date) IS
    'makes the summaries of a day gone by, or makes them anew; the number of their rows';

-- hunt.unchanged: whether a leaf is, as far as its size and the server's statistics tell, what it was when its
-- day was summarized; leaf: NULL if it is gone
CREATE OR REPLACE FUNCTION hunt.unchanged(d hunt.summary_day, leaf regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(d.bytes = pg_relation_size(leaf), false)
	    AND d.inserted IS NOT DISTINCT FROM pg_stat_get_tuples_inserted(leaf)
$$;
COMMENT ON FUNCTION hunt.unchanged(hunt.summary_day, regclass) IS
    'whether a leaf of the log is what it was when its day was summarized, by its size and statistics';

CREATE OR REPLACE FUNCTION hunt.summary_missing(exact boolean DEFAULT false) RETURNS SETOF date LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	leaf	record;
	n	bigint;
	missing	date[] := '{}';
BEGIN
	FOR leaf IN
	    SELECT p.leaf, p.day, p.peer_id, d.events, hunt.unchanged(d, p.leaf) AND NOT $1 AS same
	    FROM bgp.partition p LEFT JOIN hunt.summary_day d USING (day, peer_id)
	    WHERE p.day < (now() AT TIME ZONE 'UTC')::date ORDER BY p.day LOOP
		CONTINUE WHEN leaf.same OR leaf.day = ANY (missing);
		IF leaf.events IS NOT NULL THEN
			EXECUTE format('SELECT count(*) FROM %s', leaf.leaf) INTO n;
			IF n = leaf.events THEN	-- only looked different
				UPDATE hunt.summary_day d SET bytes = pg_relation_size(leaf.leaf),
				    inserted = pg_stat_get_tuples_inserted(leaf.leaf)
				WHERE d.day = leaf.day AND d.peer_id = leaf.peer_id;
				CONTINUE;
			END IF;
		END IF;
		missing := missing || leaf.day;
		RETURN NEXT leaf.day;
	END LOOP;
END
$$;
COMMENT ON FUNCTION hunt.summary_missing(boolean) IS
    'days gone by of which the log has something that is not in their summary; by size and statistics of the leafs,
exact: by counting rows';

CREATE OR REPLACE FUNCTION hunt.summarize_missing(exact boolean DEFAULT false)
RETURNS TABLE (day date, summary_rows bigint) LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
	SELECT d, hunt.summarize(d) FROM hunt.summary_missing($1) d
$$;
COMMENT ON FUNCTION hunt.summarize_missing(boolean) IS
    'makes the summaries that are missing or out of date: for cron, after midnight UTC';

CREATE OR REPLACE FUNCTION hunt.summary_drop(before date) RETURNS SETOF text LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
	name	text;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtextextended('hunt.summarize', 0));
	FOR name IN
	    SELECT c.relname FROM pg_class c
	    WHERE c.relnamespace = 'hunt'::regnamespace AND c.relispartition
	    AND c.relname ~ '^day_(origin|link|community|lost)_\d{8}$'
	      AND to_date(right(c.relname, 8), 'YYYYMMDD') < $1 ORDER BY right(c.relname, 8), c.relname LOOP
		EXECUTE format('DROP TABLE hunt.%I', name);
		RETURN NEXT 'hunt.' || name;
	END LOOP;
	DELETE FROM hunt.summary_day d WHERE d.day < $1;
END
$$;
COMMENT ON FUNCTION hunt.summary_drop(date) IS
    'drops the summaries of days before this one, for retention; the names of what was dropped. Gives up after 5 s if
questions are in the way';

-- --- reading them ------------------------------------------------------------------------------------------

-- hunt.summary_parts: what of a range can be had from summaries (whole days that have a complete one), and the
-- ranges around them that are to be read from the log.  checked: days that late updates may have changed since are
-- read from the log (to look at all days of a long history would take longer than most questions).
CREATE OR REPLACE FUNCTION hunt.summary_parts(from_ts timestamptz, to_ts timestamptz, peer_ids int[], checked boolean,
    OUT days date[], OUT log_from timestamptz[], OUT log_to timestamptz[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = ISO AS $$
DECLARE
	d	date;
	at	timestamptz := from_ts;
BEGIN
	-- (a filter on peers cannot be had from summaries)
	IF peer_ids IS NULL THEN
		SELECT array_agg(s.day ORDER BY s.day) INTO days
		FROM (SELECT DISTINCT q.day FROM hunt.summary_day q) s
		WHERE s.day::timestamp AT TIME ZONE 'UTC' >= from_ts
		    AND (s.day + 1)::timestamp AT TIME ZONE 'UTC' <= to_ts
		  AND NOT EXISTS (SELECT FROM bgp.partition p WHERE p.day = s.day
		      AND NOT EXISTS (SELECT FROM hunt.summary_day k WHERE (k.day, k.peer_id) = (p.day, p.peer_id)
			AND (NOT checked OR hunt.unchanged(k, p.leaf))));
	END IF;
	FOREACH d IN ARRAY coalesce(days, '{}') || NULL::date LOOP
		IF coalesce(d::timestamp AT TIME ZONE 'UTC', to_ts) > at THEN
			log_from := log_from || at;
			log_to := log_to || coalesce(d::timestamp AT TIME ZONE 'UTC', to_ts);
		END IF;
		at := (d + 1)::timestamp AT TIME ZONE 'UTC';
	END LOOP;
END
$$;
COMMENT ON FUNCTION hunt.summary_parts(timestamptz, timestamptz, int[], boolean) IS
    'for the hunts: days of a range that have a summary, and what is left of it to be read from the log';

-- hunt.summarized: the days of a range, if all of it can be had from summaries of this kind and the log is what
-- it was when they were made; else NULL
CREATE OR REPLACE FUNCTION hunt.summarized(what text, from_ts timestamptz, to_ts timestamptz, peer_ids int[])
RETURNS date[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.days FROM hunt.summary_parts(from_ts, to_ts, peer_ids, true) p
	-- (a day that was summarized before there was this kind has none)
	WHERE p.log_from IS NULL AND (SELECT bool_and(to_regclass(hunt.summary_leaf(what, d)) IS NOT NULL)
	    FROM unnest(p.days) d)
	  -- (of what is dropped, the rest of the log knows nothing)
	  AND NOT EXISTS (SELECT FROM hunt.summary_day d WHERE d.day = ANY (p.days)
	      AND NOT EXISTS (SELECT FROM bgp.partition l WHERE (l.day, l.peer_id) = (d.day, d.peer_id)))
$$;
COMMENT ON FUNCTION hunt.summarized(text, timestamptz, timestamptz, int[]) IS
    'for the hunts: the days of a range that is all in summaries, unless late updates changed them';

-- hunt.summary_days: the rows of summaries
CREATE OR REPLACE FUNCTION hunt.summary_days(what text, days date[], within cidr, prefixes cidr[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('SELECT * FROM hunt.%I s WHERE s.day = ANY (%L::date[])', 'day_' || what, coalesce(days, '{}'))
	    || CASE WHEN what <> 'origin' THEN '' ELSE coalesce(' AND s.prefix <<= ' || quote_literal(within), '')
	    || hunt.one_of('s.prefix', prefixes) END
$$;
COMMENT ON FUNCTION hunt.summary_days(text, date[], cidr, cidr[]) IS 'for the hunts: the summaries of days';

-- hunt.summary_source: origins, links or communities of a range, as a query of hunt.summary_query's columns:
-- from the summary for each whole day that has a complete one, else from the log; the same thing comes once per
-- such part.  filter: more conditions on updates e of the log; checked: as for hunt.summary_parts.
CREATE OR REPLACE FUNCTION hunt.summary_source(what text, since timestamptz, until timestamptz, peer_ids int[],
    within cidr, prefixes cidr[], filter text DEFAULT '', checked boolean DEFAULT true)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = ISO AS $$
	SELECT string_agg(format('SELECT %s FROM (%s) s', (hunt.summary_columns(what)).columns, q.query), ' UNION ALL ')
	FROM hunt.summary_parts(since, until, peer_ids, checked) p
	CROSS JOIN LATERAL (
		SELECT hunt.summary_days(what, p.days, within, prefixes) AS query
		UNION ALL SELECT hunt.summary_query(what,
		    hunt.log_clause(l.log_from, l.log_to, within, peer_ids, NULL, prefixes => prefixes) || filter)
		FROM unnest(p.log_from, p.log_to) l (log_from, log_to)) q
$$;
COMMENT ON FUNCTION hunt.summary_source(text, timestamptz, timestamptz, int[], cidr, cidr[], text, boolean) IS
    'for the hunts: origins, links or communities of a range, from summaries where there are, else from the log';

-- hunt.summary_keys: only what links or communities there are in a range: a query of (asn1, asn2, to_origin, path,
-- origin_asn; path NULL where it comes from a summary), or (community), which may have the same several times.
-- more: what else the days of the range have may be among it, which makes it faster: for what is asked about, not
-- for the history.  filter: more conditions on announcements e of the log.
CREATE OR REPLACE FUNCTION hunt.summary_keys(what text, since timestamptz, until timestamptz, peer_ids int[],
    within cidr, more boolean, filter text DEFAULT '')
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = ISO AS $$
	SELECT string_agg(q.query, ' UNION ALL ')
	FROM hunt.summary_parts(since, until, peer_ids, more) p
	CROSS JOIN LATERAL (
		SELECT format('SELECT %s FROM (%s) s', CASE what
		    WHEN 'link' THEN 'asn1, asn2, to_origin, NULL::bigint[] AS path, NULL::bigint AS origin_asn'
		    ELSE 'community' END, hunt.summary_days(what, p.days, within, NULL)) AS query
		UNION ALL
		SELECT CASE what
		    WHEN 'link' THEN format($q$
			SELECT p.path[i] AS asn1, p.path[i + 1] AS asn2,
			    p.path[i + 1] = p.path[cardinality(p.path)] AS to_origin, p.path, p.origin_asn
			FROM (SELECT d.path, d.origin_asn, generate_series(1, cardinality(d.path) - 1) AS i
			    FROM (SELECT e.path, e.origin_asn FROM %s AND cardinality(e.path) >= 2
			    AND (e.as_path IS NULL OR e.as_path NOT LIKE '%%{%%')%s) d) p
			WHERE p.path[i] <> p.path[i + 1]$q$, c.clause, CASE WHEN n.novel THEN ''
			    ELSE ' GROUP BY e.peer_id, e.path, e.origin_asn' END)
		    ELSE format($q$
			SELECT DISTINCT u.community FROM (SELECT e.communities || e.large_communities AS communities
			    FROM %s AND (e.communities IS NOT NULL OR e.large_communities IS NOT NULL)%s) s
			    CROSS JOIN LATERAL unnest(s.communities) u (community)$q$,
			c.clause, CASE WHEN n.novel THEN ''
			    ELSE ' GROUP BY e.peer_id, e.communities, e.large_communities' END) END
		FROM unnest(p.log_from, p.log_to) l (log_from, log_to)
		CROSS JOIN LATERAL (SELECT (more OR l.log_from = date_trunc('day', l.log_from)
		    AND (l.log_to = date_trunc('day', l.log_to) OR l.log_to >= now())) AND within IS NULL
		    AS novel) n
		CROSS JOIN LATERAL (SELECT CASE WHEN n.novel
		    THEN hunt.novel_clause(l.log_from, l.log_to, NULL, peer_ids, NULL)
		    ELSE hunt.log_clause(l.log_from, l.log_to, within, peer_ids, NULL)
		    || ' AND e.kind = ''A''' END || filter AS clause) c) q
$$;
COMMENT ON FUNCTION hunt.summary_keys(text, timestamptz, timestamptz, int[], cidr, boolean, text) IS
    'for the hunts: what links or communities there are in a range';

-- hunt.known_among: those of found, a query with links or communities named so, that there were in a range: each is
-- looked up, so they should be few.  filter: as for hunt.summary_keys.
CREATE OR REPLACE FUNCTION hunt.known_among(what text, since timestamptz, until timestamptz, filter text DEFAULT '')
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = ISO AS $$
	SELECT format('SELECT %1$s FROM (SELECT DISTINCT %1$s FROM found) f WHERE EXISTS (SELECT FROM hunt.%2$I d'
	    ' WHERE d.day = ANY (%3$L::date[]) AND (d.%4$s) = (f.%5$s))', c.keys, 'day_' || what, p.days,
	    replace(c.keys, ', ', ', d.'), replace(c.keys, ', ', ', f.'))
	    || coalesce((SELECT string_agg(format(' UNION SELECT %s FROM (%s) k', c.keys,
		hunt.summary_keys(what, l.log_from, l.log_to, NULL, NULL, false, filter)), '')
		FROM unnest(p.log_from, p.log_to) l (log_from, log_to)), '')
	FROM hunt.summary_parts(since, until, NULL, false) p,
	    (VALUES (CASE what WHEN 'link' THEN 'asn1, asn2' ELSE 'community' END)) c (keys)
$$;
COMMENT ON FUNCTION hunt.known_among(text, timestamptz, timestamptz, text) IS
    'for the hunts: which of some links or communities there were in a range';

-- hunt.known_origins: prefixes and origins before a moment, as a query: of the history, and of routes that have
-- been there for longer than it goes back.
CREATE OR REPLACE FUNCTION hunt.known_origins(since timestamptz, until timestamptz, within cidr, prefixes cidr[])
RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('SELECT h.prefix, h.origin_asn FROM (%s) h UNION ALL SELECT b.prefix, b.origin_asn FROM (%s) b'
	    ' WHERE b.origin_asn IS NOT NULL', hunt.summary_source('origin', since, until, NULL, within, prefixes,
		checked => false),
	    CASE WHEN prefixes IS NOT NULL THEN hunt.kept_of(until, within, prefixes, NULL, NULL)
	    ELSE hunt.kept(until, within, '', CASE WHEN within IS NULL THEN hunt.full_peers(NULL) END, NULL) END)
$$;
COMMENT ON FUNCTION hunt.known_origins(timestamptz, timestamptz, cidr, cidr[]) IS
    'for the hunts: prefixes and origins before a moment';

-- hunt.prefixes_by_pairs: the prefixes that result (as hunt.pairs has it) makes of the pairs of a range, said,
-- and of those known since known_from
CREATE OR REPLACE FUNCTION hunt.prefixes_by_pairs(known_from timestamptz, from_ts timestamptz, to_ts timestamptz,
    peer_ids int[], result text) RETURNS cidr[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
	known	record := hunt.summary_parts(known_from, from_ts, NULL, false);
	part	record := hunt.summary_parts(from_ts, to_ts, peer_ids, true);
	others	text[];
	found	cidr[];
BEGIN
	-- (day by day: each is read in the order of its index)
	SELECT array_agg(format('SELECT e.prefix, e.origin_asn, %L::boolean FROM %s e WHERE true', d.said,
	    hunt.summary_leaf('origin', d.day)))
	INTO others FROM (SELECT k AS day, false AS said FROM unnest(known.days) k
	    UNION ALL SELECT p, true FROM unnest(part.days) p) d;
	others := others || (SELECT array_agg(format('SELECT e.prefix, e.origin_asn, false FROM (%s) e WHERE true',
	    hunt.pairs(l.log_from, l.log_to, NULL, NULL, NULL, NULL, false)))
	    FROM unnest(known.log_from, known.log_to) l (log_from, log_to));
	PERFORM hunt.plan_for(true, true);
	EXECUTE format('SELECT coalesce(array_agg(DISTINCT p.prefix), %L) FROM (%s) p (prefix)', '{}',
	    hunt.pairs(coalesce(part.log_from[1], from_ts), coalesce(part.log_to[cardinality(part.log_to)], from_ts),
		NULL, peer_ids, NULL, NULL, true, NULL, true, result, others)) INTO found;
	PERFORM hunt.plan_for(false, narrow => true);
	RETURN found;
END
$$;
COMMENT ON FUNCTION hunt.prefixes_by_pairs(timestamptz, timestamptz, timestamptz, int[], text) IS
    'for the hunts: prefixes found by the origins that they have in a range and had before';

-- hunt.never_before: what hunt.pairs is to make of its pairs: the prefixes that are new
CREATE OR REPLACE FUNCTION hunt.never_before() RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT 'SELECT s.prefix FROM %s s GROUP BY s.prefix HAVING bool_and(s.said)'
$$;
COMMENT ON FUNCTION hunt.never_before() IS 'for the hunts: prefixes that were not there before';

-- hunt.history: how much there is before a moment.  from_ts NULL: nothing.  peer_ids: the peers of which there
-- is something.
CREATE OR REPLACE FUNCTION hunt.history(at timestamptz, asked interval, OUT from_ts timestamptz, OUT peer_ids int[],
    OUT note text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = ISO
SET intervalstyle = postgres AS $$
DECLARE
	today	date := (at AT TIME ZONE 'UTC')::date;
	oldest	date;
	early	timestamptz;
BEGIN
	IF asked IS NULL OR asked <= interval '0' THEN
		RAISE EXCEPTION 'the history to compare with must be longer than nothing'
		    USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT min(d.day), array_agg(DISTINCT d.peer_id) INTO oldest, peer_ids
	FROM (SELECT p.day, p.peer_id FROM bgp.partition p UNION SELECT s.day, s.peer_id FROM hunt.summary_day s) d
	    WHERE d.day < today
	    AND d.day >= (at - asked)::date;
	early := oldest::timestamp AT TIME ZONE 'UTC';
	-- the day itself, up to then: the first update of each peer, by index
	EXECUTE format('SELECT least(%L, min(f.ts)), %L::int[] || array_agg(f.peer_id) FROM ('
	    'SELECT p.peer_id, (SELECT e.ts FROM %s AND e.peer_id = p.peer_id ORDER BY e.ts LIMIT 1) AS ts'
	    ' FROM bgp.peer p) f WHERE f.ts IS NOT NULL',
	    early, peer_ids, hunt.log_clause(greatest(today::timestamp AT TIME ZONE 'UTC', at - asked), at, NULL, NULL,
	    NULL)) INTO early, peer_ids;
	IF early IS NULL THEN
		note := format('none of %s asked', asked);
		RAISE WARNING 'nothing to compare with: the log has nothing before %', at
		    USING HINT = 'What is new cannot be told from what was there before.';
		RETURN;
	END IF;
	from_ts := greatest(early, at - asked);
	note := CASE WHEN from_ts < at - asked + interval '1 day' THEN asked::text
	    ELSE format('%s of %s asked', justify_hours(date_trunc('minute', at - from_ts)), asked) END;
END
$$;
COMMENT ON FUNCTION hunt.history(timestamptz, interval) IS
    'for the hunts: the history that there is before a moment, of what was asked for';

-- --- what is new -------------------------------------------------------------------------------------------
-- All of these take history (default 14 days): how long before the range a thing must not have been seen, at
-- any peer, to be new.  Origins and prefixes are also known from routes that are there now and came before the
-- range, however long ago (hunt.kept). Where the log does not go back so far, they compare with what there is
-- and say so in evidence.history ("2 days 03:00:00 of 14 days asked"); where there is nothing before the range,
-- they return nothing, with a warning.  Things that only peers show that have no history themselves are left
-- out: all that a new peer sends would be new.

CREATE OR REPLACE FUNCTION hunt.new_origin(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, history interval DEFAULT '14 days', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	h	record;
	mine	cidr[];
BEGIN
	SELECT * INTO h FROM hunt.history(since, history);
	IF h.from_ts IS NULL THEN
		RETURN;
	END IF;
	IF asn IS NOT NULL THEN
		EXECUTE format('SELECT coalesce(array_agg(DISTINCT s.prefix), ''{}'') FROM (%s) s'
		    ' WHERE s.origin_asn = %L',
		    hunt.summary_source('origin', since, until, peer_ids, within, NULL), asn) INTO mine;
	END IF;
	IF asn IS NULL AND within IS NULL THEN
		mine := hunt.prefixes_by_pairs(h.from_ts, since, until, peer_ids,
		    'SELECT p.prefix FROM (SELECT s.prefix, s.origin_asn, bool_and(s.said) AS is_new'
		    ' FROM %s s GROUP BY s.prefix, s.origin_asn) p GROUP BY p.prefix HAVING bool_or(p.is_new)'
		    ' AND NOT bool_and(p.is_new)');
	END IF;
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH known AS MATERIALIZED (
			SELECT k.prefix, array_agg(DISTINCT k.origin_asn) AS origins FROM (%s) k GROUP BY k.prefix),
		new AS (
			SELECT s.*, k.origins FROM (%s) s JOIN known k USING (prefix)
			WHERE s.origin_asn <> ALL (k.origins) AND s.peer_ids && %L
			    AND s.origin_asn = coalesce(%L, s.origin_asn))
		SELECT n.origin_asn AS suspect, n.prefix, min(n.first_ts) AS first_ts, max(n.last_ts) AS last_ts,
		    array_agg(i.peer_id ORDER BY n.first_ts, i.place) AS peer_ids, sum(n.events)
		    FILTER (WHERE i.place = 1) AS events,
		    jsonb_build_object('known_origins', n.origins, 'history', %L) AS evidence
		FROM new n CROSS JOIN LATERAL unnest(n.peer_ids) WITH ORDINALITY i (peer_id, place)
		GROUP BY n.prefix, n.origin_asn, n.origins$q$,
	    hunt.known_origins(h.from_ts, since, within, mine),
	    hunt.summary_source('origin', since, until, peer_ids, within, mine),
	    h.peer_ids, asn, h.note), hunt.log_clause(since, until, within, peer_ids, NULL), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.new_origin(timestamptz, timestamptz, cidr, bigint, int[], interval, int) IS
'A new origin: a unicast prefix that was announced in the history before the range, and in the range with an origin that
it did not have then, at any peer; a row per prefix and new origin (suspect).  A prefix that was not there at all before
is hunt.first_seen''s.
asn: the new origin.  history: how far to look back (default 14 days); if there is less, evidence.history says so; if
there is none, no rows and a warning.
evidence: known_origins, history.';

CREATE OR REPLACE FUNCTION hunt.first_seen(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, what text DEFAULT 'prefix', history interval DEFAULT '14 days',
    min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	h	record;
	mine	cidr[];
BEGIN
	IF what IS NULL OR what NOT IN ('prefix', 'origin') THEN
		RAISE EXCEPTION 'hunt.first_seen: what must be prefix or origin'
		    USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO h FROM hunt.history(since, history);
	IF h.from_ts IS NULL THEN
		RETURN;
	END IF;
	IF asn IS NOT NULL THEN
		EXECUTE format('SELECT coalesce(array_agg(DISTINCT s.prefix), ''{}'') FROM (%s) s'
		    ' WHERE s.origin_asn = %L',
		    hunt.summary_source('origin', since, until, peer_ids, within, NULL), asn) INTO mine;
	END IF;
	IF asn IS NULL AND within IS NULL AND what = 'prefix' THEN
		mine := hunt.prefixes_by_pairs(h.from_ts, since, until, peer_ids, hunt.never_before());
	END IF;
	PERFORM hunt.plan_for(mine IS NULL AND within IS NULL, narrow => asn IS NOT NULL OR within IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH known AS MATERIALIZED (SELECT DISTINCT k.%1$I FROM (%2$s) k),
		new AS (
			SELECT s.* FROM (%3$s) s LEFT JOIN known k USING (%1$I)
			WHERE k.%1$I IS NULL AND s.peer_ids && %4$L AND s.origin_asn = coalesce(%5$L, s.origin_asn))
		SELECT n.origin_asn AS suspect, n.prefix, min(n.first_ts) AS first_ts, max(n.last_ts) AS last_ts,
		    array_agg(i.peer_id ORDER BY n.first_ts, i.place) AS peer_ids, sum(n.events)
		    FILTER (WHERE i.place = 1) AS events, jsonb_build_object('new', %6$L, 'history', %7$L) AS evidence
		FROM new n CROSS JOIN LATERAL unnest(n.peer_ids) WITH ORDINALITY i (peer_id, place)
		GROUP BY n.prefix, n.origin_asn$q$, CASE what WHEN 'prefix' THEN 'prefix' ELSE 'origin_asn' END,
	    hunt.known_origins(h.from_ts, since, CASE what WHEN 'prefix' THEN within END, CASE what WHEN 'prefix'
	    THEN mine END), hunt.summary_source('origin', since, until, peer_ids, within, mine),
	    h.peer_ids, asn, what, h.note), hunt.log_clause(since, until, within, peer_ids, NULL), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.first_seen(timestamptz, timestamptz, cidr, bigint, int[], text, interval, int) IS
'Seen for the first time: a unicast prefix (what = prefix) that nobody announced in the history before the range, or an
origin AS (what = origin) that announced nothing then; a row per prefix and origin (suspect).
asn: the origin.  history: how far to look back (default 14 days); if there is less, evidence.history says so; if there
is none, no rows and a warning.
evidence: new (prefix or origin), history.';

CREATE OR REPLACE FUNCTION hunt.sub_prefix(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, history interval DEFAULT '14 days', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	h	record;
	mine	cidr[];
	around	cidr[];
BEGIN
	SELECT * INTO h FROM hunt.history(since, history);
	IF h.from_ts IS NULL THEN
		RETURN;
	END IF;
	-- what may be new, and all that may cover it: a few prefixes to ask history for
	IF asn IS NOT NULL OR within IS NOT NULL THEN
		EXECUTE format('SELECT coalesce(array_agg(DISTINCT s.prefix), ''{}'') FROM (%s) s'
		    ' WHERE s.origin_asn = coalesce(%L, s.origin_asn)',
		    hunt.summary_source('origin', since, until, peer_ids, within, NULL), asn) INTO mine;
	ELSE
		mine := hunt.prefixes_by_pairs(h.from_ts, since, until, peer_ids, hunt.never_before());
	END IF;
	around := (SELECT coalesce(array_agg(DISTINCT c), '{}') FROM unnest(mine) m, unnest(bgp.supernets(m)) c);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH known AS MATERIALIZED (
			SELECT k.prefix, array_agg(DISTINCT k.origin_asn) AS origins FROM (%s) k GROUP BY k.prefix),
		new AS MATERIALIZED (
			SELECT s.* FROM (%s) s LEFT JOIN known k USING (prefix)
			WHERE k.prefix IS NULL AND s.peer_ids && %L AND s.origin_asn = coalesce(%L, s.origin_asn)),
		nearest AS (
			SELECT DISTINCT ON (p.prefix) p.prefix, k.prefix AS covering, k.origins
			FROM (SELECT DISTINCT n.prefix FROM new n) p
			CROSS JOIN LATERAL generate_series(1, masklen(p.prefix) - 1) l
			JOIN known k ON k.prefix = set_masklen(p.prefix, l)
			ORDER BY p.prefix, masklen(k.prefix) DESC)
		SELECT n.origin_asn AS suspect, n.prefix, min(n.first_ts) AS first_ts, max(n.last_ts) AS last_ts,
		    array_agg(i.peer_id ORDER BY n.first_ts, i.place) AS peer_ids, sum(n.events)
		    FILTER (WHERE i.place = 1) AS events,
		    jsonb_build_object('covering', c.covering, 'covering_origins', c.origins, 'same_origin',
		    n.origin_asn = ANY (c.origins), 'history', %L) AS evidence
		FROM new n JOIN nearest c USING (prefix)
		    CROSS JOIN LATERAL unnest(n.peer_ids) WITH ORDINALITY i (peer_id, place)
		GROUP BY n.prefix, n.origin_asn, c.covering, c.origins$q$,
	    hunt.known_origins(h.from_ts, since, NULL, around),
	    hunt.summary_source('origin', since, until, peer_ids, NULL, mine),
	    h.peer_ids, asn, h.note), hunt.log_clause(since, until, within, peer_ids, NULL), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.sub_prefix(timestamptz, timestamptz, cidr, bigint, int[], interval, int) IS
'A new more specific: a unicast prefix that nobody announced in the history before the range, inside of one that was
announced then; a row per prefix and origin (suspect).  A default route covers nothing here.  With another origin than
the covering prefix this is how a sub-prefix hijack begins (same_origin false).
asn: the origin of the new prefix.  history: how far to look back (default 14 days); if there is less, evidence.history
says so; if there is none, no rows and a warning.
evidence: covering (the nearest known prefix around it), covering_origins, same_origin, history.';

CREATE OR REPLACE FUNCTION hunt.super_prefix(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, history interval DEFAULT '14 days', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	h	record;
	mine	cidr[];
BEGIN
	SELECT * INTO h FROM hunt.history(since, history);
	IF h.from_ts IS NULL THEN
		RETURN;
	END IF;
	IF asn IS NOT NULL OR within IS NOT NULL THEN
		EXECUTE format('SELECT coalesce(array_agg(DISTINCT s.prefix), ''{}'') FROM (%s) s'
		    ' WHERE s.origin_asn = coalesce(%L, s.origin_asn)',
		    hunt.summary_source('origin', since, until, peer_ids, NULL, CASE WHEN within IS NOT NULL
		    THEN bgp.supernets(within) END), asn) INTO mine;
	ELSE
		mine := hunt.prefixes_by_pairs(h.from_ts, since, until, peer_ids, hunt.never_before());
	END IF;
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH new AS MATERIALIZED (
			SELECT s.* FROM (%s) s
			WHERE s.peer_ids && %L AND s.origin_asn = coalesce(%L, s.origin_asn)
			    AND NOT EXISTS (SELECT FROM (%s) k WHERE k.prefix = s.prefix)),
		-- in the order of cidr, what a prefix covers stands right behind it
		covered AS (
			SELECT p.prefix, count(*) AS n,
			    (array_agg(jsonb_build_object('prefix', c.covered, 'origins', c.origins)
			    ORDER BY c.covered))[1:10] AS examples, array_agg(DISTINCT o.origin) AS origins
			FROM (SELECT DISTINCT n.prefix FROM new n) p
			CROSS JOIN LATERAL (SELECT k.prefix AS covered, array_agg(DISTINCT k.origin_asn) AS origins
			    FROM (%s) k
			    WHERE k.prefix > p.prefix
			    AND k.prefix <= set_masklen(broadcast(p.prefix), CASE family(p.prefix) WHEN 4 THEN 32
			    ELSE 128 END)::cidr
			    GROUP BY k.prefix) c
			CROSS JOIN LATERAL unnest(c.origins) o (origin)
			GROUP BY p.prefix)
		SELECT n.origin_asn AS suspect, n.prefix, min(n.first_ts) AS first_ts, max(n.last_ts) AS last_ts,
		    array_agg(i.peer_id ORDER BY n.first_ts, i.place) AS peer_ids, sum(n.events)
		    FILTER (WHERE i.place = 1) AS events,
		    jsonb_build_object('covered', c.n, 'examples', to_jsonb(c.examples), 'same_origin',
		    c.origins = ARRAY[n.origin_asn], 'history', %L) AS evidence
		FROM new n JOIN covered c USING (prefix)
		    CROSS JOIN LATERAL unnest(n.peer_ids) WITH ORDINALITY i (peer_id, place)
		GROUP BY n.prefix, n.origin_asn, c.n, c.examples, c.origins$q$,
	    hunt.summary_source('origin', since, until, peer_ids, NULL, mine), h.peer_ids, asn,
	    hunt.known_origins(h.from_ts, since, NULL, mine),
	    hunt.known_origins(h.from_ts, since, within, NULL), h.note),
	    hunt.log_clause(since, until, NULL, peer_ids, NULL), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.super_prefix(timestamptz, timestamptz, cidr, bigint, int[], interval, int) IS
'A new covering prefix: a unicast prefix that nobody announced in the history before the range, around one or more that
were announced then; a row per prefix and origin (suspect).  It draws the traffic of whatever part of it nobody
announces, and of all of it once the more specifics are withdrawn.
within: only around this prefix.  asn: the origin of the new prefix.  history: how far to look back (default 14 days);
if there is less, evidence.history says so; if there is none, no rows and a warning.
evidence: covered (how many prefix and origin pairs it is around), examples (up to 10), same_origin (all of them have
this origin only), history.';

-- hunt.new_links: the rows of hunt.new_link and hunt.new_neighbor
CREATE OR REPLACE FUNCTION hunt.new_links(from_ts timestamptz, to_ts timestamptz, within cidr, asn bigint,
    peer_ids int[], history interval, to_origin boolean, min_peers int)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int,
    events bigint, evidence jsonb) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = ISO
    SET intervalstyle = postgres AS $$
DECLARE
	h	record;
	wanted	text := CASE WHEN to_origin THEN 'to_origin' || coalesce(' AND asn2 = ' || asn, '')
	    ELSE coalesce(asn || ' IN (asn1, asn2)', 'true') END;
	lefts	bigint[];
	rights	bigint[];
	few	boolean := within IS NOT NULL OR asn IS NOT NULL;
	new	text;
	paths	text[];
	origins	bigint[];
BEGIN
	SELECT * INTO h FROM hunt.history(from_ts, history);
	IF h.from_ts IS NULL THEN
		RETURN;
	END IF;
	-- Few links are looked up in the days before and sorted together with those found there, as none of these sets
	-- is known to be small when that is planned; many are compared with all that was known.
	new := CASE WHEN few THEN format($q$
		SELECT w.* FROM (
			SELECT f.*, bool_or(f.known) OVER link AS before, bool_or(%s) OVER link AS wanted
			FROM (SELECT s.*, false AS known FROM found s
			    UNION ALL SELECT k.asn1, k.asn2, false, NULL, NULL, true FROM (%s) k) f
			WINDOW link AS (PARTITION BY f.asn1, f.asn2)) w
		WHERE NOT w.before$q$, wanted, hunt.known_among('link', h.from_ts, from_ts, hunt.on_path(asn)))
	    ELSE format($q$
		SELECT f.*, bool_or(%s) OVER (PARTITION BY f.asn1, f.asn2) AS wanted
		FROM found f LEFT JOIN (SELECT DISTINCT k.asn1, k.asn2 FROM (%s) k) k USING (asn1, asn2)
		WHERE k.asn1 IS NULL$q$, wanted, hunt.summary_keys('link', h.from_ts, from_ts, NULL, NULL, false)) END;
	-- the links that are new, and the paths that have them
	PERFORM hunt.plan_for(NOT few, narrow => few);
	EXECUTE format($q$
		WITH found AS %s (SELECT s.* FROM (%s) s WHERE %s),
		new AS MATERIALIZED (%s)
		SELECT l.asn1, l.asn2, p.paths, p.origins
		FROM (SELECT array_agg(k.asn1) AS asn1, array_agg(k.asn2) AS asn2
		    FROM (SELECT DISTINCT n.asn1, n.asn2 FROM new n WHERE n.wanted) k) l,
		    (SELECT array_agg(DISTINCT n.path::text) AS paths, array_agg(DISTINCT n.origin_asn)
		    FILTER (WHERE n.path IS NOT NULL) AS origins FROM new n WHERE n.wanted) p$q$,
	    CASE WHEN few THEN 'MATERIALIZED' ELSE 'NOT MATERIALIZED' END,
	    hunt.summary_keys('link', from_ts, to_ts, CASE WHEN within IS NULL THEN peer_ids
		ELSE coalesce(peer_ids, (SELECT array_agg(p.peer_id) FROM bgp.peer p)) END, within, true,
		hunt.on_path(asn)), coalesce(asn || ' IN (s.asn1, s.asn2)', 'true'), new)
	INTO lefts, rights, paths, origins;
	IF lefts IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH new AS (
			SELECT s.* FROM (%s) s JOIN unnest($1, $2) l (asn1, asn2) USING (asn1, asn2)
			    WHERE s.peer_ids && %L AND %s),
		link AS MATERIALIZED (
			SELECT n.asn1, n.asn2, bool_or(n.to_origin) AS to_origin, min(n.first_ts) AS first_ts,
			    max(n.last_ts) AS last_ts,
			    array_agg(i.peer_id ORDER BY n.first_ts, i.place) AS peer_ids, sum(n.events)
			    FILTER (WHERE i.place = 1) AS events
			FROM new n CROSS JOIN LATERAL unnest(n.peer_ids) WITH ORDINALITY i (peer_id, place)
			GROUP BY n.asn1, n.asn2)
		SELECT l.asn1 AS suspect, u.prefix, l.first_ts, l.last_ts, l.peer_ids, l.events,
		    jsonb_build_object('link', ARRAY[l.asn1, l.asn2], 'to_origin', l.to_origin, 'history',
		    %L) AS evidence
		FROM link l LEFT JOIN LATERAL (SELECT e.prefix FROM %s AND e.kind = 'A' AND e.ts = l.first_ts
		    AND e.peer_id = l.peer_ids[1]
		    AND e.path @> ARRAY[l.asn1, l.asn2] ORDER BY e.seq LIMIT 1) u ON true$q$,
	    hunt.summary_source('link', from_ts, to_ts, CASE WHEN within IS NULL THEN peer_ids
	    ELSE coalesce(peer_ids, (SELECT array_agg(p.peer_id) FROM bgp.peer p)) END, within, NULL,
		' AND e.path IN (SELECT u.path::bigint[] FROM unnest($3) u (path))'
		-- (what ends in a confederation has none)
		|| CASE WHEN cardinality(origins) <= 5000 AND array_position(origins, NULL) IS NULL
		THEN ' AND e.origin_asn = ANY ($4)' ELSE '' END), h.peer_ids, wanted, h.note,
		    hunt.log_clause(from_ts, to_ts, within, peer_ids, NULL)),
	    hunt.log_clause(from_ts, to_ts, within, peer_ids, NULL), min_peers) USING lefts, rights, paths, origins;
END
$$;
COMMENT ON FUNCTION hunt.new_links(timestamptz, timestamptz, cidr, bigint, int[], interval, boolean, int) IS
    'for the hunts: the rows of hunt.new_link and hunt.new_neighbor';

CREATE OR REPLACE FUNCTION hunt.new_link(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, history interval DEFAULT '14 days', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN QUERY SELECT * FROM hunt.new_links(since, until, within, asn, peer_ids, history, false, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.new_link(timestamptz, timestamptz, cidr, bigint, int[], interval, int) IS
'A new link: two ASNs side by side on a unicast path of the range, in this order, that no path had so in the history
before it; a row per pair.  The suspect is the left one, which passed on what it had from the other; prefix is that of
the first announcement.  Prepends are collapsed; paths with an AS_SET are left out.  Forged paths, new peerings and
leaks look like this; a route server that leaves its ASN out makes a link of its two members.
asn: one of the two.  history: how far to look back (default 14 days); if there is less, evidence.history says so; if
there is none, no rows and a warning.
evidence: link, to_origin (the right one was the origin), history.';

CREATE OR REPLACE FUNCTION hunt.new_neighbor(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, history interval DEFAULT '14 days', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN QUERY SELECT * FROM hunt.new_links(since, until, within, asn, peer_ids, history, true, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.new_neighbor(timestamptz, timestamptz, cidr, bigint, int[], interval, int) IS
'A new neighbour of an origin: the hunt.new_link rows where the right ASN is the origin of the path; the suspect is the
neighbour.  A hijacker that puts the rightful origin at the end of its path (type 1) looks like this.
asn: the origin.  history: how far to look back (default 14 days); if there is less, evidence.history says so; if there
is none, no rows and a warning.
evidence: link (neighbour, origin), to_origin, history.';

CREATE OR REPLACE FUNCTION hunt.community_new(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, history interval DEFAULT '14 days', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	h	record;
	log	text := hunt.log_clause(since, until, within, peer_ids, NULL);
	members	int[] := CASE WHEN within IS NULL THEN peer_ids
	    ELSE coalesce(peer_ids, (SELECT array_agg(p.peer_id) FROM bgp.peer p)) END;
	few	boolean := within IS NOT NULL OR asn IS NOT NULL;
	-- (as 016 has it in an index of what is new)
	of_asn	text := CASE WHEN asn IS NULL THEN '' ELSE
	    format(' AND array_to_tsvector(e.communities || e.large_communities) @@ %L::tsquery',
	    format('''%s:'':*', asn)) END;
	new	text[];
	has_new	text;
	origins	bigint[];
BEGIN
	SELECT * INTO h FROM hunt.history(since, history);
	IF h.from_ts IS NULL THEN
		RETURN;
	END IF;
	PERFORM hunt.plan_for(NOT few, narrow => few);
	EXECUTE format($q$
		WITH found AS %s (
			SELECT s.community FROM (%s) s
			WHERE split_part(s.community, ':', 1) = coalesce(%L, split_part(s.community, ':', 1)))
		SELECT array_agg(DISTINCT f.community) FROM %s$q$,
	    CASE WHEN few THEN 'MATERIALIZED' ELSE 'NOT MATERIALIZED' END,
	    hunt.summary_keys('community', since, until, members, within, true, of_asn), asn,
	    -- (as in hunt.new_links)
	    CASE WHEN few
	    THEN format('(SELECT community FROM found EXCEPT (%s)) f',
		hunt.known_among('community', h.from_ts, since, of_asn))
	    ELSE format('found f LEFT JOIN (SELECT DISTINCT k.community FROM (%s) k) k USING (community)'
		' WHERE k.community IS NULL', hunt.summary_keys('community', h.from_ts, since, NULL, NULL, false)) END)
	INTO new;
	IF new IS NULL THEN
		RETURN;
	END IF;
	-- (to compare two long lists takes longer than to look each element up)
	has_new := CASE WHEN cardinality(new) <= 20 THEN ' AND (e.communities && $1 OR e.large_communities && $1)'
	    ELSE '' END;
	IF asn IS NOT NULL AND within IS NULL THEN
		EXECUTE format('SELECT array_agg(DISTINCT e.origin_asn) FROM %s',
		    hunt.novel_clause(since, until, NULL, peer_ids, NULL) || of_asn || has_new) INTO origins USING new;
	END IF;
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH new AS (
			SELECT s.* FROM (%s) s WHERE s.community = ANY ($1) AND s.peer_ids && %L),
		community AS MATERIALIZED (
			SELECT n.community, min(n.first_ts) AS first_ts, max(n.last_ts) AS last_ts,
			    array_agg(i.peer_id ORDER BY n.first_ts, i.place) AS peer_ids, sum(n.events)
			    FILTER (WHERE i.place = 1) AS events
			FROM new n CROSS JOIN LATERAL unnest(n.peer_ids) WITH ORDINALITY i (peer_id, place)
			GROUP BY n.community)
		SELECT split_part(c.community, ':', 1)::bigint AS suspect, u.prefix, c.first_ts, c.last_ts, c.peer_ids,
		    c.events, jsonb_build_object('community', c.community, 'history', %L) AS evidence
		FROM community c LEFT JOIN LATERAL (SELECT e.prefix FROM %s AND e.kind = 'A' AND e.ts = c.first_ts
		    AND e.peer_id = c.peer_ids[1]
		    AND (e.communities @> ARRAY[c.community] OR e.large_communities @> ARRAY[c.community])
		    ORDER BY e.seq LIMIT 1) u ON true$q$,
	    hunt.summary_source('community', since, until, members, within, NULL,
	    has_new || coalesce(hunt.of_few(origins), '')),
	    h.peer_ids, h.note, log), log, min_peers) USING new;
END
$$;
COMMENT ON FUNCTION hunt.community_new(timestamptz, timestamptz, cidr, bigint, int[], interval, int) IS
'A new community: a community (RFC 1997) or large community (RFC 8092) on a unicast route of the range that no route had
in the history before it; a row per community.  The suspect is its first part, the ASN that should have defined it (not
always the AS that set it); prefix is that of the first announcement.
asn: the first part.  history: how far to look back (default 14 days); if there is less, evidence.history says so; if
there is none, no rows and a warning.
evidence: community, history.';

-- --- the list of them --------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW hunt.hunts AS
SELECT p.proname::text AS hunt, pg_get_function_arguments(p.oid) AS arguments,
    obj_description(p.oid, 'pg_proc') AS description
FROM pg_proc p
WHERE p.pronamespace = 'hunt'::regnamespace AND p.proargnames @> '{since,until,min_peers,suspect,evidence}'
ORDER BY 1;
COMMENT ON VIEW hunt.hunts IS
'The hunts: functions that ask one question each of the log, over since <= ts < until.  All of them return:
suspect (ASN that the row is about; NULL where there is none), prefix (NULL where the row is about an AS or a peer),
first_seen and last_seen (updates that show it), peers (sorted ASNs of the peers that showed it), peers_count (a peer
whose ASN is not known counts as one more), events (updates that show it; those that answered a route refresh are not
counted), evidence (what the hunt went by; update: the first announcement that shows it; hunt.updates gives more).
Filters, NULL meaning all: within (this prefix and its more specifics), asn, peer_ids (of bgp.peer), family (as in
bgp.route_log; NULL: IPv4 and IPv6 unicast; routes with a route distinguisher are not looked at), min_peers (rows that
at least so many peers showed).';

-- --- settings and rights ----------------------------------------------------------------------------

-- What makes a hunt fast is said here for each of them, those of 012 as well: leafs aggregated one by one, no
-- compiling of plans that are as many as there are leafs, memory for the hash tables, rows from workers at
-- what they cost where nothing but the hunt is waited for; and what hunt.plan_for changes ends with the hunt.
DO $$
DECLARE
	f	regprocedure;
	setting	text;
BEGIN
	FOR f IN SELECT p.oid FROM pg_proc p
	    WHERE p.pronamespace = 'hunt'::regnamespace
	    AND p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'plpgsql')
	      AND p.proretset AND p.proargnames @> '{since,until,min_peers,suspect,evidence}' LOOP
		FOREACH setting IN ARRAY ARRAY['search_path = pg_catalog, pg_temp', 'datestyle = ISO',
		    'intervalstyle = postgres', 'jit = off', 'work_mem = ''64MB''',
		    'enable_partitionwise_aggregate = on', 'parallel_tuple_cost = 0.001', 'parallel_setup_cost = 100',
		    'enable_nestloop = on', 'enable_mergejoin = on', 'enable_hashjoin = on',
		    'enable_hashagg = on', 'enable_gathermerge = on',
		    'seq_page_cost = 0.2', 'random_page_cost = 0.4', 'min_parallel_index_scan_size = ''512kB''',
		    'min_parallel_table_scan_size = ''8MB'''] LOOP
			EXECUTE format('ALTER FUNCTION %s SET %s', f, setting);
		END LOOP;
	END LOOP;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hunt FROM PUBLIC;
GRANT USAGE ON SCHEMA hunt TO exabgp_pg_reader;
GRANT SELECT ON hunt.hunts, hunt.summary_day, hunt.day_origin, hunt.day_link, hunt.day_community,
    hunt.day_lost TO exabgp_pg_reader;
-- what a hunt calls it calls with the rights of who asks
DO $$
DECLARE
	f	regprocedure;
BEGIN
	FOR f IN SELECT p.oid FROM pg_proc p
	    WHERE p.pronamespace = 'hunt'::regnamespace
	      AND (p.proargnames @> '{since,until,min_peers,suspect,evidence}'
		OR p.proname IN ('one_of', 'plan_for', 'log_clause', 'routes_at', 'standing', 'full_peers',
		    'kept', 'kept_of', 'held', 'originated', 'of_few', 'few_prefixes', 'report', 'shown',
		    'updates', 'merged', 'hops', 'part_of_day', 'novel_clause', 'paths_found', 'on_path',
		    'ordered_path', 'need_relationships', 'unicast', 'leafs', 'leafs_by_peer', 'cuts', 'pairs',
		    'several_origins', 'in_parts', 'withdrawn', 'gone', 'lost', 'prefixes_lost', 'kept_leafs',
		    'summary_query', 'summary_columns', 'summary_leaf', 'summary_parts', 'summarized',
		    'unchanged', 'summary_source', 'summary_days', 'summary_keys', 'known_origins',
		    'prefixes_by_pairs', 'known_among', 'never_before', 'history', 'new_links')) LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO exabgp_pg_reader', f);
	END LOOP;
END
$$;
