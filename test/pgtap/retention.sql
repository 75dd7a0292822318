-- retention.sql - which days go, how a leaf goes and comes back, what an archive holds.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN;
SELECT no_plan();

SELECT (now() AT TIME ZONE 'UTC')::date AS today \gset
CREATE TEMP TABLE id (name text PRIMARY KEY, peer_id int);
INSERT INTO id VALUES
('a', bgp.ensure_peer('r', '192.0.2.1', 1, NULL, NULL, now())),
('b', bgp.ensure_peer('r', '192.0.2.2', 2, NULL, NULL, now())),
('c', bgp.ensure_peer('r', NULL, 3, NULL, NULL, now()));
SELECT count(bgp.ensure_partition(peer_id, :'today'::date + n)) FROM id, generate_series(-4, 1) n \gset
SELECT peer_id AS a FROM id WHERE name = 'a' \gset
SELECT format('route_event_%s_%s', :a, to_char(:'today'::date - 3, 'YYYYMMDD')) AS leaf \gset

-- plan(...) as "name:days ago", in order
CREATE FUNCTION pg_temp.plan(keep int, addresses inet[], days int[], max_bytes bigint) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(name || ':' || (now() AT TIME ZONE 'UTC')::date - day, ' ' ORDER BY day, name), '')
	FROM (SELECT * FROM bgp.retention_plan($1, $2, $3, $4) JOIN pg_temp.id USING (peer_id)) p
$$;

-- --- which days go ----------------------------------------------------------------------

SELECT is(pg_temp.plan(4, '{}', '{}', NULL), '', 'four days ago and today are kept for 4d');
SELECT is(pg_temp.plan(3, '{}', '{}', NULL), 'a:4 b:4 c:4', '3d');
SELECT is(pg_temp.plan(1, '{}', '{}', NULL), 'a:4 b:4 c:4 a:3 b:3 c:3 a:2 b:2 c:2', '1d: yesterday and today stay, and days to come');
SELECT is(pg_temp.plan(3, '{192.0.2.2}', '{2}', NULL), 'a:4 b:4 c:4 b:3', 'a peer that is kept shorter');
SELECT is(pg_temp.plan(2, '{192.0.2.2}', '{9}', NULL), 'a:4 c:4 a:3 c:3', 'a peer that is kept longer');
SELECT is(pg_temp.plan(NULL, '{192.0.2.2}', '{3}', NULL), 'b:4', 'only one peer');
SELECT is(pg_temp.plan(NULL, '{}', '{}', NULL), '', 'no limit');
SET LOCAL timezone = 'Pacific/Kiritimati';
SELECT is(pg_temp.plan(3, '{}', '{}', NULL), 'a:4 b:4 c:4', 'days of UTC in Pacific/Kiritimati');
SET LOCAL timezone = 'Etc/GMT+12';
SELECT is(pg_temp.plan(3, '{}', '{}', NULL), 'a:4 b:4 c:4', 'and in Etc/GMT+12');
SET LOCAL timezone = 'UTC';
SELECT is(pg_temp.plan(NULL, '{}', '{}', bgp.log_bytes()), '', 'as large as may be');
SELECT is(pg_temp.plan(NULL, '{}', '{}', bgp.log_bytes() - 1), 'a:4 b:4 c:4', 'a byte more: the oldest day of all');
SELECT is(pg_temp.plan(NULL, '{}', '{}', 0), 'a:4 b:4 c:4 a:3 b:3 c:3 a:2 b:2 c:2 a:1 b:1 c:1', 'nothing may be left: today stays');
SELECT is(pg_temp.plan(3, '{}', '{}', bgp.log_bytes() - 1), 'a:4 b:4 c:4', 'what goes for its age counts');

-- --- a leaf goes and comes back -----------------------------------------------------------

