-- rib.sql - what peers hold, by hand: times, stale routes, what tells routes apart, lookups,
-- differences, histories; which days are late; who may do what.  At random, and with helpers:
-- test/rib.sh.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';

BEGIN;
SELECT plan(1);
SELECT throws_ok($$SELECT bgp.rib_follow('tap')$$, '25000', NULL, 'rib_follow: not in READ COMMITTED, where log and pending batches are not of one moment');
SELECT * FROM finish();
ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT no_plan();

-- --- shape -------------------------------------------------------------------------------

SELECT results_eq($$
    SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = 'bgp.rib'::regclass AND attnum > 0 ORDER BY attnum$$, $$
    SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = 'bgp.route_log'::regclass AND attname NOT IN ('kind', 'refreshed') AND attnum > 0
    UNION ALL VALUES ('since', 'timestamp with time zone'), ('first_announced', 'timestamp with time zone'), ('stale', 'boolean')$$,
    'bgp.rib: the columns of bgp.route_log but kind and refreshed, then its own');
SELECT is(pg_get_function_result('bgp.rib_at'::regproc), 'SETOF bgp.rib', 'bgp.rib_at: the same shape');
SELECT is(pg_get_function_arguments('bgp.rib_at'::regproc), 'at timestamp with time zone, within cidr DEFAULT NULL::cidr, peer_ids integer[] DEFAULT NULL::integer[]',
    'and its arguments');
SELECT is(pg_get_function_arguments('bgp.path_history'::regproc),
    'prefix cidr, since timestamp with time zone, until timestamp with time zone DEFAULT now()', 'those of bgp.path_history');

-- --- a log by hand --------------------------------------------------------------------------

CREATE TEMP TABLE peer AS
SELECT n, bgp.ensure_peer('tap', ('192.0.2.' || n)::inet, 64600 + n, NULL, NULL, '2024-03-01 00:00:00+00') AS id FROM generate_series(1, 3) n;
SELECT bgp.ensure_partition(id, '2024-03-01') FROM peer \g /dev/null
CREATE TEMP SEQUENCE seq;

CREATE FUNCTION pg_temp.id(n int) RETURNS int LANGUAGE sql AS 'SELECT id FROM pg_temp.peer p WHERE p.n = $1';
-- a route of peer n at this second
CREATE FUNCTION pg_temp.route(n int, second numeric, kind text, prefix cidr, path bigint[] DEFAULT NULL, family text DEFAULT NULL, nlri jsonb DEFAULT NULL,
    path_id bigint DEFAULT NULL, labels int[] DEFAULT NULL, rd text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path, origin_asn, family, nlri, path_id, labels, rd, next_hop, atomic_aggregate)
	SELECT timestamptz '2024-03-01 00:00:00+00' + make_interval(secs => second::float8), nextval('pg_temp.seq'), pg_temp.id(n), kind::"char", prefix,
	    path, path[cardinality(path)], family, nlri, path_id, labels, rd, CASE kind WHEN 'A' THEN inet '192.0.2.99' END, CASE kind WHEN 'A' THEN false END
$$;
CREATE FUNCTION pg_temp.session(n int, second int, event text, family text DEFAULT NULL, subtype text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO bgp.session_log (ts, seq, peer_id, collector, event, family, detail)
	SELECT timestamptz '2024-03-01 00:00:00+00' + make_interval(secs => second), nextval('pg_temp.seq'), pg_temp.id(n), 'tap', event, family,
	    CASE WHEN subtype IS NOT NULL THEN jsonb_build_object('route-refresh', jsonb_build_object('subtype', subtype)) END
$$;
CREATE FUNCTION pg_temp.at(second int) RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2024-03-01 00:00:00+00' + make_interval(secs => $1) $$;
-- what was added since the last time is committed, so to say
CREATE TEMP TABLE told AS SELECT 0::bigint AS seq;
CREATE FUNCTION pg_temp.note() RETURNS void LANGUAGE sql AS $$
	SELECT bgp.batch_note((SELECT seq FROM pg_temp.told), (SELECT last_value FROM pg_temp.seq), array_agg(e.peer_id), array_agg(e.from_ts), array_agg(e.to_ts))
	FROM (SELECT peer_id, min(ts) AS from_ts, max(ts) AS to_ts FROM (SELECT peer_id, ts, seq FROM bgp.route_event
		UNION ALL SELECT peer_id, ts, seq FROM bgp.session_log) e JOIN pg_temp.peer p ON p.id = e.peer_id
	    WHERE e.seq > (SELECT seq FROM pg_temp.told) GROUP BY 1) e;
	UPDATE pg_temp.told SET seq = (SELECT last_value FROM pg_temp.seq)
$$;
-- and followed
CREATE FUNCTION pg_temp.follow() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_temp.note(); SELECT bgp.rib_follow('tap') $$;
CREATE FUNCTION pg_temp.second(ts timestamptz) RETURNS int LANGUAGE sql AS $$ SELECT extract(epoch FROM $1 - '2024-03-01 00:00:00+00')::int $$;
CREATE FUNCTION pg_temp.held(n int) RETURNS TABLE (prefix text, origin_asn bigint, ts int, since int, first int) LANGUAGE sql AS $$
	SELECT coalesce(r.prefix::text, r.family) || coalesce(' ' || r.path_id, ''), r.origin_asn, pg_temp.second(r.ts), pg_temp.second(r.since), pg_temp.second(r.first_announced)
	FROM bgp.rib r WHERE r.peer_id = pg_temp.id(n)
$$;

SELECT pg_temp.session(1, 1, 'up'), pg_temp.route(1, 2, 'A', '10.0.0.0/8', '{64601,1}'), pg_temp.route(1, 3, 'A', '10.1.0.0/16', '{64601,2}') \g /dev/null
SELECT ok(pg_temp.follow() > 0, 'something is dealt with');
SELECT is(bgp.rib_follow('tap'), 0::bigint, 'once');
SELECT is(bgp.rib_follow('nobody'), 0::bigint, 'of a collector without peers nothing');
SELECT set_eq('SELECT * FROM pg_temp.held(1)', $$VALUES ('10.0.0.0/8', 1::bigint, 2, 2, 2), ('10.1.0.0/16', 2, 3, 3, 3)$$, 'two routes');
SELECT pg_temp.route(1, 4, 'A', '10.0.0.0/8', '{64601,1}'), pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT * FROM pg_temp.held(1)', $$VALUES ('10.0.0.0/8', 1::bigint, 4, 2, 2), ('10.1.0.0/16', 2, 3, 3, 3)$$, 'one comes again as it was');
SELECT pg_temp.route(1, 5, 'A', '10.0.0.0/8', '{64601,3}'), pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT * FROM pg_temp.held(1)', $$VALUES ('10.0.0.0/8', 3::bigint, 5, 5, 2), ('10.1.0.0/16', 2, 3, 3, 3)$$, 'and otherwise');
SELECT pg_temp.route(1, 6, 'W', '10.0.0.0/8'), pg_temp.route(1, 6, 'A', '10.0.0.0/8', '{64601,3}'), pg_temp.route(1, 6, 'W', '10.1.0.0/16'), pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT * FROM pg_temp.held(1)', $$VALUES ('10.0.0.0/8', 3::bigint, 6, 6, 6)$$, 'one is withdrawn and announced in the same microsecond');
SELECT pg_temp.route(1, 7, 'A', '10.0.0.0/8', '{64601,4}', path_id => 0), pg_temp.route(1, 7, 'A', '10.0.0.0/8', '{64601,5}', path_id => 1),
    pg_temp.route(1, 7, 'A', '10.0.0.0/8', '{64601,6}', 'ipv4 nlri-mpls', labels => '{16}'), pg_temp.follow() \g /dev/null
SELECT is((SELECT count(*) FROM pg_temp.held(1)), 4::bigint, 'other paths and other families of a prefix are other routes');
SELECT pg_temp.route(1, 8, 'W', '10.0.0.0/8', path_id => 1), pg_temp.route(1, 8, 'A', '10.0.0.0/8', '{64601,6}', 'ipv4 nlri-mpls', labels => '{17}'),
    pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT * FROM pg_temp.held(1)', $$VALUES ('10.0.0.0/8', 3::bigint, 6, 6, 6), ('10.0.0.0/8 0', 4, 7, 7, 7), ('10.0.0.0/8', 6, 8, 8, 7)$$,
    'one path is withdrawn; another label replaces the route');
