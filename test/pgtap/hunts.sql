-- hunts.sql - for every hunt what it must find and what it must not; filters, families, refreshed routes,
-- the range; summaries of days and how they are noticed to be out of date.
-- psql -v part=N: as if ranges of an Nth of a day were read whole, by the indexes of the leafs, for suspects.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN;
SELECT no_plan();
\if :{?part}
SELECT format('CREATE OR REPLACE FUNCTION hunt.part_of_day() RETURNS int LANGUAGE sql IMMUTABLE AS %L', 'SELECT ' || :part) \gexec
\endif

-- Four peers; hour h of a day long ago belongs to one hunt, so that each sees its own updates only.
CREATE TEMP TABLE id AS
SELECT n, bgp.ensure_peer('hunts', inet '198.18.0.0' + n, CASE WHEN n < 5 THEN 3000 + n ELSE 3004 END, '198.18.0.254', 64512, '2021-03-01') AS peer_id
FROM generate_series(1, 5) n;
SELECT count(bgp.ensure_partition(peer_id, day)) FROM id, unnest('{2021-03-01,2021-03-02}'::date[]) day WHERE n < 5 \gset

-- put: what a peer said.  n: the peer, 1 to 4; at: hour and minutes of 1 March; path NULL: withdrawn
CREATE SEQUENCE pg_temp.seq;
CREATE FUNCTION pg_temp.put(at text, n int, prefix cidr, path text, extra jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path, origin_asn, origin, next_hop, communities, large_communities, attributes,
	    as_path, family, rd, refreshed, atomic_aggregate, path_id)
	SELECT coalesce($5->>'day', '2021-03-01')::date + $1::time AT TIME ZONE 'UTC', nextval('pg_temp.seq'), (SELECT peer_id FROM id i WHERE i.n = $2),
	    CASE WHEN $4 IS NULL THEN 'W' ELSE 'A' END::"char", $3, CASE WHEN $4 = '' THEN '{}' ELSE string_to_array(trim(regexp_replace($4, '[^0-9]+', ' ', 'g')), ' ')::bigint[] END,
	    CASE WHEN $4 NOT LIKE '%}' THEN substring($4 FROM '[0-9]+$')::bigint END, CASE WHEN $4 IS NOT NULL THEN 'i'::"char" END,
	    coalesce($5->>'next_hop', '198.18.0.1')::inet, CASE WHEN $5 ? 'communities' THEN ARRAY(SELECT jsonb_array_elements_text($5->'communities')) END,
	    CASE WHEN $5 ? 'large_communities' THEN ARRAY(SELECT jsonb_array_elements_text($5->'large_communities')) END, $5->'attributes',
	    CASE WHEN $4 LIKE '%{%' THEN $4 END, $5->>'family', $5->>'rd', ($5->>'refreshed')::boolean, CASE WHEN $4 IS NOT NULL THEN false END,
	    ($5->>'path_id')::bigint;
	-- as the helper does
	UPDATE bgp.route_event n SET repeated = true
	WHERE n.seq = currval('pg_temp.seq') AND n.kind = 'A' AND n.peer_id = (SELECT peer_id FROM id i WHERE i.n = $2) AND EXISTS (SELECT FROM bgp.route_event o
	    WHERE o.peer_id = n.peer_id AND o.seq < n.seq AND o.kind = 'A' AND o.ts::date = n.ts::date AND (o.path, o.as_path, o.communities, o.large_communities, o.family,
		family(o.prefix)) IS NOT DISTINCT FROM (n.path, n.as_path, n.communities, n.large_communities, n.family, family(n.prefix)))
$$;

-- found: the rows of a hunt over an hour of the day, one a line: suspect, prefix, minutes of first and last, peers, events, evidence
-- (without the update, and without history).
CREATE FUNCTION pg_temp.found(hunt text, hour int, arguments text DEFAULT '', day date DEFAULT '2021-03-01') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result	text;
BEGIN
	EXECUTE format($q$
		SELECT string_agg(concat_ws(' ', coalesce(suspect::text, '-'), coalesce(prefix::text, '-'), to_char(first_seen, 'MI:SS'), to_char(last_seen, 'MI:SS'),
		    array_to_string(peers, ','), events, evidence - 'update' - 'history'), E'\n' ORDER BY first_seen, prefix, suspect, evidence)
		FROM hunt.%I(%L::timestamptz, %L::timestamptz %s)$q$, $1, $4 + make_time($2, 0, 0), $4 + make_time($2, 0, 0) + interval '1 hour', $3) INTO result;
	RETURN coalesce(result, '');
END
$$;
CREATE FUNCTION pg_temp.finds(hunt text, hour int, wanted text, why text, arguments text DEFAULT '', day date DEFAULT '2021-03-01')
RETURNS text LANGUAGE sql AS $$
	SELECT is(pg_temp.found($1, $2, $5, $6), $3, $1 || ': ' || $4)
$$;
-- brief_is: only suspects and prefixes
CREATE FUNCTION pg_temp.brief_is(hunt text, hour int, wanted text, why text, arguments text DEFAULT '', day date DEFAULT '2021-03-01') RETURNS text LANGUAGE sql AS $$
	SELECT is(replace(regexp_replace(pg_temp.found($1, $2, $5, $6), '^(\S+ \S+) .*$', '\1', 'gn'), E'\n', ', '), $3, $1 || ': ' || $4)
$$;

-- --- moas, and what all hunts have in common ----------------------------------------------------------

SELECT pg_temp.put(at, n, prefix::cidr, path, extra::jsonb) FROM (VALUES
    ('00:01', 1, '203.0.113.0/24', '3001 10 20', '{}'),
    ('00:02', 2, '203.0.113.0/24', '3002 10 20', '{}'),
    ('00:03', 2, '203.0.113.0/24', '3002 66', '{}'),
    ('00:03', 3, '203.0.113.0/24', '3003 66', '{}'),
    ('00:04', 3, '203.0.113.0/24', '3003 11 66', '{"refreshed": true}'),
    ('00:05', 1, '198.51.100.0/24', '3001 20', '{}'),		-- one origin, several paths
    ('00:06', 2, '198.51.100.0/24', '3002 10 20 20', '{}'),
    ('00:07', 3, '198.51.100.0/24', '3003 10 {20,21}', '{}'),	-- no origin
    ('00:08', 3, '198.51.100.0/24', '', '{}'),
    ('00:09', 4, '198.51.100.0/24', '3004 66', '{"family": "ipv4 multicast"}'),
    ('00:10', 4, '198.51.100.0/24', '3004 66', '{"family": "ipv4 mpls-vpn", "rd": "1:1"}'),
    ('00:11', 1, '2001:db8::/32', '3001 20', '{}'),
    ('00:12', 2, '2001:db8::/32', '3002 66', '{}')) v (at, n, prefix, path, extra) \g /dev/null
SELECT pg_temp.finds('moas', 0, concat_ws(E'\n',
    '20 203.0.113.0/24 01:00 02:00 3001,3002 2 {"origins": [{"peers": 2, "last_seen": "2021-03-01T00:02:00+00:00", "first_seen": "2021-03-01T00:01:00+00:00", "origin_asn": 20}, '
	'{"peers": 2, "last_seen": "2021-03-01T00:04:00+00:00", "first_seen": "2021-03-01T00:03:00+00:00", "origin_asn": 66}]}',
    '66 203.0.113.0/24 03:00 04:00 3002,3003 2 {"origins": [{"peers": 2, "last_seen": "2021-03-01T00:02:00+00:00", "first_seen": "2021-03-01T00:01:00+00:00", "origin_asn": 20}, '
	'{"peers": 2, "last_seen": "2021-03-01T00:04:00+00:00", "first_seen": "2021-03-01T00:03:00+00:00", "origin_asn": 66}]}',
    '20 2001:db8::/32 11:00 11:00 3001 1 {"origins": [{"peers": 1, "last_seen": "2021-03-01T00:11:00+00:00", "first_seen": "2021-03-01T00:11:00+00:00", "origin_asn": 20}, '
	'{"peers": 1, "last_seen": "2021-03-01T00:12:00+00:00", "first_seen": "2021-03-01T00:12:00+00:00", "origin_asn": 66}]}',
    '66 2001:db8::/32 12:00 12:00 3002 1 {"origins": [{"peers": 1, "last_seen": "2021-03-01T00:11:00+00:00", "first_seen": "2021-03-01T00:11:00+00:00", "origin_asn": 20}, '
	'{"peers": 1, "last_seen": "2021-03-01T00:12:00+00:00", "first_seen": "2021-03-01T00:12:00+00:00", "origin_asn": 66}]}'),
    'a row per prefix and origin of prefixes with several; refreshed routes are seen and not counted; no AS_SET, no other family', ', standing => false');
SELECT pg_temp.brief_is('moas', 0, '20 203.0.113.0/24, 66 203.0.113.0/24', 'min_peers', ', min_peers => 2, standing => false');
SELECT pg_temp.brief_is('moas', 0, '', 'min_peers more than there are', ', min_peers => 3, standing => false');
SELECT pg_temp.brief_is('moas', 0, '20 203.0.113.0/24, 66 203.0.113.0/24', 'within a prefix', $$, within => '203.0.0.0/16', standing => false$$);
SELECT pg_temp.brief_is('moas', 0, '20 203.0.113.0/24, 66 203.0.113.0/24, 20 2001:db8::/32, 66 2001:db8::/32', 'of an AS: both sides', ', asn => 66, standing => false');
SELECT pg_temp.brief_is('moas', 0, '', 'of an AS that originates nothing', ', asn => 10, standing => false');
SELECT pg_temp.brief_is('moas', 0, '20 2001:db8::/32, 66 2001:db8::/32', 'family', $$, family => 'ipv6 unicast', standing => false$$);
SELECT pg_temp.brief_is('moas', 0, '', 'other families by themselves', $$, family => 'ipv4 multicast', standing => false$$);
SELECT pg_temp.brief_is('moas', 0, '20 203.0.113.0/24, 66 203.0.113.0/24', 'peer_ids',
    format(', peer_ids => %L, standing => false', ARRAY[(SELECT peer_id FROM id WHERE n = 2)]));
SELECT is(evidence->'update', jsonb_build_object('ts', '2021-03-01T00:03:00+00:00', 'kind', 'announce', 'prefix', '203.0.113.0/24', 'as_path', '3002 66',
    'next_hop', '198.18.0.1', 'peer_asn', 3002, 'peer_id', (SELECT peer_id FROM id WHERE n = 2)), 'moas: the update that shows it first')
FROM hunt.moas('2021-03-01', '2021-03-01 01:00', '203.0.113.0/24', standing => false) WHERE suspect = 66;
SELECT is(count(*), 0::bigint, 'the range ends before until') FROM hunt.moas('2021-03-01', '2021-03-01 00:03', '203.0.113.0/24', standing => false);
SELECT is(count(*), 2::bigint, 'and begins with since') FROM hunt.moas('2021-03-01 00:02', '2021-03-01 00:03:01', '203.0.113.0/24', standing => false);
SELECT is(count(*), 0::bigint, 'a range that ends before it begins') FROM hunt.moas('2021-03-02', '2021-03-01');
SELECT is(count(*), 2::bigint, 'a range without ends, within a prefix') FROM hunt.moas('-infinity', 'infinity', '2001:db8::/32', peer_ids => ARRAY(SELECT peer_id FROM id));
SELECT is(count(*), 4::bigint, 'a range without ends') FROM hunt.moas('-infinity', 'infinity', peer_ids => ARRAY(SELECT peer_id FROM id), standing => false);
SELECT throws_ok($$SELECT * FROM hunt.moas(NULL, '2021-03-01')$$, '22004', NULL, 'a range is needed');
SELECT is(jsonb_array_length(hunt.updates('203.0.113.0/24', '2021-03-01', '2021-03-01 01:00')), 5, 'hunt.updates');
SELECT is(hunt.updates('203.0.113.0/24', '2021-03-01', '2021-03-01 01:00', 66, most => 1)->0->>'as_path', '3002 66', 'hunt.updates of an origin, the first of them');

-- two sessions of one AS are one peer; one without an ASN counts as well
SELECT count(bgp.ensure_partition(peer_id, '2021-03-01')) FROM id WHERE n = 5 \gset
SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('01:01', 4, '203.0.113.0/24', '3004 20'), ('01:02', 5, '203.0.113.0/24', '3004 20'), ('01:03', 1, '203.0.113.0/24', '3001 66')) v (at, n, prefix, path) \g /dev/null
SELECT is(string_agg(suspect || ' ' || peers::text || ' ' || peers_count || ' ' || events, ', ' ORDER BY first_seen), '20 {3004} 1 2, 66 {3001} 1 1', 'two sessions of an AS are one peer')
FROM hunt.moas('2021-03-01 01:00', '2021-03-01 02:00', standing => false);
UPDATE bgp.peer SET peer_asn = NULL WHERE peer_id = (SELECT peer_id FROM id WHERE n = 5);
SELECT is(string_agg(suspect || ' ' || peers::text || ' ' || peers_count, ', ' ORDER BY first_seen), '20 {3004} 2, 66 {3001} 1', 'a peer whose ASN is not known counts as one')
FROM hunt.moas('2021-03-01 01:00', '2021-03-01 02:00', standing => false);

-- --- sub_moas --------------------------------------------------------------------------------------------

SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('02:01', 1, '0.0.0.0/0', '3001'),
    ('02:01', 1, '203.0.0.0/16', '3001 20'),
    ('02:02', 1, '203.0.112.0/20', '3001 21'),		-- nearest: the /16
    ('02:03', 2, '203.0.113.0/24', '3002 66'),		-- nearest: the /20
    ('02:04', 2, '203.0.114.0/24', '3002 21'),		-- of the same origin as the /20
    ('02:05', 2, '198.51.100.0/24', '3002 66'),		-- covered by the default route only
    ('02:06', 2, '2001:db8::/32', '3002 20'), ('02:07', 3, '2001:db8:1::/48', '3003 66')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('sub_moas', 2, concat_ws(E'\n',
    '21 203.0.112.0/20 02:00 02:00 3001 1 {"covering": "203.0.0.0/16", "covering_origins": [20]}',
    '66 203.0.113.0/24 03:00 03:00 3002 1 {"covering": "203.0.112.0/20", "covering_origins": [21]}',
    '66 2001:db8:1::/48 07:00 07:00 3003 1 {"covering": "2001:db8::/32", "covering_origins": [20]}'), 'the nearest covering prefix has other origins', ', standing => false');
SELECT pg_temp.brief_is('sub_moas', 2, '66 203.0.113.0/24', 'within: what covers it need not be within', $$, within => '203.0.113.0/24', standing => false$$);
SELECT pg_temp.brief_is('sub_moas', 2, '66 203.0.113.0/24, 66 2001:db8:1::/48', 'of an AS', ', asn => 66, standing => false');
SELECT pg_temp.brief_is('sub_moas', 2, '66 203.0.113.0/24', 'of an AS, within: what covers it need not be within', $$, asn => 66, within => '203.0.113.0/24', standing => false$$);
SELECT pg_temp.brief_is('sub_moas', 2, '', 'of an AS that has nothing', ', asn => 9, standing => false');

-- --- origin_change ------------------------------------------------------------------------------------------

SELECT pg_temp.put(at, n, prefix::cidr, path, extra::jsonb) FROM (VALUES
    ('03:01', 1, '203.0.113.0/24', '3001 20', '{}'),
    ('03:02', 1, '203.0.113.0/24', NULL, '{}'),
    ('03:03', 1, '203.0.113.0/24', '3001 66', '{}'),
    ('03:04', 1, '203.0.113.0/24', '3001 {1,2}', '{}'),		-- no origin: passed over
    ('03:05', 1, '203.0.113.0/24', '3001 66', '{}'),
    ('03:06', 1, '203.0.113.0/24', '3001 20', '{}'),
    ('03:01', 2, '198.51.100.0/24', '3002 20', '{}'), ('03:02', 3, '198.51.100.0/24', '3003 66', '{}'),	-- peers differ, nothing changed
    ('03:03', 2, '198.51.100.0/24', '3002 20', '{"refreshed": true}')) v (at, n, prefix, path, extra) \g /dev/null
SELECT pg_temp.finds('origin_change', 3, concat_ws(E'\n', '66 203.0.113.0/24 03:00 03:00 3001 1 {"from": [20]}',
    '20 203.0.113.0/24 06:00 06:00 3001 1 {"from": [66]}'), 'at one peer, withdrawn in between or not', ', standing => false');
SELECT pg_temp.brief_is('origin_change', 3, '66 203.0.113.0/24, 20 203.0.113.0/24', 'of an AS: to and from it', ', asn => 20, standing => false');
SELECT pg_temp.brief_is('origin_change', 3, '', 'of another AS', ', asn => 21, standing => false');

-- --- feed_disagreement ----------------------------------------------------------------------------------------

SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('04:01', 1, '203.0.113.0/24', '3001 66'), ('04:02', 1, '203.0.113.0/24', '3001 20'), ('04:03', 2, '203.0.113.0/24', '3002 20'), ('04:04', 3, '203.0.113.0/24', '3003 66'),
    ('04:05', 1, '198.51.100.0/24', '3001 20'), ('04:06', 2, '198.51.100.0/24', '3002 66'), ('04:07', 2, '198.51.100.0/24', NULL)) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('feed_disagreement', 4, '66 203.0.113.0/24 04:00 04:00 3003 1 {"majority": {"sessions": 2, "origin_asn": 20}, "sessions": 1}',
    'what peers hold at the end counts', ', standing => false');
SELECT pg_temp.brief_is('feed_disagreement', 4, '66 203.0.113.0/24', 'of an AS', ', asn => 20, standing => false');

-- --- paths ------------------------------------------------------------------------------------------------------

SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('05:01', 1, '203.0.113.0/24', '3001 174 20'), ('05:02', 2, '203.0.113.0/24', '3002 174 174 20'), ('05:03', 3, '203.0.113.0/24', '3003 1740 20'),
    ('05:04', 3, '198.51.100.0/24', '3003 174 {20,21}'), ('05:05', 4, '192.0.2.0/24', '174')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('path_pattern', 5, concat_ws(E'\n', '20 203.0.113.0/24 01:00 02:00 3001,3002 2 {"others": [{"as_path": "3002 174 174 20"}], "as_path": "3001 174 20"}',
    '- 198.51.100.0/24 04:00 04:00 3003 1 {"as_path": "3003 174 {20,21}"}', '174 192.0.2.0/24 05:00 05:00 3004 1 {"as_path": "174"}'), '_174_', $$, '_174_'$$);
SELECT pg_temp.brief_is('path_pattern', 5, wanted, pattern, format(', %L', pattern)) FROM (VALUES
    ('^174$', '174 192.0.2.0/24'), ('_174_20$', '20 203.0.113.0/24'), ('^3003_(174|1740)_', '20 203.0.113.0/24, - 198.51.100.0/24'), ('_174_174_', '20 203.0.113.0/24'),
    ('_(174)(_\1)+_', '20 203.0.113.0/24'), ('_21_', '- 198.51.100.0/24'), ('_17_', ''), ('\{', '- 198.51.100.0/24')) v (pattern, wanted);
SELECT throws_ok($$SELECT * FROM hunt.path_pattern('2021-03-01', '2021-03-02', '(')$$, '2201B', NULL, 'path_pattern: a pattern that is none');

SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('06:01', 1, '203.0.113.0/24', '3001 20 20 20 20'), ('06:02', 2, '203.0.113.0/24', '3002 10 10 10 10 20'),
    ('06:03', 3, '198.51.100.0/24', '3003 20 20 20'), ('06:04', 3, '192.0.2.0/24', '3003 20 20 21 20 20')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('prepend_anomaly', 6, concat_ws(E'\n', '20 203.0.113.0/24 01:00 01:00 3001 1 {"place": "origin", "times": 4, "as_path": "3001 20 20 20 20"}',
    '10 203.0.113.0/24 02:00 02:00 3002 1 {"place": "transit", "times": 4, "as_path": "3002 10 10 10 10 20"}'), 'so many times in a row', ', times => 4');
SELECT pg_temp.brief_is('prepend_anomaly', 6, '10 203.0.113.0/24', 'of an AS', ', times => 4, asn => 10');
SELECT pg_temp.brief_is('prepend_anomaly', 6, '', 'ten by default');

SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('07:01', 1, '203.0.113.0/24', '3001 20 66 20'), ('07:02', 2, '203.0.113.0/24', '3002 20 20 66 67 20 20'), ('07:03', 3, '203.0.113.0/24', '3003 20 20 20'),
    ('07:04', 3, '198.51.100.0/24', '3003 20 {20,21}'), ('07:05', 3, '192.0.2.0/24', '3003 20 21'),
    ('07:06', 1, '10.0.0.0/8', '3001 1 2 3 21 22 21'), ('07:07', 1, '11.0.0.0/8', '3001 1 2 3 4 5 21 22 21'), ('07:08', 1, '12.0.0.0/8', '22 1 2 3 4 22'),
    ('07:09', 1, '13.0.0.0/8', '1 2 3 4 5 6 7'), ('07:10', 1, '14.0.0.0/8', '1 2 2 3 4 4 4')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.brief_is('path_loop', 7, '20 203.0.113.0/24, 21 10.0.0.0/8, 21 11.0.0.0/8, 22 12.0.0.0/8', 'long or short paths');
SELECT pg_temp.finds('path_loop', 7, '20 203.0.113.0/24 01:00 02:00 3001,3002 2 {"others": [{"as_path": "3002 20 20 66 67 20 20", "between": [66, 67]}], "as_path": "3001 20 66 20", "between": [66]}',
    'an ASN that comes again; no prepends, no sets', ', asn => 20');
SELECT pg_temp.brief_is('path_loop', 7, '', 'of another AS', ', asn => 66');

DELETE FROM hunt.bogon_asn_list;
SELECT throws_ok($$SELECT * FROM hunt.bogon_asn('2021-03-01', '2021-03-02')$$, '55000', NULL, 'bogon_asn: not without a list');
INSERT INTO hunt.bogon_asn_list (asns, name) VALUES ('[0,1)', 'zero'), ('[23456,23457)', 'AS_TRANS'), ('[64512,65535)', 'private use'), ('[3004,3005)', 'the peer');
SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('08:01', 1, '203.0.113.0/24', '3001 64512 20'), ('08:02', 2, '203.0.113.0/24', '3002 20 {1,65534}'), ('08:03', 3, '198.51.100.0/24', '3003 65535 64511'),
    ('08:04', 3, '192.0.2.0/24', '3003 23456'), ('08:05', 4, '192.0.2.0/24', '3004 65535'), ('08:06', 1, '192.0.2.0/24', '3001 3004')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('bogon_asn', 8, concat_ws(E'\n', '64512 203.0.113.0/24 01:00 01:00 3001 1 {"bogon": "private use", "as_path": "3001 64512 20"}',
    '65534 203.0.113.0/24 02:00 02:00 3002 1 {"bogon": "private use", "as_path": "3002 20 {1,65534}"}', '23456 192.0.2.0/24 04:00 04:00 3003 1 {"bogon": "AS_TRANS", "as_path": "3003 23456"}',
    '3004 192.0.2.0/24 06:00 06:00 3001 1 {"bogon": "the peer", "as_path": "3001 3004"}'), 'the edges of ranges, members of sets; not the peer itself');
SELECT pg_temp.brief_is('bogon_asn', 8, '23456 192.0.2.0/24', 'one ASN', ', asn => 23456');

-- --- leaks --------------------------------------------------------------------------------------------------

DELETE FROM hunt.as_relationship;
SELECT throws_like($$SELECT * FROM hunt.valley('2021-03-01', '2021-03-02')$$, 'no relationship data%', 'valley: not without relationships');
SELECT throws_like($$SELECT * FROM hunt.otc_leak('2021-03-01', '2021-03-02')$$, 'no relationship data%', 'otc_leak: not without relationships');
-- 100 and 101 are providers of 50; 60 and 61 are its peers; 20 is its customer; 100 and 101 peer
INSERT INTO hunt.as_relationship (asn1, asn2, relationship) VALUES (100, 50, 'p2c'), (101, 50, 'p2c'), (50, 60, 'p2p'), (50, 61, 'p2p'), (50, 20, 'p2c'), (100, 101, 'p2p');
SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('09:01', 1, '192.0.2.1/32', '3001 101 50 50 100 9'),	-- type 1
    ('09:02', 1, '192.0.2.2/32', '60 50 61'),			-- type 2
    ('09:03', 1, '192.0.2.3/32', '60 50 100 9'),		-- type 3
    ('09:04', 1, '192.0.2.4/32', '100 50 60 9'),		-- type 4
    ('09:05', 1, '192.0.2.5/32', '100 50 20'),			-- customer to provider, peer, customer
    ('09:06', 1, '192.0.2.6/32', '60 50 20'),
    ('09:07', 1, '192.0.2.7/32', '20 50 100 101 9'),		-- provider to customer
    ('09:08', 1, '192.0.2.8/32', '100 50 7'),			-- nothing is known of 7
    ('09:09', 1, '192.0.2.9/32', '100 50 {100,101}'),
    ('09:10', 1, '192.0.2.10/32', '100 50 100')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('valley', 9, concat_ws(E'\n',
    '50 192.0.2.1/32 01:00 01:00 3001 1 {"to": 101, "from": 100, "type": 1, "as_path": "3001 101 50 50 100 9"}',
    '50 192.0.2.2/32 02:00 02:00 3001 1 {"to": 60, "from": 61, "type": 2, "as_path": "60 50 61"}',
    '50 192.0.2.3/32 03:00 03:00 3001 1 {"to": 60, "from": 100, "type": 3, "as_path": "60 50 100 9"}',
    '50 192.0.2.4/32 04:00 04:00 3001 1 {"to": 100, "from": 60, "type": 4, "as_path": "100 50 60 9"}'), 'the four types; a loop is no leak');
SELECT pg_temp.brief_is('valley', 9, '', 'of another AS', ', asn => 100');

DELETE FROM hunt.tier1;
SELECT throws_ok($$SELECT * FROM hunt.tier1_leak('2021-03-01', '2021-03-02')$$, '55000', NULL, 'tier1_leak: not without them');
INSERT INTO hunt.tier1 (asn) VALUES (100), (101);
SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('10:01', 1, '192.0.2.1/32', '3001 101 7 8 100 9'), ('10:02', 1, '192.0.2.2/32', '3001 101 101 100 9'), ('10:03', 1, '192.0.2.3/32', '3001 100 9'),
    ('10:04', 1, '192.0.2.4/32', '100 7 100')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('tier1_leak', 10, '8 192.0.2.1/32 01:00 01:00 3001 1 {"to": 101, "from": 100, "as_path": "3001 101 7 8 100 9", "between": [7, 8]}', 'between two of them');
SELECT pg_temp.brief_is('tier1_leak', 10, '', 'of another AS', ', asn => 7');

