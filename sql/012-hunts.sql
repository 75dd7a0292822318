-- 012-hunts.sql - questions to the log, one function each: who else originates this prefix,
-- what leaked, what flaps.  Hunts that compare with the days before are in 013.
--
-- Every hunt is hunt.NAME(since, until, filters, min_peers) and returns the same columns:
--
--	suspect		ASN that the row is about; NULL where there is none
--	prefix		what was announced; NULL where the row is about an AS or a peer
--	first_seen	first and last update that shows it, since <= ts < until
--	last_seen
--	peers		ASNs of the peers that showed it, sorted
--	peers_count	how many they are; a peer whose ASN is not known counts as one more
--	events		updates that show it; those that answered a route refresh repeat what was
--			known and are not counted
--	evidence	what the hunt went by; "update" is the first announcement that shows it
--
-- Filters, NULL meaning all: within (this prefix and its more specifics), asn (see each hunt),
-- peer_ids (of bgp.peer), family (as in bgp.route_log; NULL: ipv4 and ipv6 unicast, which is
-- what the questions are about).  Rows come sorted by first_seen.  hunt.updates gives more of the
-- updates behind a row.
--
-- How they are made: a query is put together with the time range as constants, so that it reads
-- the leafs of that range only; each leaf is aggregated by hash by itself (partitionwise, in
-- parallel where the server may), and only what is suspect is looked at more closely.

CREATE SCHEMA IF NOT EXISTS hunt;
COMMENT ON SCHEMA hunt IS 'questions to the log, rules and findings (exabgp-pg)';

-- --- how the queries are put together ------------------------------------------------------------

-- hunt.log_clause: FROM and WHERE of the updates e of a range.  asn: its origin; covering: also the
-- prefixes that cover within.
CREATE OR REPLACE FUNCTION hunt.log_clause(since timestamptz, until timestamptz, within cidr, peer_ids int[], family text,
    asn bigint DEFAULT NULL, prefixes cidr[] DEFAULT NULL, covering boolean DEFAULT false)
RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = ISO SET timezone = 'UTC' AS $$
BEGIN
	IF since IS NULL OR until IS NULL THEN
		RAISE EXCEPTION 'a hunt needs the time range: since and until' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	RETURN format('bgp.route_event e WHERE e.ts >= %L AND e.ts < %L AND e.prefix IS NOT NULL', since, until)
	    || CASE
		WHEN family IS NULL THEN ' AND e.family IS NULL'
		WHEN family = 'ipv4 unicast' THEN ' AND e.family IS NULL AND family(e.prefix) = 4'
		WHEN family = 'ipv6 unicast' THEN ' AND e.family IS NULL AND family(e.prefix) = 6'
		ELSE format(' AND e.family = %L AND e.rd IS NULL', family) END
	    || CASE WHEN within IS NULL THEN ''
		WHEN covering THEN format(' AND (e.prefix <<= %L OR e.prefix = ANY (%L::cidr[]))', within, bgp.supernets(within))
		ELSE format(' AND e.prefix <<= %L', within) END
	    || coalesce(' AND e.prefix = ANY (' || quote_literal(prefixes) || '::cidr[])', '')
	    || coalesce(' AND e.peer_id = ANY (' || quote_literal(peer_ids) || '::int[])', '')
	    || coalesce(' AND e.origin_asn = ' || asn, '');
END
$$;
COMMENT ON FUNCTION hunt.log_clause(timestamptz, timestamptz, cidr, int[], text, bigint, cidr[], boolean) IS
    'for the hunts: FROM and WHERE of the updates that they read';

