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
-- what the questions are about; routes with a route distinguisher are not looked at).  Rows come sorted by
-- first_seen.  hunt.updates gives more of the updates behind a row.
--
-- How they are made: what may be suspect at all is found first, by as little as will do: prefixes and origins
-- by the index of whole leafs alone (hunt.pairs), paths and communities by the announcements that have new ones
-- (hunt.novel_clause), what may be lost by withdrawals, less what bgp.rib has again (hunt.withdrawn, hunt.gone).
-- Only then the updates are read that show it, by queries put together with the time range as constants, so
-- that they read the leafs of that range only.

CREATE SCHEMA IF NOT EXISTS hunt;

-- what earlier versions had
DROP FUNCTION IF EXISTS hunt.plan_for(boolean), hunt.plan_for(boolean, boolean),
    hunt.plan_for(boolean, boolean, boolean), hunt.plan_for(boolean, boolean, boolean, boolean),
    hunt.kept(timestamptz, cidr, cidr[], int[], text),
    hunt.contested(text, text, boolean), hunt.judged(text), hunt.path_seen(text, text),
    hunt.new_links(timestamptz, timestamptz, cidr, bigint, int[], interval, boolean, int),
    hunt.lost(timestamptz, timestamptz, cidr, int[], text, cidr[], int, boolean, boolean),
    hunt.summary_source(text, timestamptz, timestamptz, int[], cidr, cidr[]),
    hunt.summary_keys(text, timestamptz, timestamptz, int[], cidr, cidr[], boolean),
    hunt.pairs(timestamptz, timestamptz, cidr, int[], text, cidr[], boolean, text, boolean, text),
    hunt.log_clause(timestamptz, timestamptz, cidr, int[], text, bigint, cidr[], boolean),
    hunt.novel_clause(timestamptz, timestamptz, cidr, int[], text, bigint),
    hunt.paths_found(text, timestamptz, timestamptz, cidr, int[], text, text, int, text),
    hunt.originated(timestamptz, timestamptz, cidr, int[], text, bigint),
    hunt.summary_parts(timestamptz, timestamptz, int[]),
    hunt.summary_source(text, timestamptz, timestamptz, int[], cidr, cidr[], text);

-- --- how the queries are put together ------------------------------------------------------------

