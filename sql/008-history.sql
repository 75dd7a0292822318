-- 008-history.sql - the routes of any moment, and what changed between two.

-- bgp.rib_stale_since: bgp.peer.stale_since as it was at this moment.
CREATE OR REPLACE FUNCTION bgp.rib_stale_since(peer_id int, at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT min(s.from_ts) FROM bgp.peer_stale s
	    WHERE s.peer_id = $1 AND s.from_ts <= $2 AND (s.to_ts IS NULL OR s.to_ts > $2));
END
$$;
COMMENT ON FUNCTION bgp.rib_stale_since(int, timestamptz) IS
    'since when lines of a peer may have been missed, as one knew at this moment; NULL: none';

-- bgp.rib_known: warns of a moment whose log is gone, of which no base state tells either:
-- nobody is to take "not known" for "no routes".
CREATE OR REPLACE FUNCTION bgp.rib_known(peer_id int, at timestamptz) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	horizon	date := (SELECT h.day FROM bgp.rib_horizon h WHERE h.peer_id = $1);
BEGIN
	IF bgp.day_start(horizon) > $2 AND bgp.rib_base_find($1, $2) IS NULL
	    AND NOT EXISTS (SELECT FROM bgp.session_log s
	    WHERE s.peer_id = $1 AND s.event IN ('up', 'down') AND s.ts <= $2) THEN
		RAISE WARNING 'the log of peer % before % is gone: what it held at % is not known', $1, horizon, $2;
	END IF;
END
$$;
COMMENT ON FUNCTION bgp.rib_known(int, timestamptz) IS 'warns if what a peer held at a moment is not known any more';

-- bgp.rib_at: the routes that peers held at a moment.  The planner cannot know how many routes
-- of a base are within a prefix, takes them for a handful, and would join thousands row by row.
CREATE OR REPLACE FUNCTION bgp.rib_at(at timestamptz, within cidr DEFAULT NULL, peer_ids int[] DEFAULT NULL)
RETURNS SETOF bgp.rib LANGUAGE plpgsql STABLE ROWS 100000
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET jit = off SET work_mem = '64MB'
SET enable_nestloop = off AS $$
#variable_conflict use_variable
DECLARE
	id	int;
BEGIN
	FOR id IN SELECT p.peer_id FROM bgp.peer p
	    WHERE peer_ids IS NULL OR p.peer_id = ANY (peer_ids) ORDER BY 1
	LOOP
		PERFORM bgp.rib_known(id, at);
		RETURN QUERY EXECUTE format('SELECT %s FROM (%s) r, bgp.peer p WHERE p.peer_id = %s',
		    bgp.rib_projection('CASE WHEN left(r.qualifier, 1) <> ''*'' THEN r.prefix END',
			format('coalesce(r.ts < %L::timestamptz, false)', bgp.rib_stale_since(id, at))),
		    bgp.rib_sql(id, at, within, NULL, true), id);
	END LOOP;
END
$$;
COMMENT ON FUNCTION bgp.rib_at(timestamptz, cidr, int[]) IS
    'the routes that each peer held at a moment, as bgp.rib; within: only this prefix and its more specifics';

-- bgp.routes_at: the routes for exactly these prefixes.
CREATE OR REPLACE FUNCTION bgp.routes_at(at timestamptz, prefixes cidr[], peer_ids int[] DEFAULT NULL)
RETURNS SETOF bgp.rib LANGUAGE plpgsql STABLE ROWS 1000
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET jit = off AS $$
#variable_conflict use_variable
DECLARE
	id	int;
BEGIN
	FOR id IN SELECT p.peer_id FROM bgp.peer p
	    WHERE peer_ids IS NULL OR p.peer_id = ANY (peer_ids) ORDER BY 1
	LOOP
		PERFORM bgp.rib_known(id, at);
		RETURN QUERY EXECUTE format('SELECT %s FROM (%s) r, bgp.peer p WHERE p.peer_id = %s',
		    bgp.rib_projection('r.prefix',
		    format('coalesce(r.ts < %L::timestamptz, false)', bgp.rib_stale_since(id, at))),
		    bgp.rib_sql(id, at, NULL, prefixes, true), id);
	END LOOP;
