-- rib.sql - what peers hold, by hand: times, stale routes, lookups, differences, histories; base
-- states and what makes them wrong; who may do what.  At random, and with helpers: test/rib.sh.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT no_plan();

-- --- lines of a day that is nearly over --------------------------------------------------

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

SELECT * FROM finish();
ROLLBACK;
