-- hunt_notify.sql - which messages a receiver gets, and in which order.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN;
SELECT no_plan();
DELETE FROM hunt.finding_row;
DELETE FROM hunt.finding_change;
DELETE FROM hunt.notify_receiver;

-- a change of a finding; the finding is made if it is not there
CREATE FUNCTION pg_temp.change(id bigint, change text, state text DEFAULT 'ongoing') RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO hunt.finding_row AS r (finding_id, hunt, type, prefix, configured_prefix, hijacker_asn, state, first_seen, last_seen, last_event, ended_at)
	VALUES ($1, 'hijack', 'E|0|-|-', set_masklen('10.0.0.0'::inet + $1 * 256, 24)::cidr, '10.0.0.0/8', 666, $3, now(), now(), now(),
	    CASE WHEN $3 IN ('withdrawn', 'resolved', 'outdated') THEN now() END)
	ON CONFLICT (finding_id) DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at;
	INSERT INTO hunt.finding_change (finding_id, change, state) VALUES ($1, $2, $3) RETURNING change_id
$$;
-- what is told now: "finding change changes", one after the other; NULL quiet time: for ever
CREATE FUNCTION pg_temp.told(receiver text, quiet interval DEFAULT '0', repeat interval DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m	jsonb;
	again	double precision;
	result	text[] := '{}';
BEGIN
	FOR i IN 1 .. 100 LOOP
		SELECT n.message, n.again INTO m, again FROM hunt.notify_next($1, $2, $3) n;
		IF m IS NULL THEN
			EXIT WHEN again IS DISTINCT FROM 0;
			CONTINUE;
		END IF;
		result := result || concat_ws(' ', m #>> '{finding,finding_id}', m ->> 'change', m ->> 'changes');
		PERFORM hunt.notify_done($1, (m ->> 'change_id')::bigint);
	END LOOP;
	RETURN array_to_string(result, ', ');
END
$$;
-- time goes by
CREATE FUNCTION pg_temp.later(receiver text, by interval) RETURNS void LANGUAGE sql AS $$
	UPDATE hunt.notify_finding n SET told_at = told_at - $2 WHERE n.receiver = $1
$$;

SELECT throws_ok($$SELECT hunt.notify_next('none', '0')$$, 'P0002', NULL, 'no such receiver');
SELECT throws_ok($$SELECT hunt.notify_begin(E'a\nb')$$, '22023', NULL, 'not a name');
SELECT throws_ok($$SELECT hunt.notify_begin('')$$, '22023', NULL, 'no name');
SELECT pg_temp.change(1, 'opened'), pg_temp.change(2, 'opened'), pg_temp.change(3, 'opened'), pg_temp.change(4, 'opened');
SELECT pg_temp.change(2, 'withdrawn', 'withdrawn'), pg_temp.change(3, 'ignored', 'ignored'), pg_temp.change(1, 'seen'), pg_temp.change(4, 'dormant', 'dormant');
SELECT is(hunt.notify_begin('a'), true, 'a new receiver');
SELECT is(hunt.notify_begin('a'), false, 'no longer new');
SELECT is(pg_temp.told('a'), '1 seen 1, 4 dormant 1', 'what is open, not what is over or ignored');
SELECT is(pg_temp.told('a'), '', 'once');
SELECT is(hunt.notify_begin('b', '-infinity'), true, 'one from the beginning');
SELECT is(pg_temp.told('b'), '1 opened 1, 2 opened 1, 3 opened 1, 4 opened 1, 2 withdrawn 1, 3 ignored 1, 1 seen 1, 4 dormant 1', 'all changes in order');
SELECT is(hunt.notify_begin('c', 'infinity'), true, 'one of what is to come');
SELECT is(pg_temp.told('c'), '', 'nothing yet');
SELECT is(hunt.notify_begin('d', '-infinity'), true, 'one with a quiet time');
SELECT is(pg_temp.told('d', '1 hour'), '1 opened 1, 2 opened 1, 3 opened 1, 4 opened 1, 2 withdrawn 1, 3 ignored 1', 'the second message only if it is over');
SELECT pg_temp.change(1, 'seen'), pg_temp.change(1, 'annotated');
SELECT is(pg_temp.told('d', '1 hour'), '', 'held back');
SELECT is((SELECT again BETWEEN 3500 AND 3600 FROM hunt.notify_next('d', '1 hour')), true, 'until the quiet time is over');
SELECT results_eq($$SELECT waiting, held FROM hunt.notify_status WHERE receiver = 'd'$$, $$VALUES (0::bigint, 2::bigint)$$, 'hunt.notify_status says so');
SELECT pg_temp.later('d', '61 minutes');
SELECT is(pg_temp.told('d', '1 hour'), '4 dormant 1, 1 annotated 3', 'then the latest of each, with how many there were');
SELECT pg_temp.change(1, 'withdrawn', 'withdrawn'), pg_temp.change(1, 'annotated', 'withdrawn');
SELECT is(pg_temp.told('d', NULL), '1 withdrawn 1', 'the end, if quiet for ever; not what comes after it');
SELECT pg_temp.later('d', '100 days');
SELECT is(pg_temp.told('d', NULL), '', 'quiet for ever');
SELECT is(pg_temp.told('d', '1 hour'), '1 annotated 1', 'or not');
SELECT pg_temp.change(3, 'seen', 'ignored'), pg_temp.change(3, 'ended', 'ignored');
SELECT is(pg_temp.told('d', NULL), '3 ended 1', 'of what is ignored only that it is gone');
SELECT pg_temp.change(3, 'ongoing'), pg_temp.change(3, 'seen');
SELECT is(pg_temp.told('d', NULL), '3 ongoing 1', 'or open again');
SELECT is(pg_temp.told('d', '1 hour', '2 hours'), '4 repeated 1', 'what is open is told again');
SELECT is((SELECT again BETWEEN 3500 AND 3600 FROM hunt.notify_next('d', '1 hour', '2 hours')), true, 'the next one that is due');

-- a receiver that fails
SELECT ok(pg_temp.told('c') <> '', 'all that came meanwhile');
SELECT pg_temp.change(5, 'opened');
SELECT is(message #>> '{finding,finding_id}', '5', 'a message') FROM hunt.notify_next('c', '0');
SELECT hunt.notify_failed('c', 'away');
SELECT is((SELECT error || failures FROM hunt.notify_status WHERE receiver = 'c'), 'away1', 'why it was not told');
SELECT is(message #>> '{finding,finding_id}', (SELECT c.finding_id::text FROM hunt.finding_change c WHERE c.change_id = (message ->> 'change_id')::bigint), 'the same message again')
FROM hunt.notify_next('c', '0');
SELECT pg_temp.change(6, 'opened');
SELECT throws_ok(format($$SELECT hunt.notify_done('c', %s)$$, (SELECT max(change_id) FROM hunt.finding_change)), '55000', NULL, 'a place cannot be moved over a change')
;
SELECT throws_ok($$SELECT hunt.notify_done('c', 1000000000)$$, '55000', NULL, 'nor to one that is not there');
SELECT is((SELECT error FROM hunt.notify_receiver WHERE receiver = 'c'), 'away', 'still failing');
SELECT ok(pg_temp.told('c') <> '', 'told');
SELECT is((SELECT error FROM hunt.notify_receiver WHERE receiver = 'c'), NULL, 'no longer failing');

-- a receiver that refuses
SELECT pg_temp.change(10, 'opened') AS refused, pg_temp.change(11, 'opened') AS after \gset
SELECT is(ceil(hunt.notify_refused('c', :refused, 'no', '1 hour')), 3600::float8, 'an hour is left');
SELECT is(ceil(hunt.notify_refused('c', :refused, 'no', '1 hour')), 3600::float8, 'and again');
SELECT is(ceil(hunt.notify_refused('c', :refused, 'no', '1 hour')), 3600::float8, 'three times are not an hour');
SELECT is(message #>> '{finding,finding_id}', '10', 'it is told nothing else') FROM hunt.notify_next('c', '0');
SELECT hunt.notify_failed('c', 'away');
UPDATE hunt.notify_receiver SET refused_since = refused_since - interval '1 hour' WHERE receiver = 'c';
SELECT is(hunt.notify_refused('c', :refused, 'never', '1 hour'), 0::float8, 'set aside after an hour');
SELECT results_eq($$SELECT finding_id, change_id, refusals, reason, set_aside_at - refused_since >= '1 hour' FROM hunt.notify_aside WHERE receiver = 'c'$$,
    format($$VALUES (10::bigint, %s::bigint, 4, 'never', true)$$, :refused), 'with the reason');
SELECT results_eq($$SELECT set_aside, why_set_aside, failures, error FROM hunt.notify_status WHERE receiver = 'c'$$, $$VALUES (1::bigint, 'never', 5::bigint, 'never')$$,
    'hunt.notify_status tells of it, and that it took nothing since');
SELECT throws_ok(format($$SELECT hunt.notify_done('c', %s)$$, (SELECT max(change_id) FROM hunt.finding_change) + 1), '55000', NULL, 'not a change');
SELECT is(hunt.notify_refused('c', :after, 'no', '0'), 1::float8, 'no patience: once more');
SELECT is(hunt.notify_refused('c', :after, 'no', '0'), 1::float8, 'and a third time');
SELECT is(hunt.notify_refused('c', :after, 'no', '0'), 0::float8, 'three times in any case');
SELECT pg_temp.change(10, 'seen') AS seen, pg_temp.change(12, 'opened') \gset
SELECT is(hunt.notify_refused('c', :seen, 'no', '1 hour'), 1::float8, 'another message of a finding of which one was set aside');
SELECT throws_ok(format($$SELECT hunt.notify_refused('c', max(change_id), 'no', '0') FROM hunt.finding_change, generate_series(1, 3) GROUP BY generate_series$$), '55000', NULL,
    'none can be set aside over others');
SELECT is(pg_temp.told('c'), '10 seen 1, 12 opened 1', 'what follows, in order');
SELECT is((SELECT set_aside FROM hunt.notify_finding WHERE receiver = 'c' AND finding_id = 10), false, 'taken: no longer so');
SELECT pg_temp.change(11, 'seen');
SELECT is(pg_temp.told('c', '1 hour'), '', 'what was set aside is not repeated by the next change at once');
SELECT pg_temp.later('c', '61 minutes');
SELECT is(pg_temp.told('c', '1 hour'), '11 seen 1', 'but when the quiet time is over');
SELECT pg_temp.change(13, 'opened') AS opened \gset
SELECT hunt.notify_refused('c', :opened, 'no', '0') FROM generate_series(1, 3);
DELETE FROM hunt.finding_row WHERE finding_id = 13;
INSERT INTO hunt.finding_change (finding_id, change, state) VALUES (13, 'merged', 'ongoing');
SELECT is(pg_temp.told('c'), '', 'of one that it never took nothing, when it is no more');

-- findings that are no more
SELECT pg_temp.change(7, 'opened');
SELECT is(pg_temp.told('c'), '7 opened 1', 'one');
SELECT pg_temp.change(7, 'seen'), pg_temp.change(8, 'opened');
DELETE FROM hunt.finding_row WHERE finding_id IN (7, 8);
INSERT INTO hunt.finding_change (finding_id, change, state) VALUES (7, 'merged', 'ongoing'), (8, 'merged', 'ongoing');
SELECT is(pg_temp.told('c', '1 hour'), '7 merged 1', 'is told of it was told before that it is merged, of others nothing');
SELECT is((SELECT message FROM hunt.notify_next('c', '1 hour')), NULL, 'and no more');

-- what the message says
INSERT INTO hunt.as_name VALUES (666, 'Evil', NULL) ON CONFLICT (asn) DO UPDATE SET name = 'Evil';
SELECT pg_temp.change(9, 'opened');
SELECT results_eq($$SELECT m ->> 'receiver', m ->> 'state', m #>> '{finding,hijacker_name}', m #>> '{finding,prefix}', m -> 'finding' ? 'evidence', jsonb_typeof(m #> '{finding,rules}')
    FROM (SELECT message AS m FROM hunt.notify_next('c', '1 hour')) x$$, $$VALUES ('c', 'ongoing', 'Evil', '10.0.9.0/24', true, 'array')$$, 'a message');

-- what was over long ago is forgotten
SELECT isnt((SELECT count(*) FROM hunt.notify_finding WHERE receiver = 'd' AND over), 0::bigint, 'some are over');
SELECT pg_temp.later('d', '8 days');
SELECT hunt.notify_begin('d');
SELECT is((SELECT count(*) FROM hunt.notify_finding WHERE receiver = 'd' AND over AND held_change IS NULL), 0::bigint, 'not for ever');
DELETE FROM hunt.notify_receiver WHERE receiver = 'd';
SELECT is((SELECT count(*) FROM hunt.notify_finding WHERE receiver = 'd'), 0::bigint, 'a receiver that is deleted takes all of it along');

-- retention: what a receiver is yet to be told of stays, as does what was told last
SELECT min(position) AS passed FROM hunt.notify_receiver \gset
SELECT is((SELECT count(*) FROM hunt.finding_change WHERE change_id < :passed) > 3, true, 'some changes are passed');
SELECT isnt(hunt.forget_changes('infinity'), 0::bigint, 'those go');
SELECT is((SELECT count(*) FROM hunt.notify_aside), 0::bigint, 'as does what was set aside');
SELECT is((SELECT count(*) FROM hunt.finding_change c WHERE change_id < :passed
    AND NOT EXISTS (SELECT FROM hunt.notify_finding n WHERE c.change_id IN (n.told_change, n.held_change))), 0::bigint, 'all of them');
SELECT is((SELECT message ->> 'change' FROM hunt.notify_next('c', '1 hour')), 'opened', 'what is to be told is told');

-- who may do what
SELECT ok(has_function_privilege('exabgp_pg_notifier', 'hunt.notify_next(text, interval, interval)', 'EXECUTE'), 'the role of notifiers');
SELECT ok(NOT has_function_privilege('exabgp_pg_reader', 'hunt.notify_done(text, bigint)', 'EXECUTE'), 'readers move nothing');
SELECT ok(has_function_privilege('exabgp_pg_notifier', 'hunt.notify_refused(text, bigint, text, interval)', 'EXECUTE')
    AND NOT has_function_privilege('exabgp_pg_reader', 'hunt.notify_refused(text, bigint, text, interval)', 'EXECUTE'), 'nor set they anything aside');
SELECT ok(NOT has_function_privilege('exabgp_pg_notifier', 'hunt.notify_pass(text, bigint, boolean)', 'EXECUTE'), 'notifiers only as they are told to');
SELECT ok(has_table_privilege('exabgp_pg_reader', 'hunt.notify_aside', 'SELECT') AND NOT has_table_privilege('exabgp_pg_notifier', 'hunt.notify_aside', 'SELECT'),
    'readers see what was set aside');
SELECT ok(NOT has_function_privilege('exabgp_pg_notifier', 'hunt.resolve(bigint)', 'EXECUTE'), 'notifiers no finding');
SELECT ok(NOT has_table_privilege('exabgp_pg_notifier', 'hunt.finding', 'SELECT'), 'nor do they read them');

SELECT * FROM finish();
ROLLBACK;
