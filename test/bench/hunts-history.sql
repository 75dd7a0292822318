-- hunts-history.sql - thirteen days more of summaries for test/bench/hunts, before the day that has one:
-- psql -v before=YYYY-MM-DD
--
-- Each has nine tenths of what that day has, chosen at random, so that there are the fourteen days that hunts for what
-- is new compare with unless told otherwise.
\set ON_ERROR_STOP 1
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT setseed(0.5) \g /dev/null
SELECT format('CREATE TABLE %1$s PARTITION OF hunt.day_%2$s FOR VALUES FROM (%3$L) TO (%4$L)', hunt.summary_leaf(what, d::date), what, d::date, d::date + 1),
    format('INSERT INTO %1$s (day, %2$s) SELECT %3$L, %2$s FROM %4$s WHERE random() < 0.9', hunt.summary_leaf(what, d::date),
	(hunt.summary_columns(what)).columns, d::date, hunt.summary_leaf(what, :'before'))
FROM generate_series(:'before'::date - 13, :'before'::date - 1, interval '1 day') d, unnest('{origin,link,community,lost}'::text[]) what \gexec
INSERT INTO hunt.summary_day (day, peer_id, events, bytes, inserted)
SELECT d::date, s.peer_id, s.events, s.bytes, s.inserted
FROM hunt.summary_day s, generate_series(:'before'::date - 13, :'before'::date - 1, interval '1 day') d WHERE s.day = :'before';
VACUUM (ANALYZE) hunt.day_origin, hunt.day_link, hunt.day_community, hunt.day_lost;