-- RFC 9234 section 5
SELECT pg_temp.put(at, n, prefix::cidr, path, CASE WHEN otc IS NULL THEN '{}' ELSE jsonb_build_object('attributes', jsonb_build_object('otc', otc)) END) FROM (VALUES
    ('11:01', 1, '192.0.2.1/32', '3001 9', 3001),		-- from 3001, whatever it is to us
    ('11:02', 1, '192.0.2.2/32', '3001 9', 9),
    ('11:03', 2, '192.0.2.3/32', '3002 101 50 100 9', 100),	-- 100 to its customer 50, on to its provider
    ('11:04', 2, '192.0.2.4/32', '3002 60 50 50 100 9', 100),	-- and to its peer
    ('11:05', 2, '192.0.2.5/32', '3002 20 50 100 9', 100),	-- and to its customer
    ('11:06', 2, '192.0.2.6/32', '3002 100 50 20', NULL),
    ('11:07', 2, '192.0.2.7/32', '100 50 60', 12345),		-- a route server's: not on the path
    ('11:08', 2, '192.0.2.8/32', '100 50 20', 100),
    ('11:09', 3, '192.0.2.9/32', '7 9', 9),			-- from a route server, which is not on the path
    ('11:10', 3, '192.0.2.10/32', '3003 7 {7010,7011}', 9),		-- the same, as it is kept, but for the origin
    ('11:11', 3, '192.0.2.11/32', '3003 7 7010 7011', 9)) v (at, n, prefix, path, otc) \g /dev/null
SELECT pg_temp.finds('otc_leak', 11, concat_ws(E'\n', '50 192.0.2.3/32 03:00 03:00 3002 1 {"otc": 100, "why": "passed to a provider", "as_path": "3002 101 50 100 9"}',
    '50 192.0.2.4/32 04:00 04:00 3002 1 {"otc": 100, "why": "passed to a peer", "as_path": "3002 60 50 50 100 9"}'), 'on the path');
SELECT pg_temp.brief_is('otc_leak', 11, '3001 192.0.2.1/32, 3001 192.0.2.2/32', 'from a customer, any OTC', $$, customers => '{3001}', peer_ids => ARRAY(SELECT peer_id FROM id WHERE n = 1)$$);
SELECT pg_temp.finds('otc_leak', 11, '3001 192.0.2.2/32 02:00 02:00 3001 1 {"otc": 9, "why": "from a peer that did not set it", "as_path": "3001 9"}', 'from a peer, OTC of another',
    $$, lateral_peers => '{3001}', peer_ids => ARRAY(SELECT peer_id FROM id WHERE n = 1)$$);
SELECT pg_temp.brief_is('otc_leak', 11, '', 'from a provider', $$, peer_ids => ARRAY(SELECT peer_id FROM id WHERE n = 1)$$);
SELECT pg_temp.brief_is('otc_leak', 11, '3003 192.0.2.9/32, 3003 192.0.2.10/32, 3003 192.0.2.11/32', 'a client that is not on the path, and ends that are no origin' || why,
    $$, customers => '{3003}'$$ || more) FROM (VALUES
    ('', ', peer_ids => ARRAY(SELECT peer_id FROM id WHERE n = 3)'), (', of the AS', ', asn => 3003'), (', within', $$, asn => 3003, within => '192.0.2.0/24'$$),
    (', of its session', ', asn => 3003, peer_ids => ARRAY(SELECT peer_id FROM id WHERE n IN (2, 3))')) v (why, more);
SELECT pg_temp.brief_is('otc_leak', 11, '', 'not of the sessions that are asked about', $$, customers => '{3003}', asn => 3003, peer_ids => ARRAY(SELECT peer_id FROM id WHERE n = 2)$$);

-- --- what should not be in the table ---------------------------------------------------------------------------

DELETE FROM hunt.vrp;
SELECT throws_like($$SELECT * FROM hunt.rpki_invalid('2021-03-01', '2021-03-02')$$, 'no RPKI data%', 'rpki_invalid: not without VRPs');
INSERT INTO hunt.vrp (prefix, max_length, asn) VALUES ('203.0.0.0/16', 20, 20), ('203.0.113.0/24', 24, 21), ('198.51.100.0/24', 24, 0), ('2001:db8::/32', 48, 20);
SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('12:01', 1, '203.0.0.0/16', '3001 20'),		-- valid
    ('12:02', 1, '203.0.113.0/24', '3001 21'),		-- valid by the second
    ('12:03', 1, '203.0.113.0/24', '3001 20'),		-- too long for its own
    ('12:04', 1, '203.0.113.0/24', '3001 66'),
    ('12:05', 1, '198.51.100.0/24', '3001 0'),		-- AS0 matches nobody
    ('12:06', 1, '192.0.2.0/24', '3001 66'),		-- not found
    ('12:07', 1, '203.0.0.0/17', '3001 {20,21}'),	-- no origin
    ('12:08', 1, '202.0.0.0/7', '3001 66'),		-- not found: covers a VRP
    ('12:09', 1, '2001:db8:1::/48', '3001 20'), ('12:10', 2, '2001:db8:1::/48', '3002 66')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('rpki_invalid', 12, concat_ws(E'\n',
    '20 203.0.113.0/24 03:00 03:00 3001 1 {"vrps": [{"asn": 20, "max_length": 20}, {"asn": 21, "max_length": 24}], "rpki_status": "invalid-length"}',
    '66 203.0.113.0/24 04:00 04:00 3001 1 {"vrps": [{"asn": 20, "max_length": 20}, {"asn": 21, "max_length": 24}], "rpki_status": "invalid-asn"}',
    '0 198.51.100.0/24 05:00 05:00 3001 1 {"vrps": [{"asn": 0, "max_length": 24}], "rpki_status": "invalid-asn"}',
    '- 203.0.0.0/17 07:00 07:00 3001 1 {"vrps": [{"asn": 20, "max_length": 20}], "rpki_status": "invalid-asn"}',
    '66 2001:db8:1::/48 10:00 10:00 3002 1 {"vrps": [{"asn": 20, "max_length": 48}], "rpki_status": "invalid-asn"}'), 'as RFC 6811 has it');
SELECT is(string_agg(DISTINCT (h.evidence->>'rpki_status') || ' ' || hunt.rpki(h.prefix, h.suspect), ','), 'invalid-asn invalid-asn,invalid-length invalid-length', 'and as hunt.rpki')
FROM hunt.rpki_invalid('2021-03-01 12:00', '2021-03-01 13:00') h;
SELECT pg_temp.brief_is('rpki_invalid', 12, '66 203.0.113.0/24', 'of an AS, within', $$, asn => 66, within => '203.0.0.0/16'$$);

DELETE FROM hunt.bogon_prefix_list;
SELECT throws_ok($$SELECT * FROM hunt.bogon_prefix('2021-03-01', '2021-03-02')$$, '55000', NULL, 'bogon_prefix: not without a list');
INSERT INTO hunt.bogon_prefix_list (prefix, name, source) VALUES ('10.0.0.0/8', 'private use', 'RFC 1918'), ('10.1.0.0/16', 'inside', 'test'), ('fc00::/7', 'unique local', 'RFC 4193');
SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('13:01', 1, '10.0.0.0/8', '3001 20'), ('13:02', 2, '10.1.2.0/24', '3002 {20,21}'), ('13:03', 3, 'fd00::/8', '3003 20'),
    ('13:04', 1, '11.0.0.0/8', '3001 20'), ('13:05', 1, '0.0.0.0/0', '3001'), ('13:06', 1, '8.0.0.0/6', '3001 20')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('bogon_prefix', 13, concat_ws(E'\n', '20 10.0.0.0/8 01:00 01:00 3001 1 {"name": "private use", "bogon": "10.0.0.0/8", "source": "RFC 1918"}',
    '- 10.1.2.0/24 02:00 02:00 3002 1 {"name": "inside", "bogon": "10.1.0.0/16", "source": "test"}', '20 fd00::/8 03:00 03:00 3003 1 {"name": "unique local", "bogon": "fc00::/7", "source": "RFC 4193"}'),
    'a bogon and its more specifics, not what covers it');

SELECT pg_temp.put(at, n, prefix::cidr, path, extra::jsonb) FROM (VALUES
    ('14:01', 1, '203.0.113.1/32', '3001 20', '{"communities": ["65535:666", "65535:65281"]}'),
    ('14:02', 2, '203.0.113.1/32', '3002 20', '{"communities": ["3002:1", "65535:666"]}'),
    ('14:03', 1, '2001:db8::1/128', '3001 20', '{"next_hop": "100::1"}'),
    ('14:04', 1, '203.0.113.2/32', '3001 20', '{"communities": ["65535:65281"]}'),
    ('14:05', 1, '203.0.113.3/32', '3001 20', '{"large_communities": ["20:666:0"]}'),
    ('14:06', 1, '203.0.113.1/32', NULL, '{}')) v (at, n, prefix, path, extra) \g /dev/null
SELECT pg_temp.finds('blackhole', 14, concat_ws(E'\n', '20 203.0.113.1/32 01:00 02:00 3001,3002 2 {"others": [{"no_export": false, "communities": ["65535:666"], "discarded_by_next_hop": false}], '
    '"no_export": true, "communities": ["65535:666"], "discarded_by_next_hop": false}',
    '20 2001:db8::1/128 03:00 03:00 3001 1 {"no_export": false, "communities": [], "discarded_by_next_hop": true}'), 'by community, by next hop');
SELECT pg_temp.brief_is('blackhole', 14, '20 203.0.113.3/32', 'by a large community of one''s own', $$, communities => '{20:666:0}', next_hops => '{}'$$);

SELECT pg_temp.put(at, n, prefix::cidr, path, extra::jsonb) FROM (VALUES
    ('15:01', 1, '203.0.113.0/24', '3001 20', '{"communities": ["65535:65281"]}'),
    ('15:02', 1, '198.51.100.0/24', '3001 3001', '{"communities": ["65535:65281"]}'),	-- its own
    ('15:03', 1, '192.0.2.0/24', '3001 20', '{"communities": ["65535:65284"]}')) v (at, n, prefix, path, extra) \g /dev/null
SELECT pg_temp.finds('no_export_leak', 15, '3001 203.0.113.0/24 01:00 01:00 3001 1 {"hops": [3001, 20], "communities": ["65535:65281"]}', 'passed on by the first hop');
SELECT pg_temp.brief_is('no_export_leak', 15, '', 'more hops asked', ', min_hops => 3');

-- --- what comes and goes ------------------------------------------------------------------------------------

SELECT pg_temp.put(format('16:%s', to_char(i, 'FM00')), n, prefix::cidr, CASE WHEN i % 2 = 0 THEN '3001 20' END) FROM generate_series(0, 5) i,
    (VALUES (1, '203.0.113.0/24'), (2, '203.0.113.0/24')) v (n, prefix) WHERE i < 8 - n * 2 ORDER BY n, i \g /dev/null
SELECT pg_temp.put('16:30', 3, '198.51.100.0/24', '3003 20', jsonb_build_object('refreshed', true)) FROM generate_series(1, 4) \g /dev/null
SELECT pg_temp.put('16:31', 3, '198.51.100.0/24', NULL) FROM generate_series(1, 4) \g /dev/null
SELECT pg_temp.put('16:32', 3, '192.0.2.0/24', '3003 20') FROM generate_series(1, 4) \g /dev/null
SELECT pg_temp.finds('flaps', 16, format('20 203.0.113.0/24 00:00 05:00 3001 6 {"worst": {"peer_id": %s, "withdrawals": 3, "announcements": 3}, "withdrawals": 3, "announcements": 3}',
    (SELECT peer_id FROM id WHERE n = 1)), 'announced and withdrawn so many times', ', times => 3');
SELECT pg_temp.brief_is('flaps', 16, '', 'ten by default');
SELECT is(events, 10::bigint, 'flaps: of an AS, at two peers') FROM hunt.flaps('2021-03-01 16:00', '2021-03-01 17:00', times => 2, asn => 20);

SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('17:01', 1, '203.0.113.0/24', '3001 66'), ('17:02', 1, '203.0.113.0/24', '3001 10 66'), ('17:05', 1, '203.0.113.0/24', NULL),	-- 4 minutes
    ('17:10', 2, '203.0.113.0/24', '3002 66'), ('17:11', 2, '203.0.113.0/24', '3002 20'),		-- replaced after one
    ('17:01', 1, '198.51.100.0/24', '3001 66'), ('17:02', 1, '198.51.100.0/24', NULL), ('17:03', 1, '198.51.100.0/24', '3001 66'),	-- still there
    ('17:01', 1, '192.0.2.0/24', '3001 66'), ('17:31', 1, '192.0.2.0/24', NULL)) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('short_lived', 17, concat_ws(E'\n', '66 203.0.113.0/24 01:00 11:00 3001,3002 2 {"longest": "00:04:00", "shortest": "00:01:00"}'),
    'never longer, and gone at the end', $$, life => '29 minutes'$$);
SELECT pg_temp.brief_is('short_lived', 17, '66 192.0.2.0/24, 66 203.0.113.0/24', 'an hour by default; of an AS', ', asn => 66');
SELECT pg_temp.brief_is('short_lived', 17, '', 'not so short', $$, life => '3 minutes'$$);

SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('18:01', 1, '203.0.113.0/24', '3001 20'), ('18:01', 2, '203.0.113.0/24', '3002 20'), ('18:02', 1, '203.0.113.0/24', NULL), ('18:03', 2, '203.0.113.0/24', NULL),
    ('18:04', 3, '203.0.113.0/24', '3003 20'),
    ('18:05', 1, '203.0.114.0/24', NULL), ('18:06', 2, '203.0.114.0/24', '3002 20'),
    ('18:07', 1, '198.51.100.0/24', NULL), ('18:08', 1, '198.51.100.0/24', '3001 21'), ('18:09', 2, '198.51.101.0/24', NULL)) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.finds('visibility_loss', 18, concat_ws(E'\n', '20 203.0.113.0/24 02:00 03:00 3001,3002 2 {"of": 3, "lost": 2, "last_announced": "2021-03-01T18:04:00+00:00"}',
    '20 203.0.114.0/24 05:00 05:00 3001 1 {"of": 2, "lost": 1, "last_announced": "2021-03-01T18:06:00+00:00"}', '- 198.51.101.0/24 09:00 09:00 3002 1 {"of": 1, "lost": 1, "last_announced": null}'),
    'withdrawn at the end by half of the sessions or more', ', standing => false');