END
$$;
COMMENT ON FUNCTION bgp.routes_at(timestamptz, cidr[], int[]) IS
    'the routes that each peer held at a moment for exactly these prefixes';

-- bgp.lookup: what each peer would have forwarded by: of its unicast routes that cover this
-- address or prefix, those of the longest prefix (RFC 4271 section 9.1.2.2: all paths it sent).
CREATE OR REPLACE FUNCTION bgp.lookup(target inet, at timestamptz DEFAULT now())
RETURNS SETOF bgp.rib LANGUAGE plpgsql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	prefixes	cidr[] := bgp.supernets(target);
BEGIN
	RETURN QUERY
	SELECT (l.r).* FROM (
	    SELECT r, masklen(r.prefix) AS len, max(masklen(r.prefix)) OVER (PARTITION BY r.peer_id) AS longest
	    FROM (SELECT * FROM bgp.rib b WHERE at >= now() AND b.prefix = ANY (prefixes)
		UNION ALL
		SELECT * FROM bgp.routes_at(at, prefixes, CASE WHEN at >= now() THEN '{}'::int[] END)) r
	    WHERE r.family IN ('ipv4 unicast', 'ipv6 unicast')) l
	WHERE l.len = l.longest
	ORDER BY (l.r).peer_id, (l.r).path_id;
END
$$;
COMMENT ON FUNCTION bgp.lookup(inet, timestamptz) IS
    'looking glass: the best-matching routes for an address or prefix at every peer, now or at a moment';

-- bgp.route_differences: in what two routes differ, NULL if in nothing.
CREATE OR REPLACE FUNCTION bgp.route_differences(a bgp.rib, b bgp.rib) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT nullif(array_remove(ARRAY[
	    CASE WHEN a.as_path IS DISTINCT FROM b.as_path THEN 'path' END,
	    CASE WHEN a.origin_asn IS DISTINCT FROM b.origin_asn THEN 'origin_asn' END,
	    CASE WHEN a.next_hop IS DISTINCT FROM b.next_hop THEN 'next_hop' END,
	    CASE WHEN (a.communities, a.large_communities, a.ext_communities)
		IS DISTINCT FROM (b.communities, b.large_communities, b.ext_communities) THEN 'communities' END,
	    CASE WHEN (a.origin, a.med, a.local_pref, a.aggregator, a.atomic_aggregate, a.labels, a.attributes, a.nlri)
		IS DISTINCT FROM (b.origin, b.med, b.local_pref, b.aggregator, b.atomic_aggregate, b.labels,
		    b.attributes, b.nlri)
		THEN 'attributes' END], NULL), '{}')
$$;
COMMENT ON FUNCTION bgp.route_differences(bgp.rib, bgp.rib) IS
    'path, origin_asn, next_hop, communities, attributes: in which of these two routes differ';