INSERT INTO bgp.route_event (ts, seq, peer_id, kind) VALUES (:'today'::timestamp AT TIME ZONE 'UTC' - interval '60 hours', 1, :a, 'W');
SELECT is(bgp.retire(:a, :'today'::date - 3, '{}'), NULL, 'a leaf is taken out');
SELECT is((SELECT count(*) FROM bgp.route_event WHERE peer_id = :a), 0::bigint, 'its rows are not in the log');
SELECT is((SELECT string_agg(day - :'today'::date || ' ' || leaf, ',') FROM bgp.retired WHERE peer_id = :a), '-3 bgp.' || :'leaf' || '_retired', 'bgp.retired has it');
CREATE FUNCTION pg_temp.noted() RETURNS TABLE (peer_id int, day date) LANGUAGE sql AS 'SELECT d.peer_id, d.day FROM bgp.route_day d';
SELECT set_eq('SELECT * FROM pg_temp.noted()', 'SELECT peer_id, day FROM bgp.partition', 'it is none of the days that a subscriber is to make');
SELECT is(bgp.retire(:a, :'today'::date - 3, '{}'), NULL, 'again: there is nothing to do');
SELECT is(bgp.ensure_partition(:a, :'today'::date - 3), true, 'a late line makes a leaf anew');
INSERT INTO bgp.route_event (ts, seq, peer_id, kind) VALUES (:'today'::timestamp AT TIME ZONE 'UTC' - interval '60 hours', 2, :a, 'W');
SELECT is(bgp.retire(:a, :'today'::date - 3, '{}'), 'bgp.' || :'leaf' || '_retired is still there', 'which has to wait for the other one');
SELECT is(bgp.unretire(:a, :'today'::date - 3), true, 'the first comes back');
SELECT set_eq('SELECT * FROM pg_temp.noted()', 'SELECT peer_id, day FROM bgp.partition', 'its day as well');
SELECT is((SELECT string_agg(seq::text, ' ' ORDER BY seq) FROM bgp.route_event WHERE peer_id = :a), '1 2', 'both are in the log');
SELECT is(bgp.unretire(:a, :'today'::date - 3), false, 'there is no other');
SELECT is(bgp.retire(:a, :'today'::date - 3, '{}'), NULL, 'it goes as a whole');
ALTER TABLE bgp.route_event ADD COLUMN later int;
SELECT is(bgp.unretire(:a, :'today'::date - 3), true, 'it comes back after the log got a column');
SELECT is((SELECT string_agg(seq::text, ' ' ORDER BY seq) FROM bgp.route_event WHERE peer_id = :a AND later IS NULL), '1 2', 'with its rows');
ALTER TABLE bgp.route_event DROP COLUMN later;
SELECT is(bgp.retire(:a, :'today'::date - 3, '{}') || bgp.unretire(:a, :'today'::date - 3)::text, NULL, 'out and in');
SELECT is((SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass('bgp.' || :'leaf')), 0::bigint, 'no constraint is left on it');
SELECT ok(has_table_privilege('exabgp_pg_reader', 'bgp.' || :'leaf', 'SELECT'), 'readers may read it');

-- --- what an archive holds -------------------------------------------------------------------

SELECT is((SELECT string_agg(name, ' ' ORDER BY n) FROM bgp.archive_sections(:'leaf', :a, :'today'::date - 3)),
    'route_event session_log collector_log peer_stale', 'a day without a base state');
SELECT is((SELECT count(*) FROM bgp.archive_sections(:'leaf', :a, :'today'::date - 3), jsonb_array_elements(columns) c WHERE c->>0 = 'peer_id'),
    0::bigint, 'peer_id, which is another elsewhere, is not in it');
SELECT is((SELECT count(*) FROM jsonb_array_elements((SELECT columns FROM bgp.archive_sections(:'leaf', :a, :'today'::date - 3) WHERE n = 1))),
    (SELECT count(*) - 1 FROM pg_attribute WHERE attrelid = 'bgp.route_event'::regclass AND attnum > 0 AND NOT attisdropped), 'all other columns are');
SELECT is((SELECT max(l) FROM bgp.archive_head(:'leaf', :a, :'today'::date - 3) l WHERE l LIKE 'exabgp-pg %'), 'exabgp-pg archive 1 8',
    'two lines of head, two rows, four ends');
SELECT throws_ok($$SELECT bgp.restore_peer('{"day": "2024-01-01"}')$$, 'P0001', NULL, 'an archive that does not say whose it is');

SELECT * FROM finish();
ROLLBACK;