-- hunt.standing: routes that were there when the range began, as a query of (prefix, origin_asn, peer_id,
-- ts); NULL if they are not asked for.
CREATE OR REPLACE FUNCTION hunt.standing(at timestamptz, within cidr, peer_ids int[], family text, asked boolean)
RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = ISO SET timezone = 'UTC' AS $$
BEGIN
	IF NOT coalesce(asked, within IS NOT NULL AND to_regprocedure('bgp.rib_at(timestamptz, cidr, int[])') IS NOT NULL) THEN
		RETURN NULL;
	END IF;
	RETURN format('SELECT r.prefix, r.origin_asn, r.peer_id, r.since AS ts FROM bgp.rib_at(%L, %L, %L) r WHERE r.prefix IS NOT NULL AND r.rd IS NULL AND ',
	    at, within, peer_ids)
	    || CASE WHEN family IS NULL THEN $q$r.family IN ('ipv4 unicast', 'ipv6 unicast')$q$ ELSE format('r.family = %L', family) END;
END
$$;
COMMENT ON FUNCTION hunt.standing(timestamptz, cidr, int[], text, boolean) IS
    'for the hunts: the routes that were there when the range began';

-- hunt.report: from what a hunt found, (suspect, prefix, first_ts, last_ts, peer_ids, events, evidence), the
-- first of peer_ids being that of first_ts, to the rows that it returns.  log: hunt.log_clause.
CREATE OR REPLACE FUNCTION hunt.report(found text, log text, min_peers int) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format($q$
	WITH found AS MATERIALIZED (%s)
	SELECT f.suspect::bigint, f.prefix::cidr, f.first_ts, f.last_ts, p.asns, p.n, f.events::bigint,
	    f.evidence || CASE WHEN u.shown IS NULL THEN '{}' ELSE jsonb_build_object('update', u.shown) END
	FROM found f
	CROSS JOIN LATERAL (SELECT coalesce(array_agg(DISTINCT p.peer_asn ORDER BY p.peer_asn) FILTER (WHERE p.peer_asn IS NOT NULL), '{}') AS asns,
	    count(DISTINCT coalesce(p.peer_asn, -p.peer_id))::int AS n
	    FROM bgp.peer p WHERE p.peer_id = ANY (f.peer_ids)) p
	LEFT JOIN LATERAL (SELECT hunt.shown(e) AS shown FROM %s AND e.kind = 'A'
	    AND e.ts = f.first_ts AND e.prefix = f.prefix AND e.peer_id = f.peer_ids[1] ORDER BY e.seq LIMIT 1) u ON true
	WHERE p.n >= %L
	ORDER BY f.first_ts, f.prefix, f.suspect$q$, found, log, coalesce(min_peers, 1))
$$;
COMMENT ON FUNCTION hunt.report(text, text, int) IS 'for the hunts: the rows that they return, of what they found';

-- hunt.shown: an update as evidence
CREATE OR REPLACE FUNCTION hunt.shown(e bgp.route_event) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('ts', e.ts, 'peer_id', e.peer_id,
	    'peer_asn', (SELECT p.peer_asn FROM bgp.peer p WHERE p.peer_id = e.peer_id),
	    'kind', CASE e.kind WHEN 'A' THEN 'announce' ELSE 'withdraw' END, 'prefix', e.prefix, 'path_id', e.path_id,
	    'as_path', coalesce(e.as_path, array_to_string(e.path, ' ')), 'next_hop', e.next_hop,
	    'communities', e.communities, 'large_communities', e.large_communities, 'attributes', e.attributes, 'refreshed', e.refreshed))
$$;
COMMENT ON FUNCTION hunt.shown(bgp.route_event) IS 'an update of the log as it stands in the evidence of a hunt';

CREATE OR REPLACE FUNCTION hunt.updates(prefix cidr, since timestamptz, until timestamptz, origin_asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, most int DEFAULT 100)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result	jsonb;
BEGIN
	EXECUTE format('SELECT coalesce(jsonb_agg(u.shown ORDER BY u.ts, u.seq), %L) FROM (SELECT e.ts, e.seq, hunt.shown(e) AS shown FROM %s'
	    ' ORDER BY e.ts, e.seq LIMIT least(%L, 100)) u', '[]',
	    hunt.log_clause(since, until, NULL, peer_ids, NULL, origin_asn, ARRAY[prefix]), most) INTO result;
	RETURN result;
