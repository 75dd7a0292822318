-- route_log.sql - what people query: derived columns, and that predicates reach
-- partitions and indexes through the view.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN;
SELECT no_plan();

SELECT bgp.ensure_peer('a', '192.0.2.1', 64500, '192.0.2.254', 64512, now()) AS peer \gset
SELECT bgp.ensure_partition(:peer, '2024-02-29') \gset

-- --- derived columns -----------------------------------------------------------------

INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, family, path, as_path, origin, origin_asn, next_hop,
    med, local_pref, path_id, rd, labels, communities, large_communities, ext_communities, aggregator,
    atomic_aggregate, attributes, nlri)
VALUES
('2024-02-29 00:00:00.000001+00', 1, :peer, 'A', '198.51.100.0/24', NULL, '{64500,64501,64501}', NULL, 'i', 64501, '192.0.2.1',
    10, 100, 7, NULL, NULL, '{64500:1}', '{64500:1:2}', '{target:1:2}', '64501:192.0.2.9', true, '{"otc": 64500}', NULL),
('2024-02-29 00:00:02+00', 2, :peer, 'A', '2001:db8::/32', NULL, '{}', NULL, 'e', NULL, '2001:db8::1',
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL, NULL),
('2024-02-29 00:00:03+00', 3, :peer, 'A', '203.0.113.0/24', NULL, '{64500,64502,64503}', '64500 {64502,64503}', '?', NULL, '192.0.2.1',
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL, NULL),
('2024-02-29 00:00:04+00', 4, :peer, 'A', '10.1.0.0/16', 'ipv4 mpls-vpn', '{4294967295}', NULL, 'i', 4294967295, '192.0.2.1',
    NULL, NULL, NULL, '64500:1', '{16,1048575}', NULL, NULL, NULL, NULL, false, NULL, NULL),