-- ExaBGP says something of an NLRI that is a prefix for which there is no column
SELECT pg_temp.route(1, 9, 'A', '10.0.0.0/8', '{64601,7}', 'ipv4 unicast', '{"nlri": "10.0.0.0/8", "new": 1}'), pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT * FROM pg_temp.held(1)', $$VALUES ('10.0.0.0/8', 7::bigint, 9, 9, 6), ('10.0.0.0/8 0', 4, 7, 7, 7), ('10.0.0.0/8', 6, 8, 8, 7)$$,
    'more than a prefix in an NLRI, and it is the same route');
SELECT pg_temp.route(1, 9, 'A', NULL, '{64601}', 'l2vpn evpn', '{"code": 2, "parsed": true, "mac": "1", "esi": "-", "label": [[1]], "raw": "1"}'),
    pg_temp.route(1, 9, 'A', NULL, '{64601}', 'l2vpn evpn', '{"code": 2, "parsed": true, "mac": "2", "esi": "-", "label": [[1]], "raw": "2"}'), pg_temp.follow() \g /dev/null
SELECT is((SELECT count(*) FROM pg_temp.held(1) WHERE prefix = 'l2vpn evpn'), 2::bigint, 'an EVPN route for each MAC');
SELECT pg_temp.route(1, 10, 'A', NULL, '{64601}', 'l2vpn evpn', '{"code": 2, "parsed": true, "mac": "1", "esi": "7", "label": [[3]], "raw": "3"}'),
    pg_temp.route(1, 10, 'W', NULL, NULL, 'l2vpn evpn', '{"code": 2, "parsed": true, "mac": "2", "esi": "8", "label": [[4]], "raw": "4"}'), pg_temp.follow() \g /dev/null
SELECT set_eq($$SELECT * FROM pg_temp.held(1) WHERE prefix = 'l2vpn evpn'$$, $$VALUES ('l2vpn evpn', 64601::bigint, 10, 10, 9)$$,
    'whatever segment and label it names');
SELECT is_empty($$SELECT * FROM bgp.rib WHERE prefix = '::/0'$$, 'it has no prefix');
SELECT pg_temp.route(1, 10, 'A', '::/0', '{64601,8}'), pg_temp.follow() \g /dev/null
SELECT set_eq($$SELECT family, origin_asn FROM bgp.rib_at(pg_temp.at(10), '::/0')$$, $$VALUES ('ipv6 unicast', 8::bigint)$$, 'and is not within ::/0');
SELECT pg_temp.session(1, 11, 'refresh', 'ipv4 unicast', 'begin'), pg_temp.route(1, 12, 'A', '10.0.0.0/8', '{64601,7}', 'ipv4 unicast', '{"nlri": "10.0.0.0/8", "new": 1}'),
    pg_temp.follow() \g /dev/null
SELECT is((SELECT count(*) FROM pg_temp.held(1) WHERE prefix LIKE '10.%'), 3::bigint, 'a refresh that goes on takes nothing away');
SELECT pg_temp.session(1, 13, 'refresh', 'ipv4 unicast', 'end'), pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT * FROM pg_temp.held(1)', $$VALUES ('10.0.0.0/8', 7::bigint, 12, 9, 6), ('10.0.0.0/8', 6, 8, 8, 7), ('l2vpn evpn', 64601, 10, 10, 9), ('::/0', 8, 10, 10, 10)$$,
    'what was not sent again is gone when it ends, of that family');
SELECT pg_temp.route(1, 3, 'A', '10.1.0.0/16', '{64601,9}'), pg_temp.follow() \g /dev/null
SELECT is((SELECT count(*) FROM pg_temp.held(1)), 4::bigint, 'a line that comes late, of a route that was withdrawn since');
SELECT set_eq($$SELECT origin_asn, path_id, since FROM bgp.rib_at(pg_temp.at(5), '10.1.0.0/16')$$, $$VALUES (9::bigint, NULL::bigint, pg_temp.at(3))$$, 'shows in the past');
SELECT set_eq($$SELECT origin_asn FROM bgp.rib_at(pg_temp.at(2), '10.1.0.0/16')$$, ARRAY[]::bigint[], 'but not before');