SELECT pg_temp.brief_is('visibility_loss', 18, '20 203.0.113.0/24', 'percent, of an AS', ', percent => 60, asn => 20, standing => false');
SELECT pg_temp.finds('origin_outage', 18, '20 - 02:00 05:00 3001,3002 3 {"of": 2, "lost": 2, "prefixes": ["203.0.113.0/24", "203.0.114.0/24"]}', 'most of its prefixes are gone', ', standing => false');
SELECT pg_temp.brief_is('origin_outage', 18, '', 'not enough of them', ', min_prefixes => 3, standing => false');

-- who has it now, and had it before, counts as well
SELECT count(bgp.rib_entry_create(peer_id)) FROM id \gset
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, origin_asn, peer_id, prefix, qualifier)
SELECT since, since, since, 1, 0, -1, 20, (SELECT peer_id FROM id i WHERE i.n = v.n), prefix::cidr, ''
FROM (VALUES (4, '203.0.113.0/24', '2021-03-01 17:00'::timestamptz), (3, '203.0.114.0/24', '2021-03-01 17:00'), (4, '203.0.114.0/24', '2021-03-01 17:00'),
    (4, '198.51.101.0/24', '2021-03-01 19:00'), (3, '203.0.115.0/24', '2021-03-01 17:00')) v (n, prefix, since);
SELECT is((SELECT string_agg(concat_ws(' ', suspect, prefix, evidence->'lost', evidence->'of'), ', ' ORDER BY first_seen) FROM hunt.visibility_loss('2021-03-01 18:00', '2021-03-01 19:00', standing => false)),
    '20 203.0.113.0/24 2 4, 198.51.101.0/24 1 1', 'visibility_loss: sessions that said nothing and have it');
SELECT pg_temp.finds('origin_outage', 18, '', 'not if it has others', ', standing => false');
SELECT is((SELECT string_agg(concat_ws(' ', suspect, evidence->'lost', evidence->'of'), ', ') FROM hunt.origin_outage('2021-03-01 18:00', '2021-03-01 19:00', percent => 25, min_prefixes => 1, standing => false)),
    '20 1 3', 'origin_outage: one of three');
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, origin_asn, peer_id, prefix, qualifier)
SELECT '2021-03-01 17:00', '2021-03-01 17:00', '2021-03-01 17:00', 1, 0, -1, 20, peer_id, '2001:db8:20::/48', '' FROM id WHERE n = 3;
SELECT is((SELECT array_agg(format('%s: %s of %s', family, evidence->'lost', evidence->'of') ORDER BY family) FROM unnest('{any,ipv4 unicast}'::text[]) family,
    hunt.origin_outage('2021-03-01 18:00', '2021-03-01 19:00', family => nullif(family, 'any'), percent => 25, min_prefixes => 1, standing => false)),
    '{any: 1 of 4,ipv4 unicast: 1 of 3}', 'origin_outage: what it has of another family does not count');
DELETE FROM bgp.rib_entry WHERE prefix = '2001:db8:20::/48';
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, origin_asn, peer_id, prefix, qualifier)
SELECT since, since, since, 1, 0, -1, 99, (SELECT peer_id FROM id i WHERE i.n = v.n), prefix::cidr, ''
FROM (VALUES (4, '198.51.100.0/24', '2021-03-01 17:00'::timestamptz), (3, '198.51.0.0/16', '2021-03-01 17:00'), (2, '203.0.113.0/24', '2021-03-01 19:00')) v (n, prefix, since);
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, origin_asn, peer_id, prefix, qualifier)
SELECT '2021-03-01 17:00', '2021-03-01 17:00', '2021-03-01 17:00', 1, 0, -1, 90 + i.n, peer_id, '192.88.0.0/16', '' FROM id i WHERE i.n IN (3, 4);
SELECT is((SELECT string_agg(concat_ws(' ', suspect, prefix, events, to_char(first_seen, 'HH24:MI')), ', ' ORDER BY first_seen) FROM hunt.moas('2021-03-01 18:00', '2021-03-01 19:00')),
    '99 198.51.100.0/24 0 17:00, 21 198.51.100.0/24 1 18:08', 'moas: a route that has been there for long, but not if nothing was announced');
SELECT is((SELECT string_agg(concat_ws(' ', suspect, prefix, evidence->'covering', evidence->'covering_origins'), ', ' ORDER BY first_seen) FROM hunt.sub_moas('2021-03-01 18:00', '2021-03-01 19:00')),
    '21 198.51.100.0/24 "198.51.0.0/16" [99]', 'sub_moas: inside of a route that has been there for long, which is not a finding itself');
SELECT is((SELECT evidence->'known_origins' FROM hunt.new_origin('2021-03-01 18:00', '2021-03-01 19:00', '198.51.100.0/24', history => '35 minutes')), '[99]',
    'new_origin: known for longer than history goes back');
SELECT is_empty($$SELECT * FROM hunt.first_seen('2021-03-01 18:00', '2021-03-01 19:00', history => '35 minutes')$$, 'first_seen: not what has been there for longer');
-- who has no routes is no full peer, though nothing is known of how many the others have
SELECT bgp.ensure_peer('hunts', '198.18.0.200', 3200, '198.18.0.254', 64512, '2021-03-01') AS bare_peer \gset
SELECT ok(hunt.full_peers(NULL) @> (SELECT array_agg(peer_id) FROM id WHERE n IN (2, 3, 4)), 'full_peers: those that have routes');
DELETE FROM bgp.peer WHERE peer_id = :bare_peer;

