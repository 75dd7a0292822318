-- maintenance.sql - bgp.partition, days to come, days gone by.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN;
SELECT no_plan();

SELECT (now() AT TIME ZONE 'UTC')::date AS today \gset
CREATE TEMP TABLE id (name text PRIMARY KEY, peer_id int);
INSERT INTO id VALUES
('live', bgp.ensure_peer('a', '192.0.2.1', 1, NULL, NULL, now())),
('also live', bgp.ensure_peer('a', '192.0.2.2', 2, NULL, NULL, now() - interval '6 days')),
('gone', bgp.ensure_peer('a', '192.0.2.3', 3, NULL, NULL, now() - interval '8 days')),
('never', bgp.ensure_peer('a', '192.0.2.4', 4, NULL, NULL, NULL));

-- --- days to come ---------------------------------------------------------------------

SELECT set_eq('SELECT * FROM bgp.ensure_partitions_ahead(2)', $$
    SELECT format('bgp.route_event_%s_%s', peer_id, to_char(day, 'YYYYMMDD'))
    FROM id, generate_series((now() AT TIME ZONE 'UTC')::date::timestamp, (now() AT TIME ZONE 'UTC')::date + interval '2 days', '1 day') day
    WHERE name IN ('live', 'also live')$$, 'today and two days to come, for peers heard of within a week');
SELECT is_empty('SELECT * FROM bgp.ensure_partitions_ahead(2)', 'again: nothing is missing');
SELECT is((SELECT count(*) FROM bgp.ensure_partitions_ahead(3)), 2::bigint, 'one day more');
SELECT is_empty('SELECT * FROM bgp.ensure_partitions_ahead(0)', '0: today only');
SELECT set_eq($$SELECT peer_id, day FROM bgp.partition$$, $$
    SELECT peer_id, (now() AT TIME ZONE 'UTC')::date + n FROM id, generate_series(0, 3) n WHERE name IN ('live', 'also live')$$,
    'bgp.partition has them, and what is not a leaf it has not');
SELECT ok(to_regclass(leaf::text) IS NOT NULL AND table_bytes >= 0 AND index_bytes > 0 AND NOT closed, leaf || ' is open')
FROM bgp.partition WHERE day = :'today';

-- a session elsewhere: where the clock goes forward at midnight tomorrow, and at the far ends of the world
SELECT format('AAA4BBB,%s/0,%s/0', extract(doy FROM :'today'::date + 1) - 1,
    (extract(doy FROM :'today'::date + 1)::int + 59) % 365) AS zone \gset
SET LOCAL timezone = 'Pacific/Kiritimati';
SELECT is((SELECT count(*) FROM bgp.ensure_partitions_ahead(4)), 2::bigint, 'one day more, in Pacific/Kiritimati');
SET LOCAL timezone = 'Etc/GMT+12';
SELECT is((SELECT count(*) FROM bgp.ensure_partitions_ahead(5)), 2::bigint, 'one day more, in Etc/GMT+12');
SET LOCAL timezone = :'zone';
SELECT is((SELECT count(*) FROM bgp.ensure_partitions_ahead(6)), 2::bigint,
    'one day more, where the clock goes forward at midnight (' || :'zone' || ')');
SET LOCAL timezone = 'UTC';
SELECT set_eq($$SELECT peer_id, day FROM bgp.partition$$, $$
    SELECT peer_id, (now() AT TIME ZONE 'UTC')::date + n FROM id, generate_series(0, 6) n WHERE name IN ('live', 'also live')$$,
    'days of UTC all the same');

-- --- days gone by ------------------------------------------------------------------------

SELECT is_empty(format('SELECT * FROM bgp.close_statements(%L)', :'today'), 'no day gone by: nothing to close');
SELECT count(bgp.ensure_partition(peer_id, day)) FROM id, unnest(ARRAY['1999-12-31', '2024-02-29']::date[]) day WHERE name = 'gone' \gset
SELECT is((SELECT count(*) FROM bgp.partition WHERE day < '2025-01-01'), 2::bigint, 'two old days');
SELECT is((SELECT count(DISTINCT regexp_replace(s, '^.* (bgp\.)?(route_event_\d+_\d{8}).*$', '\2')) FROM bgp.close_statements(:'today') s), 2::bigint,
    'both are to be closed');
SELECT matches((SELECT s FROM bgp.close_statements(:'today') s LIMIT 1), '_19991231', 'the oldest first');
SELECT is((SELECT count(DISTINCT regexp_replace(s, '^.* (bgp\.)?(route_event_\d+_\d{8}).*$', '\2')) FROM bgp.close_statements('2024-02-29') s), 1::bigint,
    'days before the given one only');
DO $$
DECLARE
	statement	text;
BEGIN
	FOR statement IN SELECT * FROM bgp.close_statements('2024-02-29') LOOP
		IF statement NOT LIKE 'VACUUM%' THEN
			EXECUTE statement;
		END IF;
	END LOOP;
END
$$;
SELECT results_eq($$SELECT day, closed FROM bgp.partition WHERE day < '2025-01-01' ORDER BY day$$,
    $$VALUES (date '1999-12-31', true), (date '2024-02-29', false)$$, 'the statements close it');
SELECT is_empty($$SELECT * FROM bgp.close_statements('2024-02-29')$$, 'a closed day has nothing to close');
SELECT is((SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
	JOIN bgp.partition p ON p.leaf = i.indrelid WHERE p.day = '1999-12-31' AND a.amname = 'gin' AND i.indisvalid AND i.indpred IS NULL),
    3::bigint, 'it has indexes for path, communities and large communities');

SELECT * FROM finish();
ROLLBACK;