-- batches that are cut within a microsecond, and are too large to be dealt with at once
SELECT pg_temp.session(2, 17, 'up'), pg_temp.route(2, 18, 'A', '10.9.0.0/16', '{64602,1}'), pg_temp.follow() \g /dev/null
SELECT pg_temp.route(2, 19, 'A', '10.8.0.0/16', '{64602,1}'),
    bgp.batch_note(-200000, (SELECT last_value FROM pg_temp.seq), ARRAY[pg_temp.id(2)], ARRAY[pg_temp.at(19)], ARRAY[pg_temp.at(19)]),
    setval('pg_temp.seq', nextval('pg_temp.seq')) \g /dev/null
UPDATE pg_temp.told SET seq = (SELECT last_value FROM pg_temp.seq) - 1;
SELECT pg_temp.session(2, 19, 'refresh', 'ipv4 unicast', 'begin'), pg_temp.route(2, 19, 'A', '10.9.0.0/16', '{64602,1}'),
    pg_temp.session(2, 19, 'refresh', 'ipv4 unicast', 'end') \g /dev/null
SELECT is(pg_temp.follow(), 1::bigint, 'one batch, although another waits');
SELECT set_eq('SELECT * FROM pg_temp.held(2)', $$VALUES ('10.9.0.0/16', 1::bigint, 18, 18, 18), ('10.8.0.0/16', 1, 19, 19, 19)$$, 'nothing of which shows');
SELECT is(bgp.rib_follow('tap'), 1::bigint, 'then the other');
SELECT set_eq('SELECT * FROM pg_temp.held(2)', $$VALUES ('10.9.0.0/16', 1::bigint, 19, 18, 18)$$, 'which shows what the log does');

-- --- lookups and differences -------------------------------------------------------------------

SELECT pg_temp.session(2, 20, 'up'), pg_temp.route(2, 20, 'A', '0.0.0.0/0', '{64602}'), pg_temp.route(2, 20, 'A', '10.2.0.0/16', '{64602,5}', path_id => 1),
    pg_temp.route(2, 20, 'A', '10.2.0.0/16', '{64602,6}', path_id => 2), pg_temp.route(2, 20, 'A', '10.2.0.0/17', '{64602,7}', 'ipv4 mpls-vpn', rd => '1:1'),
    pg_temp.route(3, 20, 'A', '10.2.1.0/24', '{64603,8}'), pg_temp.follow() \g /dev/null
CREATE FUNCTION pg_temp.looked_up(target inet, second int DEFAULT NULL) RETURNS TABLE (n int, prefix cidr, origin_asn bigint) LANGUAGE sql AS $$
	SELECT p.n, l.prefix, l.origin_asn FROM bgp.lookup(target, coalesce(pg_temp.at(second), 'infinity')) l JOIN pg_temp.peer p ON p.id = l.peer_id
$$;
SELECT results_eq($$SELECT * FROM pg_temp.looked_up('10.2.1.1') ORDER BY 1, 3$$,
    $$VALUES (1, '10.0.0.0/8'::cidr, 7::bigint), (2, '10.2.0.0/16', 5), (2, '10.2.0.0/16', 6), (3, '10.2.1.0/24', 8)$$,
    'lookup: the longest match of each peer, all paths, unicast only');
SELECT set_eq($$SELECT * FROM pg_temp.looked_up('10.2.0.0/16')$$,
    $$VALUES (1, '10.0.0.0/8'::cidr, 7::bigint), (2, '10.2.0.0/16', 5), (2, '10.2.0.0/16', 6)$$, 'a prefix: nothing more specific');
SELECT set_eq($$SELECT * FROM pg_temp.looked_up('192.0.2.1')$$, $$VALUES (2, '0.0.0.0/0'::cidr, 64602::bigint)$$, 'a default route matches');
SELECT set_eq($$SELECT * FROM pg_temp.looked_up('2001:db8::1')$$, $$VALUES (1, '::/0'::cidr, 8::bigint)$$, 'IPv6');
SELECT set_eq($$SELECT * FROM pg_temp.looked_up('10.2.1.1', 4)$$, $$VALUES (1, '10.0.0.0/8'::cidr, 1::bigint)$$, 'at a moment');
SELECT is_empty($$SELECT * FROM pg_temp.looked_up('10.2.1.1', 1)$$, 'before everything');

SELECT set_eq($$SELECT difference, differs, family, prefix, path_id, as_path1, as_path2 FROM bgp.rib_diff(pg_temp.at(4), pg_temp.at(9), '10.0.0.0/8', ARRAY[pg_temp.id(1)])$$,
    $$VALUES ('only-left', NULL::text[], 'ipv4 unicast', '10.1.0.0/16'::cidr, NULL::bigint, '64601 9', NULL::text),
	('differs', '{path,origin_asn,attributes}', 'ipv4 unicast', '10.0.0.0/8', NULL, '64601 1', '64601 7'),
	('only-right', NULL, 'ipv4 unicast', '10.0.0.0/8', 0, NULL, '64601 4'),
	('only-right', NULL, 'ipv4 nlri-mpls', '10.0.0.0/8', NULL, NULL, '64601 6')$$, 'rib_diff');
SELECT is_empty($$SELECT * FROM bgp.rib_diff(pg_temp.at(9), pg_temp.at(9))$$, 'rib_diff of a moment with itself');
SELECT set_eq($$SELECT differs FROM bgp.rib_diff(pg_temp.at(9), pg_temp.at(10)) WHERE family = 'l2vpn evpn' AND difference = 'differs'$$,
    $$VALUES ('{attributes}'::text[])$$, 'an NLRI that says something new');
SELECT set_eq($$SELECT difference, prefix, path_id FROM bgp.peer_diff(pg_temp.id(2), pg_temp.id(3), pg_temp.at(20))$$,
    $$VALUES ('only-left', '0.0.0.0/0'::cidr, NULL::bigint), ('only-left', '10.2.0.0/16', 1), ('only-left', '10.2.0.0/16', 2), ('only-left', '10.2.0.0/17', NULL),
	('only-right', '10.2.1.0/24', NULL)$$, 'peer_diff');
SELECT is_empty($$SELECT * FROM bgp.peer_diff(pg_temp.id(2), pg_temp.id(2), pg_temp.at(20))$$, 'of a peer with itself');