-- a few prefixes are looked up by index, many are not
CREATE FUNCTION pg_temp.kept_of(prefixes cidr[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found	text;
BEGIN
	EXECUTE format('SELECT string_agg(concat_ws(%L, k.prefix, k.origin_asn, i.n), %L ORDER BY k.prefix, i.n) FROM (%s) k JOIN id i USING (peer_id)', ' ', ', ',
	    hunt.kept_of('2021-03-01 18:00', NULL, prefixes, (SELECT array_agg(peer_id) FROM id), NULL)) INTO found;
	RETURN found;
END
$$;
SELECT is(pg_temp.kept_of('{192.88.0.0/16,198.51.0.0/16,198.51.0.0/16,203.0.113.0/25}'), '192.88.0.0/16 93 3, 192.88.0.0/16 94 4, 198.51.0.0/16 99 3', 'kept_of: routes of these prefixes');
SELECT is(pg_temp.kept_of('{192.88.0.0/16,198.51.0.0/16,198.51.0.0/16,203.0.113.0/25}' || ARRAY(SELECT set_masklen(inet '10.0.0.0' + n * 256, 24)::cidr FROM generate_series(1, 20001) n)),
    '192.88.0.0/16 93 3, 192.88.0.0/16 94 4, 198.51.0.0/16 99 3', 'kept_of: of many');
SELECT is(pg_temp.kept_of('{}'), NULL, 'kept_of: of none');

-- what a hunt sets for its queries ends with it
CREATE FUNCTION pg_temp.settings() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws('=', s.name, s.setting), ' ' ORDER BY s.name) FROM pg_settings s WHERE s.name ~ '^(enable|parallel|min_parallel|.*page_cost)'
$$;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SELECT pg_temp.settings() AS settings_before \gset
SELECT count(*) FROM hunt.visibility_loss('2021-03-01', '2021-03-02'), hunt.moas('2021-03-01', '2021-03-02'), hunt.new_link('2021-03-02', '2021-03-03') \g /dev/null
SELECT is(pg_temp.settings(), :'settings_before', 'settings of the session are what they were after a hunt');
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;
DELETE FROM bgp.rib_entry;
SELECT is((SELECT string_agg(prefix::text, ', ' ORDER BY prefix) FROM hunt.first_seen('2021-03-01 18:00', '2021-03-01 19:00', history => '35 minutes')), '198.51.100.0/24, 203.0.113.0/24',
    'first_seen: which is new otherwise');

SELECT pg_temp.put(format('19:%s:%s', to_char(m, 'FM00'), to_char(i % 60, 'FM00')), 1, set_masklen(inet '100.0.0.0' + i * 256, 24)::cidr, CASE WHEN m < 40 THEN '3001 20' END)
FROM generate_series(0, 59) m, generate_series(0, 59) i WHERE i < CASE m WHEN 30 THEN 60 WHEN 31 THEN 60 WHEN 45 THEN 50 ELSE 2 END AND m NOT BETWEEN 32 AND 34 \g /dev/null
SELECT pg_temp.put('19:20', 2, set_masklen(inet '100.0.0.0' + i * 256, 24)::cidr, '3002 20', '{"refreshed": true}') FROM generate_series(0, 199) i \g /dev/null
SELECT pg_temp.finds('table_jump', 19, '3001 - 30:00 31:59 3001 120 {"kind": "announce", "median": 10, "prefixes": 60, "session_up": false}',
    'more than so many and so many times the median', ', least_events => 100, factor => 5');
SELECT pg_temp.finds('table_jump', 19, concat_ws(E'\n', '3001 - 30:00 31:59 3001 120 {"kind": "announce", "median": 10, "prefixes": 60, "session_up": false}',
    '3001 - 45:00 49:01 3001 58 {"kind": "withdraw", "median": 0, "prefixes": 50, "session_up": false}'), 'withdrawals', ', least_events => 50, factor => 12');
SELECT pg_temp.brief_is('table_jump', 19, '', 'a thousand by default');
SELECT throws_ok($$SELECT * FROM hunt.table_jump('2021-03-01', '2021-03-02', step => '0')$$, '22023', NULL, 'table_jump: a step of nothing');

SELECT pg_temp.put(at, n, '203.0.113.0/24', '3001 20') FROM (VALUES
    ('20:00', 1), ('20:31', 1), ('20:59', 1),		-- silent for 31 minutes
    ('20:00', 2), ('20:29', 2), ('20:58', 2),
    ('20:00', 3), ('20:59', 3), ('20:00', 4)) v (at, n) \g /dev/null
INSERT INTO bgp.session_log (ts, seq, peer_id, collector, event) SELECT '2021-03-01 20:10', 1, peer_id, 'hunts', 'down' FROM id WHERE n = 3;
INSERT INTO bgp.session_log (ts, seq, peer_id, collector, event) SELECT '2021-03-01 20:50', 1, peer_id, 'hunts', 'up' FROM id WHERE n = 3;
INSERT INTO bgp.ingest_gap (collector, from_ts, to_ts, lines, reason) VALUES ('hunts', '2021-03-01 20:20', '2021-03-01 20:30', 1, 'a test');
SELECT is(pg_temp.found('silent_peer', 20, ', peer_ids => ARRAY(SELECT peer_id FROM id)'), concat_ws(E'\n',
    '3001 - 00:00 31:00 3001 0 {"gaps": ["a test"], "still": false, "collector": "hunts", "silent_for": "00:31:00", "peer_address": "198.18.0.1", "events_before": 1}',
    '3004 - 00:00 00:00 3004 0 {"gaps": ["a test"], "still": true, "collector": "hunts", "silent_for": "01:00:00", "peer_address": "198.18.0.4", "events_before": 1}'),
    'silent_peer: silent for half an hour and not down; to the end of the range');
SELECT pg_temp.brief_is('silent_peer', 20, '3004 -', 'of an AS', $$, asn => 3004, peer_ids => ARRAY(SELECT peer_id FROM id)$$);
SELECT pg_temp.brief_is('silent_peer', 20, '', 'longer', $$, quiet => '2 hours', peer_ids => ARRAY(SELECT peer_id FROM id)$$);

-- --- what is new: 2 March against 1 March -----------------------------------------------------------------------

SELECT is(count(*), 0::bigint, 'new_origin: nothing to compare with, no rows') FROM hunt.new_origin('2021-03-01', '2021-03-02', history => '1 hour');
SELECT pg_temp.put(at, n, prefix::cidr, path, jsonb_build_object('day', day) || extra::jsonb) FROM (VALUES
    ('2021-03-01', '23:01', 1, '100.64.0.0/16', '3001 10 20', '{"communities": ["10:1"], "large_communities": ["10:1:1"]}'),
    ('2021-03-01', '23:02', 2, '100.65.1.0/24', '3002 10 21', '{}'),
    ('2021-03-01', '23:03', 2, '100.65.2.0/24', '3002 10 10 22', '{}'),
    ('2021-03-02', '01:01', 2, '100.64.0.0/16', '3002 10 20', '{"communities": ["10:1"]}'),			-- known, of another peer
    ('2021-03-02', '01:02', 3, '100.64.0.0/16', '3003 66', '{}'),						-- new origin
    ('2021-03-02', '01:03', 4, '100.64.0.0/16', '3004 66', '{}'),
    ('2021-03-02', '01:04', 1, '100.64.7.0/24', '3001 10 20', '{"communities": ["10:1", "10:2"]}'),		-- new more specific, new community
    ('2021-03-02', '01:05', 1, '100.65.0.0/16', '3001 10 21', '{"large_communities": ["10:1:2"]}'),		-- new covering prefix
    ('2021-03-02', '01:06', 1, '100.66.0.0/16', '3001 10 67', '{}'),					-- new prefix, new AS
    ('2021-03-02', '01:07', 1, '100.65.1.0/24', '3001 10 11 21', '{}'),
    ('2021-03-02', '02:01', 1, '100.74.0.0/16', '3001 30 (6501)', '{}'),		-- without origin, as with a confederation at its end
    ('2021-03-02', '02:02', 2, '100.74.0.0/16', '3002 30 69', '{}')) v (day, at, n, prefix, path, extra) \g /dev/null
-- a peer that has nothing before
SELECT bgp.ensure_peer('hunts', '198.18.0.9', 3009, '198.18.0.254', 64512, '2021-03-02') AS new_peer \gset
SELECT bgp.ensure_partition(:new_peer, '2021-03-02') \gset
INSERT INTO id VALUES (9, :new_peer);
SELECT pg_temp.put('01:08', 9, '100.64.0.0/16', '3009 99 98', '{"day": "2021-03-02", "communities": ["98:1"]}'),
    pg_temp.put('01:09', 9, '100.64.9.0/24', '3009 99 98', '{"day": "2021-03-02", "communities": ["98:1"]}') \g /dev/null

CREATE FUNCTION pg_temp.new_things(how text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT pg_temp.finds('new_origin', 1, '66 100.64.0.0/16 02:00 03:00 3003,3004 2 {"known_origins": [20]}', 'of a known prefix, ' || how, '', '2021-03-02');
	RETURN NEXT pg_temp.brief_is('first_seen', 1, '20 100.64.7.0/24, 21 100.65.0.0/16, 67 100.66.0.0/16', 'prefixes, ' || how, '', '2021-03-02');
	RETURN NEXT pg_temp.finds('first_seen', 1, '67 100.66.0.0/16 06:00 06:00 3001 1 {"new": "origin"}', 'origins, ' || how, ', what => $q$origin$q$', '2021-03-02');
	RETURN NEXT pg_temp.finds('sub_prefix', 1, '20 100.64.7.0/24 04:00 04:00 3001 1 {"covering": "100.64.0.0/16", "same_origin": true, "covering_origins": [20]}', 'inside a known one, ' || how, '', '2021-03-02');
	RETURN NEXT pg_temp.finds('super_prefix', 1, '21 100.65.0.0/16 05:00 05:00 3001 1 {"covered": 2, "examples": [{"prefix": "100.65.1.0/24", "origins": [21]}, {"prefix": "100.65.2.0/24", "origins": [22]}], '
	    '"same_origin": false}', 'around known ones, ' || how, '', '2021-03-02');
	RETURN NEXT pg_temp.finds('new_neighbor', 1, '11 100.65.1.0/24 07:00 07:00 3001 1 {"link": [11, 21], "to_origin": true}', 'of an origin, ' || how, ', asn => 21', '2021-03-02');
	RETURN NEXT is((SELECT string_agg(suspect || ' ' || (evidence->>'link') || ' ' || prefix, ', ' ORDER BY first_seen, suspect)
	    FROM hunt.new_link('2021-03-02 01:00', '2021-03-02 02:00') WHERE evidence->'link' @> '10' OR evidence->'link' @> '11'),
	    '10 [10, 67] 100.66.0.0/16, 10 [10, 11] 100.65.1.0/24, 11 [11, 21] 100.65.1.0/24', 'new_link: any pair, ' || how);
	RETURN NEXT is((SELECT string_agg(evidence->>'link', ', ' ORDER BY first_seen, suspect) FROM hunt.new_link('2021-03-02 02:00', '2021-03-02 03:00', asn => 30)),
	    '[30, 6501], [3001, 30], [30, 69], [3002, 30]', 'new_link: of paths with and without an origin, ' || how);
	RETURN NEXT pg_temp.finds('community_new', 1, concat_ws(E'\n', '10 100.64.7.0/24 04:00 04:00 3001 1 {"community": "10:2"}', '10 100.65.0.0/16 05:00 05:00 3001 1 {"community": "10:1:2"}'), how, '', '2021-03-02');
	RETURN NEXT pg_temp.brief_is('community_new', 1, '', 'of another AS, ' || how, ', asn => 11', '2021-03-02');
	RETURN NEXT pg_temp.brief_is('sub_prefix', 1, '20 100.64.7.0/24', 'within, ' || how, ', within => $q$100.64.7.0/24$q$', '2021-03-02');
	RETURN NEXT pg_temp.brief_is('sub_prefix', 1, '20 100.64.7.0/24', 'of an AS, ' || how, ', asn => 20', '2021-03-02');
	RETURN NEXT pg_temp.brief_is('super_prefix', 1, '21 100.65.0.0/16', 'around one, ' || how, ', within => $q$100.65.1.0/24$q$', '2021-03-02');
	RETURN NEXT pg_temp.brief_is('first_seen', 1, '67 100.66.0.0/16', 'of an AS, within, ' || how, ', asn => 67, within => $q$100.66.0.0/15$q$', '2021-03-02');
	RETURN NEXT pg_temp.brief_is('new_origin', 1, '66 100.64.0.0/16', 'of an AS, within, ' || how, ', asn => 66, within => $q$100.64.0.0/15$q$', '2021-03-02');
	RETURN NEXT pg_temp.brief_is('new_origin', 1, '', 'too few peers, ' || how, ', min_peers => 3', '2021-03-02');
END
$$;
SELECT pg_temp.new_things('by the log');
SELECT is(evidence->>'history', '1 day 01:00:00 of 14 days asked', 'history that is shorter than asked for is told') FROM hunt.new_origin('2021-03-02 01:00', '2021-03-02 02:00');
SELECT is(evidence->>'history', '12:00:00', 'and one that is long enough') FROM hunt.new_origin('2021-03-02 01:00', '2021-03-02 02:00', history => '12 hours');
SELECT throws_ok($$SELECT * FROM hunt.new_origin('2021-03-02', '2021-03-03', history => '0')$$, '22023', NULL, 'no history is not allowed');
SELECT throws_ok($$SELECT * FROM hunt.first_seen('2021-03-02', '2021-03-03', what => 'path')$$, '22023', NULL, 'first_seen of nothing that it knows');

SELECT set_eq($$SELECT day FROM hunt.summary_missing() day WHERE day BETWEEN '2021-03-01' AND '2021-03-02'$$, '{2021-03-01,2021-03-02}'::date[], 'two days have no summary');
SELECT ok(hunt.summarize('2021-03-01') > 0, 'the summary of a day');
SELECT set_eq($$SELECT day FROM hunt.summary_missing() day WHERE day BETWEEN '2021-03-01' AND '2021-03-02'$$, '{2021-03-02}'::date[], 'one is left');
SELECT is((SELECT array_agg(prefix || ' ' || origin_asn || ' ' || events || ' ' || cardinality(peer_ids) ORDER BY prefix) FROM hunt.day_origin WHERE prefix <<= '100.65.0.0/16'),
    '{100.65.1.0/24 21 1 1,100.65.2.0/24 22 1 1}', 'who originated what');
SELECT is((SELECT array_agg(asn1 || ' ' || asn2 || ' ' || to_origin ORDER BY asn2) FROM hunt.day_link WHERE asn1 = 10 AND asn2 IN (20, 22, 10)), '{10 20 true,10 22 true}', 'who stood beside whom');
SELECT is((SELECT array_agg(community ORDER BY community COLLATE "C") FROM hunt.day_community WHERE community LIKE '10:%'), '{10:1,10:1:1}', 'communities of both kinds');
SELECT pg_temp.new_things('by the summary');
SELECT is((SELECT string_agg(suspect || ' ' || prefix || ' ' || events || ' ' || peers::text, ', ' ORDER BY first_seen) FROM hunt.new_origin('2021-03-02', '2021-03-03')), '66 100.64.0.0/16 2 {3003,3004}', 'a whole day from the log');
SELECT ok(hunt.summarize('2021-03-02') > 0, 'the summary of the next');
SELECT is((SELECT string_agg(suspect || ' ' || prefix || ' ' || events || ' ' || peers::text, ', ' ORDER BY first_seen) FROM hunt.new_origin('2021-03-02', '2021-03-03')), '66 100.64.0.0/16 2 {3003,3004}', 'and from its summary');
SELECT ok(hunt.summary_source('origin', '2021-03-02', '2021-03-03', NULL, NULL, NULL) NOT LIKE '%route_event%', 'the log is not read then');

SAVEPOINT late;
SELECT pg_temp.put('01:30', 1, '100.67.0.0/16', '3001 10 68', '{"day": "2021-03-02", "communities": ["10:3"]}') \g /dev/null
-- (as the statistics say, which take note when a transaction ends)
UPDATE hunt.summary_day d SET inserted = inserted - 1 FROM id WHERE id.n = 1 AND (d.day, d.peer_id) = ('2021-03-02', id.peer_id);
SELECT is((SELECT count(*) FROM hunt.first_seen('2021-03-02', '2021-03-03') WHERE prefix = '100.67.0.0/16'), 1::bigint, 'first_seen: what came after the summary was made');
SELECT is((SELECT count(*) FROM hunt.first_seen('2021-03-02', '2021-03-03', within => '100.67.0.0/16')), 1::bigint, 'first_seen: within as well');
SELECT is((SELECT count(*) FROM hunt.new_link('2021-03-02', '2021-03-03', asn => 68)), 1::bigint, 'new_link: what came after the summary was made');
SELECT is((SELECT count(*) FROM hunt.community_new('2021-03-02', '2021-03-03') WHERE evidence->>'community' = '10:3'), 1::bigint, 'community_new: what came after the summary was made');
ROLLBACK TO late;

-- a late update
SELECT pg_temp.put('23:30', 1, '100.64.0.0/16', '3001 66') \g /dev/null
SELECT set_eq($$SELECT day FROM hunt.summary_missing(true) day WHERE day BETWEEN '2021-03-01' AND '2021-03-02'$$, '{2021-03-01}'::date[], 'a late update: the day is missing again, by counting');
SELECT ok(hunt.summarize('2021-03-01') > 0, 'made anew');
SELECT pg_temp.brief_is('new_origin', 1, '', 'what was late is known now', '', '2021-03-02');
SELECT is((SELECT count(*) FROM hunt.day_origin WHERE day = '2021-03-01' AND prefix = '100.64.0.0/16'), 2::bigint, 'each thing is there once');
SELECT throws_ok($$SELECT hunt.summarize((now() AT TIME ZONE 'UTC')::date)$$, '22023', NULL, 'not of a day that is not over');
SELECT set_eq($$SELECT name FROM hunt.summary_drop('2021-03-02') name$$, '{hunt.day_community_20210301,hunt.day_link_20210301,hunt.day_lost_20210301,hunt.day_origin_20210301}'::text[], 'dropped with retention');
SELECT is((SELECT array_agg(DISTINCT day) FROM hunt.summary_day WHERE day < '2021-03-03'), '{2021-03-02}', 'the register too');
SELECT pg_temp.brief_is('new_link', 1, '10 100.66.0.0/16', 'without the summary the log is read again', ', asn => 67', '2021-03-02');
SELECT count(*) FROM hunt.summary_drop('2021-03-03') \g /dev/null

-- --- what was there before, and what is different ----------------------------------------------------------------

SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES
    ('21:01', 1, '100.70.0.0/16', '3001 20'), ('21:02', 3, '100.70.0.0/16', '3003 20'), ('21:03', 1, '100.71.0.0/16', '3001 21'), ('21:03', 2, '100.71.2.0/24', '3002 21'),
    ('21:04', 1, '100.72.0.0/16', '3001 22'), ('21:05', 1, '100.73.0.0/16', '3001 23'),
    ('21:05', 1, '100.60.0.0/16', '3001 24'), ('22:15', 1, '100.60.0.0/16', '3001 10 24'), ('22:22', 1, '100.60.0.0/16', NULL),
    ('22:10', 2, '100.70.0.0/16', '3002 66'), ('22:20', 1, '100.70.0.0/16', '3001 66'),
    ('22:21', 1, '100.71.1.0/24', '3001 66'), ('22:22', 2, '100.71.2.0/24', NULL), ('22:23', 1, '100.73.0.0/16', '3001 10 23')) v (at, n, prefix, path) \g /dev/null
SELECT is((SELECT string_agg(suspect || ' ' || prefix || ' ' || to_char(first_seen, 'HH24:MI') || ' ' || peers::text || ' ' || events, ', ' ORDER BY first_seen)
    FROM hunt.moas('2021-03-01 22:00', '2021-03-01 23:00', within => '100.70.0.0/15')), '20 100.70.0.0/16 21:01 {3001,3003} 0, 66 100.70.0.0/16 22:10 {3001,3002} 2', 'moas: with routes that were there before');
SELECT is(count(*), 2::bigint, 'moas: of an AS as well') FROM hunt.moas('2021-03-01 22:00', '2021-03-01 23:00', asn => 66);
SELECT is(count(*), 0::bigint, 'moas: not without them') FROM hunt.moas('2021-03-01 22:00', '2021-03-01 23:00', within => '100.70.0.0/15', standing => false);
SELECT pg_temp.finds('origin_change', 22, '66 100.70.0.0/16 20:00 20:00 3001 1 {"from": [20]}', 'compared with the route before', $$, within => '100.70.0.0/15'$$);
SELECT pg_temp.brief_is('origin_change', 22, '66 100.70.0.0/16', 'of an AS', ', asn => 66');
SELECT pg_temp.brief_is('origin_change', 22, '', 'not without it', ', standing => false');
SELECT pg_temp.finds('sub_moas', 22, '66 100.71.1.0/24 21:00 21:00 3001 1 {"covering": "100.71.0.0/16", "covering_origins": [21]}', 'inside a route that was there before', $$, within => '100.71.1.0/24'$$);
SELECT pg_temp.brief_is('sub_moas', 22, '66 100.71.1.0/24', 'of an AS', ', asn => 66');
SELECT is((SELECT string_agg(suspect || ' ' || prefix || ' ' || peers::text || ' ' || (evidence->>'sessions'), ', ') FROM hunt.feed_disagreement('2021-03-01 22:00', '2021-03-01 23:00', within => '100.70.0.0/15')),
    '20 100.70.0.0/16 {3003} 1', 'feed_disagreement: who said nothing has what it had');
SELECT is((SELECT string_agg(suspect || ' ' || prefix || ' ' || peers::text || ' ' || (evidence->>'of'), ', ') FROM hunt.visibility_loss('2021-03-01 22:00', '2021-03-01 23:00', within => '100.71.0.0/16')),
    '21 100.71.2.0/24 {3002} 1', 'visibility_loss: the origin that it had before');
SELECT is(count(*), 0::bigint, 'short_lived: not what was there before') FROM hunt.short_lived('2021-03-01 22:00', '2021-03-01 23:00', '100.60.0.0/16');
SELECT is((SELECT evidence->>'longest' FROM hunt.short_lived('2021-03-01 22:00', '2021-03-01 23:00', '100.60.0.0/16', life => '2 hours')), '01:17:00', 'short_lived: counted from when it came');
SELECT is((SELECT string_agg(concat_ws(' ', suspect, prefix, peers::text, evidence), E'\n' ORDER BY prefix, peers) FROM hunt.rib_diff('2021-03-01 21:30', '2021-03-01 22:30', within => '100.64.0.0/12')), concat_ws(E'\n',
    '66 100.70.0.0/16 {3001} {"change": "origin", "path_after": "3001 66", "path_before": "3001 20", "origin_after": 66, "origin_before": 20}',
    '66 100.70.0.0/16 {3002} {"change": "added", "path_after": "3002 66", "origin_after": 66}',
    '66 100.71.1.0/24 {3001} {"change": "added", "path_after": "3001 66", "origin_after": 66}',
    '21 100.71.2.0/24 {3002} {"change": "removed", "path_before": "3002 21", "origin_before": 21}',
    '23 100.73.0.0/16 {3001} {"change": "path", "path_after": "3001 10 23", "path_before": "3001 23", "origin_after": 23, "origin_before": 23}'), 'rib_diff: added, removed, changed; what is the same is not there');
SELECT is((SELECT string_agg(prefix::text, ',') FROM hunt.rib_diff('2021-03-01 21:30', '2021-03-01 22:30', within => '100.64.0.0/12', asn => 21)), '100.71.2.0/24', 'rib_diff: of an AS');
SELECT is(count(*), 0::bigint, 'rib_diff: of the same moment') FROM hunt.rib_diff('2021-03-01 22:30', '2021-03-01 22:30', within => '100.64.0.0/12');

-- several paths of one peer (ADD-PATH): each has an origin of its own, and the peer has the prefix while it has one of them
SELECT pg_temp.put(at, 1, '100.90.0.0/16', path, jsonb_build_object('day', '2021-03-02', 'path_id', path_id)) FROM (VALUES
    ('06:01', 1, '3001 20'), ('06:02', 2, '3001 66'), ('06:03', 1, '3001 10 20'), ('06:04', 2, '3001 11 66'), ('06:05', 1, NULL)) v (at, path_id, path) \g /dev/null
SELECT is(count(*), 0::bigint, 'origin_change: several paths of a peer are no changes') FROM hunt.origin_change('2021-03-02 06:00', '2021-03-02 06:30', '100.90.0.0/16');
SELECT is(count(*), 0::bigint, 'visibility_loss: one of them is left') FROM hunt.visibility_loss('2021-03-02 06:00', '2021-03-02 06:30', '100.90.0.0/16');
SELECT is(count(*), 2::bigint, 'moas: they are two origins') FROM hunt.moas('2021-03-02 06:00', '2021-03-02 06:30', '100.90.0.0/16');
SELECT pg_temp.put('06:06', 1, '100.90.0.0/16', NULL, '{"day": "2021-03-02", "path_id": 2}') \g /dev/null
SELECT is(count(*), 1::bigint, 'visibility_loss: none is left') FROM hunt.visibility_loss('2021-03-02 06:00', '2021-03-02 06:30', '100.90.0.0/16');
SELECT is(count(*), 1::bigint, 'visibility_loss: nor of those before') FROM hunt.visibility_loss('2021-03-02 06:05', '2021-03-02 06:30', '100.90.0.0/16');
-- a peer that has had it by several paths (ADD-PATH) is one session, also where suspects are found by index
SELECT pg_temp.put('06:10', 1, '100.91.0.0/16', NULL, '{"day": "2021-03-02"}') \g /dev/null
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, origin_asn, peer_id, prefix, qualifier)
SELECT '2021-03-01 17:00', '2021-03-01 17:00', '2021-03-01 17:00', 1, 0, n, 20, (SELECT peer_id FROM id i WHERE i.n = 4), '100.91.0.0/16', '' FROM generate_series(1, 3) n;
SELECT is((SELECT string_agg(concat_ws(' ', suspect, peers, evidence->'lost', evidence->'of'), ', ') FROM hunt.visibility_loss('2021-03-02', '2021-03-03') WHERE prefix = '100.91.0.0/16'),
    '20 {3001} 1 2', 'visibility_loss: several paths of a session count once');