('2024-02-29 00:00:05+00', 5, :peer, 'A', NULL, 'l2vpn evpn', '{64500}', NULL, NULL, 64500, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL, '{"code": 2}'),
('2024-02-29 00:00:06+00', 6, :peer, 'W', '198.51.100.0/24', NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
('2024-02-29 00:00:07+00', 7, :peer, 'W', '2001:db8::/32', 'ipv6 multicast', NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE FUNCTION pg_temp.log(n int) RETURNS bgp.route_log LANGUAGE sql AS $$
	SELECT * FROM bgp.route_log WHERE ts >= '2024-02-29' ORDER BY ts LIMIT 1 OFFSET $1 - 1
$$;
SELECT is((pg_temp.log(n)).kind, kind, n || ': kind') FROM (VALUES (1, 'announce'), (5, 'announce'), (6, 'withdraw')) v (n, kind);
SELECT is((pg_temp.log(n)).family, family, n || ': family ' || family)
FROM (VALUES (1, 'ipv4 unicast'), (2, 'ipv6 unicast'), (4, 'ipv4 mpls-vpn'), (5, 'l2vpn evpn'), (6, 'ipv4 unicast'),
    (7, 'ipv6 multicast')) v (n, family);
SELECT is((pg_temp.log(n)).as_path, as_path, n || ': as_path')
FROM (VALUES (1, '64500 64501 64501'), (2, ''), (3, '64500 {64502,64503}'), (4, '4294967295'), (6, NULL)) v (n, as_path);
SELECT is((pg_temp.log(n)).origin, origin, n || ': origin ' || coalesce(origin, 'none'))
FROM (VALUES (1, 'igp'), (2, 'egp'), (3, 'incomplete'), (5, NULL), (6, NULL)) v (n, origin);
SELECT is((pg_temp.log(1))::text,
    format('("2024-02-29 00:00:00.000001+00",a,%s,192.0.2.1,64500,announce,"ipv4 unicast",198.51.100.0/24,7,,,192.0.2.1,'
	'"64500 64501 64501","{64500,64501,64501}",64501,igp,10,100,{64500:1},{64500:1:2},{target:1:2},64501:192.0.2.9,t,'
	'"{""otc"": 64500}",,f)', :peer),
    'every column of an announcement');
SELECT is((pg_temp.log(6))::text,
    format('("2024-02-29 00:00:06+00",a,%s,192.0.2.1,64500,withdraw,"ipv4 unicast",198.51.100.0/24,7,,,,,,,,,,,,,,,,,f)', :peer),
    'on a withdraw the attribute columns are NULL');

-- --- bgp.supernets ------------------------------------------------------------------------

SELECT is(bgp.supernets('10.128.0.0/3'), '{0.0.0.0/0,0.0.0.0/1,0.0.0.0/2,0.0.0.0/3}'::cidr[], 'supernets of a prefix with host bits');
SELECT is(bgp.supernets('192.0.0.0/2'), '{0.0.0.0/0,128.0.0.0/1,192.0.0.0/2}'::cidr[], 'supernets, shortest first');
SELECT is(bgp.supernets('0.0.0.0/0'), '{0.0.0.0/0}'::cidr[], 'supernets of 0.0.0.0/0: itself');
SELECT is(bgp.supernets('::/0'), '{::/0}'::cidr[], 'supernets of ::/0: itself');
SELECT is(cardinality(bgp.supernets('192.0.2.1')), 33, 'supernets of a host');
SELECT is((bgp.supernets('192.0.2.1'))[33], '192.0.2.1/32'::cidr, 'the host is one of them');
SELECT is(cardinality(bgp.supernets('2001:db8::1')), 129, 'supernets of an IPv6 host');
SELECT is((bgp.supernets('2001:db8::1'))[33], '2001:db8::/32'::cidr, 'its /32');
SELECT is(bgp.supernets('fe80::/2'), '{::/0,8000::/1,c000::/2}'::cidr[], 'supernets of an IPv6 prefix');
SELECT is(bgp.supernets(NULL), NULL, 'supernets of nothing');

-- --- partitions and indexes ---------------------------------------------------------------

SELECT (now() AT TIME ZONE 'UTC')::date AS today \gset
CREATE TEMP TABLE id AS
SELECT n, bgp.ensure_peer('plans', inet '192.0.2.10' + n, 64500 + n, NULL, NULL, now()) AS peer_id FROM generate_series(1, 3) n;
SELECT count(bgp.ensure_partition(peer_id, day)) FROM id, unnest(ARRAY['2024-03-01', '2024-03-02', '2024-03-03', :'today']::date[]) day \gset
INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path, origin_asn, origin)
SELECT day::timestamp AT TIME ZONE 'UTC' + i * interval '10 s', i, peer_id, 'A',
    set_masklen(inet '10.0.0.0' + i * 256, 24)::cidr, ARRAY[64500, 65000 + i % 500], 65000 + i % 500, 'i'
FROM id, unnest(ARRAY['2024-03-01', '2024-03-02', '2024-03-03', :'today']::date[]) day, generate_series(0, 7999) i;
ANALYZE bgp.route_event;

-- of a query's plan: the leafs that it reads, and the nodes that read them
CREATE FUNCTION pg_temp.scans(query text, OUT leafs bigint, OUT days text, OUT nodes text) LANGUAGE plpgsql AS $$
DECLARE
	plan	jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || $1 INTO plan;
	SELECT count(DISTINCT node->>'Relation Name'),
	    string_agg(DISTINCT right(node->>'Relation Name', 8), ' ' ORDER BY right(node->>'Relation Name', 8)),
	    string_agg(DISTINCT CASE WHEN node->>'Node Type' = 'Seq Scan' THEN 'seq' ELSE 'index' END, ' ')
	INTO $2, $3, $4
	FROM jsonb_path_query(plan, 'strict $.**') node
	WHERE jsonb_typeof(node) = 'object' AND node->>'Relation Name' LIKE 'route\_event%';
END
$$;
CREATE FUNCTION pg_temp.plan_is(predicate text, leafs bigint, days text, nodes text) RETURNS text LANGUAGE sql AS $$
	SELECT is(format('%s leafs, %s, %s', s.leafs, s.days, s.nodes), format('%s leafs, %s, %s', $2, $3, $4), $1)
	FROM pg_temp.scans('SELECT * FROM bgp.route_log WHERE ' || $1) s
$$;
SELECT peer_id AS p1 FROM id WHERE n = 1 \gset
SELECT to_char(:'today'::date, 'YYYYMMDD') AS today_name \gset
\set all_days '20240229 20240301 20240302 20240303 ' :today_name
\set three_days '20240301 20240302 20240303 ' :today_name

SELECT pg_temp.plan_is($$ts >= '2024-03-02' AND ts < '2024-03-03'$$, 3, '20240302', 'seq');
SELECT pg_temp.plan_is($$ts BETWEEN '2024-03-02 10:00' AND '2024-03-02 10:05'$$, 3, '20240302', 'index');
SELECT pg_temp.plan_is($$ts >= '2024-03-02 23:55' AND ts < '2024-03-03 00:05'$$, 6, '20240302 20240303', 'index');
SELECT pg_temp.plan_is(format('peer_id = %s', :p1), 4, :'three_days', 'seq');
SELECT pg_temp.plan_is(format($$peer_id = %s AND ts >= '2024-03-01' AND ts < '2024-03-02'$$, :p1), 1, '20240301', 'seq');
SELECT pg_temp.plan_is(format($$peer_id IN (%s, %s) AND ts::timestamptz = '2024-03-01 00:00:43'$$, :p1, :peer), 1, '20240301', 'index');
SELECT pg_temp.plan_is($$prefix = '10.0.7.0/24' AND ts >= '2024-03-01' AND ts < '2024-03-02'$$, 3, '20240301', 'index');
SELECT pg_temp.plan_is(format($$peer_id = %s AND prefix = '10.0.7.0/24'$$, :p1), 4, :'three_days', 'index');
SELECT pg_temp.plan_is($$prefix <<= '10.0.8.0/22' AND ts >= '2024-03-01' AND ts < '2024-03-02'$$, 3, '20240301', 'index');
SELECT pg_temp.plan_is($$prefix = ANY (bgp.supernets('10.0.7.1')) AND ts >= '2024-03-01' AND ts < '2024-03-02'$$, 3, '20240301', 'index');
SELECT pg_temp.plan_is($$origin_asn = 65007 AND ts >= '2024-03-01' AND ts < '2024-03-02'$$, 3, '20240301', 'index');
SELECT pg_temp.plan_is(format('peer_id = %s AND origin_asn = 65007', :p1), 4, :'three_days', 'index');
SELECT pg_temp.plan_is(format($$peer_id = %s AND ts BETWEEN now() - interval '1 minute' AND now()$$, :p1), 1, :'today_name', 'index');

-- parameters, as drivers send them
PREPARE q (timestamptz, timestamptz, int, cidr) AS
    SELECT * FROM bgp.route_log WHERE ts >= $1 AND ts < $2 AND peer_id = $3 AND prefix = $4;
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT is((s).leafs || ' ' || (s).nodes, '1 index', 'a generic plan prunes when it is executed')
FROM pg_temp.scans(format($$EXECUTE q ('2024-03-01', '2024-03-02', %s, '10.0.7.0/24')$$, :p1)) s;
SELECT is(count(*), 1::bigint, 'rows are found so') FROM bgp.route_log
WHERE ts >= '2024-03-01' AND ts < '2024-03-02' AND peer_id = :p1 AND prefix = '10.0.7.0/24';

SELECT * FROM finish();
ROLLBACK;
