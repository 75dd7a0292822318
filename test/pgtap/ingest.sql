-- ingest.sql - the functions that the helper calls, in one session; what several
-- sessions do at once is in test/sql.sh.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN;
SELECT no_plan();

-- --- bgp.ensure_peer ---------------------------------------------------------------

CREATE TEMP TABLE id (name text PRIMARY KEY, peer_id int);
INSERT INTO id VALUES
('full', bgp.ensure_peer('a', '192.0.2.1', 64500, '192.0.2.254', 64512, '2024-01-01 00:00:00+00')),
('other collector', bgp.ensure_peer('b', '192.0.2.1', 64500, '192.0.2.254', 64512, '2024-01-01 00:00:00+00')),
('other address', bgp.ensure_peer('a', '192.0.2.2', 64500, '192.0.2.254', 64512, '2024-01-01 00:00:00+00')),
('v6 address', bgp.ensure_peer('a', '2001:db8::1', 64500, '192.0.2.254', 64512, '2024-01-01 00:00:00+00')),
('other ASN', bgp.ensure_peer('a', '192.0.2.1', 4294967295, '192.0.2.254', 64512, '2024-01-01 00:00:00+00')),
('other local address', bgp.ensure_peer('a', '192.0.2.1', 64500, '192.0.2.253', 64512, '2024-01-01 00:00:00+00')),
('no address', bgp.ensure_peer('a', NULL, 64500, '192.0.2.254', 64512, NULL)),
('no ASN', bgp.ensure_peer('a', '192.0.2.1', NULL, '192.0.2.254', 64512, NULL)),
('no local address', bgp.ensure_peer('a', '192.0.2.1', 64500, NULL, 64512, NULL)),
('nothing', bgp.ensure_peer('a', NULL, NULL, NULL, NULL, NULL));

SELECT is(count(*), count(DISTINCT peer_id), 'each identity is a peer of its own') FROM id;
SELECT is(count(peer_id), 10::bigint, 'each peer has an id') FROM id;
SELECT is(bgp.ensure_peer('a', '192.0.2.1', 64500, '192.0.2.254', 64512, '2025-01-01 00:00:00+00'),
    (SELECT peer_id FROM id WHERE name = 'full'), 'the same id on repeat');
SELECT is(bgp.ensure_peer('a', '192.0.2.1', 64500, '192.0.2.254', 64999, NULL),
    (SELECT peer_id FROM id WHERE name = 'full'), 'the local ASN is not part of the identity');
SELECT is(bgp.ensure_peer('a', NULL, 64500, '192.0.2.254', NULL, now()),
    (SELECT peer_id FROM id WHERE name = 'no address'), 'NULL address equals NULL');
SELECT is(bgp.ensure_peer('a', '192.0.2.1', NULL, '192.0.2.254', NULL, now()),
    (SELECT peer_id FROM id WHERE name = 'no ASN'), 'NULL ASN equals NULL');
SELECT is(bgp.ensure_peer('a', '192.0.2.1', 64500, NULL, NULL, now()),
    (SELECT peer_id FROM id WHERE name = 'no local address'), 'NULL local address equals NULL');
SELECT is(bgp.ensure_peer('a', NULL, NULL, NULL, NULL, now()),
    (SELECT peer_id FROM id WHERE name = 'nothing'), 'a peer of which nothing is known equals itself');
SELECT is((SELECT count(*) FROM bgp.peer), 10::bigint, 'none is there twice');
SELECT results_eq($$
    SELECT collector, peer_address, peer_asn, local_address, local_asn, state, first_seen, last_seen
    FROM bgp.peer JOIN id USING (peer_id) WHERE name = 'full'$$, $$
    VALUES ('a', inet '192.0.2.1', 64500::bigint, inet '192.0.2.254', 64512::bigint, 'unknown',
	timestamptz '2024-01-01 00:00:00+00', timestamptz '2024-01-01 00:00:00+00')$$,
    'a peer as it was first seen');
SELECT throws_ok($$SELECT bgp.ensure_peer(NULL, '192.0.2.1', 1, NULL, NULL, now())$$, '23502', NULL,
    'a peer without a collector is refused');
SELECT set_eq($$SELECT peer_id, peer_address, peer_asn, local_address FROM bgp.ingest_peers('a')$$,
    $$SELECT peer_id, peer_address, peer_asn, local_address FROM bgp.peer WHERE collector = 'a'$$,
    'ingest_peers: those of one collector');
SELECT is_empty($$SELECT * FROM bgp.ingest_peers('nobody')$$, 'ingest_peers: none of an unknown one');