END
$$;
COMMENT ON FUNCTION hunt.updates(cidr, timestamptz, timestamptz, bigint, int[], int) IS
    'updates of exactly this prefix in a range, the first of them, at most 100; those that give the origin, if one is asked for';

-- --- origins -----------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION hunt.moas(since timestamptz, until timestamptz, within cidr DEFAULT NULL, asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, standing boolean DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[], peers_count int,
    events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	before	text := hunt.standing(since, within, peer_ids, family, standing);
	mine	cidr[];
BEGIN
	IF asn IS NOT NULL THEN
		EXECUTE 'SELECT array_agg(DISTINCT e.prefix) FROM ' || hunt.log_clause(since, until, within, peer_ids, family, asn) INTO mine;
		mine := coalesce(mine, '{}');
		IF before IS NOT NULL THEN
			EXECUTE format('SELECT array_agg(DISTINCT b.prefix) || %L::cidr[] FROM (%s) b WHERE b.origin_asn = %L', mine, before, asn) INTO mine;
			before := format('SELECT * FROM (%s) b WHERE b.prefix = ANY (%L::cidr[])', before, mine);
		END IF;
	END IF;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH seen AS MATERIALIZED (
			SELECT e.prefix, e.origin_asn, e.peer_id, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
			    count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events
			FROM %s AND e.kind = 'A' AND e.origin_asn IS NOT NULL
			GROUP BY e.peer_id, e.prefix, e.origin_asn
			%s),
		contested AS (SELECT s.prefix FROM seen s GROUP BY s.prefix HAVING min(s.origin_asn) <> max(s.origin_asn)),
		origin AS MATERIALIZED (
			SELECT s.prefix, s.origin_asn, min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts, sum(s.events) AS events,
			    array_agg(s.peer_id ORDER BY s.first_ts, s.peer_id) AS peer_ids
			FROM seen s JOIN contested USING (prefix)
			GROUP BY s.prefix, s.origin_asn),
		party AS (
			SELECT o.prefix, jsonb_agg(jsonb_build_object('origin_asn', o.origin_asn, 'first_seen', o.first_ts, 'last_seen', o.last_ts,
			    'peers', (SELECT count(DISTINCT i) FROM unnest(o.peer_ids) i)) ORDER BY o.first_ts, o.origin_asn) AS origins
			FROM origin o GROUP BY o.prefix)
		SELECT o.origin_asn AS suspect, o.prefix, o.first_ts, o.last_ts, o.peer_ids, o.events,
		    jsonb_build_object('origins', p.origins) AS evidence
		FROM origin o JOIN party p USING (prefix)$q$,
	    log, coalesce('UNION ALL SELECT b.prefix, b.origin_asn, b.peer_id, b.ts, b.ts, 0 FROM (' || before || ') b WHERE b.origin_asn IS NOT NULL', '')),
	    log, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.moas(timestamptz, timestamptz, cidr, bigint, int[], text, boolean, int) IS
'Multiple origins (RFC 1930 section 7: a prefix should have one origin AS): a prefix that was announced with more than one origin
within the range, at the same time or one after the other, at the same peer or at several; a row per prefix and origin.
An announcement whose path is empty or ends in an AS_SET has no origin (RFC 6811) and does not count.
asn: only prefixes that this AS originated; the others'' rows for them come too.
standing: also count routes that were there when the range began, with the time that they came (bgp.rib_at); NULL: if within is given.
Without it an origin that sent nothing in the range is not seen.
evidence: origins, each with its times and number of sessions.';

