-- status.sql - bgp.ingest_status: what an operator sees of helpers that run, lag, died
-- or ended.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN;
SELECT no_plan();

CREATE FUNCTION pg_temp.journal(collector text, committed interval, pending interval DEFAULT NULL, seq bigint DEFAULT 10)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO bgp.ingest_position (journal_id, collector, seq, last_commit, oldest_pending, journal_bytes, rows_total)
	VALUES (gen_random_uuid(), $1, $4, now() - $2, now() - $3, CASE WHEN $3 IS NULL THEN 0 ELSE 500 END, 7)
$$;
CREATE FUNCTION pg_temp.event(collector text, ago interval, event text, seq bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO bgp.session_log (ts, seq, collector, event) VALUES (now() - $2, $4, $1, $3)
$$;
CREATE FUNCTION pg_temp.helper(collector text) RETURNS text LANGUAGE sql AS $$
	SELECT helper FROM bgp.ingest_status s WHERE s.collector = $1
$$;

SELECT columns_are('bgp', 'ingest_status', ARRAY['collector', 'last_commit', 'lag', 'journal_bytes', 'rows_total',
    'errors_total', 'gaps_total', 'since_commit', 'helper', 'peers_up', 'peers', 'rib_lag', 'hunt_lag', 'rib_failing']);

SELECT pg_temp.journal('new', NULL);
SELECT is(pg_temp.helper('new'), 'new', 'connected, nothing committed yet');
SELECT results_eq($$SELECT lag, since_commit, peers_up, peers FROM bgp.ingest_status WHERE collector = 'new'$$,
    $$VALUES (interval '0', NULL::interval, 0::bigint, 0::bigint)$$, 'no commit: nothing is known');

SELECT pg_temp.journal('fine', '2 s', '2.5 s');
SELECT is(pg_temp.helper('fine'), 'loading', 'a batch under way');
SELECT results_eq($$SELECT lag, since_commit FROM bgp.ingest_status WHERE collector = 'fine'$$,
    $$VALUES (interval '2.5 s', interval '2 s')$$, 'lag and age of the commit');

SELECT pg_temp.journal('behind', '1 s', '10 minutes');
SELECT is(pg_temp.helper('behind'), 'behind', 'commits, but what it commits is old');

-- died an hour ago with a backlog: the line that waited then has grown old
SELECT pg_temp.journal('dead', '1 hour', '61 minutes');
SELECT pg_temp.event('dead', '2 hours', 'start', 1);
SELECT is(pg_temp.helper('dead'), 'stalled', 'died with a backlog');
SELECT results_eq($$SELECT lag, since_commit, journal_bytes FROM bgp.ingest_status WHERE collector = 'dead'$$,
    $$VALUES (interval '61 minutes', interval '1 hour', 500::bigint)$$, 'its lag has grown since');

SELECT pg_temp.journal('idle', '1 hour');
SELECT pg_temp.event('idle', '2 hours', 'start', 1);
SELECT is(pg_temp.helper('idle'), 'quiet', 'nothing came, or it died with all loaded');
SELECT is(lag, interval '0', 'that is no lag') FROM bgp.ingest_status WHERE collector = 'idle';

SELECT pg_temp.journal('ended', '1 s', NULL, 12);
SELECT pg_temp.event('ended', '2 hours', 'start', 1);
SELECT pg_temp.event('ended', '2 s', 'stop', 12);
SELECT is(pg_temp.helper('ended'), 'stopped', 'the last that was loaded is its end');
SELECT pg_temp.event('ended', '1 s', 'start', 13);
UPDATE bgp.ingest_position SET seq = 13 WHERE collector = 'ended';
SELECT is(pg_temp.helper('ended'), 'loading', 'until it starts again');
UPDATE bgp.ingest_position SET seq = 20, last_commit = now() - interval '1 hour' WHERE collector = 'ended';
SELECT is(pg_temp.helper('ended'), 'quiet', 'and has nothing to do');

-- the end of the run before, not yet that of this one
SELECT pg_temp.journal('again', '1 s', NULL, 15);
SELECT pg_temp.event('again', '2 s', 'stop', 12);
SELECT is(pg_temp.helper('again'), 'loading', 'rows after a stop: it is none of now');
SELECT pg_temp.event('other', '0 s', 'stop', 15);
SELECT is(pg_temp.helper('again'), 'loading', 'nor is that of another collector');

-- two helpers of one collector
SELECT pg_temp.journal('two', '1 s');
SELECT pg_temp.journal('two', '1 hour', '61 minutes');
SELECT is(pg_temp.helper('two'), 'stalled', 'one of two helpers died with a backlog');
SELECT results_eq($$SELECT lag, since_commit, rows_total FROM bgp.ingest_status WHERE collector = 'two'$$,
    $$VALUES (interval '61 minutes', interval '1 s', 14::bigint)$$, 'the larger lag, the later commit');

SELECT bgp.ensure_peer('fine', '192.0.2.1', 64500, NULL, NULL, now());
SELECT bgp.ensure_peer('fine', '192.0.2.2', 64500, NULL, NULL, now());
SELECT bgp.ensure_peer('fine', '192.0.2.3', 64500, NULL, NULL, now());
SELECT bgp.ensure_peer('idle', '192.0.2.1', 64500, NULL, NULL, now());
UPDATE bgp.peer SET state = 'up' WHERE collector = 'fine' AND peer_address <> '192.0.2.2';
SELECT results_eq($$SELECT collector, peers_up, peers FROM bgp.ingest_status WHERE collector IN ('fine', 'idle') ORDER BY 1$$,
    $$VALUES ('fine', 2::bigint, 3::bigint), ('idle', 0, 1)$$, 'peers of each collector, and those that are up');

SET LOCAL ROLE exabgp_pg_reader;
SELECT count(*) AS seen FROM bgp.ingest_status \gset
RESET ROLE;
SELECT cmp_ok(:seen, '>', 0, 'readers may see it');

SELECT * FROM finish();
ROLLBACK;
