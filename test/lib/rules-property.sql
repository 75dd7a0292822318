-- rules-property.sql - live findings and those of hunt.replay are the same.
--
-- pg_temp.one_run(seed, events): two collectors, five peers; batches of any size are committed
-- in an order that the seed chooses: as they come, nearly so, or any; scans now and then.  Time
-- steps back now and then.  Returns how many findings there are, how many differ, and some of
-- these.  For rules such as those of test/rules.sh, in a transaction to be rolled back.
CREATE FUNCTION pg_temp.one_run(seed float8, n int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	peers	int[];
	ts	timestamptz;
	r	float8;
	b	record;
	hops	bigint[];
	cols	text := 'type, prefix, configured_prefix, hijacker_asn, state, first_seen, last_seen, ended_at, peers_seen, peers_withdrawn, asns_infected, community_annotation, evidence';
BEGIN
	PERFORM setseed(seed);
	peers := ARRAY(SELECT bgp.ensure_peer('c' || x % 2, '192.0.2.0'::inet + x, 65000 + x, NULL, NULL, now()) FROM generate_series(1, 5) x);
	PERFORM bgp.ensure_partition(p, d) FROM unnest(peers) p, unnest('{2026-03-01,2026-03-02}'::date[]) d;
	CREATE TEMP TABLE ev (batch int, collector int, kind text, ts timestamptz, seq bigint, peer_id int, prefix cidr, path_id bigint,
	    path bigint[], as_path text, communities text[]) ON COMMIT DROP;
	FOR k IN 0 .. 1 LOOP
		ts := '2026-03-01 23:58:00+00';
		FOR i IN 1 .. n LOOP
			ts := ts + CASE WHEN random() < 0.05 THEN - random() * interval '20 s' WHEN random() < 0.2 THEN interval '0' ELSE random() * interval '8 s' END;
			r := random();
			hops := (ARRAY['{9,64510,64500}', '{9,64510,64510,64501,64501}', '{9,666}', '{9,667,64500}', '{9,8,64511,64501}',
			    '{9,64510,8,64510,64500}', '{9,668}', '{}', '{9,670,671}'])[1 + floor(random() * 9)]::bigint[];
			-- in every other run most routes are legitimate: what is found ends, and comes back
			IF floor(seed * 100)::int % 2 = 1 AND random() < 0.7 THEN
				hops := '{9,64510,64500}';
			END IF;
			INSERT INTO ev VALUES (NULL, k, CASE WHEN r < 0.6 THEN 'A' WHEN r < 0.85 THEN 'W' WHEN r < 0.93 THEN 'down' ELSE 'up' END, ts, i,
			    peers[CASE k WHEN 0 THEN 2 + 2 * floor(random() * 2) ELSE 1 + 2 * floor(random() * 3) END],
			    (ARRAY['10.0.0.0/16', '10.0.64.0/18', '10.0.1.0/24', '10.1.0.0/16'])[1 + floor(random() * 4)]::cidr,
			    CASE WHEN random() < 0.2 THEN 1 END, hops, CASE WHEN hops = '{9,670,671}' THEN '9 {670,671}' END,
			    CASE WHEN random() < 0.2 THEN ARRAY['1:1'] WHEN random() < 0.5 THEN ARRAY['1:2'] END);
		END LOOP;
	END LOOP;
	UPDATE ev SET batch = x.b
	FROM (SELECT collector, seq, 1 + sum((random() < 0.15)::int) OVER (PARTITION BY collector ORDER BY seq) AS b FROM ev) x
	WHERE x.collector = ev.collector AND x.seq = ev.seq;
	FOR b IN
		SELECT collector, batch, min(seq) - 1 AS from_seq, max(seq) AS to_seq FROM ev GROUP BY 1, 2
		ORDER BY batch + random() * CASE WHEN seed < 0.3 THEN 0 WHEN seed < 0.6 THEN 3 ELSE 30 END
	LOOP
		INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path_id, path, as_path, origin_asn, communities)
		SELECT e.ts, e.seq, e.peer_id, e.kind::"char", e.prefix, e.path_id, CASE e.kind WHEN 'A' THEN e.path END,
		    CASE e.kind WHEN 'A' THEN e.as_path END, CASE WHEN e.kind = 'A' AND e.as_path IS NULL THEN e.path[cardinality(e.path)] END,
		    CASE e.kind WHEN 'A' THEN communities END
		FROM ev e WHERE e.collector = b.collector AND e.batch = b.batch AND e.kind IN ('A', 'W');
		INSERT INTO bgp.session_log (ts, seq, peer_id, collector, event)
		SELECT e.ts, e.seq, e.peer_id, 'c' || e.collector, e.kind
		FROM ev e WHERE e.collector = b.collector AND e.batch = b.batch AND e.kind IN ('up', 'down');
		INSERT INTO bgp.batch_pending (consumer, peer_id, from_seq, to_seq, from_ts, to_ts)
		SELECT 'hunt', e.peer_id, b.from_seq, b.to_seq, min(e.ts), max(e.ts)
		FROM ev e WHERE e.collector = b.collector AND e.batch = b.batch GROUP BY e.peer_id;
		IF random() < 0.7 THEN
			PERFORM hunt.scan();
		END IF;
	END LOOP;
	PERFORM hunt.scan();
	RETURN QUERY EXECUTE format($q$
	    WITH live AS (SELECT %1$s FROM hunt.finding), replay AS (SELECT %1$s FROM hunt.replay('2026-03-01', '2026-03-03')),
	    d AS (
		(SELECT 'live only' AS which, * FROM (TABLE live EXCEPT ALL TABLE replay) x) UNION ALL
		(SELECT 'replay only', * FROM (TABLE replay EXCEPT ALL TABLE live) y))
	    SELECT format('%%s findings', (SELECT count(*) FROM live))
	    UNION ALL SELECT format('%%s pending, %%s differ',
		(SELECT count(*) FROM bgp.batch_pending WHERE consumer = 'hunt'), (SELECT count(*) FROM d))
	    UNION ALL (SELECT left(to_jsonb(d)::text, 700) FROM d ORDER BY d.type, d.prefix, hijacker_asn, first_seen LIMIT 6)$q$, cols);
END
$$;