-- --- bgp.ensure_partition -----------------------------------------------------------------

CREATE FUNCTION pg_temp.leaf(ts timestamptz) RETURNS text LANGUAGE sql AS $$
	INSERT INTO bgp.route_event (ts, seq, peer_id, kind)
	SELECT $1, 0, peer_id, 'W' FROM id WHERE name = 'full'
	RETURNING tableoid::regclass::text
$$;
CREATE FUNCTION pg_temp.name(day text) RETURNS text LANGUAGE sql AS $$
	SELECT format('bgp.route_event_%s_%s', peer_id, day) FROM id WHERE name = 'full'
$$;
CREATE FUNCTION pg_temp.bounds(day text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = to_regclass(pg_temp.name($1))
$$;

SELECT is(bgp.ensure_partition(peer_id, day), true, day || ': made') FROM id,
    unnest(ARRAY['1999-12-31', '2000-01-01', '2002-03-31', '2024-02-28', '2024-02-29', '2024-03-01', '2038-01-19']::date[]) day
WHERE name = 'full' ORDER BY day;
SELECT is(bgp.ensure_partition(peer_id, '2024-02-29'), false, 'again: it was there') FROM id WHERE name = 'full';
SELECT isnt(to_regclass(pg_temp.name('20240229')), NULL, 'bgp.route_event_<peer_id>_<yyyymmdd>');
SELECT is(pg_temp.bounds('20240229'),
    $$FOR VALUES FROM ('2024-02-29 00:00:00+00') TO ('2024-03-01 00:00:00+00')$$, 'one UTC day, a leap day');
SELECT is(pg_temp.bounds('19991231'),
    $$FOR VALUES FROM ('1999-12-31 00:00:00+00') TO ('2000-01-01 00:00:00+00')$$, 'one UTC day, the last of a year');
SELECT is(pg_temp.leaf(ts), pg_temp.name(day), ts || ' goes to ' || day)
FROM (VALUES
    (timestamptz '1999-12-31 00:00:00+00', '19991231'),
    ('1999-12-31 23:59:59.999999+00', '19991231'),
    ('2000-01-01 00:00:00+00', '20000101'),
    ('2002-03-31 01:30:00+00', '20020331'),
    ('2024-02-28 23:59:59.999999+00', '20240228'),
    ('2024-02-29 00:00:00+00', '20240229'),
    ('2024-02-29 00:00:00.000001+00', '20240229'),
    ('2024-02-29 23:59:59.999999+00', '20240229'),
    ('2024-03-01 00:00:00+00', '20240301'),
    ('2024-02-29 13:00:00+13', '20240229'),
    ('2024-02-29 12:59:59.999999+13', '20240228'),
    ('2038-01-19 03:14:08+00', '20380119')) AS v (ts, day);
SELECT throws_ok($$SELECT pg_temp.leaf('2024-03-02 00:00:00+00')$$, '23514', NULL, 'a day without a leaf is refused');

-- the day is one of UTC wherever the session is
SET LOCAL timezone = 'Pacific/Auckland';
SET LOCAL datestyle = 'German, DMY';
SELECT is(bgp.ensure_partition(peer_id, '2024-09-29'::date), true, 'made at the other end of the world')
FROM id WHERE name = 'full';
SET LOCAL timezone = 'America/Los_Angeles';
SELECT is(bgp.ensure_partition(peer_id, '2024-09-30'::date), true, 'and at this one') FROM id WHERE name = 'full';
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, MDY';
SELECT is(pg_temp.bounds('20240929'),
    $$FOR VALUES FROM ('2024-09-29 00:00:00+00') TO ('2024-09-30 00:00:00+00')$$, 'its bounds are those of UTC');
SELECT is(pg_temp.bounds('20240930'),
    $$FOR VALUES FROM ('2024-09-30 00:00:00+00') TO ('2024-10-01 00:00:00+00')$$, 'so are the others');

SELECT throws_ok($$SELECT bgp.ensure_partition(1000000, '2024-02-29')$$, '23503', NULL, 'an unknown peer is refused');
SELECT throws_ok($$SELECT bgp.ensure_partition(NULL, '2024-02-29')$$, NULL, NULL, 'no peer is refused');
SELECT throws_ok($$SELECT bgp.ensure_partition((SELECT peer_id FROM id WHERE name = 'full'), NULL)$$, NULL, NULL,
    'no day is refused');
SELECT throws_ok($$SELECT bgp.ensure_partition((SELECT peer_id FROM id WHERE name = 'full'), 'infinity')$$, NULL, NULL,
    'a day at the end of time is refused');
SELECT is((SELECT count(*) FROM pg_class WHERE relnamespace = 'bgp'::regnamespace AND relkind = 'r' AND relispartition), 9::bigint,
    'what was refused left nothing behind');

-- --- bgp.ingest_open, bgp.ingest_commit -----------------------------------------------------

\set journal '''11111111-2222-4333-8444-555555555555'''
CREATE FUNCTION pg_temp.commit(from_position bigint, to_position bigint, events int DEFAULT 0) RETURNS void LANGUAGE sql AS $$
	SELECT bgp.ingest_commit('11111111-2222-4333-8444-555555555555', CASE $1 WHEN 0 THEN 0 ELSE 1 END, $1, 0, 1, $2, $3, 7,
	    10, 2, 1, 300, '2024-01-01 00:00:00+00', '{}', '{}', '{}', '{}', '{}', '{}', '{}')
$$;

SELECT results_eq('SELECT * FROM bgp.ingest_open(' || :'journal' || $$, 'a')$$,
    $$SELECT 0::bigint, 0::bigint, 0, 0::bigint, max(version) FROM bgp.schema_version$$,
    'a journal that is not known begins at its beginning');