-- hunt.one_of: the condition that a column is one of some prefixes, '' for NULL.  A few are listed; each
-- element of a list is estimated anew for each leaf, so many are joined.  (That they are distinct must be said:
-- otherwise a hash join is thought to take long.)
CREATE OR REPLACE FUNCTION hunt.one_of(name text, prefixes cidr[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN $2 IS NULL THEN ''
	    WHEN cardinality($2) > 50 THEN format(' AND %s IN (SELECT p FROM unnest(%L::cidr[]) p GROUP BY p)', $1, $2)
	    ELSE format(' AND %s = ANY (%L::cidr[])', $1, $2) END
$$;
COMMENT ON FUNCTION hunt.one_of(text, cidr[]) IS 'for the hunts: a condition on prefixes';

-- hunt.unicast: the condition on updates e of a leaf that they are of a family; NULL where that takes more than
-- a look at the index on prefix
CREATE OR REPLACE FUNCTION hunt.unicast(family text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN $1 IS NULL THEN 'e.prefix IS NOT NULL AND e.family IS NULL'
	    WHEN $1 = 'ipv4 unicast' THEN 'e.prefix IS NOT NULL AND e.family IS NULL AND family(e.prefix) = 4'
	    WHEN $1 = 'ipv6 unicast' THEN 'e.prefix IS NOT NULL AND e.family IS NULL AND family(e.prefix) = 6' END
$$;
COMMENT ON FUNCTION hunt.unicast(text) IS
    'for the hunts: the condition that an update is of a family, IPv4 and IPv6 unicast if it is NULL';

-- hunt.log_clause: FROM and WHERE of the updates e of a range.  asn: its origin
CREATE OR REPLACE FUNCTION hunt.log_clause(since timestamptz, until timestamptz, within cidr, peer_ids int[],
    family text, asn bigint DEFAULT NULL, prefixes cidr[] DEFAULT NULL)
RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = ISO SET timezone = 'UTC' AS $$
BEGIN
	IF since IS NULL OR until IS NULL THEN
		RAISE EXCEPTION 'a hunt needs the time range: since and until' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	RETURN format('bgp.route_event e WHERE e.ts >= %L AND e.ts < %L', since, until)
	    || CASE WHEN family = '*' THEN ''
		ELSE ' AND ' || coalesce(hunt.unicast(family),
		    format('e.prefix IS NOT NULL AND e.family = %L AND e.rd IS NULL', family)) END
	    || coalesce(' AND e.prefix <<= ' || quote_literal(within), '')
	    || hunt.one_of('e.prefix', prefixes)
	    || coalesce(' AND e.peer_id = ANY (' || quote_literal(peer_ids) || '::int[])', '')
	    || coalesce(' AND e.origin_asn = ' || asn, '');
END
$$;
COMMENT ON FUNCTION hunt.log_clause(timestamptz, timestamptz, cidr, int[], text, bigint, cidr[]) IS
    'for the hunts: FROM and WHERE of the updates that they read';

-- hunt.part_of_day: a range that is less than this part of its days is read by time; for others, all of the
-- days is looked at for suspects, which is faster by index
CREATE OR REPLACE FUNCTION hunt.part_of_day() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 8';
COMMENT ON FUNCTION hunt.part_of_day() IS 'for the hunts: ranges of less than this part of their days are read by time';

-- hunt.novel_clause: FROM and WHERE of announcements e that, together, have every path and every set of
-- communities that the announcements of a range have, at each peer: most of the others repeat them (016).  They
-- may lie outside of the range, on its days: to find what is suspect at all.  within, or a range that is a
-- small part of its days: the announcements of the range themselves.
CREATE OR REPLACE FUNCTION hunt.novel_clause(since timestamptz, until timestamptz, within cidr, peer_ids int[],
    family text)
RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = ISO SET timezone = 'UTC' AS $$
DECLARE
	days_from	timestamptz := date_trunc('day', since);
	days_to	timestamptz := CASE WHEN until > date_trunc('day', until)
	    THEN date_trunc('day', until) + interval '1 day' ELSE until END;
BEGIN
	IF within IS NOT NULL OR (CASE WHEN isfinite(since) AND isfinite(until)
	    THEN (until - since) * hunt.part_of_day() < days_to - days_from END) THEN
		RETURN hunt.log_clause(since, until, within, peer_ids, family) || $q$ AND e.kind = 'A'$q$;
	END IF;
	RETURN hunt.log_clause(days_from, days_to, NULL, peer_ids, family) || $q$ AND e.kind = 'A'
	    AND e.repeated IS NOT TRUE$q$;
END
$$;
COMMENT ON FUNCTION hunt.novel_clause(timestamptz, timestamptz, cidr, int[], text) IS
    'for the hunts: FROM and WHERE of announcements that have all the paths and communities of a range';

-- hunt.routes_at: bgp.routes_at, or bgp.rib_at if prefixes is NULL
CREATE OR REPLACE FUNCTION hunt.routes_at(at timestamptz, within cidr, prefixes cidr[], peer_ids int[])
RETURNS SETOF bgp.rib LANGUAGE plpgsql STABLE ROWS 100000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF prefixes IS NULL THEN
		RETURN QUERY SELECT * FROM bgp.rib_at($1, $2, $4);
	ELSE
		RETURN QUERY SELECT * FROM bgp.routes_at($1, $3, $4);
	END IF;
END
$$;
COMMENT ON FUNCTION hunt.routes_at(timestamptz, cidr, cidr[], int[]) IS
    'for the hunts: the routes that peers held at a moment, all within a prefix, or for exactly these';

-- hunt.standing: routes that were there when the range began, just before its first moment, as a query of (prefix,
-- origin_asn, peer_id, path_id, ts), ts being when they came; NULL if they are not asked for.  By themselves they are
-- when the question is narrow: within, or prefixes.
CREATE OR REPLACE FUNCTION hunt.standing(at timestamptz, within cidr, prefixes cidr[], peer_ids int[], family text,
    asked boolean)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = ISO
SET timezone = 'UTC' AS $$
DECLARE
	routes	text;
	n	bigint;
	found	text;
BEGIN
	IF NOT (coalesce(asked, within IS NOT NULL OR prefixes IS NOT NULL) AND isfinite(at)) THEN
		RETURN NULL;
	END IF;
	routes := 'SELECT r.prefix, r.origin_asn, r.peer_id, r.path_id, r.since AS ts FROM '
	    || format('hunt.routes_at(%L, %L, %L, %L)', at - interval '1 microsecond', within, prefixes, peer_ids)
	    || ' r WHERE r.prefix IS NOT NULL AND r.rd IS NULL AND '
	    || CASE WHEN family IS NULL THEN $q$r.family IN ('ipv4 unicast', 'ipv6 unicast')$q$
	    ELSE format('r.family = %L', family) END;
	IF within IS NULL AND prefixes IS NULL THEN
		RETURN routes;
	END IF;
	-- few: looked up now, since hunts ask for them more than once
	EXECUTE format('SELECT count(*), format(%L, array_agg(s.prefix), array_agg(s.origin_asn),'
	    ' array_agg(s.peer_id), array_agg(s.path_id), array_agg(s.ts)) FROM (%s LIMIT 100001) s',
	    'SELECT * FROM unnest(%L::cidr[], %L::bigint[], %L::int[], %L::bigint[], %L::timestamptz[]) s (prefix,'
	    ' origin_asn, peer_id, path_id, ts)', routes) INTO n, found;
	RETURN CASE WHEN n > 100000 THEN routes ELSE found END;
END
$$;
COMMENT ON FUNCTION hunt.standing(timestamptz, cidr, cidr[], int[], text, boolean) IS
    'for the hunts: the routes that were there when the range began';

-- hunt.full_peers: the peers that hold most routes, three at most: what they have since long, the others know as well
CREATE OR REPLACE FUNCTION hunt.full_peers(peer_ids int[]) RETURNS int[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(array_agg(f.peer_id), '{}')
	    FROM (SELECT p.peer_id FROM bgp.peer p
	    LEFT JOIN pg_class c ON c.oid = to_regclass(format('bgp.rib_entry_%s', p.peer_id))
	    WHERE $1 IS NULL OR p.peer_id = ANY ($1)
	    ORDER BY greatest(c.reltuples, 0) DESC, pg_relation_size(c.oid) DESC NULLS LAST, p.peer_id LIMIT 3) f
$$;
COMMENT ON FUNCTION hunt.full_peers(int[]) IS 'the peers that hold most routes, three at most';

-- hunt.kept_leafs: routes e of these peers that are there now and came before a moment, a query of (prefix,
-- origin_asn, path_id, ts) for each peer that has any; ts being when they came
CREATE OR REPLACE FUNCTION hunt.kept_leafs(before timestamptz, peer_ids int[], family text)
RETURNS TABLE (peer_id int, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = ISO SET timezone = 'UTC' AS $$
	SELECT p.peer_id, format('SELECT e.prefix, e.origin_asn, nullif(e.path_id, -1) AS path_id, e.since AS ts'
	    ' FROM %s e WHERE e.since < %L AND %s', to_regclass(format('bgp.rib_entry_%s', p.peer_id)), before,
	    coalesce(hunt.unicast(family), format('e.qualifier = %L', family)))
	    || coalesce(' AND e.ts >= ' || quote_literal(p.stale_since), '')
	FROM bgp.peer p WHERE p.peer_id = ANY ($2) AND to_regclass(format('bgp.rib_entry_%s', p.peer_id)) IS NOT NULL
$$;
COMMENT ON FUNCTION hunt.kept_leafs(timestamptz, int[], text) IS
    'for the hunts: the routes that peers have had since before a moment, leaf by leaf';

-- hunt.kept: routes that are there now and came before this moment: they were there all along.  A query like
-- hunt.standing's, but fast, and without what was lost or changed since then.  wanted: a condition on each
-- peer's leaf e, or ''; what is long does not belong there, as it is repeated for each.  peer_ids: NULL for all.
CREATE OR REPLACE FUNCTION hunt.kept(before timestamptz, within cidr, wanted text, peer_ids int[], family text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(string_agg(format('SELECT k.prefix, k.origin_asn, %s AS peer_id, k.path_id, k.ts FROM (%s) k',
	    k.peer_id, k.source || coalesce(' AND e.prefix <<= ' || quote_literal(within), '') || wanted),
	    ' UNION ALL '),
	    'SELECT NULL::cidr AS prefix, NULL::bigint AS origin_asn, NULL::int AS peer_id, NULL::bigint AS path_id,'
	    ' NULL::timestamptz AS ts WHERE false')
	FROM hunt.kept_leafs(before, coalesce($4, (SELECT array_agg(p.peer_id) FROM bgp.peer p)), family) k
$$;
COMMENT ON FUNCTION hunt.kept(timestamptz, cidr, text, int[], text) IS
    'for the hunts: routes that are there now and were before a moment';

-- hunt.kept_of: hunt.kept, of exactly these prefixes: looked up by index unless they are many
CREATE OR REPLACE FUNCTION hunt.kept_of(before timestamptz, within cidr, prefixes cidr[], peer_ids int[], family text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN cardinality(prefixes) > 20000
	    THEN format('SELECT k.* FROM (%s) k WHERE true%s', hunt.kept(before, within, '', peer_ids, family),
		hunt.one_of('k.prefix', prefixes))
	    ELSE format('SELECT k.* FROM (SELECT DISTINCT u FROM unnest(%L::cidr[]) u ORDER BY u) p (prefix)'
		' CROSS JOIN LATERAL (%s) k',
		prefixes, hunt.kept(before, within, ' AND e.prefix = p.prefix', peer_ids, family)) END
$$;
COMMENT ON FUNCTION hunt.kept_of(timestamptz, cidr, cidr[], int[], text) IS
    'for the hunts: routes for these prefixes that are there now and were before a moment';

-- hunt.held: prefixes, all that an AS originated at one of some moments and more: the base states have it, or the log
-- since then; '{}' for nothing
CREATE OR REPLACE FUNCTION hunt.held(moments timestamptz[], within cidr, peer_ids int[], asn bigint)
RETURNS cidr[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	bases	record;
	found	cidr[];
BEGIN
	SELECT array_agg(b.peer_id) AS peer_ids, array_agg(b.day) AS days, bgp.day_start(min(coalesce(b.day,
	    '-infinity'))) AS from_ts
	INTO bases FROM (SELECT DISTINCT p.peer_id, bgp.rib_base_find(p.peer_id, t) AS day
	    FROM bgp.peer p, unnest(moments) t WHERE p.peer_id = ANY (coalesce($3, ARRAY[p.peer_id]))) b;
	EXECUTE format('SELECT coalesce(array_agg(DISTINCT r.prefix), %L) FROM (SELECT e.prefix FROM %s'
	    ' UNION ALL SELECT u.prefix FROM unnest($1, $2) d (peer_id, day)'
	    ' JOIN bgp.rib_base b USING (peer_id, day), unnest(b.routes) u WHERE b.day = ANY ($2)'
	    ' AND bgp.route_origins(b.routes) @> ARRAY[$3] AND u.origin_asn = $3) r'
	    ' WHERE true%s', '{}', hunt.log_clause(coalesce(bases.from_ts, '-infinity'),
		(SELECT max(t) FROM unnest(moments) t) + interval '1 microsecond', within, peer_ids, '*', asn),
	    coalesce(' AND r.prefix <<= ' || quote_literal(within), ''))
	INTO found USING bases.peer_ids, bases.days, asn;
	RETURN found;
END
$$;
COMMENT ON FUNCTION hunt.held(timestamptz[], cidr, int[], bigint) IS
    'for the hunts: prefixes that an AS originated at some moments, and maybe more';

-- hunt.originated: what an AS announced in a range as its origin, '{}' for nothing; NULL: no AS is asked about.
-- before: and what it had when the range began and was announced or withdrawn in it, by whomever; quiet: or not
CREATE OR REPLACE FUNCTION hunt.originated(since timestamptz, until timestamptz, within cidr, peer_ids int[],
    family text, asn bigint, before boolean, quiet boolean DEFAULT false)
RETURNS cidr[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found	cidr[];
	held	cidr[];
BEGIN
	IF asn IS NULL THEN
		RETURN NULL;
	END IF;
	EXECUTE format('SELECT coalesce(array_agg(DISTINCT e.prefix), %L) FROM %s', '{}',
	    hunt.log_clause(since, until, within, peer_ids, family, asn)) INTO found;
	IF NOT before OR NOT isfinite(since) THEN
		RETURN found;
	END IF;
	held := ARRAY(SELECT h FROM unnest(hunt.held(ARRAY[since - interval '1 microsecond'], within, peer_ids, asn)) h
	    WHERE h IS NOT NULL EXCEPT SELECT f FROM unnest(found) f);
	IF held <> '{}' AND NOT quiet THEN
		EXECUTE format('SELECT coalesce(array_agg(DISTINCT e.prefix), %L) FROM %s', '{}',
		    hunt.log_clause(since, until, within, peer_ids, family, prefixes => held)) INTO held;
	END IF;
	-- those that it had indeed, in this family
	IF held <> '{}' THEN
		EXECUTE format('SELECT $1 || array_agg(DISTINCT s.prefix) FROM (%s) s WHERE s.origin_asn = $2',
		    hunt.standing(since, within, held, peer_ids, family, true)) INTO found USING found, asn;
	END IF;
	RETURN found;
END
$$;
COMMENT ON FUNCTION hunt.originated(timestamptz, timestamptz, cidr, int[], text, bigint, boolean, boolean) IS
    'for the hunts: the prefixes that an AS originated in a range, if one is asked about';

-- hunt.of_few: the condition on updates e that they are of these origins, which an index finds, if they are few and
-- all known; else ''
CREATE OR REPLACE FUNCTION hunt.of_few(origins bigint[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN cardinality($1) <= 200 AND array_position($1, NULL) IS NULL
	    THEN format(' AND e.origin_asn = ANY (%L::bigint[])', $1) ELSE '' END
$$;
COMMENT ON FUNCTION hunt.of_few(bigint[]) IS
    'for the hunts: the condition that updates are of these origins, if they are few';

-- hunt.few_prefixes: what was announced in a range, if it is short and they are few; else NULL
CREATE OR REPLACE FUNCTION hunt.few_prefixes(since timestamptz, until timestamptz, peer_ids int[], family text)
RETURNS cidr[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	prefixes	cidr[];
BEGIN
	IF (CASE WHEN isfinite(since) AND isfinite(until) THEN until - since <= interval '10 minutes' END) THEN
		EXECUTE format('SELECT coalesce(array_agg(DISTINCT e.prefix), %L) FROM %s AND e.kind = %L', '{}',
		    hunt.log_clause(since, until, NULL, peer_ids, family), 'A') INTO prefixes;
	END IF;
	RETURN CASE WHEN cardinality(prefixes) <= 2000 THEN prefixes END;
END
$$;
COMMENT ON FUNCTION hunt.few_prefixes(timestamptz, timestamptz, int[], text) IS
    'for the hunts: the prefixes announced in a short range, unless they are many';

-- hunt.plan_for: how what the hunt asks next is planned.  wide: sets that are joined may be large, whatever the
-- planner thinks of them, and a nested loop over two such sets does not end, and sorting both takes longer than
-- hashing the smaller; otherwise few rows are looked up by index.  sorted: leafs are read in the order of their
-- index on prefix and origin, each by one process, and merged: hash tables of millions of prefixes take several
-- times as long.  narrow: a prefix or an AS is asked about; to start workers takes longer than that.  apart:
-- queries of one peer each are put together; each is left to one process.  looped: all that is joined is looked up
-- by index, in its order: to read all of it takes longer, whatever the planner thinks.  (The hunts have these
-- settings as their own, so that this ends with them.)
CREATE OR REPLACE FUNCTION hunt.plan_for(wide boolean, sorted boolean DEFAULT false, narrow boolean DEFAULT false,
    apart boolean DEFAULT false, looped boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
	PERFORM pg_catalog.set_config(s.name, s.value, true) FROM (VALUES
	    ('enable_nestloop', CASE WHEN wide AND NOT sorted THEN 'off' ELSE 'on' END),
	    ('enable_mergejoin', CASE WHEN wide OR looped THEN 'off' ELSE 'on' END),
	    ('enable_hashjoin', CASE WHEN looped THEN 'off' ELSE 'on' END),
	    ('enable_hashagg', CASE WHEN sorted THEN 'off' ELSE 'on' END),
	    ('enable_gathermerge', CASE WHEN sorted THEN 'off' ELSE 'on' END),
	    ('parallel_setup_cost', CASE WHEN narrow OR apart THEN '1000' ELSE '100' END),
	    ('parallel_tuple_cost', CASE WHEN narrow OR apart THEN '0.1' ELSE '0.001' END),
	    ('min_parallel_index_scan_size', CASE WHEN sorted OR apart THEN '1TB' ELSE '512kB' END),
	    ('min_parallel_table_scan_size', CASE WHEN sorted OR apart THEN '1TB' ELSE '8MB' END)) s (name, value);
END
$$;
COMMENT ON FUNCTION hunt.plan_for(boolean, boolean, boolean, boolean, boolean) IS
    'for the hunts: whether what is joined next may be large, is merged in the order of prefixes, is little, is of one
peer each, or is looked up by index';

-- hunt.report: from what a hunt found, (suspect, prefix, first_ts, last_ts, peer_ids, events, evidence), the
-- first of peer_ids being that of first_ts, to the rows that it returns.  log: hunt.log_clause without a list
-- of prefixes, to show the announcement of first_ts; NULL where it is none.
CREATE OR REPLACE FUNCTION hunt.report(found text, log text, min_peers int) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format($q$
	WITH found AS MATERIALIZED (%s)
	SELECT f.suspect::bigint, f.prefix::cidr, f.first_ts, f.last_ts, p.asns, p.n, f.events::bigint, %s
	FROM found f
	CROSS JOIN LATERAL (SELECT coalesce(array_agg(DISTINCT p.peer_asn ORDER BY p.peer_asn)
	    FILTER (WHERE p.peer_asn IS NOT NULL), '{}') AS asns,
	    count(DISTINCT coalesce(p.peer_asn, -p.peer_id))::int AS n
	    FROM bgp.peer p WHERE p.peer_id = ANY (f.peer_ids)) p%s
	WHERE p.n >= %L
	ORDER BY f.first_ts, f.prefix, f.suspect$q$, found,
	    CASE WHEN log IS NULL THEN 'f.evidence' ELSE $q$f.evidence || CASE WHEN u.shown IS NULL THEN '{}'
	    ELSE jsonb_build_object('update', u.shown) END$q$ END, CASE WHEN log IS NULL THEN '' ELSE format($q$
	LEFT JOIN bgp.peer q ON q.peer_id = f.peer_ids[1]
	LEFT JOIN LATERAL (SELECT hunt.shown(e, q.peer_asn) AS shown FROM %s AND e.kind = 'A'
	    AND e.ts = f.first_ts AND e.prefix = f.prefix AND e.peer_id = f.peer_ids[1] ORDER BY e.seq
	    LIMIT 1) u ON true$q$, log) END, coalesce(min_peers, 1))
$$;
COMMENT ON FUNCTION hunt.report(text, text, int) IS 'for the hunts: the rows that they return, of what they found';

-- hunt.shown: an update as evidence
CREATE OR REPLACE FUNCTION hunt.shown(e bgp.route_event, peer_asn bigint) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('ts', e.ts, 'peer_id', e.peer_id,
	    'peer_asn', $2,
	    'kind', CASE e.kind WHEN 'A' THEN 'announce' ELSE 'withdraw' END, 'prefix', e.prefix, 'path_id', e.path_id,
	    'as_path', coalesce(e.as_path, array_to_string(e.path, ' ')), 'next_hop', e.next_hop,
	    'communities', e.communities, 'large_communities', e.large_communities, 'attributes', e.attributes,
	    'refreshed', e.refreshed))
$$;
COMMENT ON FUNCTION hunt.shown(bgp.route_event, bigint) IS
    'an update of the log as it stands in the evidence of a hunt';

CREATE OR REPLACE FUNCTION hunt.updates(prefix cidr, since timestamptz, until timestamptz,
    origin_asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, most int DEFAULT 100)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result	jsonb;
BEGIN
	EXECUTE format('SELECT coalesce(jsonb_agg(u.shown ORDER BY u.ts, u.seq), %L)'
	    ' FROM (SELECT e.ts, e.seq, hunt.shown(e, (SELECT p.peer_asn FROM bgp.peer p WHERE p.peer_id = e.peer_id))'
	    ' AS shown FROM %s ORDER BY e.ts, e.seq LIMIT least(%L, 100)) u', '[]',
	    hunt.log_clause(since, until, NULL, peer_ids, NULL, origin_asn, ARRAY[prefix]), most) INTO result;
	RETURN result;
END
$$;
COMMENT ON FUNCTION hunt.updates(cidr, timestamptz, timestamptz, bigint, int[], int) IS
    'updates of exactly this prefix in a range, the first of them, at most 100; those that give the origin, if one is
asked for';

-- hunt.leafs: the leafs of a range, where what they have besides, of its first and last day, does no harm
-- (more) or is nothing; NULL where they are not to be read whole: the range is a small part of its days, there
-- are very many of them, or none.  days: of a peer, at most.
CREATE OR REPLACE FUNCTION hunt.leafs(from_ts timestamptz, to_ts timestamptz, peer_ids int[], more boolean,
    OUT leafs regclass[], OUT days int)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
	day_from	date := CASE WHEN isfinite(from_ts) THEN (from_ts AT TIME ZONE 'UTC')::date
	    ELSE '-infinity' END;
	day_to	date := CASE WHEN isfinite(to_ts)
	    THEN ((to_ts - interval '1 microsecond') AT TIME ZONE 'UTC')::date ELSE 'infinity' END;
BEGIN
	IF isfinite(from_ts) AND isfinite(to_ts) THEN
		IF (to_ts - from_ts) * hunt.part_of_day() < (day_to - day_from + 1) * interval '1 day' THEN
			RETURN;
		END IF;
	END IF;
	IF more OR from_ts = date_trunc('day', from_ts) AND (to_ts = date_trunc('day', to_ts) OR to_ts >= now()) THEN
		SELECT array_agg(p.leaf ORDER BY p.peer_id, p.day), count(DISTINCT p.day) INTO leafs, days
		    FROM bgp.partition p
		WHERE p.day BETWEEN day_from AND day_to AND p.peer_id = ANY (coalesce(peer_ids, ARRAY[p.peer_id]));
		IF cardinality(leafs) > 500 THEN
			leafs := NULL;
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION hunt.leafs(timestamptz, timestamptz, int[], boolean) IS
    'for the hunts: the leafs of a range, if they may be read whole';

-- hunt.leafs_by_peer: what takes the place of FROM's item for the updates of each peer in these leafs
CREATE OR REPLACE FUNCTION hunt.leafs_by_peer(leafs regclass[], columns text)
RETURNS TABLE (peer_id int, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.peer_id, CASE WHEN count(*) = 1 THEN min(p.leaf::text)
	    ELSE format('(%s)', string_agg(format('SELECT %s FROM %s e', $2, p.leaf), ' UNION ALL ')) END
	FROM bgp.partition p WHERE p.leaf = ANY ($1) GROUP BY p.peer_id
$$;
COMMENT ON FUNCTION hunt.leafs_by_peer(regclass[], text) IS
    'for the hunts: what the updates of each peer are read from';

-- hunt.cuts: prefixes that cut the table in parts that are about as much to read, '{}' if that is not known: by
-- the statistics of the routes of the peer that holds most, and of the updates of the largest of these leafs.
-- Two for each process, of which there are three as a rule.
CREATE OR REPLACE FUNCTION hunt.cuts(leafs regclass[]) RETURNS cidr[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN cardinality(h.bounds) >= 12 THEN ARRAY(SELECT h.bounds[cardinality(h.bounds) * n / 6]
	    FROM generate_series(1, 5) n) ELSE '{}' END
	FROM (SELECT array_agg(b ORDER BY b) AS bounds
	    FROM (SELECT format('rib_entry_%s', (hunt.full_peers(NULL))[1]) AS name
		UNION ALL (SELECT c.relname FROM pg_class c WHERE c.oid = ANY ($1) ORDER BY c.reltuples DESC LIMIT 1)) l
	    JOIN pg_stats t ON t.schemaname = 'bgp' AND t.tablename = l.name AND t.attname = 'prefix'
	    CROSS JOIN LATERAL unnest(t.histogram_bounds::text::cidr[]) b) h
$$;
COMMENT ON FUNCTION hunt.cuts(regclass[]) IS
    'for the hunts: prefixes that cut the table in parts that are about as much to read';

-- hunt.in_parts: sources, queries of updates e with prefix in front, each grouped, put together, and result
-- made of that, a query with %s in the place of FROM's item; for each part of the table by itself, since what
-- is sorted or hashed is small then
CREATE OR REPLACE FUNCTION hunt.in_parts(sources text[], columns text, cuts cidr[], result text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT string_agg(format(replace(result, '%s', '%1$s'), '(' || b.source || ')'), ' UNION ALL ')
	FROM generate_series(0, cardinality(cuts)) n
	CROSS JOIN LATERAL (SELECT string_agg(u.source || coalesce(' AND e.prefix >= ' || quote_literal(cuts[n]), '')
	    || coalesce(' AND e.prefix < ' || quote_literal(cuts[n + 1]), '')
	    || ' GROUP BY ' || columns, ' UNION ALL ') AS source FROM unnest(sources) u (source)) b
$$;
COMMENT ON FUNCTION hunt.in_parts(text[], text, cidr[], text) IS
    'for the hunts: what is found of each prefix, part by part of the table';

-- hunt.pairs: prefixes s.prefix and the origins s.origin_asn that they were announced with in a range, as a
-- query; s.said is false for what was only there before.  result: what is made of the pairs of each prefix, a
-- query with %s in the place of FROM's item; the default is each pair once. more: what else the days of the
-- range have may be among the pairs, as it does no harm where only suspects are looked for: whole leafs are
-- read by their index alone.  before: routes, a query, that were there before; kept: also those of hunt.full_peers
-- that were there before the range and are there now; others: more pairs, queries of the three columns of some e.
CREATE OR REPLACE FUNCTION hunt.pairs(from_ts timestamptz, to_ts timestamptz, within cidr, peer_ids int[], family text,
    prefixes cidr[], more boolean, before text DEFAULT NULL, kept boolean DEFAULT false,
    result text DEFAULT 'SELECT s.prefix, s.origin_asn FROM %s s GROUP BY s.prefix, s.origin_asn',
    others text[] DEFAULT NULL)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = ISO
SET timezone = 'UTC' AS $$
DECLARE
	unicast	text := hunt.unicast(family);
	summarized	date[];
	leafs	regclass[];
	sources	text[];
	cuts	cidr[] := '{}';
BEGIN
	-- what is narrow is found by index, and what must be exact, by time
	IF within IS NULL AND prefixes IS NULL AND unicast IS NOT NULL THEN
		summarized := hunt.summarized('origin', from_ts, to_ts, peer_ids);
		IF summarized IS NULL THEN
			SELECT l.leafs INTO leafs FROM hunt.leafs(from_ts, to_ts, peer_ids, more) l;
		END IF;
	END IF;
	IF summarized IS NOT NULL THEN
		sources := ARRAY[format('SELECT e.prefix, e.origin_asn, true AS said FROM hunt.day_origin e'
		    ' WHERE e.day = ANY (%L::date[])', summarized)
		    || coalesce(' AND family(e.prefix) = ' || substr(family, 4, 1), '')];
	ELSIF leafs IS NOT NULL THEN
		SELECT array_agg(format('SELECT e.prefix, e.origin_asn, true AS said FROM %s e WHERE %s'
		    ' AND e.origin_asn IS NOT NULL', l, unicast)) INTO sources FROM unnest(leafs) l;
	ELSE
		sources := ARRAY['SELECT e.prefix, e.origin_asn, true AS said FROM '
		    || hunt.log_clause(from_ts, to_ts, within, peer_ids, family, prefixes => prefixes)
		    || $q$ AND e.kind = 'A' AND e.origin_asn IS NOT NULL$q$];
	END IF;
	-- (what is before is asked for once)
	IF before IS NULL AND (cardinality(summarized) <= 100 OR cardinality(leafs) <= 100) THEN
		cuts := hunt.cuts(leafs);
	END IF;
	IF kept THEN
		SELECT sources || array_agg(format('SELECT e.prefix, e.origin_asn, false FROM (%s) e'
		    ' WHERE e.origin_asn IS NOT NULL', k.source
		    || coalesce(' AND e.prefix <<= ' || quote_literal(within), '')
		    || hunt.one_of('e.prefix', prefixes)))
		INTO sources FROM hunt.kept_leafs(from_ts, hunt.full_peers(peer_ids), family) k;
	END IF;
	IF before IS NOT NULL THEN
		sources := sources || format('SELECT e.prefix, e.origin_asn, false FROM (%s) e'
		    ' WHERE e.origin_asn IS NOT NULL', before);
	END IF;
	RETURN hunt.in_parts(sources || others, '1, 2, 3', cuts, result);
END
$$;
COMMENT ON FUNCTION hunt.pairs(timestamptz, timestamptz, cidr, int[], text, cidr[], boolean, text, boolean, text,
    text[]) IS
    'for the hunts: prefixes and their origins in a range';

-- hunt.several_origins: prefixes that may have had more than one origin in a range, or one in it and another
-- before; '{}' for none
CREATE OR REPLACE FUNCTION hunt.several_origins(from_ts timestamptz, to_ts timestamptz, within cidr, peer_ids int[],
    family text, prefixes cidr[], before text DEFAULT NULL, kept boolean DEFAULT false)
RETURNS cidr[] LANGUAGE plpgsql STABLE AS $$
DECLARE
	found	cidr[];
BEGIN
	PERFORM hunt.plan_for(within IS NULL AND prefixes IS NULL, within IS NULL AND prefixes IS NULL,
	    within IS NOT NULL OR prefixes IS NOT NULL);
	EXECUTE format('SELECT coalesce(array_agg(DISTINCT c.prefix), %L) FROM (%s) c', '{}',
	    hunt.pairs(from_ts, to_ts, within, peer_ids, family, prefixes, true, before, kept,
		'SELECT s.prefix FROM %s s GROUP BY s.prefix HAVING min(s.origin_asn) <> max(s.origin_asn)'))
		    INTO found;
	PERFORM hunt.plan_for(false, narrow => true);
	RETURN found;
END
$$;
COMMENT ON FUNCTION hunt.several_origins(timestamptz, timestamptz, cidr, int[], text, cidr[], text, boolean) IS
    'for the hunts: prefixes that may have had more than one origin in a range';

-- --- origins -----------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION hunt.moas(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, standing boolean DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	before	text;
	mine	cidr[];
BEGIN
	mine := hunt.originated(since, until, within, peer_ids, family, asn, standing IS NOT FALSE,
	    within IS NOT NULL);
	before := hunt.standing(since, within, mine, peer_ids, family, standing);
	mine := hunt.several_origins(since, until, within, peer_ids, family, mine, before, standing IS NOT FALSE
	    AND before IS NULL);
	IF mine = '{}' THEN
		RETURN;
	END IF;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	IF standing IS NOT FALSE AND before IS NULL THEN
		before := hunt.kept_of(since, NULL, mine, hunt.full_peers(peer_ids), family);
	END IF;
	PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => within IS NOT NULL OR asn IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH seen AS (
			SELECT e.prefix, e.origin_asn, e.peer_id, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
			    count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events, true AS said
			FROM %s AND e.kind = 'A' AND e.origin_asn IS NOT NULL
			GROUP BY e.peer_id, e.prefix, e.origin_asn
			%s),
		origin AS MATERIALIZED (
			SELECT s.prefix, s.origin_asn, min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts,
			    sum(s.events) AS events, bool_or(s.said) AS said,
			    array_agg(s.peer_id ORDER BY s.first_ts, s.peer_id) AS peer_ids
			FROM seen s
			GROUP BY s.prefix, s.origin_asn),
		party AS (
			SELECT o.prefix, jsonb_agg(jsonb_build_object('origin_asn', o.origin_asn, 'first_seen',
			    o.first_ts, 'last_seen', o.last_ts,
			    'peers', (SELECT count(DISTINCT i) FROM unnest(o.peer_ids) i))
			    ORDER BY o.first_ts, o.origin_asn) AS origins
			FROM origin o GROUP BY o.prefix HAVING (bool_or(o.said) OR %L) AND count(*) > 1)
		SELECT o.origin_asn AS suspect, o.prefix, o.first_ts, o.last_ts, o.peer_ids, o.events,
		    jsonb_build_object('origins', p.origins) AS evidence
		FROM origin o JOIN party p USING (prefix)$q$,
	    log, coalesce('UNION ALL SELECT b.prefix, b.origin_asn, b.peer_id, b.ts, b.ts, 0, false FROM (' || before
	    || ') b
		WHERE b.origin_asn IS NOT NULL' || hunt.one_of('b.prefix', mine), ''), within IS NOT NULL),
	    hunt.log_clause(since, until, NULL, NULL, family), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.moas(timestamptz, timestamptz, cidr, bigint, int[], text, boolean, int) IS
'Multiple origins (RFC 1930 section 7: a prefix should have one origin AS): a prefix that was announced with more than
one origin within the range, at the same time or one after the other, at the same peer or at several; a row per prefix
and origin.
An announcement whose path is empty or ends in an AS_SET has no origin (RFC 6811) and does not count.
asn: only prefixes that this AS originated; the others'' rows for them come too.
standing: with the routes that were there when the range began, and the time that they came: true, all of them
(bgp.rib_at; of whole tables that takes long); NULL, so if within or asn is given, else those of the three peers with
the most routes that are still there; false, only what was announced in the range. A prefix that nobody announced in the
range is only shown if within is given.
evidence: origins, each with its times and number of sessions.';

CREATE OR REPLACE FUNCTION hunt.sub_moas(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, standing boolean DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	before	text;
	is_kept	boolean;
	mine	cidr[];
	around	cidr[];
	origins	jsonb[];
BEGIN
	mine := hunt.originated(since, until, within, peer_ids, family, asn, false);
	IF mine = '{}' THEN
		RETURN;
	END IF;
	-- what covers them is read as well, wherever it lies
	mine := (SELECT array_agg(DISTINCT s) FROM unnest(mine) m, unnest(bgp.supernets(m)) s);
	before := CASE WHEN standing IS NOT FALSE
	    THEN hunt.standing(since, within, mine, peer_ids, family, standing) END;
	is_kept := standing IS NOT FALSE AND before IS NULL;
	IF mine IS NULL AND within IS NOT NULL THEN
		before := concat_ws(' UNION ALL ', before, CASE WHEN standing IS NOT FALSE
		    THEN hunt.standing(since, NULL, bgp.supernets(within), peer_ids, family, standing) END,
		    format('SELECT e.prefix, e.origin_asn, e.peer_id, e.path_id, e.ts FROM %s AND e.kind = ''A''',
		    hunt.log_clause(since, until, NULL, peer_ids, family, prefixes => bgp.supernets(within))));
	END IF;
	-- first only who announced what, and which of that lies inside of another's
	PERFORM hunt.plan_for(mine IS NULL AND within IS NULL, mine IS NULL AND within IS NULL,
	    mine IS NOT NULL OR within IS NOT NULL);
	EXECUTE format($q$
		WITH known AS MATERIALIZED (
			SELECT p.prefix, p.origins, p.own, masklen(p.prefix) AS length, family(p.prefix) AS family
			    FROM (%1$s) p),
		-- in the order of cidr, what covers a prefix stands before it: those that end behind all before
		-- them are not covered
		swept AS (
			SELECT k.*, set_masklen(broadcast(k.prefix), CASE k.family WHEN 4 THEN 32 ELSE 128 END)
			    <= max(set_masklen(broadcast(k.prefix), CASE k.family WHEN 4 THEN 32
			    ELSE 128 END)) OVER before AS covered, min(k.length) OVER before AS shortest
			FROM known k WHERE k.length > 0
			WINDOW before AS (PARTITION BY k.family ORDER BY k.prefix ROWS BETWEEN UNBOUNDED PRECEDING
			    AND 1 PRECEDING)),
		nearest AS (
			SELECT DISTINCT ON (s.prefix) s.prefix, s.own, c.prefix AS covering, c.origins
			FROM swept s
			CROSS JOIN LATERAL generate_series(s.shortest, s.length - 1) n
			JOIN known c ON c.prefix = set_masklen(s.prefix, n)
			WHERE s.covered AND s.own IS NOT NULL %2$s
			ORDER BY s.prefix, c.length DESC)
		SELECT coalesce(array_agg(n.prefix), '{}'), coalesce(array_agg(n.covering), '{}'),
		    coalesce(array_agg((SELECT jsonb_agg(o ORDER BY o) FROM unnest(n.origins) o)), '{}')
		FROM nearest n WHERE NOT n.own <@ n.origins$q$,
	    -- (of what an AS originated, all that covers it is in the list)
	    hunt.pairs(since, until, CASE WHEN mine IS NULL THEN within END, peer_ids, family, mine, false,
	    before, is_kept, 'SELECT s.prefix, array_agg(s.origin_asn) AS origins,'
	    ' array_agg(s.origin_asn) FILTER (WHERE s.said) AS own'
		' FROM (SELECT s.prefix, s.origin_asn, bool_or(s.said) AS said FROM %s s'
		    ' GROUP BY s.prefix, s.origin_asn) s GROUP BY s.prefix'),
	    coalesce('AND s.prefix <<= ' || quote_literal(within), '')) INTO mine, around, origins;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => within IS NOT NULL OR asn IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(format($q$
		SELECT s.origin_asn AS suspect, s.prefix, min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts,
		    array_agg(s.peer_id ORDER BY s.first_ts, s.peer_id) AS peer_ids, sum(s.events) AS events,
		    jsonb_build_object('covering', n.covering, 'covering_origins', n.origins) AS evidence
		FROM (SELECT e.prefix, e.origin_asn, e.peer_id, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
			count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events
		    FROM %s AND e.kind = 'A' AND e.origin_asn IS NOT NULL
		    GROUP BY e.peer_id, e.prefix, e.origin_asn) s
		JOIN unnest($1, $2, $3) n (prefix, covering, origins) USING (prefix)
		WHERE NOT n.origins @> to_jsonb(s.origin_asn) %s
		GROUP BY s.prefix, s.origin_asn, n.covering, n.origins$q$,
	    log, coalesce('AND s.origin_asn = ' || asn, '')), hunt.log_clause(since, until, NULL, NULL, family),
	    min_peers) USING mine, around, origins;
END
$$;
COMMENT ON FUNCTION hunt.sub_moas(timestamptz, timestamptz, cidr, bigint, int[], text, boolean, int) IS
'More specific with another origin: a prefix announced within the range with an origin that the nearest covering prefix,
announced in the range or there before (standing, as for hunt.moas), does not have; a row per prefix and origin.  A
default route covers nothing here.  A customer that announces part of its provider''s block looks the same: see whether
the covering origin is on the path of evidence.update.
asn: the origin of the more specific.
evidence: covering (the prefix), covering_origins.';

CREATE OR REPLACE FUNCTION hunt.origin_change(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, standing boolean DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	before	text;
	mine	cidr[];
BEGIN
	-- what changed is little: find it by hash, and sort only that
	mine := hunt.originated(since, until, within, peer_ids, family, asn, standing IS NOT FALSE);
	IF standing IS NULL AND within IS NULL AND mine IS NULL THEN
		mine := hunt.few_prefixes(since, until, peer_ids, family);
	END IF;
	before := hunt.standing(since, within, mine, peer_ids, family, standing);
	mine := hunt.several_origins(since, until, within, peer_ids, family, mine, before);
	IF mine = '{}' THEN
		RETURN;
	END IF;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => within IS NOT NULL OR asn IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH step AS (
			SELECT a.*, lag(a.origin_asn) OVER (PARTITION BY a.peer_id, a.prefix, a.path_id
			    ORDER BY a.ts, a.seq) AS was
			FROM (SELECT e.peer_id, e.prefix, e.path_id, e.ts, e.seq, e.origin_asn FROM %s AND e.kind = 'A'
			    AND e.origin_asn IS NOT NULL
			    %s) a)
		SELECT s.origin_asn AS suspect, s.prefix, min(s.ts) AS first_ts, max(s.ts) AS last_ts,
		    array_agg(s.peer_id ORDER BY s.ts, s.peer_id) AS peer_ids, count(*) AS events,
		    jsonb_build_object('from', array_agg(DISTINCT s.was)) AS evidence
		FROM step s WHERE s.was <> s.origin_asn %s
		GROUP BY s.prefix, s.origin_asn$q$,
	    log, coalesce('UNION ALL SELECT b.peer_id, b.prefix, b.path_id, b.ts, -1, b.origin_asn FROM (' || before
	    || ') b WHERE b.origin_asn IS NOT NULL' || hunt.one_of('b.prefix', mine), ''),
	    coalesce('AND ' || asn || ' IN (s.origin_asn, s.was)', '')),
	    hunt.log_clause(since, until, NULL, NULL, family), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.origin_change(timestamptz, timestamptz, cidr, bigint, int[], text, boolean, int) IS
'The origin of a prefix changed at a peer: one announcement has another origin than the one before it of the same prefix
and peer in the range, whether or not it was withdrawn in between; a row per prefix and new origin (suspect), events =
changes to it.
Announcements without an origin (RFC 6811: empty path, AS_SET last) are passed over.
asn: the new or the former origin.  standing: also compare with the route that was there when the range began
(bgp.rib_at); NULL: if within or asn is given, or the range is of 10 minutes at most and not more than 2000 prefixes
were announced in it.  Otherwise hunt.new_origin finds what a quiet prefix became.
evidence: from (the former origins).';

CREATE OR REPLACE FUNCTION hunt.feed_disagreement(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, standing boolean DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	before	text;
	mine	cidr[];
BEGIN
	mine := hunt.originated(since, until, within, peer_ids, family, asn, standing IS NOT FALSE,
	    standing IS NOT FALSE);
	before := hunt.standing(since, within, mine, peer_ids, family, standing);
	mine := hunt.several_origins(since, until, within, peer_ids, family, mine, before);
	IF mine = '{}' THEN
		RETURN;
	END IF;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => within IS NOT NULL OR asn IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH step AS (
			SELECT e.peer_id, e.prefix, e.path_id, e.ts, e.seq, e.kind, e.origin_asn FROM %s %s),
		held AS MATERIALIZED (
			SELECT l.* FROM (SELECT DISTINCT ON (s.peer_id, s.prefix, s.path_id) s.* FROM step s
			    ORDER BY s.peer_id, s.prefix, s.path_id, s.ts DESC, s.seq DESC) l
			WHERE l.kind = 'A' AND l.origin_asn IS NOT NULL),
		side AS MATERIALIZED (
			SELECT h.prefix, h.origin_asn, min(h.ts) AS first_ts, max(h.ts) AS last_ts, count(*) AS events,
			    array_agg(h.peer_id ORDER BY h.ts, h.peer_id) AS peer_ids,
			    count(DISTINCT h.peer_id) AS sessions
			FROM held h GROUP BY h.prefix, h.origin_asn),
		-- the side of the most sessions, of the first among equals
		major AS (SELECT DISTINCT ON (s.prefix) s.* FROM side s ORDER BY s.prefix, s.sessions DESC, s.first_ts,
		    s.origin_asn)
		SELECT s.origin_asn AS suspect, s.prefix, s.first_ts, s.last_ts, s.peer_ids, s.events,
		    jsonb_build_object('sessions', s.sessions, 'majority',
		    jsonb_build_object('origin_asn', m.origin_asn, 'sessions', m.sessions)) AS evidence
		FROM side s JOIN major m USING (prefix)
		WHERE s.origin_asn <> m.origin_asn$q$,
	    log, coalesce('UNION ALL SELECT b.peer_id, b.prefix, b.path_id, b.ts, -1, ''A'', b.origin_asn FROM ('
	    || before || ') b WHERE true'
		|| hunt.one_of('b.prefix', mine), '')), hunt.log_clause(since, until, NULL, NULL, family), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.feed_disagreement(timestamptz, timestamptz, cidr, bigint, int[], text, boolean, int) IS
'Peers disagree about the origin: when the range ends, the last thing that some peers said of the prefix has another
origin than what most of them said; a row per prefix and origin that is not the majority''s, peers = who has it.
Withdrawn routes do not count, nor do peers that said nothing of it in the range, unless standing (as for hunt.moas).
asn: only prefixes that it originated in the range, or had when it began (unless standing is false).
evidence: sessions (that have it), majority (origin_asn, sessions).';

-- --- merging ------------------------------------------------------------------------------------------

-- hunt.merged: from (suspect, prefix, peer_id, first_ts, last_ts, events, evidence), a row a peer or more, to what
-- hunt.report takes, a row per suspect and prefix: the evidence of the first, and in others what else there is.
CREATE OR REPLACE FUNCTION hunt.merged(seen text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format($q$
		SELECT m.suspect, m.prefix, m.first_ts, m.last_ts, m.peer_ids, m.events,
		    m.cases[1] || CASE WHEN o.others IS NULL THEN '{}'
		    ELSE jsonb_build_object('others', o.others) END AS evidence
		FROM (SELECT s.suspect, s.prefix, min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts,
			array_agg(s.peer_id ORDER BY s.first_ts, s.peer_id) AS peer_ids, sum(s.events) AS events,
			array_agg(s.evidence ORDER BY s.first_ts, s.peer_id, s.evidence) AS cases
		    FROM (%s) s GROUP BY s.suspect, s.prefix) m
		CROSS JOIN LATERAL (SELECT jsonb_agg(d.c) AS others
		    FROM (SELECT DISTINCT c FROM unnest(m.cases) c WHERE c <> m.cases[1] ORDER BY c LIMIT 99) d) o$q$,
		    seen)
$$;
COMMENT ON FUNCTION hunt.merged(text) IS 'for the hunts: a row per suspect and prefix, of one per peer';

-- hunt.hops: the ASNs of a path with prepends collapsed
CREATE OR REPLACE FUNCTION hunt.hops(path bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT coalesce(array_agg(a ORDER BY i), '{}') FROM unnest($1) WITH ORDINALITY u (a, i) WHERE i = 1
	    OR $1[i - 1] <> a
$$;
COMMENT ON FUNCTION hunt.hops(bigint[]) IS 'a path with prepends collapsed';

-- hunt.paths_found: the rows of a hunt that goes by paths.  verdicts: a query of (path, suspect, evidence,
-- origin_asn, peer_id), over hunt.novel_clause; the updates of the range that have a bad path are looked up
-- after that.  filter: more conditions on them; key: what of them is compared with path.
CREATE OR REPLACE FUNCTION hunt.paths_found(verdicts text, from_ts timestamptz, to_ts timestamptz, within cidr,
    family text, filter text, min_peers int, key text DEFAULT 'e.path')
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	paths	text[];
	suspects	bigint[];
	cases	jsonb[];
	sessions	int[];
	origins	bigint[];
	shown	text;
	log	text;
BEGIN
	EXECUTE format($q$
		WITH v (path, suspect, evidence, origin_asn, peer_id) AS MATERIALIZED (%s)
		SELECT array_agg(d.path::text), array_agg(d.suspect), array_agg(d.evidence), array_agg(d.peer_id),
		    (SELECT array_agg(DISTINCT v.origin_asn) FROM v)
		FROM (SELECT DISTINCT v.path, v.suspect, v.evidence, v.peer_id FROM v) d$q$, verdicts) INTO paths,
		    suspects, cases, sessions, origins;
	IF paths IS NULL THEN
		RETURN;
	END IF;
	shown := hunt.log_clause(from_ts, to_ts, within, ARRAY(SELECT DISTINCT i FROM unnest(sessions) i), family)
	    || filter;
	log := shown || (SELECT format(' AND hash_array_extended(%s, 0) = ANY (%L::bigint[])', key,
	    array_agg(DISTINCT hash_array_extended(p::bigint[], 0))) FROM unnest(paths) p)
	    -- paths that are the same have the same origin, if they have one
	    || hunt.of_few(origins);
	PERFORM hunt.plan_for(within IS NULL, narrow => within IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(hunt.merged(format($q$
		SELECT v.suspect, e.prefix, e.peer_id, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
		    count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events,
		    v.evidence || jsonb_build_object('as_path',
		    min(coalesce(e.as_path, array_to_string(e.path, ' ')))) AS evidence
		FROM (SELECT u.key::bigint[] AS key, u.suspect, u.evidence, u.peer_id
		    FROM unnest($1, $2, $3, $4) u (key, suspect, evidence, peer_id)) v,
		    %s AND e.kind = 'A' AND %s = v.key AND e.peer_id = v.peer_id
		GROUP BY e.peer_id, e.prefix, v.key, v.suspect, v.evidence$q$, log, key)), shown, min_peers)
		    USING paths, suspects, cases, sessions;
END
$$;
COMMENT ON FUNCTION hunt.paths_found(text, timestamptz, timestamptz, cidr, text, text, int, text) IS
    'for the hunts: the updates that have one of the paths found';

-- hunt.on_path: the condition that an AS is on the path, if one is asked about
CREATE OR REPLACE FUNCTION hunt.on_path(asn bigint) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(' AND e.path @> ARRAY[' || $1 || '::bigint]', '')
$$;
COMMENT ON FUNCTION hunt.on_path(bigint) IS 'for the hunts: the condition that an AS is on the path';

-- hunt.ordered_path: the condition that a path says who stands beside whom, with an AS in the middle
CREATE OR REPLACE FUNCTION hunt.ordered_path(asn bigint) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT ' AND cardinality(e.path) >= 3 AND (e.as_path IS NULL OR e.as_path NOT LIKE ''%{%'')' || hunt.on_path($1)
$$;
COMMENT ON FUNCTION hunt.ordered_path(bigint) IS
    'for the hunts: the condition that the order of a path tells something, and that an AS is on it';

-- --- paths ---------------------------------------------------------------------------------------------
-- The different paths of a range are judged first, and the updates that have a bad one are looked
-- up after that.  Where it matters who stands beside whom, paths with an AS_SET are left out: its members have
-- no order.

CREATE OR REPLACE FUNCTION hunt.path_pattern(since timestamptz, until timestamptz, pattern text,
    within cidr DEFAULT NULL, asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	filter	text := format(' AND coalesce(e.as_path, array_to_string(e.path, '' '')) ~ %L',
	    replace(pattern, '_', '(?:^|[][ ,{}()]|$)'))
	    || coalesce(' AND e.origin_asn = ' || asn, '');
BEGIN
	IF pattern IS NULL THEN
		RAISE EXCEPTION 'hunt.path_pattern needs a pattern' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	-- plain sequences of whole ASNs: the index of closed days on path finds them.  (Not those of private use, RFC
	-- 6996: they may be members of a confederation, which path leaves out.)
	IF pattern ~ '^[_^]*[0-9]+([_ ]+[0-9]+)*[_$]*$' THEN
		filter := coalesce((SELECT format(' AND e.path @> %L', array_agg(m[1]::bigint))
		    FROM regexp_matches(pattern, '(?<=[_^ ])([0-9]{1,10})(?=[_$ ])', 'g') m
		    WHERE m[1]::bigint NOT BETWEEN 64512 AND 65534 AND m[1]::bigint < 4200000000
		    HAVING count(*) > 0), '') || filter;
	END IF;
	RETURN QUERY SELECT * FROM hunt.paths_found(format($q$
		SELECT e.path, e.origin_asn, '{}'::jsonb, e.origin_asn, e.peer_id
		    FROM %s$q$, hunt.novel_clause(since, until, within, peer_ids, family) || filter),
	    since, until, within, family, filter, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.path_pattern(timestamptz, timestamptz, text, cidr, bigint, int[], text, int) IS
'Paths of a form: announcements whose as_path matches a regular expression; a row per origin (suspect) and prefix.  As
with routers, _ stands for the beginning, the end and anything that parts ASNs: ''_174_'' through AS174,
''^64500_(3356|174)_'', ''_64511$'' originated by AS64511, ''_(64496)(_\1)+_'' prepended.  A plain sequence of ASNs is
found by index on closed days; members of a confederation have to be put as "(64500 64501)" then, if their ASNs are
not of private use.
asn: the origin.
evidence: as_path; others: the other paths.';

CREATE OR REPLACE FUNCTION hunt.prepend_anomaly(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, times int DEFAULT 10, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	filter	text := format(' AND cardinality(e.path) >= %L', times) || hunt.on_path(asn);
BEGIN
	RETURN QUERY SELECT * FROM hunt.paths_found(format($q$
		WITH e AS MATERIALIZED (SELECT e.path, e.origin_asn, e.peer_id FROM %s)
		SELECT e.path, r.a, jsonb_build_object('times', r.times, 'place', CASE
		    WHEN r.a = e.path[cardinality(e.path)] THEN 'origin' ELSE 'transit' END), e.origin_asn, e.peer_id
		FROM e
		CROSS JOIN LATERAL (SELECT g.a, count(*) AS times
		    FROM (SELECT u.a, u.i - row_number() OVER (PARTITION BY u.a ORDER BY u.i) AS run
		    FROM unnest(e.path) WITH ORDINALITY u (a, i)) g
		    GROUP BY g.a, g.run HAVING count(*) >= %L) r
		WHERE r.a = coalesce(%L, r.a)$q$, hunt.novel_clause(since, until, within, peer_ids, family)
		    || filter, times, asn),
	    since, until, within, family, filter, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.prepend_anomaly(timestamptz, timestamptz, cidr, bigint, int[], text, int, int) IS
'Long prepends: an ASN that stands at least so many times (default 10) in a row on a path; a row per such AS (suspect)
and prefix.  A few are traffic engineering; many help nobody, make the route easy to hijack and are mostly mistakes.
asn: the prepended AS.
evidence: times (in a row), place (origin or transit), as_path; others.';

CREATE OR REPLACE FUNCTION hunt.path_loop(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	filter	text := hunt.ordered_path(asn);
BEGIN
	RETURN QUERY SELECT * FROM hunt.paths_found(format($q$
		WITH e AS MATERIALIZED (SELECT e.path, e.origin_asn, e.peer_id FROM %s
		    -- (what cannot be a loop is told by comparing ASNs one by one where the path is short, as
		    -- most are: a subquery takes several times as long)
		    AND (cardinality(e.path) > 6
			OR e.path[1] <> e.path[2]
			    AND (e.path[1] = e.path[3] OR e.path[1] = e.path[4] OR e.path[1] = e.path[5]
			    OR e.path[1] = e.path[6])
			OR e.path[2] <> e.path[3]
			    AND (e.path[2] = e.path[4] OR e.path[2] = e.path[5] OR e.path[2] = e.path[6])
			OR e.path[3] <> e.path[4] AND (e.path[3] = e.path[5] OR e.path[3] = e.path[6])
			OR e.path[4] <> e.path[5] AND e.path[4] = e.path[6]))
		SELECT e.path, r.a, jsonb_build_object('between', r.between), e.origin_asn, e.peer_id
		FROM e
		CROSS JOIN LATERAL (SELECT DISTINCT ON (e.path[i]) e.path[i] AS a,
		    e.path[i + 1:i + array_position(e.path[i + 1:], e.path[i]) - 1] AS between
		    FROM generate_series(1, cardinality(e.path) - 2) i
		    WHERE e.path[i] <> e.path[i + 1] AND e.path[i] = ANY (e.path[i + 2:])
		    ORDER BY e.path[i], i) r
		WHERE r.a = coalesce(%L, r.a)$q$, hunt.novel_clause(since, until, within, peer_ids, family)
		    || filter, asn),
	    since, until, within, family, filter, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.path_loop(timestamptz, timestamptz, cidr, bigint, int[], text, int) IS
'Loops: an ASN that comes again on a path after others (RFC 4271 section 9.1.2: such a route is excluded by that AS
itself, so it shows path poisoning, a forged path or an AS that accepts its own ASN); a row per such AS (suspect) and
prefix.  Prepends are no loop; paths with an AS_SET are left out.
asn: the AS that comes again.
evidence: between (what stands between its two places), as_path; others.';

CREATE OR REPLACE FUNCTION hunt.bogon_asn(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	filter	text := hunt.on_path(asn);
	single	bigint[];
	least	bigint;
	list	int8multirange;
BEGIN
	SELECT coalesce(array_agg(lower(b.asns)) FILTER (WHERE upper(b.asns) = lower(b.asns) + 1), '{}'),
	    coalesce(min(lower(b.asns)) FILTER (WHERE upper(b.asns) > lower(b.asns) + 1), 9223372036854775807),
	    range_agg(b.asns)
	INTO single, least, list FROM hunt.bogon_asn_list b;
	IF list IS NULL THEN
		RAISE EXCEPTION 'hunt.bogon_asn_list is empty' USING ERRCODE = 'object_not_in_prerequisite_state',
		    HINT = 'It is filled by scripts/exabgp-pg-db upgrade.';
	END IF;
	-- what no bogon can be on is passed over without a look at each ASN
	filter := filter || format(' AND (%L <= ANY (e.path) OR e.path && %L)', least, single);
	RETURN QUERY SELECT * FROM hunt.paths_found(format($q$
		WITH e AS MATERIALIZED (SELECT e.path, e.origin_asn, e.peer_id FROM %s)
		SELECT e.path, b.a, jsonb_build_object('bogon',
		    (SELECT l.name FROM hunt.bogon_asn_list l WHERE l.asns @> b.a
		    ORDER BY upper(l.asns) - lower(l.asns), l.name LIMIT 1)), e.origin_asn, e.peer_id
		FROM e
		LEFT JOIN bgp.peer q USING (peer_id)
		CROSS JOIN LATERAL (SELECT DISTINCT a FROM unnest(e.path) a WHERE a <@ %L::int8multirange
		    AND a IS DISTINCT FROM q.peer_asn) b
		WHERE b.a = coalesce(%L, b.a)$q$, hunt.novel_clause(since, until, within, peer_ids, family)
		    || filter, list, asn),
	    since, until, within, family, filter, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.bogon_asn(timestamptz, timestamptz, cidr, bigint, int[], text, int) IS
'Bogon ASNs on a path: those of hunt.bogon_asn_list (RFC 7607 AS0, RFC 6793 AS23456, RFC 5398 documentation, RFC 6996
private use, RFC 7300 last ASNs, IANA reserved); a row per such ASN (suspect) and prefix.  The ASN of the peer itself is
not reported on its own session.
asn: one bogon ASN.
evidence: bogon (what the list calls it), as_path; others.';

CREATE OR REPLACE FUNCTION hunt.valley(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	filter	text := hunt.ordered_path(asn);
BEGIN
	PERFORM hunt.need_relationships();
	PERFORM hunt.plan_for(within IS NULL, narrow => within IS NOT NULL);
	RETURN QUERY SELECT * FROM hunt.paths_found(format($q$
		SELECT t.path, t.at, jsonb_build_object('from', t.origin, 'to', t.out,
		    'type', CASE WHEN f.provider AND o.provider THEN 1 WHEN f.provider THEN 3 WHEN o.provider THEN 4
		    ELSE 2 END), t.origin_asn, t.peer_id
		-- each AS that begins a run, with who stands left of it and right of the run
		FROM (SELECT p.path, p.origin_asn, p.peer_id, p.path[i - 1] AS out, p.path[i] AS at, CASE
		    WHEN p.path[i + 1] <> p.path[i] THEN p.path[i + 1] ELSE
			(SELECT p.path[j] FROM generate_series(i + 2, cardinality(p.path)) j
			    WHERE p.path[j] <> p.path[i] LIMIT 1) END AS origin
		    FROM (SELECT e.*, generate_series(2, cardinality(e.path) - 1) AS i
		    FROM (SELECT %4$s e.path, e.origin_asn, e.peer_id FROM %1$s) e) p
		    WHERE p.path[i - 1] <> p.path[i]) t
		JOIN (%2$s) f ON f.a = t.at AND f.b = t.origin JOIN (%2$s) o ON o.a = t.at AND o.b = t.out
		WHERE t.at = coalesce(%3$L, t.at) AND t.out <> t.origin$q$,
	    hunt.novel_clause(since, until, within, peer_ids, family) || filter,
	    -- who is above whom, or beside
	    $q$SELECT r.asn2 AS a, r.asn1 AS b, true AS provider FROM hunt.as_relationship r
	    WHERE r.relationship = 'p2c'
		UNION ALL SELECT r.asn1, r.asn2, false FROM hunt.as_relationship r WHERE r.relationship = 'p2p'
		UNION ALL SELECT r.asn2, r.asn1, false FROM hunt.as_relationship r WHERE r.relationship = 'p2p'$q$, asn,
	    -- (those of a whole table are new ones already)
	    CASE WHEN within IS NULL THEN '' ELSE 'DISTINCT' END),
	    since, until, within, family, filter, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.valley(timestamptz, timestamptz, cidr, bigint, int[], text, int) IS
'Route leaks by relationship (RFC 7908 types 1 to 4): an AS on the path (suspect) that passed a route from a provider or
peer on to a provider or peer; a row per such AS and prefix.  Needs hunt.as_relationship; where it does not know one of
the two neighbours, nothing is said. A route server that does not put its ASN on the path makes its members look like
neighbours: they are judged as what
the relationships say of the two.  Prepends are collapsed; paths with an AS_SET are left out.
asn: the AS that leaked.
evidence: type (1 provider to provider, 2 peer to peer, 3 provider to peer, 4 peer to provider), from, to, as_path;
others.';

-- hunt.need_relationships: without them, silence would look like "no leaks"
CREATE OR REPLACE FUNCTION hunt.need_relationships() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM hunt.as_relationship) THEN
		RAISE EXCEPTION 'no relationship data: hunt.as_relationship is empty'
		    USING ERRCODE = 'object_not_in_prerequisite_state',
		    HINT = 'Load a file of CAIDA''s AS relationships (serial-1 or serial-2) first.';
	END IF;
END
$$;
COMMENT ON FUNCTION hunt.need_relationships() IS 'for the hunts: an error if there are no AS relationships';

CREATE OR REPLACE FUNCTION hunt.tier1_leak(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	filter	text := hunt.ordered_path(asn);
	tops	bigint[] := (SELECT array_agg(t.asn) FROM hunt.tier1 t);
BEGIN
	IF tops IS NULL THEN
		RAISE EXCEPTION 'hunt.tier1 is empty' USING ERRCODE = 'object_not_in_prerequisite_state',
		    HINT = 'Insert the ASNs that have no providers.';
	END IF;
	-- (an AS between two of them: neither the first nor the last hop can be the one in the middle)
	filter := filter || format(' AND e.path && %L', tops);
	RETURN QUERY SELECT * FROM hunt.paths_found(format($q$
		WITH p AS MATERIALIZED (
			SELECT e.path, e.origin_asn, e.peer_id FROM %1$s
			AND (SELECT max(u.a) <> min(u.a) AND max(u.i) > min(u.i) + 1
			    FROM unnest(e.path) WITH ORDINALITY u (a, i) WHERE u.a = ANY (%2$L::bigint[])))
		SELECT p.path, h.hops[t.j - 1],
		    jsonb_build_object('from', h.hops[t.j], 'to', h.hops[t.i], 'between', h.hops[t.i + 1:t.j - 1]),
		    p.origin_asn, p.peer_id
		FROM p
		CROSS JOIN LATERAL (SELECT array_agg(u.a ORDER BY u.i) AS hops
		    FROM unnest(p.path) WITH ORDINALITY u (a, i)
			    WHERE u.i = 1 OR p.path[u.i - 1] <> u.a) h
		CROSS JOIN LATERAL (SELECT o.i, o.j FROM (SELECT u.i, lead(u.i) OVER (ORDER BY u.i) AS j
		    FROM unnest(h.hops) WITH ORDINALITY u (a, i) WHERE u.a = ANY (%2$L::bigint[])) o
		    WHERE o.j > o.i + 1 AND h.hops[o.i] <> h.hops[o.j]) t
		WHERE h.hops[t.j - 1] = coalesce(%3$L, h.hops[t.j - 1])$q$,
		    hunt.novel_clause(since, until, within, peer_ids, family) || filter, tops, asn),
	    since, until, within, family, filter, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.tier1_leak(timestamptz, timestamptz, cidr, bigint, int[], text, int) IS
'Leaks between tier-1 networks: two ASes of hunt.tier1 on a path with others between them (RFC 7908: tier-1 networks
have no providers and peer with each other, so nothing that one of them announced comes to another through a third); the
suspect is the AS that had it from the first of them, next to it; a row per suspect and prefix.
asn: that AS.
evidence: from and to (the tier-1 networks, in the direction of the announcement), between (as on the path), as_path;
others.';

CREATE OR REPLACE FUNCTION hunt.otc_leak(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, customers bigint[] DEFAULT '{}',
    lateral_peers bigint[] DEFAULT '{}', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	filter	text := ' AND e.attributes ? ''otc''';
	elsewhere	text := ' AND (e.path IS NULL OR NOT e.path @> ARRAY[' || asn || '::bigint])';
	sessions	int[] := peer_ids;
	own	int[];
	origins	bigint[];
	log	text;
BEGIN
	IF cardinality(customers) + cardinality(lateral_peers) = 0 THEN
		PERFORM hunt.need_relationships();
	END IF;
	log := 'SELECT e.* FROM ' || hunt.log_clause(since, until, within, peer_ids, family) || filter;
	-- by the announcements that have something new (they have all paths, but not all values of OTC): who sent one
	-- with the AS on its path, and which of the AS's own sessions one without it
	IF asn IS NOT NULL AND within IS NULL THEN
		EXECUTE 'SELECT array_agg(DISTINCT e.peer_id), array_agg(DISTINCT e.origin_asn) FROM '
		    || hunt.novel_clause(since, until, NULL, peer_ids, family) || hunt.on_path(asn)
		INTO sessions, origins;
		EXECUTE 'SELECT array_agg(DISTINCT e.peer_id) FROM ' || hunt.novel_clause(since, until, NULL,
		    ARRAY(SELECT p.peer_id FROM bgp.peer p WHERE p.peer_asn = asn
			AND p.peer_id = ANY (coalesce(otc_leak.peer_ids, ARRAY[p.peer_id]))), family) || elsewhere
		INTO own;
		IF sessions IS NULL AND own IS NULL THEN
			RETURN;
		END IF;
		log := format('SELECT e.* FROM %s UNION ALL SELECT e.* FROM %s',
		    hunt.log_clause(since, until, NULL, coalesce(sessions, '{}'), family) || filter
			|| hunt.on_path(asn) || hunt.of_few(origins),
		    hunt.log_clause(since, until, NULL, coalesce(own, '{}'), family) || filter || elsewhere);
	END IF;
	RETURN QUERY SELECT * FROM hunt.paths_found(format($q$
		WITH marked AS MATERIALIZED (
			SELECT d.*, q.peer_asn, hunt.hops(d.path) AS hops
			FROM (SELECT DISTINCT e.peer_id, e.path, (e.attributes->>'otc')::bigint AS otc, e.origin_asn
			    FROM (%1$s) e WHERE e.kind = 'A') d
			LEFT JOIN bgp.peer q USING (peer_id)),
		bad AS (
			SELECT m.*, m.peer_asn AS suspect, 'from a customer' AS why
			FROM marked m WHERE m.peer_asn = ANY (%2$L::bigint[])
			UNION ALL
			SELECT m.*, m.peer_asn, 'from a peer that did not set it'
			FROM marked m WHERE m.peer_asn = ANY (%3$L::bigint[]) AND m.otc <> m.peer_asn
			UNION ALL
			SELECT m.*, m.hops[i], CASE WHEN r.relationship = 'p2c' THEN 'passed to a provider'
			    ELSE 'passed to a peer' END
			FROM marked m
			-- behind the AS that set it and the one that had it from there
			CROSS JOIN LATERAL generate_series(2, array_position(m.hops, m.otc) - 1) i
			JOIN hunt.as_relationship r ON r.relationship = 'p2c'
			    AND (r.asn1, r.asn2) = (m.hops[i - 1], m.hops[i])
			    OR r.relationship = 'p2p'
			    AND ((r.asn1, r.asn2) = (m.hops[i - 1], m.hops[i])
			    OR (r.asn1, r.asn2) = (m.hops[i], m.hops[i - 1])))
		SELECT b.path || b.otc, b.suspect, jsonb_build_object('otc', b.otc, 'why', b.why), b.origin_asn,
		    b.peer_id
		FROM bad b WHERE b.suspect = coalesce(%4$L, b.suspect)$q$,
		    log, customers, lateral_peers, asn),
	    since, until, within, family, filter, min_peers,
	    '(e.path || (e.attributes->>''otc'')::bigint)');
END
$$;
COMMENT ON FUNCTION hunt.otc_leak(timestamptz, timestamptz, cidr, bigint, int[], text, bigint[], bigint[], int) IS
'Leaks by the Only to Customer attribute (RFC 9234): a route that has OTC went to a customer, peer or route server
client once and must only go to customers from there.  Section 5, ingress: it came to us from a customer or route server
client (customers: their ASNs), or from a lateral peer with another value than the peer''s ASN (lateral_peers); the
suspect is the peer.  On the path: an AS left of the one that OTC names passed it to its provider or peer, as
hunt.as_relationship knows them; the suspect is that AS.  If the AS of OTC is not on the path (a route server), nothing
is said of the path.  A row per suspect and prefix.
asn: the suspect.
evidence: otc, why, as_path; others.';

-- --- what should not be in the table -------------------------------------------------------------------

CREATE OR REPLACE FUNCTION hunt.rpki_invalid(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text := hunt.log_clause(since, until, within, peer_ids, family, asn);
	mine	cidr[];
	origins	bigint[];
	cases	jsonb[];
BEGIN
	IF NOT EXISTS (SELECT FROM hunt.vrp) THEN
		RAISE EXCEPTION 'no RPKI data: hunt.vrp is empty' USING ERRCODE = 'object_not_in_prerequisite_state',
		    HINT = 'Load VRPs with scripts/exabgp-pg-vrps first.';
	END IF;
	-- (a cidr is compared with the VRPs of each length that there is)
	PERFORM hunt.plan_for(asn IS NULL AND within IS NULL, asn IS NULL AND within IS NULL, asn IS NOT NULL
	    OR within IS NOT NULL);
	EXECUTE format($q$
		WITH pair AS MATERIALIZED (%s),
		covering AS (
			SELECT p.prefix, v.asn, v.max_length
			FROM (SELECT DISTINCT p.prefix FROM pair p) p
			%s
			JOIN hunt.vrp v ON v.prefix = set_masklen(p.prefix, l.length)),
		judged AS (
			SELECT r.prefix, r.origin_asn,
			    CASE WHEN bool_or(c.asn = r.origin_asn AND c.asn <> 0) THEN 'invalid-length'
			    ELSE 'invalid-asn' END AS status,
			    jsonb_agg(jsonb_build_object('asn', c.asn, 'max_length', c.max_length)
			    ORDER BY c.asn, c.max_length) AS vrps
			FROM pair r JOIN covering c USING (prefix)
			GROUP BY r.prefix, r.origin_asn
			HAVING NOT coalesce(bool_or(c.asn = r.origin_asn AND c.asn <> 0
			    AND masklen(r.prefix) <= c.max_length), false))
		SELECT coalesce(array_agg(j.prefix), '{}'), coalesce(array_agg(j.origin_asn), '{}'),
		    coalesce(array_agg(jsonb_build_object('rpki_status', j.status, 'vrps', j.vrps)), '{}')
		    FROM judged j$q$,
	    CASE WHEN asn IS NOT NULL THEN format('SELECT DISTINCT e.prefix, e.origin_asn FROM %s AND e.kind = ''A''',
	    log)
	    -- (those without an origin apart)
	    ELSE hunt.pairs(since, until, within, peer_ids, family, NULL, true)
	    || format(' UNION ALL SELECT DISTINCT e.prefix, NULL::bigint FROM %s'
	    ' AND e.kind = ''A'' AND e.origin_asn IS NULL', log) END,
	    -- (of a few prefixes, to look each length up is faster than to look which there are)
	    CASE WHEN asn IS NOT NULL OR within IS NOT NULL
	    THEN 'CROSS JOIN generate_series(0, masklen(p.prefix)) l (length)'
	    ELSE 'JOIN (SELECT family(v.prefix) AS family, masklen(v.prefix) AS length FROM hunt.vrp v GROUP BY 1, 2) l'
	    ' ON l.family = family(p.prefix) AND l.length <= masklen(p.prefix)' END)
	INTO mine, origins, cases;
	log := hunt.log_clause(since, until, within, peer_ids, family, asn, mine);
	PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => within IS NOT NULL OR asn IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(hunt.merged(format($q$
		SELECT e.origin_asn AS suspect, e.prefix, e.peer_id, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
		    count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events, j.evidence
		FROM unnest($1, $2, $3) j (prefix, origin_asn, evidence), %s AND e.kind = 'A' AND e.prefix = j.prefix
		    AND e.origin_asn IS NOT DISTINCT FROM j.origin_asn
		GROUP BY e.peer_id, e.prefix, e.origin_asn, j.evidence$q$, log)),
		    hunt.log_clause(since, until, NULL, NULL, family), min_peers) USING mine, origins, cases;
END
$$;
COMMENT ON FUNCTION hunt.rpki_invalid(timestamptz, timestamptz, cidr, bigint, int[], text, int) IS
'RPKI invalid (RFC 6811): VRPs of hunt.vrp cover the prefix, and none has the origin and a max_length that allows it; a
row per origin (suspect) and prefix. By the VRPs of now, whatever the range.  AS0 matches no origin (RFC 6483); a path
that is empty or ends in an AS_SET has no origin and is invalid where VRPs cover it (suspect NULL).
asn: the origin.
evidence: rpki_status (invalid-asn or invalid-length), vrps (those that cover it).';

CREATE OR REPLACE FUNCTION hunt.bogon_prefix(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	bogons	text := (SELECT string_agg(format('e.prefix <<= %L', b.prefix), ' OR ') FROM hunt.bogon_prefix_list b
	    -- (those inside others add nothing)
	    WHERE NOT EXISTS (SELECT FROM hunt.bogon_prefix_list o WHERE o.prefix >> b.prefix));
	mine	cidr[];
BEGIN
	IF bogons IS NULL THEN
		RAISE EXCEPTION 'hunt.bogon_prefix_list is empty' USING ERRCODE = 'object_not_in_prerequisite_state',
		    HINT = 'It is filled by scripts/exabgp-pg-db upgrade.';
	END IF;
	IF asn IS NULL THEN
		log := hunt.log_clause(since, until, within, peer_ids, family) || ' AND (' || bogons || ')';
	ELSE
		-- (what is looked up for each leaf is planned for each)
		mine := hunt.originated(since, until, within, peer_ids, family, asn, false);
		mine := ARRAY(SELECT u FROM unnest(mine) u
		    WHERE EXISTS (SELECT FROM hunt.bogon_prefix_list b WHERE u <<= b.prefix));
		IF mine = '{}' THEN
			RETURN;
		END IF;
		log := hunt.log_clause(since, until, within, peer_ids, family, asn, mine);
	END IF;
	RETURN QUERY EXECUTE hunt.report(format($q$
		SELECT m.suspect, m.prefix, m.first_ts, m.last_ts, m.peer_ids, m.events,
		    (SELECT jsonb_build_object('bogon', b.prefix, 'name', b.name, 'source', b.source)
		    FROM hunt.bogon_prefix_list b
		     WHERE b.prefix >>= m.prefix ORDER BY masklen(b.prefix) DESC LIMIT 1) AS evidence
		FROM (%s) m$q$, hunt.merged(format($q$
			SELECT e.origin_asn AS suspect, e.prefix, e.peer_id, min(e.ts) AS first_ts,
			    max(e.ts) AS last_ts,
			    count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events, '{}'::jsonb AS evidence
			FROM %s AND e.kind = 'A' GROUP BY e.peer_id, e.prefix, e.origin_asn$q$, log))), log, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.bogon_prefix(timestamptz, timestamptz, cidr, bigint, int[], text, int) IS
'Bogon prefixes (RFC 7454 section 6.1.1, RFC 6890): announcements of a prefix of hunt.bogon_prefix_list or of a more
specific of it; a row per origin (suspect) and prefix. A prefix that only covers bogons, as a default route does, is
none.
asn: the origin.
evidence: bogon (the longest entry that covers it), name, source.';

CREATE OR REPLACE FUNCTION hunt.blackhole(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, communities text[] DEFAULT '{65535:666}',
    next_hops cidr[] DEFAULT '{100::/64}', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text := hunt.log_clause(since, until, within, peer_ids, family, asn)
	    || format(' AND (e.communities && %L OR e.large_communities && %1$L', communities)
	    || coalesce((SELECT string_agg(format(' OR e.next_hop <<= %L', n), '') FROM unnest(next_hops) n), '')
	    || ')';
BEGIN
	RETURN QUERY EXECUTE hunt.report(hunt.merged(format($q$
		SELECT e.origin_asn AS suspect, e.prefix, e.peer_id, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
		    count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events,
		    jsonb_build_object('communities', (SELECT coalesce(jsonb_agg(c), '[]')
		    FROM unnest(e.communities || e.large_communities) c WHERE c = ANY (%2$L::text[])),
			'discarded_by_next_hop', coalesce(e.next_hop <<= ANY (%3$L::cidr[]), false),
			'no_export', coalesce(e.communities && '{65535:65281,65535:65282}', false)) AS evidence
		FROM %1$s AND e.kind = 'A'
		GROUP BY e.peer_id, e.prefix, e.origin_asn, e.communities, e.large_communities, e.next_hop$q$, log,
		    communities, next_hops)), log, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.blackhole(timestamptz, timestamptz, cidr, bigint, int[], text, text[], cidr[], int) IS
'Blackholed prefixes: announced with BLACKHOLE (RFC 7999: 65535:666) or another of communities (standard or large; give
your upstreams'' own), or with a next hop inside next_hops (RFC 6666: the discard prefix 100::/64); a row per origin
(suspect) and prefix.
asn: the origin.
evidence: communities (those that matched), discarded_by_next_hop, no_export (RFC 7999 section 3.2: a blackhole should
carry NO_EXPORT or NO_ADVERTISE); others.';

CREATE OR REPLACE FUNCTION hunt.no_export_leak(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL,
    communities text[] DEFAULT '{65535:65281,65535:65282,65535:65283}', min_hops int DEFAULT 2,
    min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	filter	text := format(' AND e.communities && %L AND cardinality(e.path) >= %L', communities, min_hops)
	    || hunt.on_path(asn) || coalesce(' AND e.path[1] = ' || asn, '');
	sessions	int[] := peer_ids;
	origins	bigint[];
	log	text;
BEGIN
	-- by the announcements that have something new: who sent any, and of which origins
	IF within IS NULL THEN
		EXECUTE 'SELECT array_agg(DISTINCT e.peer_id), array_agg(DISTINCT e.origin_asn) FROM '
		    || hunt.novel_clause(since, until, NULL, peer_ids, family) || filter INTO sessions, origins;
		IF sessions IS NULL THEN
			RETURN;
		END IF;
	END IF;
	log := hunt.log_clause(since, until, within, sessions, family) || filter || hunt.of_few(origins);
	RETURN QUERY EXECUTE hunt.report(hunt.merged(format($q$
		SELECT p.path[1] AS suspect, p.prefix, p.peer_id, p.first_ts, p.last_ts, p.events,
		    jsonb_build_object('communities', (SELECT jsonb_agg(c) FROM unnest(p.communities) c
		    WHERE c = ANY (%2$L::text[])), 'hops', to_jsonb(h.hops)) AS evidence
		FROM (SELECT e.peer_id, e.prefix, e.path, e.communities, min(e.ts) AS first_ts, max(e.ts) AS last_ts,
			count(*) FILTER (WHERE e.refreshed IS NOT TRUE) AS events
		    FROM %1$s AND e.kind = 'A' GROUP BY e.peer_id, e.prefix, e.path, e.communities) p
		CROSS JOIN LATERAL (SELECT hunt.hops(p.path) AS hops) h
		WHERE cardinality(h.hops) >= %3$L$q$, log, communities, min_hops)), log, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.no_export_leak(timestamptz, timestamptz, cidr, bigint, int[], text, text[], int, int) IS
'NO_EXPORT on a route that was passed on (RFC 1997: a route with NO_EXPORT, NO_ADVERTISE or NO_EXPORT_SUBCONFED must not
leave the AS that had it): announced with one of communities and a path of at least min_hops different ASes in a row;
the suspect is the first of them, who sent it to us; a row per suspect and prefix.  A neighbour that adds NO_EXPORT
itself, as it may, on what it sends to us looks the same with 2 hops: raise min_hops, or leave its sessions out by
peer_ids.
asn: the suspect.
evidence: communities (those that matched), hops; others.';

-- --- what comes and goes ---------------------------------------------------------------------------------

-- hunt.withdrawn: prefixes that at least percent of the sessions that said anything of them in a range withdrew
-- in it, by index alone, to be looked at more closely; NULL where that cannot be had from whole leafs.
-- (Nothing is sorted: the leafs are merged in the order of their indexes.)  kept: those of hunt.full_peers that
-- have had it all along are sessions as well; announced: only what was announced in the range.
CREATE OR REPLACE FUNCTION hunt.withdrawn(from_ts timestamptz, to_ts timestamptz, peer_ids int[], family text,
    percent int, kept boolean, announced boolean) RETURNS cidr[]
LANGUAGE plpgsql STABLE SET enable_sort = off AS $$
DECLARE
	whole	regclass[];
	sources	text[];
	others	text;
	found	cidr[];
BEGIN
	SELECT l.leafs INTO whole FROM hunt.leafs(from_ts, to_ts, peer_ids, false) l
	    WHERE hunt.unicast(family) IS NOT NULL;
	IF whole IS NULL THEN
		RETURN NULL;
	END IF;
	-- whatever has no origin may be a withdrawal
	SELECT array_agg(format('SELECT e.prefix, count(*) > count(e.origin_asn) AS gone,'
	    ' count(e.origin_asn) > 0 AS announced FROM %s e WHERE %s', l.source, hunt.unicast(family)))
	INTO sources FROM hunt.leafs_by_peer(whole, 'e.prefix, e.origin_asn, e.family') l;
	-- (a session that has had it all along may be one that said something: there are at least as many as of either)
	IF kept THEN
		SELECT string_agg(format('SELECT s.prefix, %s AS peer_id FROM (%s) s', k.peer_id, k.source),
		    ' UNION ALL ') INTO others FROM hunt.kept_leafs(from_ts, hunt.full_peers(peer_ids), family) k;
	END IF;
	PERFORM hunt.plan_for(true, true);
	EXECUTE format($q$
		WITH found AS MATERIALIZED (%s)
		SELECT coalesce(array_agg(f.prefix), '{}') FROM found f%s$q$,
	    hunt.in_parts(sources, '1', CASE WHEN cardinality(whole) <= 100 THEN hunt.cuts(whole) ELSE '{}' END,
		format('SELECT s.prefix, count(*) FILTER (WHERE s.gone) AS times FROM %%s s GROUP BY s.prefix'
		    ' HAVING count(*) FILTER (WHERE s.gone) * 100 >= greatest(count(*) * %L, 1)%s',
		    percent, CASE WHEN announced THEN ' AND bool_or(s.announced)' ELSE '' END)),
	    CASE WHEN others IS NULL THEN ''
	    ELSE format(' WHERE f.times * 100 >= greatest((SELECT count(DISTINCT k.peer_id) FROM (%s) k'
	    ' WHERE k.prefix = f.prefix) * %L, 1)', others, percent) END) INTO found;
	PERFORM hunt.plan_for(false, narrow => true);
	RETURN found;
END
$$;
COMMENT ON FUNCTION hunt.withdrawn(timestamptz, timestamptz, int[], text, int, boolean, boolean) IS
    'for the hunts: prefixes that so many of the sessions withdrew in a range';

-- hunt.gone: as hunt.withdrawn, but for a range that reaches into the last day of the log: bgp.rib tells that
-- most of what was withdrawn is back.  A route that was announced there after its last withdrawal of the range,
-- and within the range, is not lost: an announcement of the log says so, whether or not bgp.rib is up to date.
-- NULL for other ranges, and small parts of days.
CREATE OR REPLACE FUNCTION hunt.gone(from_ts timestamptz, to_ts timestamptz, peer_ids int[], family text, percent int,
    kept boolean) RETURNS cidr[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = ISO SET timezone = 'UTC'
SET enable_sort = on AS $$
DECLARE
	full_peers	int[] := hunt.full_peers(peer_ids);
	whole	regclass[] := (SELECT l.leafs FROM hunt.leafs(from_ts, to_ts, peer_ids, true) l);
	sources	text;
	said	text[];
	gone	record;
	part	int;
BEGIN
	-- (days to come may have leafs already)
	IF hunt.unicast(family) IS NULL OR whole IS NULL OR to_ts <= bgp.day_start((
	    SELECT least(max(p.day), (now() AT TIME ZONE 'UTC')::date) FROM bgp.partition p)) THEN
		RETURN NULL;
	END IF;
	-- held: the routes that a peer has, and said so in the range, for all that bgp.rib tells, or had all along.
	-- also: whoever withdrew it is among those of said, too, since bgp.rib does not show that yet
	SELECT string_agg(format($q$
		SELECT w.prefix, r.prefix IS NOT NULL AS also
		FROM (SELECT e.prefix, max(e.ts) AS ts FROM %s e WHERE e.ts >= %L AND e.ts < %3$L AND %s
		    AND e.kind = 'W' GROUP BY e.prefix) w
		LEFT JOIN (%s) r USING (prefix)
		WHERE coalesce(r.ts <= w.ts OR r.ts >= %3$L, true)$q$, l.source, from_ts, to_ts, hunt.unicast(family),
		p.held), ' UNION ALL ') FILTER (WHERE l.source IS NOT NULL),
	    -- (after a part of the peers few are left that the others must be asked about)
	    ARRAY[string_agg(p.held, ' UNION ALL ') FILTER (WHERE p.first),
		string_agg(p.held, ' UNION ALL ') FILTER (WHERE NOT p.first)]
	INTO sources, said
	FROM (SELECT q.peer_id, q.peer_id = ANY (full_peers) OR q.n % 8 = 0 AS first,
	    CASE WHEN to_regclass(format('bgp.rib_entry_%s', q.peer_id)) IS NULL
	    THEN 'SELECT NULL::cidr AS prefix, NULL::timestamptz AS ts WHERE false'
	    ELSE format($q$SELECT r.prefix, r.ts FROM bgp.rib_entry_%s r WHERE r.qualifier = '' AND r.path_id = -1
		AND (r.ts >= %L AND r.ts < %L%s)$q$, q.peer_id, from_ts, to_ts,
		CASE WHEN kept AND q.peer_id = ANY (full_peers) THEN format(' OR r.since < %L%s', from_ts,
		    ' AND r.ts >= ' || quote_literal(q.stale_since)) END) END AS held
	    FROM (SELECT b.*, row_number() OVER (ORDER BY b.peer_id) AS n FROM bgp.peer b
		WHERE b.peer_id = ANY (coalesce($3, ARRAY[b.peer_id]))) q) p
	LEFT JOIN hunt.leafs_by_peer(whole, 'e.prefix, e.ts, e.kind, e.family') l USING (peer_id);
	IF sources IS NULL THEN
		RETURN '{}';
	END IF;
	PERFORM hunt.plan_for(false, apart => true, looped => true);
	EXECUTE format($q$
		SELECT array_agg(g.prefix) AS prefix, array_agg(g.n) AS n, array_agg(g.also) AS also,
		    array_fill(0::bigint, ARRAY[count(*)::int]) AS said
		FROM (SELECT s.prefix, count(*) AS n, count(*) FILTER (WHERE s.also) AS also FROM (%s) s
		    GROUP BY s.prefix) g$q$, sources) INTO gone;
	PERFORM hunt.plan_for(true);
	FOR part IN 1..2 LOOP
		CONTINUE WHEN said[part] IS NULL;
		EXECUTE format($q$
			SELECT coalesce(array_agg(g.prefix), '{}') AS prefix, array_agg(g.n) AS n,
			    array_agg(g.also) AS also, array_agg(g.said + coalesce(s.n, 0)) AS said
			FROM unnest($1, $2, $3, $4) g (prefix, n, also, said)
			LEFT JOIN (SELECT s.prefix, count(*) AS n FROM (%s) s
			    WHERE s.prefix IN (SELECT p FROM unnest($1) p GROUP BY p) GROUP BY s.prefix) s
			    USING (prefix)
			WHERE g.n * 100 >= greatest((g.n + g.said + coalesce(s.n, 0) - g.also) * %L, 1)$q$,
			    said[part], percent)
			    INTO gone USING gone.prefix, gone.n, gone.also, gone.said;
	END LOOP;
	PERFORM hunt.plan_for(false, narrow => true);
	-- (what is in order is looked up faster)
	RETURN (SELECT coalesce(array_agg(p ORDER BY p), '{}') FROM unnest(gone.prefix) p);
END
$$;
COMMENT ON FUNCTION hunt.gone(timestamptz, timestamptz, int[], text, int, boolean) IS
    'for the hunts: prefixes that so many of the sessions withdrew in a range that ends now, and have not announced
again';

-- hunt.lost: what was last said in a range of prefixes that at least percent of the sessions that said anything
-- of them had withdrawn, and not announced again, when it ended: a row per session, prefix and path (ADD-PATH),
-- a and w being the times of its last announcement and withdrawal.  kept, announced: as for hunt.withdrawn
-- (kept: if that can be had by index).
CREATE OR REPLACE FUNCTION hunt.lost(from_ts timestamptz, to_ts timestamptz, within cidr, peer_ids int[], family text,
    prefixes cidr[], percent int, kept boolean, announced boolean)
RETURNS TABLE (peer_id int, prefix cidr, path_id bigint, origin_asn bigint, a timestamptz, w timestamptz)
LANGUAGE plpgsql STABLE SET enable_sort = off AS $$
DECLARE
	mine	cidr[] := prefixes;
	days	date[];
	log	text;
BEGIN
	IF within IS NULL AND prefixes IS NULL AND hunt.unicast(family) IS NOT NULL THEN
		days := hunt.summarized('lost', from_ts, to_ts, peer_ids);
		-- (what a day had lost, the next may have again)
		IF cardinality(days) = 1 THEN
			-- who still had it stands there with the highest origin and the last announcement of all
			RETURN QUERY SELECT u.peer_id, d.prefix, u.path_id, u.origin_asn, u.a, u.w
			FROM hunt.day_lost d
			CROSS JOIN LATERAL (SELECT *
			    FROM unnest(d.lost_peer_ids, d.lost_path_ids, d.lost_origin_asns, d.lost_announced,
			    d.lost_withdrawn) l (peer_id, path_id, origin_asn, a, w)
			    UNION ALL SELECT p, NULL, d.origin_asn, d.announced, NULL FROM unnest(d.peer_ids) p) u
			WHERE d.day = days[1]
			    AND d.lost * 100 >= greatest((d.lost + cardinality(d.peer_ids)) * percent, 1)
			    AND (NOT $9 OR d.announced IS NOT NULL)
			  AND (family IS NULL OR family(d.prefix) = substr(family, 4, 1)::int);
			RETURN;
		END IF;
		mine := hunt.gone(from_ts, to_ts, peer_ids, family, percent, kept);
		IF mine IS NULL THEN
			mine := hunt.withdrawn(from_ts, to_ts, peer_ids, family, percent, kept, announced);
		END IF;
	END IF;
	IF mine = '{}' THEN
		RETURN;
	END IF;
	log := format('SELECT e.peer_id, e.prefix, e.path_id, max(e.origin_asn) AS origin_asn,'
	    ' max(e.ts) FILTER (WHERE e.kind = %L) AS a, max(e.ts) FILTER (WHERE e.kind = %L) AS w FROM %%s'
	    ' GROUP BY e.peer_id, e.prefix, e.path_id', 'A', 'W');
	IF mine IS NULL OR within IS NOT NULL OR prefixes IS NOT NULL THEN
		PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => within IS NOT NULL OR prefixes IS NOT NULL);
		log := format(log, hunt.log_clause(from_ts, to_ts, within, peer_ids, family, prefixes => mine));
	ELSE
		PERFORM hunt.plan_for(cardinality(mine) > 40000, apart => true);
		SELECT string_agg(format(log, 'unnest($1) m (prefix), '
		    || hunt.log_clause(from_ts, to_ts, NULL, ARRAY[p.peer_id], family) || ' AND e.prefix = m.prefix'),
		    ' UNION ALL ')
		INTO log FROM bgp.peer p WHERE p.peer_id = ANY (coalesce(peer_ids, ARRAY[p.peer_id]));
	END IF;
	RETURN QUERY EXECUTE format($q$
		WITH path AS MATERIALIZED (%s),
		-- a peer that sends several paths has lost the prefix when all of them are gone
		peer AS (
			SELECT p.prefix, bool_and(coalesce(p.w >= coalesce(p.a, '-infinity'), false)) AS lost,
			    bool_or(p.a IS NOT NULL) AS announced
			FROM path p GROUP BY p.peer_id, p.prefix),
		lost AS (
			SELECT p.prefix FROM peer p GROUP BY p.prefix
			HAVING count(*) FILTER (WHERE p.lost) * 100 >= greatest(count(*) * %L, 1)%s)
		SELECT p.* FROM path p JOIN lost USING (prefix)$q$, log, percent,
	    CASE WHEN announced THEN ' AND bool_or(p.announced)' ELSE '' END) USING mine;
END
$$;
COMMENT ON FUNCTION hunt.lost(timestamptz, timestamptz, cidr, int[], text, cidr[], int, boolean, boolean) IS
    'for the hunts: what was last said of prefixes that so many of the sessions had lost when a range ended';

CREATE OR REPLACE FUNCTION hunt.flaps(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, times int DEFAULT 10, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	mine	cidr[];
	log	text;
	leafs	regclass[];
	days	int;
BEGIN
	mine := hunt.originated(since, until, within, peer_ids, family, asn, false);
	IF within IS NULL AND mine IS NULL AND hunt.unicast(family) IS NOT NULL THEN
		SELECT l.leafs, l.days INTO leafs, days FROM hunt.leafs(since, until, peer_ids, true) l;
		IF leafs IS NOT NULL THEN
			PERFORM hunt.plan_for(true, true);
			EXECUTE (SELECT format('SELECT coalesce(array_agg(DISTINCT s.prefix), %L) FROM (%s) s', '{}',
			    string_agg(format(
			    'SELECT e.prefix FROM %s e WHERE %s AND e.kind = ''W'' GROUP BY e.prefix'
			    ' HAVING count(*) >= %L', l, hunt.unicast(family), ceil(times::numeric / days)),
			    ' UNION ALL '))
			    FROM unnest(leafs) l) INTO mine;
			PERFORM hunt.plan_for(false, narrow => true);
		END IF;
	END IF;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => within IS NOT NULL OR asn IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(format($q$
		SELECT max(s.origin_asn) AS suspect, s.prefix, min(s.first_ts) AS first_ts, max(s.last_ts) AS last_ts,
		    array_agg(s.peer_id ORDER BY s.first_ts, s.peer_id) AS peer_ids, sum(s.a + s.w) AS events,
		    jsonb_build_object('announcements', sum(s.a), 'withdrawals', sum(s.w), 'worst', (jsonb_agg(
			jsonb_build_object('peer_id', s.peer_id, 'announcements', s.a, 'withdrawals', s.w)
			    ORDER BY least(s.a, s.w) DESC, s.peer_id))->0) AS evidence
		FROM (SELECT e.peer_id, e.prefix, max(e.origin_asn) AS origin_asn, min(e.ts) AS first_ts,
		    max(e.ts) AS last_ts,
			count(*) FILTER (WHERE e.kind = 'A' AND e.refreshed IS NOT TRUE) AS a, count(*)
			    FILTER (WHERE e.kind = 'W') AS w
		    FROM %s GROUP BY e.peer_id, e.prefix
		    HAVING count(*) FILTER (WHERE e.kind = 'W') >= %L
		    AND count(*) FILTER (WHERE e.kind = 'A' AND e.refreshed IS NOT TRUE) >= %2$L) s
		GROUP BY s.prefix$q$, log, times), hunt.log_clause(since, until, NULL, NULL, family), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.flaps(timestamptz, timestamptz, cidr, bigint, int[], text, int, int) IS
'Flapping prefixes (RFC 2439): announced and withdrawn at least so many times (default 10) each at the same peer within
the range; a row per prefix, of the peers where it flapped.  Answers to a route refresh are not counted.  The suspect is
its origin there, the highest if there were several.
asn: only prefixes that it originated in the range.
evidence: announcements, withdrawals (of all those peers), worst (the peer with the most).';

CREATE OR REPLACE FUNCTION hunt.short_lived(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, life interval DEFAULT '1 hour', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text := hunt.log_clause(since, until, within, peer_ids, family);
	mine	cidr[];
	before	text;
BEGIN
	-- what may be: it ended with a withdrawal at all peers, or has several origins
	mine := hunt.originated(since, until, within, peer_ids, family, asn, false);
	IF asn IS NULL THEN
		-- (not in one expression: the planner would ask both to know how many they find)
		mine := (SELECT coalesce(array_agg(DISTINCT l.prefix), '{}')
		    FROM hunt.lost(since, until, within, peer_ids, family, NULL, 100, false, true) l);
		mine := mine || hunt.several_origins(since, until, within, peer_ids, family, NULL);
		-- (what has no origin is no end, and hides one)
		EXECUTE format('SELECT $1 || array_agg(DISTINCT e.prefix) FROM %s AND e.kind = %L'
		    ' AND e.origin_asn IS NULL', log, 'A') INTO mine USING mine;
		mine := (SELECT coalesce(array_agg(DISTINCT p), '{}') FROM unnest(mine) p);
	END IF;
	IF mine = '{}' THEN
		RETURN;
	END IF;
	log := hunt.log_clause(since, until, within, peer_ids, family, prefixes => mine);
	-- a route that was there before the range has been there for longer than the range tells
	IF cardinality(mine) <= 2000 THEN
		before := hunt.standing(since, NULL, mine, peer_ids, family, true);
	END IF;
	PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => within IS NOT NULL OR asn IS NOT NULL);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH event AS (
			SELECT e.peer_id, e.prefix, e.path_id, e.ts, e.seq, e.origin_asn, true AS said
			FROM %s AND (e.kind = 'W' OR e.origin_asn IS NOT NULL)
			%s),
		step AS (
			SELECT v.*, lag(v.origin_asn) OVER w AS was FROM event v
			    WINDOW w AS (PARTITION BY v.peer_id, v.prefix, v.path_id ORDER BY v.ts, v.seq)),
		-- an episode: from the first announcement by an origin to the withdrawal, or the announcement
		-- by another
		edge AS (
			SELECT s.*, lead(s.ts) OVER w AS ended
			FROM step s WHERE s.origin_asn IS DISTINCT FROM s.was
			WINDOW w AS (PARTITION BY s.peer_id, s.prefix, s.path_id ORDER BY s.ts, s.seq))
		SELECT d.origin_asn AS suspect, d.prefix, min(d.ts) AS first_ts, max(d.ended) AS last_ts,
		    array_agg(d.peer_id ORDER BY d.ts, d.peer_id) AS peer_ids,
		    count(*) AS events, jsonb_build_object('longest', max(d.ended - d.ts), 'shortest',
		    min(d.ended - d.ts)) AS evidence
		FROM edge d WHERE d.origin_asn = coalesce(%L, d.origin_asn)%s
		GROUP BY d.prefix, d.origin_asn
		HAVING bool_and(d.ended IS NOT NULL) AND max(d.ended - d.ts) <= %L$q$,
	    log, coalesce('UNION ALL SELECT b.peer_id, b.prefix, b.path_id, b.ts, -1, b.origin_asn, false FROM ('
	    || before || ') b WHERE b.origin_asn IS NOT NULL', ''), asn, CASE WHEN before IS NULL THEN ''
	    ELSE ' AND (d.prefix, d.origin_asn) IN (SELECT v.prefix, v.origin_asn FROM event v WHERE v.said)' END,
	    life), hunt.log_clause(since, until, NULL, NULL, family), min_peers);
END
$$;
COMMENT ON FUNCTION hunt.short_lived(timestamptz, timestamptz, cidr, bigint, int[], text, interval, int) IS
'Short-lived routes: a prefix that an origin (suspect) announced within the range and that never stayed longer than life
(default 1 hour) at any peer before it was withdrawn or announced by another origin; a row per origin and prefix, events
= how many times it came and went, last_seen = when it was gone for the last time.  What is still there when the range
ends is not among them; a session that went down ends nothing here, nor does an announcement without an origin (RFC
6811: empty path, AS_SET last).  What was there before the range counts from when it
came (bgp.rib_at), unless more than 2000 prefixes are in question.
asn: the origin.
evidence: longest, shortest (time that it stayed).';

-- hunt.prefixes_lost: the rows of hunt.visibility_loss, of these prefixes only, if they are given
CREATE OR REPLACE FUNCTION hunt.prefixes_lost(from_ts timestamptz, to_ts timestamptz, within cidr, prefixes cidr[],
    peer_ids int[], family text, percent int, standing boolean, min_peers int)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	narrow	boolean := within IS NOT NULL OR prefixes IS NOT NULL;
	mine	cidr[];
	said	record;
	before	text;
BEGIN
	-- those that enough of the sessions lost that said anything of them; the others are only asked about these
	SELECT array_agg(l.peer_id) AS peer_id, array_agg(l.prefix) AS prefix, array_agg(l.path_id) AS path_id,
	    array_agg(l.origin_asn) AS origin_asn, array_agg(l.a) AS a, array_agg(l.w) AS w
	INTO said
	FROM hunt.lost(from_ts, to_ts, within, peer_ids, family, prefixes, percent, standing IS NOT TRUE, false) l;
	mine := (SELECT array_agg(DISTINCT p) FROM unnest(said.prefix) p);
	IF mine IS NULL THEN
		RETURN;
	END IF;
	before := coalesce(hunt.standing(from_ts, within, mine, peer_ids, family, coalesce(standing, narrow)),
	    hunt.kept_of(from_ts, NULL, mine, peer_ids, family));
	PERFORM hunt.plan_for(cardinality(mine) > 20000, narrow => narrow);
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH path AS (
			SELECT s.peer_id, s.prefix, max(s.origin_asn) AS origin_asn, max(s.a) AS a, max(s.w) AS w,
			    coalesce(max(s.w) > coalesce(max(s.a), '-infinity'), false) AS lost
			FROM (SELECT * FROM unnest($1, $2, $3, $4, $5, $6) l (peer_id, prefix, path_id, origin_asn, a,
			    w)
			    UNION ALL SELECT b.peer_id, b.prefix, b.path_id, b.origin_asn, b.ts, NULL FROM (%s) b) s
			GROUP BY s.peer_id, s.prefix, s.path_id),
		-- a peer that sends several paths (ADD-PATH) has lost it when all of them are gone
		peer AS (
			SELECT s.peer_id, s.prefix, max(s.origin_asn) AS origin_asn, max(s.a) AS a, max(s.w) AS w,
			    bool_and(s.lost) AS lost
			FROM path s GROUP BY s.peer_id, s.prefix)
		SELECT max(p.origin_asn) AS suspect, p.prefix, min(p.w) FILTER (WHERE p.lost) AS first_ts, max(p.w)
		    FILTER (WHERE p.lost) AS last_ts,
		    array_agg(p.peer_id ORDER BY p.w, p.peer_id) FILTER (WHERE p.lost) AS peer_ids, count(*)
		    FILTER (WHERE p.lost) AS events,
		    jsonb_build_object('lost', count(*) FILTER (WHERE p.lost), 'of', count(*), 'last_announced',
		    max(p.a)) AS evidence
		FROM peer p GROUP BY p.prefix
		HAVING count(*) FILTER (WHERE p.lost) * 100 >= greatest(count(*) * %L, 1)$q$, before, percent), NULL,
		    min_peers)
	    USING said.peer_id, said.prefix, said.path_id, said.origin_asn, said.a, said.w;
END
$$;
COMMENT ON FUNCTION hunt.prefixes_lost(timestamptz, timestamptz, cidr, cidr[], int[], text, int, boolean, int) IS
    'for the hunts: the rows of hunt.visibility_loss, of these prefixes only, if they are given';

CREATE OR REPLACE FUNCTION hunt.visibility_loss(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, percent int DEFAULT 50, standing boolean DEFAULT NULL,
    min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	mine	cidr[];
BEGIN
	mine := hunt.originated(since, until, within, peer_ids, family, asn, standing IS NOT FALSE);
	RETURN QUERY SELECT * FROM hunt.prefixes_lost(since, until, within, mine, peer_ids, family, percent, standing,
	    min_peers);
END
$$;
COMMENT ON FUNCTION hunt.visibility_loss(timestamptz, timestamptz, cidr, bigint, int[], text, int, boolean, int) IS
'Lost prefixes: when the range ends, at least percent (default 50) of the sessions that had the prefix have withdrawn it
and not announced it again; a row per prefix, peers = who lost it, first_seen and last_seen = the first and last of
their last withdrawals.  A session that goes down withdraws nothing and does not count. The suspect is the origin that
it had, NULL if that is not known.  Sessions that had it are those that said anything of it in the range, and those that
said nothing and had it when the range began (standing: by bgp.rib_at; NULL: so if within or asn is given) or have it
now since before the range (otherwise, by bgp.rib: of a range long ago, those that lost it later are missing).
asn: only prefixes that it originated in the range, or had when it began (unless standing is false).
evidence: lost, of (sessions), last_announced.';

CREATE OR REPLACE FUNCTION hunt.origin_outage(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, percent int DEFAULT 80, min_prefixes int DEFAULT 2,
    standing boolean DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	mine	cidr[];
	lost	record;
	quiet	cidr[];
	likely	record;
BEGIN
	-- what an AS announced, or has had all along
	IF asn IS NOT NULL THEN
		PERFORM hunt.plan_for(within IS NULL, narrow => within IS NOT NULL);
		EXECUTE format('SELECT array_agg(k.prefix) FROM (%s) k',
		    hunt.kept(since, within, ' AND e.origin_asn = ' || asn, peer_ids, family)) INTO mine;
		mine := hunt.originated(since, until, within, peer_ids, family, asn, true) || mine;
	END IF;
	SELECT array_agg(h.suspect) AS origin_asn, array_agg(h.prefix) AS prefix, array_agg(h.first_seen) AS first_ts,
	    array_agg(h.last_seen) AS last_ts, array_agg(h.peers::text) AS peers, array_agg(h.events) AS events
	INTO lost
	FROM hunt.prefixes_lost(since, until, within, mine, peer_ids, family, 50, coalesce(standing, false), 1) h;
	-- the origin of what was only withdrawn in the range, as those peers say that held most before
	quiet := ARRAY(SELECT g.prefix FROM unnest(lost.origin_asn, lost.prefix) g (origin_asn, prefix)
	    WHERE g.origin_asn IS NULL);
	IF quiet <> '{}' AND isfinite(since) THEN
		EXECUTE format('SELECT array_agg(coalesce(g.origin_asn, r.origin_asn) ORDER BY g.n)'
		    ' FROM unnest($1, $2) WITH ORDINALITY g (origin_asn, prefix, n)'
		    ' LEFT JOIN (SELECT s.prefix, max(s.origin_asn) AS origin_asn FROM (%s) s GROUP BY s.prefix) r'
		    ' USING (prefix)', hunt.standing(since, NULL, quiet,
			CASE WHEN asn IS NULL THEN hunt.full_peers(peer_ids) ELSE peer_ids END, family, true))
		INTO lost.origin_asn USING lost.origin_asn, lost.prefix;
	END IF;
	SELECT array_agg(g.origin_asn) AS origin_asn, array_agg(g.prefix) AS prefix, array_agg(g.first_ts) AS first_ts,
	    array_agg(g.last_ts) AS last_ts, array_agg(g.peers) AS peers, array_agg(g.events) AS events
	INTO lost
	FROM unnest(lost.origin_asn, lost.prefix, lost.first_ts, lost.last_ts, lost.peers, lost.events) g (origin_asn,
	    prefix, first_ts, last_ts, peers, events)
	WHERE g.origin_asn IS NOT NULL AND g.origin_asn = coalesce(asn, g.origin_asn);
	IF lost.origin_asn IS NULL THEN
		RETURN;
	END IF;
	-- the peer that holds most routes tells what each origin has besides: asking all of them would take long
	PERFORM hunt.plan_for(within IS NULL AND asn IS NULL, narrow => within IS NOT NULL OR asn IS NOT NULL);
	EXECUTE format($q$
		WITH candidate AS MATERIALIZED (
			SELECT g.origin_asn, count(*) AS lost FROM unnest($1) g (origin_asn)
			GROUP BY g.origin_asn HAVING count(*) >= %L),
		held AS (
			SELECT g.origin_asn, g.prefix FROM unnest($1, $2) g (origin_asn, prefix)
			UNION SELECT k.origin_asn, k.prefix FROM (%s) k),
		likely AS (
			SELECT c.origin_asn, array_agg(h.prefix) AS prefixes
			FROM candidate c JOIN held h USING (origin_asn)
			GROUP BY c.origin_asn, c.lost HAVING c.lost * 100 >= count(*) * %L)
		SELECT array_agg(l.origin_asn) AS origin_asn, array_agg(h.prefix) AS prefix
		FROM likely l CROSS JOIN unnest(l.prefixes) h (prefix)$q$, min_prefixes,
	    hunt.kept(since, within, ' AND e.origin_asn IN (SELECT c.origin_asn FROM candidate c)',
		(hunt.full_peers(peer_ids))[1:1], family), percent)
	INTO likely USING lost.origin_asn, lost.prefix;
	IF likely.origin_asn IS NULL THEN
		RETURN;
	END IF;
	-- only of those that this leaves the log is asked, too
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH gone AS (
			SELECT * FROM unnest($1, $2, $3, $4, $5, $6) g (origin_asn, prefix, first_ts, last_ts, peers,
			    events)),
		origin AS (
			SELECT h.origin_asn, count(*) AS prefixes
			FROM (SELECT k.origin_asn, k.prefix FROM unnest($7, $8) k (origin_asn, prefix)
			    UNION SELECT e.origin_asn, e.prefix FROM %s AND e.kind = 'A' AND e.origin_asn = ANY ($9)) h
			GROUP BY h.origin_asn)
		SELECT o.origin_asn AS suspect, NULL::cidr AS prefix, min(g.first_ts) AS first_ts,
		    max(g.last_ts) AS last_ts, (SELECT array_agg(p.peer_id) FROM bgp.peer p
		    WHERE p.peer_asn IN (SELECT unnest(x.peers::bigint[]) FROM gone x
		    WHERE x.origin_asn = o.origin_asn)) AS peer_ids, sum(g.events) AS events,
		    jsonb_build_object('lost', count(*), 'of', o.prefixes, 'prefixes',
		    to_jsonb((array_agg(g.prefix ORDER BY g.prefix))[1:100])) AS evidence
		FROM origin o JOIN gone g USING (origin_asn)
		GROUP BY o.origin_asn, o.prefixes HAVING count(*) * 100 >= o.prefixes * %L$q$,
	    hunt.log_clause(since, until, within, peer_ids, family), percent), NULL, min_peers)
	    USING lost.origin_asn, lost.prefix, lost.first_ts, lost.last_ts, lost.peers, lost.events, likely.origin_asn,
		likely.prefix, ARRAY(SELECT DISTINCT o FROM unnest(likely.origin_asn) o);
END
$$;
COMMENT ON FUNCTION hunt.origin_outage(timestamptz, timestamptz, cidr, bigint, int[], text, int, int, boolean, int) IS
'An AS that is gone: when the range ends, at least percent (default 80) and min_prefixes (default 2) of the prefixes of
an origin are lost at half or more of the sessions that had them (hunt.visibility_loss); a row per origin (suspect),
prefix is NULL.  Its prefixes are those that it announced in the range, those that are lost, and those that the peer
with the most routes has now since before the range.  The origin of what was only withdrawn in the range is the one that
three peers with the most routes had for it when the range began (asn: any peer).
asn: the origin.  standing: as for hunt.visibility_loss, NULL being false.
evidence: lost, of (prefixes), prefixes (the first 100 that are lost).';

CREATE OR REPLACE FUNCTION hunt.table_jump(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, step interval DEFAULT '5 minutes', factor numeric DEFAULT 10,
    least_events int DEFAULT 1000, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text := hunt.log_clause(since, until, within, peer_ids, family, asn);
BEGIN
	IF step IS NULL OR step < interval '1 second' THEN
		RAISE EXCEPTION 'hunt.table_jump needs a step of at least a second'
		    USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH bucket AS MATERIALIZED (
			SELECT b.peer_id, b.kind, b.n, b.first_ts, b.last_ts, b.events
			FROM (SELECT e.peer_id, e.kind,
			    date_bin(make_interval(secs => %2$s), e.ts, to_timestamp(0)) AS n, min(e.ts) AS first_ts,
			    max(e.ts) AS last_ts, count(*) AS events
			    FROM %1$s AND e.refreshed IS NOT TRUE GROUP BY e.peer_id, e.kind, n) b),
		-- quiet buckets are not there: the median is over all of the range that the peer could fill
		usual AS (
			SELECT u.peer_id, u.kind,
			    coalesce((array_agg(u.events ORDER BY u.events DESC))[ceil(greatest(%3$s, 2) / 2.0)::int],
			    0) AS median
			FROM bucket u GROUP BY u.peer_id, u.kind)
		SELECT p.peer_asn AS suspect, NULL::cidr AS prefix, b.first_ts, b.last_ts, ARRAY[b.peer_id] AS peer_ids,
		    b.events, jsonb_build_object('kind', CASE b.kind WHEN 'A' THEN 'announce'
		    ELSE 'withdraw' END, 'median', u.median,
			'session_up', EXISTS (SELECT FROM bgp.session_log l WHERE l.peer_id = b.peer_id
			    AND l.event = 'up'
			    AND l.ts BETWEEN b.first_ts - %4$L::interval AND b.last_ts),
			'prefixes', (SELECT count(DISTINCT e.prefix) FROM %1$s AND e.peer_id = b.peer_id
			    AND e.kind = b.kind AND e.ts BETWEEN b.first_ts AND b.last_ts)) AS evidence
		FROM bucket b JOIN usual u USING (peer_id, kind) LEFT JOIN bgp.peer p USING (peer_id)
		WHERE b.events >= %5$L AND b.events >= %6$L * u.median$q$, log, extract(epoch FROM step),
	    -- buckets of the range, of the log's part of it if it has no end
	    coalesce(nullif(ceil(extract(epoch FROM least(until, now())) / extract(epoch
	    FROM step)) - floor(extract(epoch FROM greatest(since,
		(SELECT min(p.first_seen) FROM bgp.peer p))) / extract(epoch FROM step)), 'infinity'), 2), step,
		    least_events, factor), NULL, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.table_jump(timestamptz, timestamptz, cidr, bigint, int[], text, interval, numeric, int, int) IS
'A peer that suddenly announces or withdraws much: a span of step (default 5 minutes, counted from the epoch) with at
least least_events (1000) announcements, or withdrawals, of a peer, and factor (10) times its median over the spans of
the range; a row per peer (suspect: its ASN) and span, prefix is NULL.  This is what a leak of a full table or an outage
of a peer''s upstream looks like (RFC 7908; maximum prefix limits, RFC 7454 section 8).  Answers to a route refresh are
not counted.
asn: only routes that it originated (no withdrawals then).
evidence: kind (announce or withdraw), median, session_up (the session came up then: the first table is no jump),
prefixes (how many different ones).';

CREATE OR REPLACE FUNCTION hunt.silent_peer(since timestamptz, until timestamptz, asn bigint DEFAULT NULL,
    peer_ids int[] DEFAULT NULL, quiet interval DEFAULT '30 minutes', min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	log	text;
	sessions	int[];
BEGIN
	IF quiet IS NULL OR quiet < interval '2 seconds' THEN
		RAISE EXCEPTION 'hunt.silent_peer needs a quiet time of at least two seconds'
		    USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT coalesce(array_agg(p.peer_id), '{}') INTO sessions FROM bgp.peer p
	WHERE p.peer_asn IS NOT DISTINCT FROM coalesce(asn, p.peer_asn)
	  AND p.peer_id = ANY (coalesce(silent_peer.peer_ids, ARRAY[p.peer_id]));
	log := hunt.log_clause(since, until, NULL, sessions, '*');
	-- announcements of something new are found by index: who sent one often enough was not silent
	EXECUTE format($q$
		WITH bucket AS (
			SELECT e.peer_id, min(e.ts) AS first_ts, max(e.ts) AS last_ts FROM %1$s
			    AND e.kind = 'A' AND e.repeated IS NOT TRUE
			GROUP BY e.peer_id, date_bin(make_interval(secs => %2$s), e.ts, to_timestamp(0))),
		sign AS (
			SELECT b.* FROM bucket b
			UNION ALL SELECT p.peer_id, t.ts, t.ts FROM unnest(%5$L::int[]) p (peer_id),
			    (VALUES (%3$L::timestamptz), (least(%4$L, now()))) t (ts))
		SELECT array_agg(DISTINCT g.peer_id)
		FROM (SELECT s.peer_id, s.last_ts, lead(s.first_ts) OVER (PARTITION BY s.peer_id
			ORDER BY s.first_ts, s.last_ts) AS next_ts FROM sign s) g
		-- (as times differ: a day is 24 hours, whatever the clocks did)
		WHERE g.next_ts >= g.last_ts + make_interval(secs => %2$s * 2)$q$, log, extract(epoch FROM quiet) / 2,
	    since, until, sessions) INTO sessions;
	IF sessions IS NULL THEN
		RETURN;
	END IF;
	log := hunt.log_clause(since, until, NULL, sessions, '*');
	RETURN QUERY EXECUTE hunt.report(format($q$
		WITH bucket AS (
			SELECT e.peer_id, date_bin(make_interval(secs => %2$s), e.ts, to_timestamp(0)) AS n,
			    min(e.ts) AS first_ts, max(e.ts) AS last_ts, count(*) AS events
			FROM %1$s GROUP BY e.peer_id, n),
		-- what the session itself said is a sign of life as well, and going down explains silence
		sign AS (
			SELECT b.peer_id, b.first_ts, b.last_ts, b.events, false AS down FROM bucket b
			UNION ALL
			SELECT l.peer_id, l.ts, l.ts, 0, l.event = 'down' FROM bgp.session_log l
			WHERE l.ts >= %3$L AND l.ts < %4$L
			    AND l.event IN ('up', 'down', 'connected', 'open', 'eor', 'refresh', 'notification')),
		gap AS (
			SELECT s.peer_id, s.last_ts AS first_ts,
			    coalesce(lead(s.first_ts) OVER w, least(%4$L, now())) AS last_ts, s.down,
			    sum(s.events) OVER w AS events
			FROM sign s WINDOW w AS (PARTITION BY s.peer_id ORDER BY s.first_ts, s.last_ts))
		SELECT p.peer_asn AS suspect, NULL::cidr AS prefix, g.first_ts, g.last_ts, ARRAY[g.peer_id] AS peer_ids,
		    0 AS events,
		    jsonb_build_object('silent_for', g.last_ts - g.first_ts, 'events_before', g.events, 'still',
		    g.last_ts = least(%4$L, now()),
			'peer_address', p.peer_address, 'collector', p.collector,
			'gaps', (SELECT jsonb_agg(i.reason) FROM bgp.ingest_gap i WHERE i.collector = p.collector
			    AND i.from_ts < g.last_ts AND i.to_ts > g.first_ts)) AS evidence
		FROM gap g JOIN bgp.peer p USING (peer_id)
		WHERE NOT g.down AND g.last_ts - g.first_ts >= %5$L AND g.peer_id = ANY (%6$L)$q$, log,
	    extract(epoch FROM quiet) / 2, since, until, quiet, sessions), NULL, min_peers);
END
$$;
COMMENT ON FUNCTION hunt.silent_peer(timestamptz, timestamptz, bigint, int[], interval, int) IS
'Silent peers: no update of any family and no event of the session for at least quiet (default 30 minutes) since the
last one, while it was not known to be down; a row per peer (suspect: its ASN) and silence, prefix is NULL, first_seen =
the last sign of life, last_seen = the next one or the end of the range.  A peer that said nothing at all in the range
is not reported: see bgp.peer.last_seen.  (ExaBGP does not report keepalives: a small table may well be silent.)
asn: the ASN of the peer.
evidence: silent_for, events_before (updates in the range before), still (silent to the end), peer_address, collector,
gaps (known losses of the helper at the time).';

CREATE OR REPLACE FUNCTION hunt.rib_diff(since timestamptz, until timestamptz, within cidr DEFAULT NULL,
    asn bigint DEFAULT NULL, peer_ids int[] DEFAULT NULL, family text DEFAULT NULL, min_peers int DEFAULT 1)
RETURNS TABLE (suspect bigint, prefix cidr, first_seen timestamptz, last_seen timestamptz, peers bigint[],
    peers_count int, events bigint, evidence jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
	families	text[] := CASE WHEN family IS NULL THEN '{ipv4 unicast,ipv6 unicast}' ELSE ARRAY[family] END;
	mine	cidr[];
BEGIN
	IF since IS NULL OR until IS NULL THEN
		RAISE EXCEPTION 'a hunt needs the time range: since and until' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF asn IS NOT NULL THEN
		mine := hunt.held(ARRAY[since, until], within, peer_ids, asn);
	END IF;
	RETURN QUERY EXECUTE hunt.report($q$
		WITH old AS MATERIALIZED (SELECT r.*, coalesce(r.path_id, -1) AS path_id_key,
		    coalesce(r.rd, '') AS rd_key FROM hunt.routes_at($1, $3, $7, $4) r WHERE r.prefix IS NOT NULL
		    AND r.family = ANY ($5)),
		new AS MATERIALIZED (SELECT r.*, coalesce(r.path_id, -1) AS path_id_key, coalesce(r.rd, '') AS rd_key
		    FROM hunt.routes_at($2, $3, $7, $4) r WHERE r.prefix IS NOT NULL AND r.family = ANY ($5)),
		diff AS (
			SELECT peer_id, prefix, o.origin_asn AS was, n.origin_asn AS becomes, o.as_path AS was_path,
			    n.as_path AS new_path, coalesce(n.since, $2) AS ts, CASE
				WHEN n.kind IS NULL THEN 'removed' WHEN o.kind IS NULL THEN 'added'
				WHEN o.origin_asn IS DISTINCT FROM n.origin_asn THEN 'origin'
				WHEN o.as_path IS DISTINCT FROM n.as_path THEN 'path' ELSE 'attributes' END AS change
			FROM (SELECT old.*, true AS kind,
			    to_jsonb(old) - '{since,first_announced,stale}'::text[] AS all_of_it FROM old) o
			FULL JOIN (SELECT new.*, true AS kind,
			    to_jsonb(new) - '{since,first_announced,stale}'::text[] AS all_of_it FROM new) n
			    USING (peer_id, family, prefix, path_id_key, rd_key)
			WHERE o.all_of_it IS DISTINCT FROM n.all_of_it)
		SELECT coalesce(d.becomes, d.was) AS suspect, d.prefix, min(d.ts) AS first_ts, max(d.ts) AS last_ts,
		    array_agg(d.peer_id ORDER BY d.ts, d.peer_id) AS peer_ids,
		    count(*) AS events, jsonb_strip_nulls(jsonb_build_object('change', d.change, 'origin_before', d.was,
		    'origin_after', d.becomes,
			'path_before', min(d.was_path), 'path_after', min(d.new_path))) AS evidence
		FROM diff d WHERE $6 IS NULL OR $6 IN (d.becomes, d.was)
		GROUP BY d.prefix, d.change, d.was, d.becomes$q$, NULL, min_peers)
	    USING since, until, within, peer_ids, families, asn, mine;
END
$$;
COMMENT ON FUNCTION hunt.rib_diff(timestamptz, timestamptz, cidr, bigint, int[], text, int) IS
'What is different at two moments: the routes of each peer at until compared with those at since (bgp.rib_at), whatever
came and went between; a row per prefix, kind of change and pair of origins; first_seen and last_seen = since when the
peers have the new route (removed: until).  Give within, asn or peer_ids: the whole table of every peer is much.
asn: the origin before or after; the suspect is the one after, or before if it is removed.
evidence: change (added, removed, origin, path or attributes), origin_before, origin_after, path_before, path_after (one
of them, if peers differ).';