CREATE OR REPLACE FUNCTION hunt.sub_moas(since timestamptz, until timestamptz, within cidr DEFAULT NULL, asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, standing boolean DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[], peers_count int,
    events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	before	text := hunt.standing(since, within, peer_ids, family, standing);
	mine	cidr[];
BEGIN
	IF asn IS NOT NULL THEN
		EXECUTE 'SELECT array_agg(DISTINCT e.prefix) FROM ' || hunt.log_clause(since, until, within, peer_ids, family, asn) INTO mine;
		IF mine IS NULL THEN
			RETURN;
		END IF;
	END IF;
	log := hunt.log_clause(since, until, within, peer_ids, family, covering => true,
	    prefixes => (SELECT array_agg(DISTINCT s) FROM unnest(mine) m, unnest(bgp.supernets(m)) s));
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH seen AS MATERIALIZED (
			SELECT e.prefix, e.origin_asn, e.peer_id, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
			    count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events
			FROM %1$s AND e.kind = 'A' AND e.origin_asn IS NOT NULL
			GROUP BY e.peer_id, e.prefix, e.origin_asn
			%2$s),
		known AS MATERIALIZED (
			SELECT p.prefix, array_agg(p.origin_asn) AS origins, masklen(p.prefix) AS length, family(p.prefix) AS family
			FROM (SELECT DISTINCT s.prefix, s.origin_asn FROM seen s) p GROUP BY p.prefix),
		-- in the order of cidr, what covers a prefix stands before it: those that end behind all before them are not covered
		swept AS (
			SELECT k.*, set_masklen(broadcast(k.prefix), CASE k.family WHEN 4 THEN 32 ELSE 128 END)
			    <= max(set_masklen(broadcast(k.prefix), CASE k.family WHEN 4 THEN 32 ELSE 128 END))
				OVER (PARTITION BY k.family ORDER BY k.prefix ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered
			FROM known k WHERE k.length > 0),
		shortest AS (SELECT k.family, min(k.length) AS length FROM known k WHERE k.length > 0 GROUP BY k.family),
		nearest AS MATERIALIZED (
			SELECT DISTINCT ON (s.prefix) s.prefix, c.prefix AS covering, c.origins
			FROM swept s JOIN shortest USING (family)
			CROSS JOIN LATERAL generate_series(shortest.length, s.length - 1) n
			JOIN known c ON c.prefix = set_masklen(s.prefix, n)
			WHERE s.covered
			ORDER BY s.prefix, c.length DESC)
		SELECT s.origin_asn AS suspect, s.prefix, min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts,
		    array_agg(s.peer_id ORDER BY s.first_ts, s.peer_id) AS peer_ids, sum(s.events) AS events,
		    jsonb_build_object('covering', n.covering, 'covering_origins', n.origins) AS evidence
		FROM seen s JOIN nearest n USING (prefix)
		WHERE NOT n.origins @> ARRAY[s.origin_asn] %3$s %4$s
		GROUP BY s.prefix, s.origin_asn, n.covering, n.origins$q$,
	    log, coalesce('UNION ALL SELECT b.prefix, b.origin_asn, b.peer_id, b.ts, b.ts, 0 FROM (' || before || ') b WHERE b.origin_asn IS NOT NULL', ''),
	    coalesce('AND s.prefix <<= ' || quote_literal(within), ''), coalesce('AND s.origin_asn = ' || asn, '')), log, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.sub_moas(timestamptz, timestamptz, cidr, bigint, int[], text, boolean, int) IS
'More specific with another origin: a prefix announced within the range with an origin that the nearest covering prefix, announced in
the range as well, does not have; a row per prefix and origin.  A default route covers nothing here.  A customer that announces
part of its provider''s block looks the same: see whether the covering origin is on the path of evidence.update.
asn: the origin of the more specific.  standing: as for hunt.moas.
evidence: covering (the prefix), covering_origins.';

CREATE OR REPLACE FUNCTION hunt.origin_change(since timestamptz, until timestamptz, within cidr DEFAULT NULL, asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, standing boolean DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[], peers_count int,
    events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	before	text := hunt.standing(since, within, peer_ids, family, standing);
	mine	cidr[];
BEGIN
	-- what changed is little: find it by hash, and sort only that
	IF asn IS NOT NULL THEN
		EXECUTE 'SELECT array_agg(DISTINCT e.prefix) FROM ' || hunt.log_clause(since, until, within, peer_ids, family, asn) INTO mine;
		mine := coalesce(mine, '{}');
	END IF;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	EXECUTE format($q$
		SELECT coalesce(array_agg(DISTINCT c.prefix), '{}') FROM (
			SELECT s.prefix FROM (
				SELECT e.peer_id, e.prefix, min(e.origin_asn) AS least, max(e.origin_asn) AS most
				FROM %s AND e.kind = 'A' AND e.origin_asn IS NOT NULL
				GROUP BY e.peer_id, e.prefix %s) s
			GROUP BY s.peer_id, s.prefix HAVING min(s.least) <> max(s.most)) c$q$,
	    log, coalesce('UNION ALL SELECT b.peer_id, b.prefix, b.origin_asn, b.origin_asn FROM (' || before || ') b WHERE b.origin_asn IS NOT NULL', ''))
	INTO mine;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH step AS (
			SELECT a.*, lag(a.origin_asn) OVER (PARTITION BY a.peer_id, a.prefix ORDER BY a.ts, a.seq) AS was
			FROM (SELECT e.peer_id, e.prefix, e.ts, e.seq, e.origin_asn FROM %s AND e.kind = 'A' AND e.origin_asn IS NOT NULL
			    %s) a)
		SELECT s.origin_asn AS suspect, s.prefix, min(s.ts) AS first_ts, max(s.ts) AS last_ts,
		    array_agg(s.peer_id ORDER BY s.ts, s.peer_id) AS peer_ids, count(*) AS events,
		    jsonb_build_object('from', array_agg(DISTINCT s.was)) AS evidence
		FROM step s WHERE s.was <> s.origin_asn %s
		GROUP BY s.prefix, s.origin_asn$q$,
	    log, coalesce('UNION ALL SELECT b.peer_id, b.prefix, b.ts, -1, b.origin_asn FROM (' || before || ') b WHERE b.origin_asn IS NOT NULL AND b.prefix = ANY (' || quote_literal(mine) || '::cidr[])', ''),
	    coalesce('AND ' || asn || ' IN (s.origin_asn, s.was)', '')), log, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.origin_change(timestamptz, timestamptz, cidr, bigint, int[], text, boolean, int) IS
'The origin of a prefix changed at a peer: one announcement has another origin than the one before it of the same prefix and peer in the
range, whether or not it was withdrawn in between; a row per prefix and new origin (suspect), events = changes to it.
Announcements without an origin (RFC 6811: empty path, AS_SET last) are passed over.
asn: the new or the former origin.  standing: also compare with the route that was there when the range began; NULL: if within is given.
evidence: from (the former origins).';

-- --- settings and rights ----------------------------------------------------------------------------

-- What makes a hunt fast is said for each of them here: leafs aggregated one by one, no compiling of
-- plans that are as many as there are leafs, memory for the hash tables, and rows from workers at
-- what they cost where nothing but the hunt is waited for.
DO $$
DECLARE
	f	regprocedure;
	setting	text;
BEGIN
	FOR f IN SELECT p.oid FROM pg_proc p
	    WHERE p.pronamespace = 'hunt'::regnamespace AND p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'plpgsql')
	      AND p.proretset AND p.proargnames @> '{since,until,min_peers,suspect,evidence}' LOOP
		FOREACH setting IN ARRAY ARRAY['search_path = pg_catalog, pg_temp', 'jit = off', 'work_mem = ''64MB''',
		    'enable_partitionwise_aggregate = on', 'parallel_tuple_cost = 0.001', 'parallel_setup_cost = 100'] LOOP
			EXECUTE format('ALTER FUNCTION %s SET %s', f, setting);
		END LOOP;
	END LOOP;
END
$$;