SELECT lives_ok('SELECT pg_temp.commit(0, 100)', 'the first batch');
SELECT lives_ok('SELECT pg_temp.commit(100, 200)', 'the next one');
SELECT results_eq('SELECT segment, position, events, seq FROM bgp.ingest_open(' || :'journal' || $$, 'a')$$,
    'VALUES (1::bigint, 200::bigint, 0, 7::bigint)', 'the journal is where the last one ended');

SELECT throws_ok('SELECT pg_temp.commit(100, 200)', 'EP001', NULL, 'a batch that is there already is refused');
SELECT throws_ok('SELECT pg_temp.commit(300, 400)', 'EP001', NULL, 'a batch after one that is not there is refused');
DO $$
BEGIN
	INSERT INTO bgp.ingest_error (ts, seq, collector, error) VALUES (now(), 1, 'undone', 'x');
	PERFORM pg_temp.commit(100, 200);
EXCEPTION WHEN SQLSTATE 'EP001' THEN
	NULL;
END
$$;
SELECT is_empty($$SELECT FROM bgp.ingest_error WHERE collector = 'undone'$$, 'its rows are undone');
SELECT throws_ok($$
    SELECT bgp.ingest_commit('99999999-2222-4333-8444-555555555555', 0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, NULL,
	'{}', '{}', '{}', '{}', '{}', '{}', '{}')$$, 'EP001', NULL, 'a journal that is not known is refused');
SELECT lives_ok('SELECT pg_temp.commit(200, 200, 5)', 'a batch may end within a line');
SELECT throws_ok('SELECT pg_temp.commit(200, 300)', 'EP001', NULL, 'the events of that line count');
SELECT results_eq($$
    SELECT last_commit BETWEEN now() AND clock_timestamp(), lag BETWEEN now() - timestamptz '2024-01-01 00:00:00+00' - interval '1 s'
	AND now() - timestamptz '2024-01-01 00:00:00+00', journal_bytes, rows_total, errors_total, gaps_total
    FROM bgp.ingest_status WHERE collector = 'a'$$,
    'VALUES (true, true, 300::bigint, 30::bigint, 6::bigint, 3::bigint)', 'bgp.ingest_status adds up');
SELECT lives_ok($$SELECT bgp.ingest_open('22222222-2222-4333-8444-555555555555', 'a')$$, 'a second journal of the collector');
SELECT is((SELECT count(*) FROM bgp.ingest_status WHERE collector = 'a'), 1::bigint, 'one line a collector in bgp.ingest_status');
SELECT lives_ok($$SELECT bgp.ingest_open('33333333-2222-4333-8444-555555555555', 'fresh')$$, 'a journal that has no commit');
SELECT results_eq($$SELECT last_commit, lag, journal_bytes, rows_total FROM bgp.ingest_status WHERE collector = 'fresh'$$,
    $$VALUES (NULL::timestamptz, interval '0', 0::bigint, 0::bigint)$$, 'nothing to load is no lag');

-- what a commit says of peers
CREATE FUNCTION pg_temp.note(seen timestamptz, pid bigint, counter bigint, state text, since timestamptz, router inet)
RETURNS void LANGUAGE sql AS $$
	SELECT bgp.ingest_commit(journal_id, segment, position, events, segment, position, events, seq, 0, 0, 0, 0, NULL,
	    (SELECT array_agg(peer_id) FROM id WHERE name = 'full'), ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], ARRAY[$5], ARRAY[$6])
	FROM bgp.ingest_position WHERE journal_id = '11111111-2222-4333-8444-555555555555'