-- bgp.rib_compare: pairs of routes that differ, of two tables; the second may be of another peer.
CREATE OR REPLACE FUNCTION bgp.rib_compare(at1 timestamptz, at2 timestamptz, within cidr, peers1 int[], peers2 int[])
RETURNS TABLE (difference text, differs text[], peer_id int, collector text, peer_address inet, peer_asn bigint,
    family text, prefix cidr, path_id bigint, rd text, nlri jsonb,
    as_path1 text, as_path2 text, origin_asn1 bigint, origin_asn2 bigint, next_hop1 inet, next_hop2 inet,
    communities1 text[], communities2 text[], since1 timestamptz, since2 timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB' AS $$
	WITH a AS (SELECT r, CASE WHEN peers2 IS NULL
	    THEN r.peer_id END AS peer, coalesce(host(network(r.prefix)) || '/' || masklen(r.prefix), '') AS k1,
		concat_ws(' ', r.family, coalesce(r.path_id, -1), coalesce(r.rd, '-'), CASE WHEN r.prefix IS NULL
		    THEN bgp.nlri_key(r.family, r.nlri) END) AS k2
	    FROM bgp.rib_at(at1, within, peers1) r),
	b AS (SELECT r, CASE WHEN peers2 IS NULL
	    THEN r.peer_id END AS peer, coalesce(host(network(r.prefix)) || '/' || masklen(r.prefix), '') AS k1,
		concat_ws(' ', r.family, coalesce(r.path_id, -1), coalesce(r.rd, '-'), CASE WHEN r.prefix IS NULL
		    THEN bgp.nlri_key(r.family, r.nlri) END) AS k2
	    FROM bgp.rib_at(at2, within, coalesce(peers2, peers1)) r)
	SELECT CASE WHEN b.k1 IS NULL THEN 'only-left' WHEN a.k1 IS NULL THEN 'only-right'
	    ELSE 'differs' END, d.differs,
	    coalesce((a.r).peer_id, (b.r).peer_id), coalesce((a.r).collector, (b.r).collector),
	    coalesce((a.r).peer_address, (b.r).peer_address), coalesce((a.r).peer_asn, (b.r).peer_asn),
	    coalesce((a.r).family, (b.r).family), coalesce((a.r).prefix, (b.r).prefix),
	    coalesce((a.r).path_id, (b.r).path_id), coalesce((a.r).rd, (b.r).rd), coalesce((a.r).nlri, (b.r).nlri),
	    (a.r).as_path, (b.r).as_path, (a.r).origin_asn, (b.r).origin_asn, (a.r).next_hop, (b.r).next_hop,
	    (a.r).communities, (b.r).communities, (a.r).since, (b.r).since
	FROM a FULL JOIN b ON a.k1 = b.k1 AND a.k2 = b.k2 AND coalesce(a.peer, 0) = coalesce(b.peer, 0),
	    LATERAL (SELECT CASE WHEN a.k1 IS NOT NULL AND b.k1 IS NOT NULL
	    THEN bgp.route_differences(a.r, b.r) END AS differs) d
	WHERE a.k1 IS NULL OR b.k1 IS NULL OR d.differs IS NOT NULL
	ORDER BY 8, 7, 9, 10, 3
$$;
COMMENT ON FUNCTION bgp.rib_compare(timestamptz, timestamptz, cidr, int[], int[]) IS
    'routes that differ between two moments, or between two peers';

-- bgp.rib_diff: what changed between two moments.
CREATE OR REPLACE FUNCTION bgp.rib_diff(at1 timestamptz, at2 timestamptz, within cidr DEFAULT NULL,
    peer_ids int[] DEFAULT NULL)
RETURNS TABLE (difference text, differs text[], peer_id int, collector text, peer_address inet, peer_asn bigint,
    family text, prefix cidr, path_id bigint, rd text, nlri jsonb,
    as_path1 text, as_path2 text, origin_asn1 bigint, origin_asn2 bigint, next_hop1 inet, next_hop2 inet,
    communities1 text[], communities2 text[], since1 timestamptz, since2 timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM bgp.rib_compare($1, $2, $3, $4, NULL)
$$;
COMMENT ON FUNCTION bgp.rib_diff(timestamptz, timestamptz, cidr, int[]) IS
    'routes that peers held at one moment only (only-left, only-right), or that differ between the two, and in what';

-- bgp.peer_diff: in what two peers differ at a moment.
CREATE OR REPLACE FUNCTION bgp.peer_diff(peer1 int, peer2 int, at timestamptz DEFAULT now(), within cidr DEFAULT NULL)
RETURNS TABLE (difference text, differs text[], family text, prefix cidr, path_id bigint, rd text, nlri jsonb,
    as_path1 text, as_path2 text, origin_asn1 bigint, origin_asn2 bigint, next_hop1 inet, next_hop2 inet,
    communities1 text[], communities2 text[], since1 timestamptz, since2 timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT difference, differs, family, prefix, path_id, rd, nlri, as_path1, as_path2, origin_asn1, origin_asn2,
	    next_hop1, next_hop2, communities1, communities2, since1, since2
	FROM bgp.rib_compare($3, $3, $4, ARRAY[$1], ARRAY[$2])
$$;
COMMENT ON FUNCTION bgp.peer_diff(int, int, timestamptz, cidr) IS
    'routes that only one of two peers held at a moment (only-left, only-right), or that differ, and in what';

-- bgp.event_order: sorts events of a peer, also by aggregates, of which there are none of two columns.
CREATE OR REPLACE FUNCTION bgp.event_order(ts timestamptz, seq bigint) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT ARRAY[(extract(epoch FROM $1) * 1000000)::bigint, $2]
$$;
COMMENT ON FUNCTION bgp.event_order(timestamptz, bigint) IS
    'what events of a peer are sorted by: microseconds, order of arrival';

-- bgp.path_history: what each peer said of exactly this prefix, one row a state: the one at
-- the beginning, then each change.  state: announced, withdrawn, session (the session ended or
-- began anew), refreshed away (not among the routes that the peer sent again).  The last one
-- lasts until the end, until now if that is infinity.
CREATE OR REPLACE FUNCTION bgp.path_history(prefix cidr, since timestamptz, until timestamptz DEFAULT now())
RETURNS TABLE (ts timestamptz, lasted interval, ended_at timestamptz, collector text, peer_id int, peer_address inet,
    peer_asn bigint,
    state text, family text, path_id bigint, rd text, next_hop inet, as_path text, path bigint[], origin_asn bigint,
    origin text, med bigint, local_pref bigint, communities text[], large_communities text[], ext_communities text[],
    aggregator text, atomic_aggregate boolean, attributes jsonb)
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET jit = off AS $$
#variable_conflict use_variable
DECLARE
	id	int;
BEGIN
	FOR id IN SELECT p.peer_id FROM bgp.peer p ORDER BY 1 LOOP
		PERFORM bgp.rib_known(id, since);
		RETURN QUERY EXECUTE format($f$
		WITH x AS (	-- announcements and withdrawals, the state at the beginning first
		    SELECT prefix, path_id, qualifier, 'A'::"char" AS kind, ts, seq, since AS at, attributes_hash, %1$s
		    FROM (%2$s) b
		    UNION ALL
		    SELECT prefix, path_id, qualifier, kind, ts, seq, ts, attributes_hash, %1$s FROM (%3$s) e),
		k AS (SELECT DISTINCT prefix, path_id, qualifier, family, rd FROM x),
		y AS (
		    SELECT x.*, NULL::timestamptz AS sweep_ts, NULL::bigint AS sweep_seq FROM x
		    UNION ALL	-- the session ends what there was
		    SELECT k.prefix, k.path_id, k.qualifier, 'D', s.ts, s.seq, s.ts, NULL, %4$s, NULL, NULL
		    FROM k, bgp.session_log s
		    WHERE s.peer_id = %5$s AND s.event IN ('up', 'down') AND s.ts > %6$L AND s.ts <= %7$L
		    UNION ALL	-- so does a refresh, of what was not sent again
		    SELECT k.prefix, k.path_id, k.qualifier, 'R', s.end_ts, s.end_seq, s.end_ts, NULL, %4$s, s.begin_ts,
		    s.begin_seq
		    FROM k, bgp.rib_sweeps(%5$s, %6$L, %7$L) s WHERE s.family = bgp.rib_family(k.family, k.prefix)),
		z AS (SELECT * FROM (
		    SELECT y.*, max(bgp.event_order(y.ts, y.seq)) FILTER (WHERE y.kind = 'A') OVER w AS announced FROM y
		    WINDOW w AS (PARTITION BY y.path_id, y.qualifier ORDER BY y.ts, y.seq)) y
		    WHERE y.kind <> 'R' OR y.announced < bgp.event_order(y.sweep_ts, y.sweep_seq)),
		c AS (SELECT * FROM (
		    SELECT z.*, lag(z.kind) OVER w AS was, lag(z.attributes_hash) OVER w AS was_hash FROM z
		    WINDOW w AS (PARTITION BY z.path_id, z.qualifier ORDER BY z.ts, z.seq)) z
		    WHERE CASE WHEN z.kind = 'A' THEN z.was IS DISTINCT FROM 'A' OR z.was_hash <> z.attributes_hash
			ELSE z.was = 'A' END)
		SELECT r.at, coalesce(lead(r.at) OVER w, CASE WHEN isfinite(%7$L::timestamptz) THEN %7$L
		    ELSE now() END) - r.at, lead(r.at) OVER w, p.collector, p.peer_id, p.peer_address, p.peer_asn,
		    CASE r.kind WHEN 'A' THEN 'announced' WHEN 'W' THEN 'withdrawn' WHEN 'D' THEN 'session'
		    ELSE 'refreshed away' END,
		    bgp.rib_family(r.family, r.prefix), nullif(r.path_id, -1), r.rd, r.next_hop,
		    coalesce(r.as_path, array_to_string(r.path, ' ')), r.path, r.origin_asn,
		    CASE r.origin WHEN 'i' THEN 'igp' WHEN 'e' THEN 'egp' WHEN '?' THEN 'incomplete' END,
		    r.med, r.local_pref, r.communities, r.large_communities, r.ext_communities, r.aggregator,
		    r.atomic_aggregate, r.attributes
		FROM c r, bgp.peer p WHERE p.peer_id = %5$s
		WINDOW w AS (PARTITION BY r.path_id, r.qualifier ORDER BY r.ts, r.seq)
		ORDER BY r.ts, r.seq$f$,
		bgp.rib_attributes(), bgp.rib_sql(id, since, NULL, ARRAY[prefix]),
		bgp.rib_events(id, format('prefix = %L::cidr AND ts > %L AND ts <= %L', prefix, since, until)),
		-- as bgp.rib_attributes
		'NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, k.family, k.rd, NULL,'
		    ' NULL, NULL', id, since, until);
	END LOOP;
END
$$;
COMMENT ON FUNCTION bgp.path_history(cidr, timestamptz, timestamptz) IS
    'each state of exactly this prefix at each peer, in order, with how long it lasted';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bgp FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bgp.rib_family(text, cidr), bgp.day_start(date), bgp.route_origins(bgp.rib_base_route[]),
    bgp.nlri_key(text, jsonb),
    bgp.route_qualifier(text, cidr, text, jsonb),
    bgp.rib_attributes(), bgp.rib_sweeps(int, timestamptz, timestamptz), bgp.rib_events(int, text),
    bgp.rib_fold(text, text, text),
    bgp.rib_base_find(int, timestamptz), bgp.rib_sql(int, timestamptz, cidr, cidr[], boolean),
    bgp.rib_projection(text, text),
    bgp.event_order(timestamptz, bigint), bgp.rib_known(int, timestamptz), bgp.rib_stale_since(int, timestamptz),
    bgp.rib_at(timestamptz, cidr, int[]), bgp.routes_at(timestamptz, cidr[], int[]),
    bgp.lookup(inet, timestamptz), bgp.route_differences(bgp.rib, bgp.rib),
    bgp.rib_compare(timestamptz, timestamptz, cidr, int[], int[]), bgp.rib_diff(timestamptz, timestamptz, cidr, int[]),
    bgp.peer_diff(int, int, timestamptz, cidr), bgp.path_history(cidr, timestamptz, timestamptz)
    TO exabgp_pg_reader;