DELETE FROM bgp.rib_entry WHERE prefix = '100.91.0.0/16';
DELETE FROM bgp.route_event WHERE prefix = '100.91.0.0/16';

-- the origins of what covers a prefix are sorted, however they were found
SELECT pg_temp.put('07:01', 1, '100.95.0.0/16', '3001 ' || 30 + n * 7 % 12, '{"day": "2021-03-02"}') FROM generate_series(0, 11) n \g /dev/null
SELECT pg_temp.put('07:02', 2, '100.95.1.0/24', '3002 66', '{"day": "2021-03-02"}') \g /dev/null
SET LOCAL enable_sort = off;
SELECT is(evidence->'covering_origins', '[30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41]', 'sub_moas: the covering origins, sorted')
FROM hunt.sub_moas('2021-03-02 07:00', '2021-03-02 07:30', '100.95.0.0/16');
RESET enable_sort;
DELETE FROM bgp.route_event WHERE prefix <<= '100.95.0.0/16';

-- more prefixes than are put into a query one by one
SELECT pg_temp.put(at, n, set_masklen(inet '100.80.0.0' + i * 256, 24)::cidr, path, '{"day": "2021-03-02"}') FROM generate_series(0, 59) i,
    (VALUES ('05:01', 1, '3001 20'), ('05:02', 1, '3001 66'), ('05:03', 1, NULL), ('05:04', 2, '3002 20'), ('05:05', 2, NULL)) v (at, n, path) \g /dev/null
SELECT pg_temp.put('05:00', 1, '100.80.0.0/16', '3001 10', '{"day": "2021-03-02"}') \g /dev/null
SELECT results_eq(format($$SELECT %L, count(*), count(DISTINCT prefix), min(peers_count), max(peers_count) FROM hunt.%1$I('2021-03-02 05:00', '2021-03-02 06:00') h WHERE prefix <<= '100.80.0.0/16'$$, hunt),
    format($$SELECT %L, %s::bigint, 60::bigint, %s, %s$$, hunt, n, least, most), hunt || ': of many prefixes')
FROM (VALUES ('moas', 120, 1, 2), ('sub_moas', 120, 1, 2), ('origin_change', 60, 1, 1), ('short_lived', 120, 1, 2), ('visibility_loss', 60, 2, 2)) v (hunt, n, least, most);
SELECT is(count(*), 60::bigint, 'flaps: of many prefixes of an AS') FROM hunt.flaps('2021-03-02 05:00', '2021-03-02 06:00', asn => 20, times => 1);
INSERT INTO hunt.vrp (prefix, max_length, asn) VALUES ('100.80.0.0/16', 16, 10);
SELECT is(count(*), 120::bigint, 'rpki_invalid: of many prefixes') FROM hunt.rpki_invalid('2021-03-02 05:00', '2021-03-02 06:00');

-- --- all of them ------------------------------------------------------------------------------------------------

SELECT set_eq($$SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'hunt'::regnamespace AND p.proargnames @> '{since,until,min_peers,suspect,evidence}'$$,
    string_to_array('moas sub_moas origin_change new_origin sub_prefix super_prefix new_neighbor new_link path_pattern prepend_anomaly rpki_invalid bogon_prefix '
	'bogon_asn path_loop valley tier1_leak otc_leak blackhole no_export_leak community_new visibility_loss origin_outage flaps table_jump silent_peer short_lived '
	'first_seen feed_disagreement rib_diff', ' '), 'the hunts');
SELECT is(count(*) || ' ' || bool_and(description <> '' AND arguments LIKE 'since timestamp with time zone, until timestamp with time zone, %'), '29 true', 'hunt.hunts lists them')
FROM hunt.hunts;
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'hunt'::regnamespace AND p.proargnames @> '{since,until,min_peers,suspect,evidence}'
    AND (obj_description(p.oid) NOT LIKE '%evidence: %' OR p.prosecdef OR p.provolatile <> 's'
	OR pg_get_function_result(p.oid) <> 'TABLE(suspect bigint, prefix cidr, first_seen timestamp with time zone, last_seen timestamp with time zone, peers bigint[], '
	    'peers_count integer, events bigint, evidence jsonb)')$$, 'each of them says what its evidence is, runs as who asks, and returns the same columns');

SELECT is(string_agg(prefix::text, ', '), '202.0.0.0/7', 'super_prefix: within: what was known around it is not new') FROM hunt.super_prefix('2021-03-01 02:30', '2021-03-01 22:40', within => '203.0.113.0/24');
SELECT is(peers, '{}', 'bogon_asn: not on the session of the peer itself') FROM hunt.bogon_asn('2021-03-01', '2021-03-02', within => '203.0.113.0/24') WHERE suspect = 3004;
SELECT is(events, 11::bigint, 'new_neighbor: all updates with the link count') FROM hunt.new_neighbor('2021-03-01 02:30', '2021-03-01 22:40', asn => 20) WHERE suspect = 3003;
SELECT is(count(*), 0::bigint, 'flaps: a number that is not known') FROM hunt.flaps('2021-03-01', '2021-03-02', times => NULL);
-- an AS that is quiet in the range: what it had before is its own all the same
SAVEPOINT quiet;
SELECT pg_temp.put(at, n, prefix::cidr, path) FROM (VALUES ('21:10', 1, '100.92.0.0/16', '3001 20'), ('21:10', 2, '100.92.0.0/16', '3002 20'), ('21:10', 3, '100.92.0.0/16', '3003 20'),
    ('21:11', 1, '100.92.128.0/17', '3001 20')) v (at, n, prefix, path) \g /dev/null
SELECT pg_temp.put('21:20', n, format('100.93.%s.0/24', i)::cidr, format('300%s 70', n)) FROM generate_series(1, 3) n, generate_series(1, 3) i \g /dev/null
SELECT pg_temp.put('09:10', 4, '100.92.0.0/16', '3004 66', '{"day": "2021-03-02"}'), pg_temp.put('09:11', 1, '100.92.0.0/16', '3001 66', '{"day": "2021-03-02"}') \g /dev/null
SELECT pg_temp.put('09:20', n, format('100.93.%s.0/24', i)::cidr, NULL, '{"day": "2021-03-02"}') FROM generate_series(1, 3) n, generate_series(1, 3) i \g /dev/null
SELECT is((SELECT string_agg(suspect || ' ' || prefix || ' ' || peers::text, ', ' ORDER BY suspect) FROM hunt.moas('2021-03-02 09:00', '2021-03-02 10:00', asn => a)),
    '20 100.92.0.0/16 {3001,3002,3003}, 66 100.92.0.0/16 {3001,3004}', 'moas: of AS' || a || ', one of them quiet') FROM unnest('{20,66}'::bigint[]) a;
SELECT is(count(*), 0::bigint, 'moas: not what it only had before') FROM hunt.moas('2021-03-02 09:00', '2021-03-02 10:00', asn => 20, standing => false);
SELECT pg_temp.finds('origin_change', 9, '66 100.92.0.0/16 11:00 11:00 3001 1 {"from": [20]}', 'of AS' || a || ', one of them quiet', ', asn => ' || a, '2021-03-02') FROM unnest('{20,66}'::bigint[]) a;
SELECT is((SELECT string_agg(suspect || ' ' || prefix, ', ' ORDER BY suspect) FROM hunt.feed_disagreement('2021-03-02 09:00', '2021-03-02 10:00', asn => a) WHERE prefix = '100.92.0.0/16'), '66 100.92.0.0/16',
    'feed_disagreement: of AS' || a || ', one of them quiet') FROM unnest('{20,66}'::bigint[]) a;
SELECT is((SELECT string_agg(suspect || ' ' || prefix, ', ' ORDER BY prefix) FROM hunt.visibility_loss('2021-03-02 09:00', '2021-03-02 10:00', asn => 70)), '70 100.93.1.0/24, 70 100.93.2.0/24, 70 100.93.3.0/24',
    'visibility_loss: of an AS that was only withdrawn');
SELECT is((SELECT string_agg(suspect || ' ' || (evidence->>'lost') || '/' || (evidence->>'of'), ', ') FROM hunt.origin_outage('2021-03-02 09:00', '2021-03-02 10:00', asn => a, standing => st) WHERE suspect = 70), '70 3/3',
    format('origin_outage: of an AS that was only withdrawn, asn %s, standing %s', a, st)) FROM unnest('{NULL,70}'::bigint[]) a, unnest('{NULL,true,false}'::boolean[]) st;
