-- hunts-day.sql - one made-up day for test/bench/hunts: psql -v events=N -v peers=N -v day=YYYY-MM-DD
-- Skewed as real days are: most events are of a fifth of the prefixes and repeat a path that the peer had
-- before; one prefix in 200 has two origins.
\set ON_ERROR_STOP 1
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT setseed(0.5) \g /dev/null
SELECT count(bgp.ensure_partition(bgp.ensure_peer('bench', inet '192.0.2.0' + i, 2000 + i, '192.0.2.254', 64512, now()), :'day'))
FROM generate_series(1, :peers) i \g /dev/null
-- prefixes: one in twenty events; an origin has a few of them, and one or two providers
INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path, origin_asn, origin, next_hop, med, communities, atomic_aggregate)
SELECT :'day'::timestamptz + make_interval(secs => 86399.0 * n / :events), n, p.peer_id,
    CASE WHEN w THEN 'W' ELSE 'A' END::"char", prefix,
    CASE WHEN NOT w THEN CASE WHEN prepends > 7 THEN ARRAY[p.peer_asn, tier1, provider, origin, origin, origin] ELSE ARRAY[p.peer_asn, tier1, provider, origin] END END,
    CASE WHEN NOT w THEN origin END, CASE WHEN NOT w THEN 'i' END::"char", CASE WHEN NOT w THEN p.peer_address END,
    CASE WHEN NOT w THEN 10 END,
    CASE WHEN NOT w THEN ARRAY[p.peer_asn || ':' || 100 + tier1 % 7, tier1 || ':' || 2000 + provider % 50, tier1 || ':' || 3 + origin % 9] END,
    CASE WHEN NOT w THEN false END
FROM (SELECT n, 1 + n % :peers AS nth, CASE WHEN random() < 0.85 THEN (power(random(), 3) * greatest(:events / 100, 200))::int
    ELSE (random() * greatest(:events / 20, 1000))::int END AS number, random() < 0.1 AS w, random() AS r1, random() AS r2, random() AS r3
    FROM generate_series(0, :events - 1) n) a
CROSS JOIN LATERAL (SELECT set_masklen(inet '1.0.0.0' + (number % 8000000) * 256::bigint, 24)::cidr AS prefix,
    (20000 + number / 4 + CASE WHEN number % 200 = 7 AND r3 < 0.3 THEN 7 ELSE 0 END)::bigint AS origin) b
CROSS JOIN LATERAL (SELECT (1000 + (origin * 7 + (power(r2, 4) * 3)::int) % 4000)::bigint AS provider,
    (100 + (origin + nth + (power(r1, 4) * 4)::int) % 14)::bigint AS tier1, origin % 10 AS prepends) c
JOIN (SELECT *, row_number() OVER (ORDER BY peer_id) AS number FROM bgp.peer WHERE collector = 'bench') p ON p.number = nth;
ANALYZE bgp.route_event;
