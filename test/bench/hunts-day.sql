-- hunts-day.sql - one made-up day of one peer for test/bench/hunts:
-- psql -v peer=N -v events=N -v universe=N -v day=YYYY-MM-DD -v fresh=0|1
--
-- Skewed as real days are: most events are of a fifth of the prefixes (universe: how many there are), and repeat a path
-- that the peer had before; an origin has 16 prefixes, one of
-- them around the others.  Of 20 million events of 20 peers, a tenth have a pair of peer and path that
-- none before them had, as it is within 44 s of rrc00 in 2019 (test/data).  One prefix in 200 has two origins;
-- a tenth of the events are withdrawals, most of them of a fifth of the prefixes.  fresh: some
-- prefixes, and some providers of origins, are only there on this day.
\set ON_ERROR_STOP 1
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT setseed(:peer / 1000.0) \g /dev/null
SELECT bgp.ensure_peer('bench', inet '192.0.2.0' + :peer, 2000 + :peer, '192.0.2.254', 64512, now()) AS peer_id \gset
SELECT bgp.ensure_partition(:peer_id, :'day') \g /dev/null
INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path, origin_asn, origin, next_hop, med, communities, atomic_aggregate, repeated)
SELECT :'day'::timestamptz + make_interval(secs => 86399.0 * n / :events), n * 1000 + :peer, :peer_id, kind, prefix, path, origin_asn, origin, next_hop, med,
    communities, atomic_aggregate, CASE WHEN kind = 'A' AND row_number() OVER (PARTITION BY path, communities ORDER BY n) > 1 THEN true END
FROM (
	SELECT n, CASE WHEN w THEN 'W' ELSE 'A' END::"char" AS kind, prefix,
	    CASE WHEN NOT w THEN ARRAY[2000 + :peer, tier1] || CASE WHEN provider % 5 < 3 THEN ARRAY[300 + (provider * 3 + tier1) % 40] ELSE '{}' END || provider
		|| CASE WHEN origin % 10 > 8 THEN ARRAY[origin, origin, origin] ELSE ARRAY[origin] END END AS path,
	    CASE WHEN NOT w THEN origin END AS origin_asn, CASE WHEN NOT w THEN 'i' END::"char" AS origin, CASE WHEN NOT w THEN inet '192.0.2.0' + :peer END AS next_hop,
	    CASE WHEN NOT w THEN 10 END AS med,
	    CASE WHEN NOT w THEN ARRAY[2000 + :peer || ':' || 100 + tier1 % 7, tier1 || ':' || 2000 + provider % 50, tier1 || ':' || 3 + origin % 9, provider || ':100'] END AS communities,
	    CASE WHEN NOT w THEN false END AS atomic_aggregate
	FROM (SELECT n, CASE WHEN random() < 0.9 THEN (power(random(), 3) * (:universe / 5))::int ELSE (random() * (:universe + :fresh * :universe / 500))::int END AS number,
		random() AS r1, random() AS r2, random() AS r3, random() AS r4
	    FROM generate_series(0, :events - 1) n) a
	CROSS JOIN LATERAL (SELECT set_masklen(inet '1.0.0.0' + number / 16 % 64000 * 13 * 4096::bigint + number % 16 * 256, CASE WHEN number % 16 = 0 THEN 20 ELSE 24 END)::cidr AS prefix,
(200000 + number / 16 + CASE WHEN number % 200 = 107 AND r3 < 0.3 THEN 7 ELSE 0 END)::bigint AS origin, r4 < CASE WHEN number % 5 = 0 THEN 0.4 ELSE 0.02 END AS w) b
	CROSS JOIN LATERAL (SELECT CASE WHEN :fresh = 1 AND origin % 500 = 3 AND r3 < 0.1 THEN 9000
	    ELSE 1000 + (origin * 7 + CASE WHEN r2 < 0.8 OR origin % 3 > 0 THEN 0 ELSE 1 END) % 4000 END::bigint AS provider) c
	CROSS JOIN LATERAL (SELECT 100 + (provider + :peer + CASE WHEN r1 < 0.92 THEN 0 ELSE 1 END) % 14 AS tier1) d) r
ORDER BY n;