SELECT is(count(*), 0::bigint, 'origin_outage: half of the prefixes is not enough') FROM hunt.origin_outage('2021-03-02 09:00', '2021-03-02 10:00', within => '100.93.0.0/22', min_prefixes => 4);
-- what it had had before and no more, or had in another family, is not its own
SELECT pg_temp.put(at, n, prefix::cidr, path, extra::jsonb) FROM (VALUES ('21:30', 1, '100.96.0.0/16', '3001 20', '{}'), ('21:31', 1, '100.96.0.0/16', NULL, '{}'),
    ('21:32', 2, '100.97.0.0/16', '3002 20', '{"family": "ipv4 multicast"}'), ('21:32', 2, '100.98.0.0/16', '3002 20', '{"family": "ipv4 mpls-vpn", "rd": "1:1"}')) v (at, n, prefix, path, extra) \g /dev/null
SELECT pg_temp.put('09:30', n, format('100.%s.0.0/16', i)::cidr, format('300%s %s', n, 80 + n), '{"day": "2021-03-02"}') FROM generate_series(1, 2) n, generate_series(96, 98) i \g /dev/null
SELECT pg_temp.put('09:31', 2, format('100.%s.0.0/16', i)::cidr, NULL, '{"day": "2021-03-02"}') FROM generate_series(96, 98) i \g /dev/null
SELECT is(count(*), 0::bigint, 'moas: of an AS: not what it had once, or in another family') FROM hunt.moas('2021-03-02 09:00', '2021-03-02 10:00', asn => 20) WHERE prefix <> '100.92.0.0/16';
SELECT is(count(*), 0::bigint, 'visibility_loss: of an AS: not what it had once, or in another family') FROM hunt.visibility_loss('2021-03-02 09:00', '2021-03-02 10:00', asn => 20);
SELECT pg_temp.put('21:33', n, format('100.93.%s.0/24', i)::cidr, format('300%s 99', n), '{"family": "ipv4 multicast"}') FROM generate_series(1, 3) n, generate_series(1, 3) i \g /dev/null
SELECT is((SELECT string_agg(suspect::text, ',') FROM hunt.origin_outage('2021-03-02 09:00', '2021-03-02 10:00') WHERE suspect <> 82), '70', 'origin_outage: the origin in this family');
-- within, also if nobody says anything in the range
SELECT is((SELECT string_agg(suspect::text, ',' ORDER BY suspect) FROM hunt.moas('2021-03-02 11:00', '2021-03-02 12:00', within => '100.92.0.0/16', asn => a)), '20,66', 'moas: within and of AS' || a || ', all of it quiet') FROM unnest('{20,66}'::bigint[]) a;
-- the first moment of the range belongs to it, and not to what was before
SELECT pg_temp.put('00:00', 1, '100.92.128.0/17', '3001 67', '{"day": "2021-03-02"}') \g /dev/null
SELECT is((SELECT string_agg(suspect::text || (evidence->>'from'), ',') FROM hunt.origin_change(since, '2021-03-02 00:10', within => '100.92.128.0/17')), '67[20]', 'origin_change: at the very beginning of the range')
FROM unnest('{2021-03-02,2021-03-01 23:59:59.999999}'::timestamptz[]) since;
SELECT count(bgp.rib_base_leaf('2021-03-02')), count(bgp.rib_base_write(peer_id, '2021-03-02')) FROM id \g /dev/null
SELECT is((SELECT string_agg(suspect::text || (evidence->>'from'), ',') FROM hunt.origin_change('2021-03-02', '2021-03-02 00:10', within => '100.92.128.0/17')), '67[20]', 'origin_change: at the very beginning of a day that has a base state');
SELECT is(bgp.rib_base_find(peer_id, t), d::date, 'the base state of a day is what there was before it') FROM id, (VALUES ('2021-03-01 23:59:59.999998'::timestamptz, NULL), ('2021-03-01 23:59:59.999999', '2021-03-02'), ('2021-03-02', '2021-03-02')) v (t, d) WHERE n = 1;
SELECT is(count(*), 0::bigint, 'origin_change: of all time') FROM hunt.origin_change('-infinity', 'infinity', within => '100.93.0.0/16');
SELECT lives_ok($$SELECT * FROM hunt.origin_change('-infinity', 'infinity')$$, 'origin_change: of all time, and everything');
ROLLBACK TO quiet;
-- each AS that comes again on a path
SAVEPOINT loops;
SELECT pg_temp.put('10:10', 1, '100.94.0.0/16', '3001 2 7 2 4 5 4 9', '{"day": "2021-03-02"}') \g /dev/null
SELECT pg_temp.finds('path_loop', 10, E'2 100.94.0.0/16 10:00 10:00 3001 1 {"as_path": "3001 2 7 2 4 5 4 9", "between": [7]}\n4 100.94.0.0/16 10:00 10:00 3001 1 {"as_path": "3001 2 7 2 4 5 4 9", "between": [5]}', 'two of them', '', '2021-03-02');
SELECT pg_temp.brief_is('path_loop', 10, a || ' 100.94.0.0/16', 'either', ', asn => ' || a, '2021-03-02') FROM unnest('{2,4}'::bigint[]) a;
-- the index on path does not know of confederations
UPDATE bgp.route_event SET as_path = '(65001 65002) 3001 9', path = '{3001,9}' WHERE prefix = '100.94.0.0/16';
SELECT pg_temp.brief_is('path_pattern', 10, '9 100.94.0.0/16', 'a member of a confederation, parts of ASNs: ' || pattern, format(', pattern => %L', pattern), '2021-03-02') FROM unnest('{_65001_,_(65001)_,_3001_9$,5001,9,001_9}'::text[]) pattern;
-- an announcement without an origin ends nothing; who announced nothing in the range is not among the short-lived
SELECT pg_temp.put('10:20', 2, '100.94.1.0/24', '3002 20', '{"day": "2021-03-02"}'), pg_temp.put('10:25', 2, '100.94.1.0/24', '3002 {20,21}', '{"day": "2021-03-02"}') \g /dev/null
SELECT is((SELECT count(*) FROM hunt.short_lived('2021-03-02 10:00', '2021-03-02 11:00', asn => a) WHERE prefix = '100.94.1.0/24'), 0::bigint, 'short_lived: still there, without an origin; asn ' || coalesce(a::text, '-')) FROM unnest('{NULL,20}'::bigint[]) a;
SELECT pg_temp.put('10:30', 2, '100.94.1.0/24', NULL, '{"day": "2021-03-02"}') \g /dev/null
SELECT is((SELECT string_agg(suspect || ' ' || (evidence->>'longest'), ',') FROM hunt.short_lived('2021-03-02 10:00', '2021-03-02 11:00', asn => a) WHERE prefix = '100.94.1.0/24'), '20 00:10:00', 'short_lived: until it was withdrawn; asn ' || coalesce(a::text, '-')) FROM unnest('{NULL,20}'::bigint[]) a;
SELECT is((SELECT string_agg(suspect::text, ',') FROM hunt.short_lived('2021-03-02 10:22', '2021-03-02 11:00', within => '100.94.1.0/24')), NULL, 'short_lived: announced before the range only');
SELECT pg_temp.put('10:40', 2, '100.94.2.0/24', '3002 20', '{"day": "2021-03-02"}'), pg_temp.put('10:45', 2, '100.94.2.0/24', NULL, '{"day": "2021-03-02"}'), pg_temp.put('10:50', 2, '100.94.2.0/24', '3002 {20,21}', '{"day": "2021-03-02"}') \g /dev/null
SELECT is((SELECT string_agg(suspect || ' ' || (evidence->>'longest'), ',') FROM hunt.short_lived('2021-03-02 10:00', '2021-03-02 11:00', asn => a) WHERE prefix = '100.94.2.0/24'), '20 00:05:00', 'short_lived: then came one without an origin; asn ' || coalesce(a::text, '-')) FROM unnest('{NULL,20}'::bigint[]) a;
ROLLBACK TO loops;
-- whole days by the indexes of leafs alone, and by reading all of them: the same is found
CREATE FUNCTION pg_temp.whole(hunt text, since timestamptz, part int, until timestamptz DEFAULT '2021-03-03', more text DEFAULT '') RETURNS text LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
	result	text;
BEGIN
	EXECUTE format('CREATE OR REPLACE FUNCTION hunt.part_of_day() RETURNS int LANGUAGE sql IMMUTABLE AS %L', 'SELECT ' || $3);
	EXECUTE format($q$SELECT string_agg(r::text, E'\n' ORDER BY r::text) FROM hunt.%I(%L, %L %s) r$q$, $1, $2, $4,
	    CASE $1 WHEN 'path_pattern' THEN ', $p$_66_$p$' WHEN 'flaps' THEN ', times => 2' WHEN 'prepend_anomaly' THEN ', times => 3' ELSE '' END || $5) INTO result;
	RETURN coalesce(result, '');
END
$$;
SELECT is(pg_temp.whole(hunt, since, 8), pg_temp.whole(hunt, since, 0), hunt || ': whole days since ' || since) FROM hunt.hunts, unnest('{2021-03-01,2021-03-02}'::date[]) since;
SELECT is((SELECT count(DISTINCT hunt) FROM hunt.hunts, unnest('{2021-03-01,2021-03-02}'::date[]) since WHERE pg_temp.whole(hunt, since, 8) <> '') > 20, true,
    'most of them find something');
-- what is asked of an AS is what is found of all
CREATE FUNCTION pg_temp.of_each(since timestamptz, until timestamptz, why text) RETURNS SETOF text LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
	hunt	text;
	more	text;
	asns	text;
	one	bigint;
	wanted	text;
	found	text;
	n	int;
BEGIN
	FOR hunt, more, asns IN VALUES
	    ('prepend_anomaly', ', times => 3', 'ARRAY[r.suspect]'), ('path_loop', '', 'ARRAY[r.suspect]'), ('bogon_asn', '', 'ARRAY[r.suspect]'), ('valley', '', 'ARRAY[r.suspect]'),
	    ('tier1_leak', '', 'ARRAY[r.suspect]'), ('otc_leak', '', 'ARRAY[r.suspect]'), ('no_export_leak', '', 'ARRAY[r.suspect]'), ('community_new', '', 'ARRAY[r.suspect]'),
	    ('silent_peer', '', 'ARRAY[r.suspect]'), ('bogon_prefix', '', 'ARRAY[r.suspect]'), ('rpki_invalid', '', 'ARRAY[r.suspect]'), ('origin_outage', ', percent => 50', 'ARRAY[r.suspect]'),
	    ('new_link', '', $q$ARRAY(SELECT a::bigint FROM jsonb_array_elements_text(r.evidence->'link') a)$q$), ('new_neighbor', '', $q$ARRAY[(r.evidence->'link'->>1)::bigint]$q$),
	    ('rib_diff', '', $q$array_remove(ARRAY[(r.evidence->>'origin_before')::bigint, (r.evidence->>'origin_after')::bigint], NULL)$q$) LOOP
		n := 0;
		FOR one IN EXECUTE format('SELECT DISTINCT a FROM hunt.%I(%L, %L %s) r, unnest(%s) a WHERE a IS NOT NULL ORDER BY a', hunt, since, until, more, asns) LOOP
			n := n + 1;
			EXECUTE format('SELECT string_agg(r::text, E''\n'' ORDER BY r::text) FROM hunt.%I(%L, %L %s) r WHERE %s = ANY (%s)', hunt, since, until, more, one, asns) INTO wanted;
			EXECUTE format('SELECT string_agg(r::text, E''\n'' ORDER BY r::text) FROM hunt.%I(%L, %L, asn => %s %s) r', hunt, since, until, one, more) INTO found;
			IF found IS DISTINCT FROM wanted THEN
				RETURN NEXT is(found, wanted, format('%s: of AS%s, %s', hunt, one, why));
			END IF;
		END LOOP;
		RETURN NEXT ok(true, format('%s: of each of %s ASes, %s', hunt, n, why));
	END LOOP;
END
$$;
SELECT pg_temp.of_each(since, until, format('%s to %s', since, until)) FROM (VALUES ('2021-03-01'::date, '2021-03-02'::date), ('2021-03-02', '2021-03-03'), ('2021-03-01', '2021-03-03')) r (since, until);
SELECT pg_temp.of_each('2021-03-02 01:00', '2021-03-02 03:00', 'part of a day');

SAVEPOINT communities;
SELECT pg_temp.put(at, n, '203.0.113.0/24', path, extra::jsonb) FROM (VALUES
    ('03:10', 1, '3001 20', '{"communities": ["64:1"]}'),
    ('03:00', 1, '3001 20', '{"day": "2021-03-02", "communities": ["64:1", "64:2", "6:9"], "large_communities": ["200050:1:2"]}'),
    ('03:05', 2, '3002 20', '{"day": "2021-03-02", "large_communities": ["64:1:1"]}'),
    ('03:06', 2, '3002 {20,21}', '{"day": "2021-03-02", "large_communities": ["64:1:1"]}'),
    ('03:07', 2, '3002 20', '{"day": "2021-03-02", "large_communities": ["64:1:1"]}')) v (at, n, path, extra) \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', h.evidence->>'community', h.events), ', ' ORDER BY h.first_seen, h.evidence->>'community') FROM hunt.community_new('2021-03-02', '2021-03-03', asn => a) h), wanted,
    'community_new: of AS' || a)
FROM (VALUES (64, '64:2 1, 64:1:1 3'), (6, '6:9 1'), (200050, '200050:1:2 1'), (20005, NULL), (1, NULL)) v (a, wanted);
ROLLBACK TO communities;
-- a day is 24 hours, when the clocks are put back too, and a month 30 days
SAVEPOINT clocks;
SELECT count(bgp.ensure_partition(peer_id, d)) FROM id, unnest('{2021-10-01,2021-10-30,2021-10-31}'::date[]) d WHERE n IN (1, 2) \gset
SELECT pg_temp.put(at, n, '203.0.113.0/24', '3001 20', jsonb_build_object('day', day)) FROM (VALUES
    ('2021-10-30', '12:00', 1), ('2021-10-31', '12:30', 1), ('2021-10-01', '00:00', 2), ('2021-10-31', '12:00', 2)) v (day, at, n) \g /dev/null
