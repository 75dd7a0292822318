-- hunts-data.sql - what test/bench/hunts has besides the days of hunts-day.sql: psql -v universe=N -v before=YYYY-MM-DD
-- Relationships, tier-1 networks, VRPs of a fifth of the prefixes, and three peers that hold a whole table since long.
\set ON_ERROR_STOP 1
SET timezone = 'UTC';
SET client_min_messages = warning;
DELETE FROM hunt.as_relationship;
INSERT INTO hunt.as_relationship SELECT 100 + i, 1000 + j, 'p2c' FROM generate_series(0, 13) i, generate_series(0, 3999) j WHERE (i + j) % 3 <> 0;
INSERT INTO hunt.as_relationship SELECT 100 + i, 100 + j, 'p2p' FROM generate_series(0, 13) i, generate_series(0, 13) j WHERE i < j;
INSERT INTO hunt.as_relationship SELECT 1000 + (o * 7 + n) % 4000, o, 'p2c' FROM generate_series(200000, 200000 + :universe / 16) o, generate_series(0, 1) n;
DELETE FROM hunt.tier1;
INSERT INTO hunt.tier1 SELECT 100 + i FROM generate_series(0, 13) i;
INSERT INTO hunt.vrp SELECT DISTINCT prefix, greatest(masklen(prefix), 24), origin_asn, 'bench' FROM bgp.route_event
    WHERE ts < :'before'::timestamptz + interval '1 day' AND kind = 'A' AND random() < 0.2 ON CONFLICT DO NOTHING;
SELECT bgp.rib_entry_create(p.peer_id) FROM bgp.peer p WHERE p.peer_asn <= 2003;
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, origin_asn, med, peer_id, origin, prefix, qualifier, next_hop, path, communities)
SELECT t, t, t, n, n, -1, 200000 + n / 16, 10, p.peer_id, 'i', set_masklen(inet '1.0.0.0' + n / 16 % 64000 * 13 * 4096::bigint + n % 16 * 256, CASE WHEN n % 16 = 0 THEN 20 ELSE 24 END)::cidr,
    '', p.peer_address, ARRAY[p.peer_asn, 100 + n % 14, 1000 + (200000 + n / 16) * 7 % 4000, 200000 + n / 16], ARRAY['100:100', '200:200']
FROM bgp.peer p, generate_series(0, :universe - 1) n, (SELECT :'before'::timestamptz - interval '20 days' AS t) t WHERE p.peer_asn <= 2003;
-- which is in a base state as well: the log says nothing of it
SELECT bgp.rib_base_leaf(:'before') \g /dev/null
INSERT INTO bgp.rib_base (day, peer_id, first_prefix, last_prefix, routes)
SELECT :'before', peer_id, (array_agg(prefix ORDER BY n))[1], (array_agg(prefix ORDER BY n DESC))[1], array_agg(ROW(since, first_announced, ts, seq, attributes_hash, path_id,
    origin_asn, med, local_pref, origin, atomic_aggregate, prefix, qualifier, next_hop, path, communities, large_communities, ext_communities, aggregator, as_path, family, rd, labels,
    attributes, nlri)::bgp.rib_base_route ORDER BY n)
FROM (SELECT r.*, row_number() OVER (PARTITION BY peer_id ORDER BY prefix) AS n FROM bgp.rib_entry r) r GROUP BY peer_id, n / 200;
INSERT INTO bgp.rib_base_day (peer_id, day, seen, routes) SELECT peer_id, :'before', pg_current_snapshot(), count(*) FROM bgp.rib_entry GROUP BY peer_id;