$$;
CREATE FUNCTION pg_temp.noted() RETURNS text LANGUAGE sql AS $$
	SELECT format('%s %s %s %s %s %s', to_char(last_seen, 'MM-DD'), exabgp_pid, line_counter, state,
	    to_char(state_since, 'MM-DD'), host(router_id))
	FROM bgp.peer JOIN id USING (peer_id) WHERE name = 'full'
$$;
SELECT lives_ok($$SELECT pg_temp.note('2024-01-03 00:00:00+00', 7, 1, 'up', '2024-01-02 00:00:00+00', '192.0.2.1')$$, 'a session comes up');
SELECT is(pg_temp.noted(), '01-03 7 1 up 01-02 192.0.2.1', 'all of it is noted');
SELECT lives_ok($$SELECT pg_temp.note('2024-01-04 00:00:00+00', NULL, 2, 'up', '2024-01-04 00:00:00+00', NULL)$$, 'it is up again');
SELECT is(pg_temp.noted(), '01-04 7 2 up 01-02 192.0.2.1', 'up since the first time; NULL changes nothing');
SELECT lives_ok($$SELECT pg_temp.note('2024-01-01 00:00:00+00', NULL, NULL, NULL, NULL, NULL)$$, 'something late');
SELECT is(pg_temp.noted(), '01-04 7 2 up 01-02 192.0.2.1', 'what is late does not set last_seen back');
SELECT lives_ok($$SELECT pg_temp.note('2024-01-05 00:00:00+00', 8, 1, 'down', '2024-01-05 00:00:00+00', NULL)$$, 'it goes down');
SELECT is(pg_temp.noted(), '01-05 8 1 down 01-05 192.0.2.1', 'a change has a new since');
SELECT is((SELECT count(*) FROM bgp.peer WHERE line_counter IS NOT NULL), 1::bigint, 'no other peer is touched');

-- what lines may have been missed of, and what is being sent again
CREATE FUNCTION pg_temp.mark(stale timestamptz, enhanced boolean, refreshing text) RETURNS void LANGUAGE sql AS $$
	SELECT bgp.ingest_commit(journal_id, segment, position, events, segment, position, events, seq, 0, 0, 0, 0, NULL,
	    (SELECT array_agg(peer_id) FROM id WHERE name = 'full'), ARRAY[NULL::timestamptz], ARRAY[NULL::bigint], ARRAY[NULL::bigint],
	    ARRAY[NULL::text], ARRAY[NULL::timestamptz], ARRAY[NULL::inet], ARRAY[$1], ARRAY[$2], ARRAY[$3])
	FROM bgp.ingest_position WHERE journal_id = '11111111-2222-4333-8444-555555555555'
$$;
CREATE FUNCTION pg_temp.marks() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', to_char(p.stale_since, 'MM-DD'), s.stale, s.enhanced_refresh, s.refreshing, s.state)
	FROM bgp.peer p JOIN id USING (peer_id) JOIN bgp.ingest_peer_states('a') s USING (peer_id) WHERE name = 'full'
$$;
SELECT is(pg_temp.marks(), 'f down', 'nothing is stale or being sent again');
SELECT lives_ok($$SELECT pg_temp.mark('2024-01-06 00:00:00+00', true, 'a 1 ipv4 unicast')$$, 'lines may have been missed');
SELECT is(pg_temp.marks(), '01-06 t t a 1 ipv4 unicast down', 'that is noted');
SELECT lives_ok($$SELECT pg_temp.mark('2024-01-07 00:00:00+00', NULL, NULL)$$, 'and once more');
SELECT is(pg_temp.marks(), '01-06 t t a 1 ipv4 unicast down', 'stale since the first time; NULL changes nothing');
SELECT lives_ok($$SELECT pg_temp.note('2024-01-08 00:00:00+00', NULL, NULL, NULL, NULL, NULL)$$, 'a helper of schema 4 commits');
SELECT is(pg_temp.marks(), '01-06 t t a 1 ipv4 unicast down', 'which changes none of this');
SELECT lives_ok($$SELECT pg_temp.mark('-infinity', false, '')$$, 'all was sent again');
SELECT is(pg_temp.marks(), 'f f down', 'nothing is stale any more');

SELECT * FROM finish();
ROLLBACK;