SET LOCAL timezone = 'Europe/Berlin';
SELECT is((SELECT string_agg(h.suspect || ' ' || (h.evidence->>'silent_for'), ', ') FROM hunt.silent_peer(CASE n WHEN 1 THEN '2021-10-30 12:00+00' ELSE '2021-10-01 00:00+00' END::timestamptz, '2021-10-31 12:30:01+00', 3000 + n, quiet => q) h), wanted,
    'silent_peer: for ' || q) FROM (VALUES (1, '1 day'::interval, '3001 1 day 00:30:00'), (1, '24:30', '3001 1 day 00:30:00'), (1, '24:30:01', NULL),
    (2, '1 mon', '3002 30 days 12:00:00'), (2, '30 days 12:00', '3002 30 days 12:00:00'), (2, '1 mon 12:00:01', NULL)) v (n, q, wanted);
ROLLBACK TO clocks;
-- whether announcements are new or repeated tells at a glance who was not silent, and nothing else
CREATE FUNCTION pg_temp.silent() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', q, a, s::text, h::text), E'\n' ORDER BY q, a, s, h::text)
	FROM unnest('{2 s,50 s,5 min,29 min,30 min,31 min,3 h}'::interval[]) q, unnest('{NULL,3001,3004}'::bigint[]) a, unnest('{-infinity,2021-03-01,2021-03-01 20:00}'::timestamptz[]) s,
	    LATERAL hunt.silent_peer(s, '2021-03-02 00:30', a, ARRAY(SELECT peer_id FROM id), q) h
$$;
SELECT pg_temp.silent() AS silent \gset
SELECT isnt(:'silent'::text, '', 'silent_peer: finds');
SAVEPOINT repeated;
UPDATE bgp.route_event SET repeated = true WHERE kind = 'A';
SELECT is(pg_temp.silent(), :'silent', 'silent_peer: all repeats what was there');
UPDATE bgp.route_event SET repeated = NULL;
SELECT is(pg_temp.silent(), :'silent', 'silent_peer: all is new');
UPDATE bgp.route_event SET repeated = CASE WHEN random() < 0.9 THEN true END WHERE kind = 'A';
SELECT is(pg_temp.silent(), :'silent', 'silent_peer: a tenth is new');
ROLLBACK TO repeated;

-- and by summaries
CREATE TEMP TABLE by_log AS
SELECT h.hunt, r.since, r.until, m.more, pg_temp.whole(h.hunt, r.since, 8, r.until, m.more) AS found
FROM hunt.hunts h, (VALUES ('2021-03-01'::date, '2021-03-02'::date), ('2021-03-02', '2021-03-03'), ('2021-03-01', '2021-03-03')) r (since, until),
    (VALUES ('', ''), (', family => $f$ipv4 unicast$f$', 'family'), (', family => $f$ipv6 unicast$f$', 'family'), (', percent => 1', 'percent'), (', percent => 100', 'percent')) m (more, argument)
WHERE h.arguments ~ m.argument;
SELECT count(hunt.summarize(d)) FROM unnest('{2021-03-01,2021-03-02}'::date[]) d \g /dev/null
SELECT is(hunt.summarized('lost', '2021-03-01', '2021-03-03', NULL), '{2021-03-01,2021-03-02}', 'both days are in summaries');
SELECT is(hunt.summarized('lost', '2021-03-01', '2021-03-02 12:00', NULL), NULL, 'part of a day is not');
SELECT is(hunt.summarized('lost', '2021-03-01', '2021-03-02', '{1}'), NULL, 'nor what some peers said');
SELECT is(pg_temp.whole(hunt, since, 8, until, more), found, format('%s: %s to %s%s by summaries', hunt, since, until, more)) FROM by_log;
SELECT ok((SELECT count(*) FROM by_log WHERE hunt IN ('visibility_loss', 'short_lived', 'origin_outage') AND found <> '') > 10, 'most of what is lost is found');
SELECT pg_temp.of_each('2021-03-01', '2021-03-03', 'by summaries');
SELECT pg_temp.of_each('2021-03-02', '2021-03-03', 'a day by summaries');
UPDATE hunt.summary_day SET bytes = bytes + 1 WHERE day = '2021-03-01' AND peer_id = (SELECT peer_id FROM id WHERE n = 1);
SELECT is(hunt.summarized('origin', '2021-03-01', '2021-03-03', NULL), NULL, 'a leaf is not what it was: the log is read');
SELECT count(*) FROM hunt.summary_drop('2021-03-03') \g /dev/null

-- a range that reaches into the last day of the log: bgp.rib tells what is back, as far as it follows
SELECT count(bgp.ensure_partition(peer_id, '2021-03-03')), count(bgp.rib_entry_create(peer_id)) FROM id WHERE n < 5 \g /dev/null
SELECT setseed(0.5) \g /dev/null
INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path_id, origin_asn, path)
SELECT e.ts, nextval('pg_temp.seq'), i.peer_id, e.kind, e.prefix, CASE WHEN e.n = 2 THEN e.path_id END, CASE e.kind WHEN 'A' THEN e.asn END, CASE e.kind WHEN 'A' THEN ARRAY[3000 + e.n, e.asn] END
FROM (SELECT '2021-03-03'::timestamptz + make_interval(mins => g * 2 / 3) AS ts, 1 + (random() * 3)::int AS n, CASE WHEN random() < 0.4 THEN 'W' ELSE 'A' END::"char" AS kind, 1 + (random())::int AS path_id,
	set_masklen(inet '100.96.0.0' + (power(random(), 2) * 200)::int * 256, 24)::cidr AS prefix, 20 + (random() * 1.2)::int AS asn FROM generate_series(0, 2159) g) e
JOIN id i ON i.n = e.n ORDER BY e.ts;
-- and some that are back in the same microsecond
INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path_id, origin_asn, path)
SELECT e.ts, nextval('pg_temp.seq'), e.peer_id, 'A', e.prefix, e.path_id, 20, ARRAY[3001, 20] FROM bgp.route_event e WHERE e.ts >= '2021-03-03' AND e.kind = 'W' AND e.seq % 5 = 0;
CREATE FUNCTION pg_temp.follow(from_ts timestamptz, to_ts timestamptz) RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(bgp.rib_apply(i.peer_id, -1, currval('pg_temp.seq'), $1, $2 - interval '1 microsecond')) FROM id i WHERE i.n < 5
$$;
CREATE FUNCTION pg_temp.compare(why text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT is(pg_temp.whole(h, r.since, 8, r.until, m), pg_temp.whole(h, r.since, 0, r.until, m), format('%s%s: %s to %s, %s', h, m, r.since, r.until, $1))
	FROM unnest('{visibility_loss,origin_outage,short_lived}'::text[]) h,
	    (VALUES ('2021-03-03'::timestamptz, '2021-03-04'::timestamptz), ('2021-03-03 06:00', 'infinity'), ('-infinity', 'infinity'), ('2021-03-02 12:00', '2021-03-03 15:00'), ('2021-03-02', '2021-03-03')) r (since, until),
	    unnest('{"",", percent => 1",", percent => 100",", percent => 0",", percent => NULL",", peer_ids => (SELECT array_agg(peer_id) FROM id WHERE n > 2)",", family => $f$ipv6 unicast$f$"}'::text[]) m
	WHERE h <> 'short_lived' OR m !~ 'percent'
$$;
SELECT pg_temp.compare('by a table that does not follow');
SELECT pg_temp.follow('2021-03-03', '2021-03-03 13:00') \g /dev/null
SELECT pg_temp.compare('by a table that follows to noon');
SELECT pg_temp.follow('2021-03-03 13:00', '2021-03-04') \g /dev/null
SELECT pg_temp.compare('by a table that follows');
SAVEPOINT down;
UPDATE bgp.peer SET stale_since = '2021-03-03 20:00' WHERE peer_id = (SELECT peer_id FROM id WHERE n = 1);
DELETE FROM bgp.rib_entry WHERE peer_id = (SELECT peer_id FROM id WHERE n = 3);
SELECT pg_temp.compare('by a table of which a part is uncertain and a session went down');
ROLLBACK TO down;
SELECT isnt(pg_temp.whole(h, '2021-03-03', 8, '2021-03-04', m), '', h || ' finds something that day')
FROM (VALUES ('visibility_loss', ''), ('origin_outage', ', percent => 1'), ('short_lived', '')) v (h, m);
SELECT ok(cardinality(hunt.gone('2021-03-03', '2021-03-04', NULL, NULL, 50, false)) < 0.8 * (SELECT count(DISTINCT prefix) FROM bgp.route_event WHERE ts >= '2021-03-03' AND kind = 'W'),
    'not all that was withdrawn is looked at more closely');
SELECT is(hunt.gone('2021-03-02', '2021-03-03', NULL, NULL, 50, false), NULL, 'another day is not found so');
-- a session of which bgp.rib does not show yet that it went down: it did not have the route when the range began
SAVEPOINT standing;
SELECT pg_temp.put('01:00', n, '100.97.0.0/24', 3000 + n || ' 20', '{"day": "2021-03-02"}') FROM generate_series(1, 2) n \g /dev/null
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, origin_asn, peer_id, prefix, qualifier)
SELECT '2021-03-02 01:00', '2021-03-02 01:00', '2021-03-02 01:00', 1, 0, -1, 20, i.peer_id, '100.97.0.0/24', '' FROM id i WHERE i.n < 3;
INSERT INTO bgp.session_log (ts, seq, peer_id, collector, event) SELECT '2021-03-02 20:00', nextval('pg_temp.seq'), i.peer_id, 'hunts', 'down' FROM id i WHERE i.n = 2;
SELECT pg_temp.put('08:00', 1, '100.97.0.0/24', NULL, '{"day": "2021-03-03"}') \g /dev/null
SELECT pg_temp.whole('flaps', '2021-03-03', 8) \g /dev/null
SELECT is((SELECT string_agg(evidence->>'lost' || ' of ' || (evidence->>'of'), ', ')
    FROM hunt.visibility_loss(since, '2021-03-03 23:00', percent => 60, standing => true) WHERE prefix = '100.97.0.0/24'), '1 of 1', 'visibility_loss: standing, since ' || since)
FROM unnest('{2021-03-03,2021-03-03 06:00}'::timestamptz[]) since;
ROLLBACK TO standing;
SAVEPOINT ahead;
SELECT count(bgp.ensure_partition(peer_id, (now() AT TIME ZONE 'UTC')::date + d)) FROM id, generate_series(0, 2) d WHERE n = 1 \g /dev/null
SELECT isnt(hunt.gone(date_trunc('day', now()), 'infinity', NULL, NULL, 50, false), NULL, 'today is the last day, whatever is prepared for the next');
SELECT is(hunt.gone('2021-03-03', '2021-03-04', NULL, NULL, 50, false), NULL, 'and an earlier one is not');
ROLLBACK TO ahead;

-- as an analyst with settings of their own
CREATE FUNCTION pg_temp.as_reader() RETURNS SETOF text LANGUAGE plpgsql SET timezone = 'Pacific/Auckland' SET datestyle = 'German, DMY' SET intervalstyle = 'iso_8601'
SET search_path = pg_temp, public AS $$
DECLARE
	name	text;
	found	int;
BEGIN
	PERFORM bgp.rib_base_write(i.peer_id, '2021-03-02') FROM id i WHERE i.n = 1;
	SET LOCAL ROLE exabgp_pg_reader;
	FOR name IN SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'hunt'::regnamespace
	    AND p.proargnames @> '{since,until,min_peers,suspect,evidence}' ORDER BY 1 LOOP
		EXECUTE pg_catalog.format('SELECT count(*) FROM hunt.%I(%L, %L %s)', name, '02.03.2021 13:00:00 NZDT'::timestamptz, '03.03.2021 13:00:00 NZDT'::timestamptz,
		    CASE name WHEN 'path_pattern' THEN ', $q$_66_$q$' ELSE '' END) INTO found;
		RETURN NEXT name || CASE WHEN found > 0 THEN ' finds' ELSE ' ran' END;
		EXECUTE pg_catalog.format('SELECT count(*) FROM hunt.%I(%L, %L, asn => 3001 %s)', name, '02.03.2021 13:00:00 NZDT'::timestamptz, '03.03.2021 13:00:00 NZDT'::timestamptz,
		    CASE name WHEN 'path_pattern' THEN ', pattern => $q$_66_$q$' ELSE '' END) INTO found;
	END LOOP;
	PERFORM hunt.updates('203.0.113.0/24', now() - interval '1 day', now());
	PERFORM hunt.gone(make_timestamptz(2021, 3, 3, 0, 0, 0, 'UTC'), make_timestamptz(2021, 3, 4, 0, 0, 0, 'UTC'), NULL, NULL, 50, true);
	RESET ROLE;
END
$$;
SELECT is((SELECT string_agg(t, ', ' ORDER BY t COLLATE "C") FROM pg_temp.as_reader() t), 'blackhole ran, bogon_asn ran, bogon_prefix ran, community_new finds, feed_disagreement finds, first_seen finds, flaps ran, moas finds, new_link finds, '
    'new_neighbor finds, new_origin ran, no_export_leak ran, origin_change finds, origin_outage finds, otc_leak ran, path_loop ran, path_pattern finds, '
    'prepend_anomaly ran, rib_diff finds, rpki_invalid finds, short_lived finds, silent_peer finds, sub_moas finds, sub_prefix finds, super_prefix finds, '
    'table_jump ran, tier1_leak ran, valley ran, visibility_loss finds', 'the reader may call each, in any time zone and style of dates');

SELECT * FROM finish();
ROLLBACK;