CREATE FUNCTION pg_temp.history(prefix cidr, since int, until timestamptz) RETURNS TABLE (n int, state text, as_path text, path_id bigint, lasted int) LANGUAGE sql AS $$
	SELECT pg_temp.second(h.ts), h.state, h.as_path, h.path_id, extract(epoch FROM h.lasted)::int FROM bgp.path_history(prefix, pg_temp.at(since), until) h
	WHERE h.family = 'ipv4 unicast' AND h.peer_id = pg_temp.id(1)
$$;
SELECT results_eq($$SELECT * FROM pg_temp.history('10.0.0.0/8', 4, pg_temp.at(30))$$, $$VALUES
    (2, 'announced', '64601 1', NULL::bigint, 3), (5, 'announced', '64601 3', NULL, 1), (6, 'withdrawn', NULL, NULL, 0), (6, 'announced', '64601 3', NULL, 3),
    (7, 'announced', '64601 4', 0, 6), (7, 'announced', '64601 5', 1, 1), (8, 'withdrawn', NULL, 1, 22), (9, 'announced', '64601 7', NULL, 21),
    (13, 'refreshed away', NULL, 0, 17)$$, 'path_history');
SELECT is((SELECT lasted FROM bgp.path_history('10.0.0.0/8', '-infinity', 'infinity') WHERE origin_asn = 7 AND peer_id = pg_temp.id(1)), now() - pg_temp.at(9),
    'what lasts lasts until now');
SELECT is_empty($$SELECT * FROM bgp.path_history('10.0.0.0/9', '-infinity', 'infinity')$$, 'of another prefix');
SELECT pg_temp.session(1, 31, 'down'), pg_temp.follow() \g /dev/null
SELECT is_empty('SELECT * FROM pg_temp.held(1)', 'a session that ends takes all with it');
SELECT is((SELECT count(*) FROM bgp.rib_at(pg_temp.at(30), NULL, ARRAY[pg_temp.id(1)])), 4::bigint, 'not what was before');
SELECT set_eq($$SELECT n, state, lasted FROM pg_temp.history('10.0.0.0/8', 30, pg_temp.at(40))$$,
    $$VALUES (9, 'announced', 22), (31, 'session', 9)$$, 'and ends what there was');

-- --- as people have time written --------------------------------------------------------------

-- (IST, as this writes it, is read as Israel's)
CREATE TEMP TABLE iso AS SELECT (SELECT count(*) FROM bgp.rib_at(pg_temp.at(19))) AS rib_at, (SELECT count(*) FROM bgp.routes_at(pg_temp.at(19), '{10.9.0.0/16}')) AS routes_at,
    (SELECT sum(pg_temp.second(ts)) FROM bgp.path_history('10.9.0.0/16', pg_temp.at(18), pg_temp.at(30))) AS history;
SELECT is((SELECT iso::text FROM iso), '(5,1,38)', 'what there is');
SET LOCAL datestyle = 'SQL, DMY';
SET LOCAL timezone = 'Asia/Kolkata';
SELECT results_eq($$SELECT (SELECT count(*) FROM bgp.rib_at(pg_temp.at(19))), (SELECT count(*) FROM bgp.routes_at(pg_temp.at(19), '{10.9.0.0/16}')),
    (SELECT sum(pg_temp.second(ts)) FROM bgp.path_history('10.9.0.0/16', pg_temp.at(18), pg_temp.at(30)))$$, 'SELECT * FROM iso', 'whatever DateStyle and TimeZone are');
SELECT pg_temp.route(2, 30, 'A', '10.9.0.0/16', '{64602,9}'), pg_temp.follow() \g /dev/null
SELECT is((SELECT origin_asn FROM bgp.rib WHERE prefix = '10.9.0.0/16'), 9::bigint, 'the log is followed');
SELECT pg_temp.route(2, 29, 'A', '10.10.0.0/16', '{64602,9}'), pg_temp.follow() \g /dev/null
SELECT is((SELECT origin_asn FROM bgp.rib WHERE prefix = '10.10.0.0/16'), 9::bigint, 'also late');
SELECT pg_temp.route(2, 30, 'W', '10.9.0.0/16'), pg_temp.route(2, 30, 'W', '10.10.0.0/16'), pg_temp.follow() \g /dev/null
SELECT is(bgp.rib_base_write(pg_temp.id(2), '2024-03-02'), 4::bigint, 'a base state has the routes that were there when the day began');
RESET datestyle;
SET LOCAL timezone = 'UTC';

-- --- stale ---------------------------------------------------------------------------------------

SELECT bgp.ingest_open('11111111-2222-4333-8444-555555555555', 'tap') \g /dev/null
-- as the helper says it of peer 3: stale since this second, NULL: no more
CREATE FUNCTION pg_temp.stale(since int, seen int) RETURNS void LANGUAGE sql AS $$
	SELECT bgp.ingest_commit(journal_id, segment, position, events, segment + 1, position, events, seq, 0, 0, 0, 0, NULL,
	    ARRAY[pg_temp.id(2), pg_temp.id(3)], ARRAY[pg_temp.at(seen), pg_temp.at(seen)], '{NULL,NULL}', '{NULL,NULL}', '{NULL,up}', ARRAY[NULL, pg_temp.at(seen - 3)],
	    '{NULL,NULL}', ARRAY[NULL, coalesce(pg_temp.at(since), '-infinity')], '{NULL,NULL}', '{NULL,NULL}', '{NULL,NULL}', '{NULL,NULL}')
	FROM bgp.ingest_position WHERE journal_id = '11111111-2222-4333-8444-555555555555'
$$;
CREATE FUNCTION pg_temp.is_stale(second int) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(p.n || ' ' || r.stale, ', ' ORDER BY p.n, r.prefix, r.path_id)
	FROM pg_temp.peer p JOIN bgp.rib_at(coalesce(pg_temp.at(second), 'infinity')) r ON r.peer_id = p.id WHERE r.prefix <<= '10.2.0.0/16' AND r.path_id IS DISTINCT FROM 2
$$;
SELECT pg_temp.stale(40, 41) \g /dev/null
SELECT is(pg_temp.is_stale(NULL), '2 false, 2 false, 3 true', 'stale: what was announced before lines were missed');
SELECT set_eq($$SELECT n, bool_or(stale) FROM bgp.rib r JOIN pg_temp.peer p ON p.id = r.peer_id GROUP BY 1$$, $$VALUES (2, false), (3, true)$$, 'so bgp.rib');
SELECT is(pg_temp.is_stale(39), '2 false, 2 false, 3 false', 'not when nobody knew of it');
SELECT pg_temp.route(3, 45, 'A', '10.2.1.0/24', '{64603,8}'), pg_temp.follow() \g /dev/null
SELECT is(pg_temp.is_stale(NULL), '2 false, 2 false, 3 false', 'not what was announced since');
SELECT pg_temp.stale(42, 46), pg_temp.stale(NULL, 50) \g /dev/null
SELECT set_eq($$SELECT pg_temp.second(from_ts) AS a, pg_temp.second(to_ts) AS b FROM bgp.peer_stale WHERE peer_id IN (SELECT id FROM pg_temp.peer)$$, $$VALUES (40, 50)$$,
    'one period, of the first time to the end');
SELECT is(pg_temp.is_stale(44), '2 false, 2 false, 3 true', 'and it is remembered');
SELECT is((SELECT stale_since FROM bgp.peer WHERE peer_id = pg_temp.id(3)), NULL::timestamptz, 'the peer is certain again');

-- --- lines of a day that is nearly over --------------------------------------------------------

-- the function, with another clock
CREATE FUNCTION pg_temp.note_at(clock timestamptz, peer_id int, from_ts timestamptz, to_ts timestamptz) RETURNS setof date LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(replace(pg_get_functiondef('bgp.batch_note'::regproc), 'clock_timestamp()', quote_literal(clock) || '::timestamptz'),
	    'bgp.batch_note(', 'bgp.test_note(');
	PERFORM bgp.test_note(0, 1, ARRAY[peer_id, NULL], ARRAY[from_ts, NULL], ARRAY[to_ts, NULL]);
	RETURN QUERY SELECT l.day FROM bgp.late_day l WHERE l.peer_id = note_at.peer_id ORDER BY 1;
END
$$;
SELECT is_empty($$SELECT pg_temp.note_at('2024-02-29 12:00:00+00', -1, '2024-02-29 00:00:00+00', '2024-02-29 12:00:00+00')$$,
    'a day that goes on is not late');
SELECT is_empty($$SELECT pg_temp.note_at('2024-02-29 12:00:00+00', -1, '2024-02-29 00:00:00+00', '2024-03-02 12:00:00+00')$$,
    'nor is one to come');
SELECT set_eq($$SELECT pg_temp.note_at('2024-02-29 23:59:59+00', -1, '2024-02-29 23:59:58+00', '2024-02-29 23:59:58+00')$$,
    ARRAY['2024-02-29'::date], 'one that is about to end when the rows are committed is');
SELECT set_eq($$SELECT pg_temp.note_at('2024-03-01 00:00:00+00', -2, '2024-02-28 23:59:59.999999+00', '2024-03-01 00:00:00+00')$$,
    ARRAY['2024-02-28', '2024-02-29']::date[], 'and so are those that are over');

-- --- base states -----------------------------------------------------------------------------

SELECT throws_like($$SELECT bgp.rib_base_write(pg_temp.id(2), (now() AT TIME ZONE 'UTC')::date + 1)$$, '%has not begun%', 'no base state of tomorrow');
SELECT is(bgp.rib_base_write(pg_temp.id(2), '2024-03-02'), 4::bigint, 'a base state has the routes that were there when the day began');
SELECT is(bgp.rib_base_find(pg_temp.id(2), 'infinity'), NULL::date, 'it is not taken for right while what it is made of may not be committed');
SELECT bgp.rib_base_write(pg_temp.id(2), '2024-03-02') \g /dev/null
SELECT is((SELECT sum(cardinality(routes)) FROM bgp.rib_base WHERE peer_id = pg_temp.id(2)), 4::bigint, 'written twice, it is there once');

-- --- a peer that fails -------------------------------------------------------------------------

INSERT INTO pg_temp.peer SELECT n, bgp.ensure_peer('tap', ('192.0.2.' || n)::inet, 64600 + n, NULL, NULL, '2024-03-01 00:00:00+00') FROM generate_series(4, 5) n;
SELECT bgp.ensure_partition(id, '2024-03-01') FROM peer WHERE n >= 4 \g /dev/null
SELECT pg_temp.route(n, 40, 'A', '172.16.0.0/12', ARRAY[64600 + n]), pg_temp.route(n, 40, 'A', '192.168.0.0/16', ARRAY[64600 + n]) FROM generate_series(4, 5) n \g /dev/null
SELECT pg_temp.follow() \g /dev/null
CREATE FUNCTION pg_temp.fails() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'no luck' USING ERRCODE = current_setting('tap.sqlstate');
END
$$;
SELECT format('CREATE TRIGGER fails BEFORE INSERT ON bgp.rib_entry_%s FOR EACH ROW EXECUTE FUNCTION pg_temp.fails()', pg_temp.id(4)) \gexec
CREATE FUNCTION pg_temp.failing() RETURNS TABLE (n int, since boolean, error text) LANGUAGE sql AS $$
	SELECT p.n, r.failing_since = now(), r.error FROM bgp.rib_peer r JOIN pg_temp.peer p ON p.id = r.peer_id WHERE r.retry_at > now()
$$;
CREATE FUNCTION pg_temp.waits(n int) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM bgp.batch_pending b WHERE b.consumer = 'rib' AND b.peer_id = pg_temp.id(n)
$$;
SET LOCAL tap.sqlstate = 'P0042';
SET LOCAL client_min_messages = error;
SELECT pg_temp.route(n, 41, 'W', '192.168.0.0/16'), pg_temp.route(n, 41, 'A', '172.16.0.0/12', ARRAY[64600 + n, 7]) FROM generate_series(4, 5) n \g /dev/null
SELECT is(pg_temp.follow(), 1::bigint, 'one peer fails, the batch of the other is dealt with');
SELECT set_eq('SELECT * FROM pg_temp.held(5)', $$VALUES ('172.16.0.0/12', 7::bigint, 41, 41, 40)$$, 'its routes follow the log');
SELECT set_eq('SELECT * FROM pg_temp.held(4)', $$VALUES ('172.16.0.0/12', 64604::bigint, 40, 40, 40), ('192.168.0.0/16', 64604, 40, 40, 40)$$, 'those of the one that fails stay as they were');
SELECT results_eq('SELECT pg_temp.waits(4), pg_temp.waits(5)', $$VALUES (1::bigint, 0::bigint)$$, 'its batch waits');
SELECT set_eq('SELECT * FROM pg_temp.failing()', $$VALUES (4, true, 'SQLSTATE P0042: no luck')$$, 'bgp.rib_peer says which, since when and why');
SELECT pg_temp.route(n, 42, 'A', '172.20.0.0/16', ARRAY[64600 + n]) FROM generate_series(4, 5) n \g /dev/null
SELECT is(pg_temp.follow(), 1::bigint, 'the other goes on');
SELECT is(bgp.rib_follow('tap'), 0::bigint, 'until there is nothing else left');
INSERT INTO bgp.ingest_position (journal_id, collector) VALUES (gen_random_uuid(), 'tap');
SELECT set_eq($$SELECT rib_failing FROM bgp.ingest_status WHERE collector = 'tap'$$, ARRAY[1::bigint], 'bgp.ingest_status counts it');
UPDATE bgp.rib_peer SET failing_since = now() - interval '20 s', retry_at = now() WHERE retry_at > now();
SELECT is(bgp.rib_follow('tap'), 0::bigint, 'tried again, it fails again');
SELECT set_eq('SELECT retry_at - now() AS a, now() - failing_since AS b FROM bgp.rib_peer WHERE failing_since IS NOT NULL', $$VALUES (interval '20 s', interval '20 s')$$,
    'and waits for as long as it has been failing');
UPDATE bgp.rib_peer SET failing_since = now() - interval '1 day', retry_at = now() WHERE retry_at > now();
SELECT bgp.rib_follow('tap') \g /dev/null
SELECT set_eq('SELECT retry_at - now() FROM bgp.rib_peer WHERE failing_since IS NOT NULL', ARRAY[interval '1 minute'], 'for a minute at most');
UPDATE bgp.rib_peer SET retry_at = now() WHERE retry_at > now();
SET LOCAL tap.sqlstate = '40001';
SELECT throws_ok($$SELECT bgp.rib_follow('tap')$$, '40001', 'no luck', 'what is lost to another transaction ends the call');
SET LOCAL tap.sqlstate = '57P03';
SELECT throws_ok($$SELECT bgp.rib_follow('tap')$$, '57P03', 'no luck', 'so does a server that ends');
SET LOCAL tap.sqlstate = '53100';
SELECT throws_ok($$SELECT bgp.rib_follow('tap')$$, '53100', 'no luck', 'and a full disk');
SELECT is(pg_temp.waits(4), 2::bigint, 'nothing is lost by that');
SELECT format('DROP TRIGGER fails ON bgp.rib_entry_%s', pg_temp.id(4)) \gexec
SELECT is(bgp.rib_follow('tap'), 2::bigint, 'when the cause is gone, its batches are dealt with');
SELECT set_eq('SELECT * FROM pg_temp.held(4)', $$VALUES ('172.16.0.0/12', 7::bigint, 41, 41, 40), ('172.20.0.0/16', 64604, 42, 42, 42)$$, 'its routes are what the log says');
SELECT set_eq('SELECT * FROM bgp.rib WHERE peer_id = pg_temp.id(4)', $$SELECT * FROM bgp.rib_at('infinity', NULL, ARRAY[pg_temp.id(4)])$$, 'as bgp.rib_at has them');
SELECT is_empty('SELECT FROM bgp.rib_peer WHERE failing_since IS NOT NULL OR retry_at IS NOT NULL OR error IS NOT NULL', 'and it no longer fails');
RESET client_min_messages;

-- --- bgp.rib as the base of what was later ------------------------------------------------------

INSERT INTO pg_temp.peer SELECT 6, bgp.ensure_peer('tap', '192.0.2.6', 64606, NULL, NULL, '2024-03-01 00:00:00+00');
SELECT bgp.ensure_partition(pg_temp.id(6), '2024-03-01') \g /dev/null
-- the routes of a peer by the log alone, or by what bgp.rib has and what it has yet to apply
CREATE FUNCTION pg_temp.routes(n int, at timestamptz, within cidr, exact cidr[], kept boolean) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT to_jsonb(r) FROM (%s) r ORDER BY 1', bgp.rib_sql(pg_temp.id(n), at, within, exact, kept));
END
$$;
CREATE FUNCTION pg_temp.same(n int, at timestamptz, why text) RETURNS text LANGUAGE sql AS $$
	SELECT results_eq(format('SELECT pg_temp.routes(%s, %L, NULL, NULL, true)', n, at), format('SELECT pg_temp.routes(%s, %L, NULL, NULL, false)', n, at), why)
$$;
CREATE FUNCTION pg_temp.by_rib(at timestamptz) RETURNS boolean LANGUAGE sql AS
    $$ SELECT strpos(bgp.rib_sql(pg_temp.id(6), at, NULL, NULL, true), 'rib_entry') > 0 $$;
SELECT ok(NOT pg_temp.by_rib('infinity'), 'what was never followed does not serve');
-- whatever comes, committed and applied bit by bit, at times late: both say the same of any moment
CREATE FUNCTION pg_temp.trials(n int, OUT by_rib int, OUT by_log int, OUT wrong text) LANGUAGE plpgsql AS $$
DECLARE
	prefixes cidr[] := '{198.18.0.0/15,198.18.0.0/16,198.18.1.0/24,203.0.113.0/24}';
	x	float;
	clock	int := 100;
	at	timestamptz;
	net	cidr;
BEGIN
	by_rib := 0;
	by_log := 0;
	PERFORM setseed(0.42);
	FOR i IN 1 .. n LOOP
		clock := clock + (random() * 1.5)::int;
		x := random();
		net := prefixes[1 + floor(random() * 4)::int];
		IF x < 0.03 THEN
			PERFORM pg_temp.session(6, clock, CASE WHEN random() < 0.5 THEN 'up' ELSE 'down' END);
		ELSIF x < 0.1 THEN
			PERFORM pg_temp.session(6, clock, 'refresh', 'ipv4 unicast', CASE WHEN random() < 0.5 THEN 'begin' ELSE 'end' END);
		ELSIF x < 0.2 THEN	-- late
			PERFORM pg_temp.route(6, clock - 1 - (random() * 5)::int, 'A', net, ARRAY[64606, (random() * 3)::int]);
		ELSIF x < 0.7 THEN
			PERFORM pg_temp.route(6, clock, 'A', net, ARRAY[64606, (random() * 3)::int], path_id => nullif((random() * 2)::int, 2));
		ELSE
			PERFORM pg_temp.route(6, clock, 'W', net, path_id => nullif((random() * 2)::int, 2));
		END IF;
		IF random() < 0.5 THEN
			PERFORM pg_temp.note();
			IF random() < 0.5 THEN
				PERFORM bgp.rib_follow('tap');
			END IF;
			FOREACH at IN ARRAY ARRAY['infinity', pg_temp.at(clock), pg_temp.at(clock - 2), pg_temp.at(clock - 9)] LOOP
				IF pg_temp.by_rib(at) THEN by_rib := by_rib + 1; ELSE by_log := by_log + 1; END IF;
				IF ARRAY(SELECT pg_temp.routes(6, at, NULL, NULL, true)) <> ARRAY(SELECT pg_temp.routes(6, at, NULL, NULL, false))
				    OR ARRAY(SELECT pg_temp.routes(6, at, net, NULL, true)) <> ARRAY(SELECT pg_temp.routes(6, at, net, NULL, false))
				    OR ARRAY(SELECT pg_temp.routes(6, at, NULL, ARRAY[net], true)) <> ARRAY(SELECT pg_temp.routes(6, at, NULL, ARRAY[net], false)) THEN
					wrong := format('step %s, at %s', i, at);
					RETURN;
				END IF;
			END LOOP;
		END IF;
	END LOOP;
END
$$;
CREATE TEMP TABLE trials AS SELECT * FROM pg_temp.trials(400);
SELECT is((SELECT wrong FROM pg_temp.trials), NULL, 'bgp.rib and the batches that it has yet to apply say what the log says');
SELECT ok(by_rib > 100 AND by_log > 100, format('both served: %s and %s times', by_rib, by_log)) FROM pg_temp.trials;
SELECT pg_temp.follow() \g /dev/null
SELECT ok(pg_temp.by_rib('infinity'), 'bgp.rib serves');
SELECT ok(NOT pg_temp.by_rib(pg_temp.at(100)), 'not for what was before');
UPDATE bgp.rib_peer SET rebuild = true WHERE peer_id = pg_temp.id(6);
SELECT ok(NOT pg_temp.by_rib('infinity'), 'nor if it is to be made anew');
UPDATE bgp.peer SET last_seen = pg_temp.at(100) WHERE peer_id = pg_temp.id(6);
DELETE FROM bgp.batch_pending WHERE consumer = 'rib';
SELECT pg_temp.route(6, 1000, 'W', '203.0.113.0/24') \g /dev/null
SELECT bgp.rib_follow('tap') \g /dev/null
SELECT is((SELECT applied_ts FROM bgp.rib_peer WHERE peer_id = pg_temp.id(6)), pg_temp.at(1000), 'made anew, it is as late as the latest row of the log');
DELETE FROM bgp.consumer WHERE name = 'rib';
SELECT ok(NOT pg_temp.by_rib('infinity'), 'or is told of no batch');
INSERT INTO bgp.consumer VALUES ('rib');

-- a late batch has prefixes read again, from all of the log, while more than is dealt with at a time is pending
INSERT INTO pg_temp.peer SELECT n, bgp.ensure_peer('tap', ('192.0.2.' || n)::inet, 64600 + n, NULL, NULL, '2024-03-01 00:00:00+00') FROM generate_series(7, 10) n;
SELECT bgp.ensure_partition(id, d) FROM peer, unnest('{2024-03-01,2024-03-02,2024-03-03}'::date[]) d WHERE n >= 7 \g /dev/null
SELECT pg_temp.session(7, 1, 'up'), pg_temp.route(7, 10, 'A', '198.18.0.0/15', '{64607,1}'), pg_temp.route(7, 20, 'A', '203.0.113.0/24', '{64607,1}'), pg_temp.follow() \g /dev/null
SELECT pg_temp.route(7, 15, 'A', '198.18.0.0/15', '{64607,2}'), setval('pg_temp.seq', nextval('pg_temp.seq') + 150000), pg_temp.note() \g /dev/null
SELECT pg_temp.route(7, 30, 'A', '198.18.0.0/15', '{64607,3}'), pg_temp.note() \g /dev/null
SELECT pg_temp.route(7, 40, 'W', '198.18.0.0/15'), pg_temp.route(7, 41, 'A', '198.18.0.0/15', '{64607,1}'), pg_temp.note(), bgp.rib_follow('tap') \g /dev/null
SELECT is(pg_temp.waits(7), 2::bigint, 'two batches are pending');
SELECT pg_temp.same(7, pg_temp.at(s), format('a late batch was applied: the routes of second %s', s)) FROM unnest('{20,25,35,40,41,50}'::int[]) s;
SELECT pg_temp.follow() \g /dev/null

-- retention takes rows that were not applied yet; the session may have ended in them
SELECT pg_temp.session(8, 1, 'up'), pg_temp.route(8, 10, 'A', '198.18.0.0/15', '{64608,1}'), pg_temp.route(8, 11, 'A', '198.19.0.0/16', '{64608,1}'), pg_temp.follow() \g /dev/null
SELECT pg_temp.route(8, 100, 'W', '198.18.0.0/15'), pg_temp.route(8, 101, 'A', '203.0.113.0/24', '{64608,1}'), pg_temp.route(8, 172805, 'A', '198.18.1.0/24', '{64608,1}'), pg_temp.note() \g /dev/null
SELECT pg_temp.same(8, 'infinity', 'before');
SELECT bgp.rib_forget_before(pg_temp.id(8), '2024-03-03'), bgp.retire(pg_temp.id(8), '2024-03-01', '{}'), bgp.retire(pg_temp.id(8), '2024-03-02', '{}') \g /dev/null
SELECT format('DROP TABLE %s', leaf) FROM bgp.retired \gexec
SELECT pg_temp.same(8, 'infinity', 'what retention took before it was applied');
SELECT pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT prefix FROM pg_temp.held(8)', ARRAY['198.19.0.0/16', '203.0.113.0/24', '198.18.1.0/24'], 'bgp.rib has it from the base state');

-- (bgp.rib_follow, if it is at this peer with an older snapshot, is to fail)
SELECT ctid AS was FROM bgp.rib_peer WHERE peer_id = pg_temp.id(8) \gset
SELECT bgp.rib_forget_before(pg_temp.id(8), '2024-03-03') \g /dev/null
SELECT isnt((SELECT ctid FROM bgp.rib_peer WHERE peer_id = pg_temp.id(8)), :'was'::tid, 'the row that bgp.rib_follow writes is written in any case');
SELECT is((SELECT rebuild FROM bgp.rib_peer WHERE peer_id = pg_temp.id(8)), false, 'with nothing to be made anew');

-- of a peer that was never followed
INSERT INTO pg_temp.peer SELECT 11, bgp.ensure_peer('tap', '192.0.2.11', 64611, NULL, NULL, '2024-03-01 00:00:00+00');
SELECT bgp.ensure_partition(pg_temp.id(11), d) FROM unnest('{2024-03-01,2024-03-02,2024-03-03}'::date[]) d \g /dev/null
SELECT pg_temp.session(11, 1, 'up'), pg_temp.route(11, 10, 'A', '198.18.0.0/15', '{64611,1}'), pg_temp.route(11, 172805, 'A', '203.0.113.0/24', '{64611,1}'), pg_temp.note() \g /dev/null
SELECT bgp.rib_forget_before(pg_temp.id(11), '2024-03-03'), bgp.retire(pg_temp.id(11), '2024-03-01', '{}') \g /dev/null
SELECT format('DROP TABLE %s', leaf) FROM bgp.retired \gexec
SELECT pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT prefix FROM pg_temp.held(11)', ARRAY['198.18.0.0/15', '203.0.113.0/24'], 'what was dropped before it was ever followed is in bgp.rib');

-- a peer without routes, of which retention drops even the table of routes
SELECT pg_temp.session(9, 1, 'up'), pg_temp.route(9, 2, 'A', '198.18.0.0/15', '{64609,1}'), pg_temp.session(9, 3, 'down'), pg_temp.follow() \g /dev/null
SELECT bgp.rib_forget_before(pg_temp.id(9), '2024-03-04'), bgp.retire(pg_temp.id(9), '2024-03-01', '{}'), bgp.retire(pg_temp.id(9), '2024-03-02', '{}'), bgp.retire(pg_temp.id(9), '2024-03-03', '{}') \g /dev/null
SELECT format('DROP TABLE %s', leaf) FROM bgp.retired \gexec
SELECT format('SELECT bgp.drop_empty(%L, ''{}'')', name) FROM bgp.empty_peer WHERE name LIKE '%\_' || pg_temp.id(9) \gexec
SELECT is(to_regclass('bgp.rib_entry_' || pg_temp.id(9)), NULL, 'the table is gone');
SELECT is((SELECT count(*) FROM bgp.rib_at('infinity', NULL, ARRAY[pg_temp.id(9)])), 0::bigint, 'the peer has no routes');

-- a log that was restored: no batch tells of it
SELECT pg_temp.session(10, 1, 'up'), pg_temp.route(10, 10, 'A', '198.18.0.0/15', '{64610,1}') \g /dev/null
UPDATE pg_temp.told SET seq = (SELECT last_value FROM pg_temp.seq);
SELECT pg_temp.route(10, 172805, 'A', '203.0.113.0/24', '{64610,1}'), pg_temp.follow() \g /dev/null
SELECT set_eq('SELECT prefix FROM pg_temp.held(10)', ARRAY['198.18.0.0/15', '203.0.113.0/24'], 'bgp.rib begins with all that the log has of a peer');

-- --- who may do what ---------------------------------------------------------------------------

SELECT set_eq($$SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'bgp'::regnamespace AND p.proname ~ '^(rib|batch)'
    AND has_function_privilege('exabgp_pg_writer', p.oid, 'EXECUTE')$$, ARRAY['rib_follow'], 'the writer may bring the routes up to date, no more');
SELECT is_empty($$SELECT f FROM unnest(ARRAY['rib_follow', 'rib_rebuild', 'rib_apply', 'rib_late', 'rib_base_write', 'rib_forget_before', 'batch_note']) f
    WHERE has_function_privilege('exabgp_pg_reader', ('bgp.' || f)::regproc, 'EXECUTE')$$, 'the reader may change nothing');
GRANT SELECT ON pg_temp.peer TO exabgp_pg_reader;
SELECT set_config('tap.two', pg_temp.id(2)::text, true) \g /dev/null
SET LOCAL ROLE exabgp_pg_reader;
SELECT concat_ws(' ', (SELECT count(*) FROM bgp.rib r WHERE peer_id = current_setting('tap.two')::int),
    (SELECT count(*) FROM bgp.rib_at('2024-03-01 00:00:30+00', NULL, ARRAY[current_setting('tap.two')::int])),
    (SELECT count(*) FROM bgp.rib_at('2024-03-03 00:00:30+00', '10.2.0.0/16', ARRAY[current_setting('tap.two')::int])),
    (SELECT count(*) FROM bgp.routes_at('2024-03-01 00:00:30+00', '{10.2.0.0/16}')),
    (SELECT count(*) FROM bgp.lookup('10.2.1.1')), (SELECT count(*) FROM bgp.lookup('10.2.1.1', '2024-03-01 00:00:30+00')),
    (SELECT count(*) FROM bgp.rib_diff('2024-03-01 00:00:00+00', '2024-03-01 00:00:30+00', '10.2.0.0/16')),
    (SELECT count(*) FROM bgp.peer_diff(current_setting('tap.two')::int, -1, '2024-03-01 00:00:30+00')),
    (SELECT count(*) FROM bgp.path_history('10.2.0.0/16', '2024-03-01 00:00:00+00', '2024-03-01 00:00:30+00'))) AS counts \gset
RESET ROLE;
SELECT is(:'counts'::text, '4 4 3 2 3 4 4 4 2', 'the reader reads all of it');

SELECT * FROM finish();
ROLLBACK;
