-- hunt_data.sql - hunt.rpki by RFC 6811, what is shipped, replacing of reference data.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
BEGIN;
SELECT no_plan();

-- --- hunt.rpki ---------------------------------------------------------------------------

DELETE FROM hunt.vrp;
SELECT is(hunt.rpki('192.0.2.0/24', 64500), NULL, 'no VRPs at all: NULL');
SELECT is(hunt.rpki('192.0.2.0/24', NULL), NULL, 'without an origin as well');
INSERT INTO hunt.vrp (prefix, max_length, asn, trust_anchor) VALUES ('203.0.113.0/24', 24, 64500, 'one');
SELECT is(hunt.rpki('2001:db8::/32', 64500), 'not-found', 'a VRP of the other family: there are VRPs');
DELETE FROM hunt.vrp;

INSERT INTO hunt.vrp (prefix, max_length, asn, trust_anchor) VALUES
    ('10.0.0.0/8', 16, 64500, 'one'),
    ('10.1.0.0/16', 16, 64501, 'one'),
    ('10.2.0.0/16', 24, 64500, 'one'),
    ('10.3.0.0/16', 20, 64500, 'one'),
    ('10.3.0.0/16', 24, 64500, 'two'),
    ('10.4.0.0/16', 24, 0, 'one'),
    ('10.5.0.0/16', 32, 0, 'one'),
    ('10.5.0.0/16', 16, 64505, 'one'),
    ('172.16.0.0/12', 12, 0, 'one'),
    ('192.0.2.1/32', 32, 64500, 'one'),
    ('198.18.0.0/15', 24, 4294967295, 'one'),
    ('2001:db8::/32', 48, 64500, 'one'),
    ('2001:db8:1::/48', 48, 64501, 'one'),
    ('2001:db8:ffff::/48', 64, 0, 'one'),
    ('2001:db8:2::1/128', 128, 4294967295, NULL);
CREATE TEMP TABLE rov (prefix cidr, origin bigint, wanted text, what text);
INSERT INTO rov VALUES
    ('10.0.0.0/8', 64500, 'valid', 'the prefix of the VRP'),
    ('10.9.0.0/16', 64500, 'valid', 'as long as max_length'),
    ('10.9.0.0/17', 64500, 'invalid-length', 'one bit longer'),
    ('10.9.0.1/32', 64500, 'invalid-length', 'a host route'),
    ('10.9.0.0/16', 64501, 'invalid-asn', 'of another AS'),
    ('10.9.0.0/17', 64501, 'invalid-asn', 'of another AS and too long'),
    ('10.0.0.0/7', 64500, 'not-found', 'shorter than the VRP: not covered'),
    ('0.0.0.0/0', 64500, 'not-found', 'the default route'),
    ('11.0.0.0/8', 64500, 'not-found', 'the neighbour above'),
    ('9.255.255.0/24', 64500, 'not-found', 'the neighbour below'),
    ('10.1.0.0/16', 64501, 'valid', 'the longer of two VRPs'),
    ('10.1.0.0/16', 64500, 'valid', 'the shorter of two VRPs'),
    ('10.1.0.0/16', 64502, 'invalid-asn', 'neither of two VRPs'),
    ('10.1.1.0/24', 64501, 'invalid-length', 'too long for the longer of two VRPs'),
    ('10.1.1.0/24', 64500, 'invalid-length', 'too long for the shorter of two VRPs'),
    ('10.2.1.0/24', 64500, 'valid', 'too long for one VRP, but not for another'),
    ('10.2.1.0/25', 64500, 'invalid-length', 'too long for both'),
    ('10.3.1.0/24', 64500, 'valid', 'the larger max_length of one prefix and AS'),
    ('10.3.1.0/25', 64500, 'invalid-length', 'too long for the larger max_length'),
    ('10.9.0.0/16', NULL, 'invalid-asn', 'no origin (AS_SET): matches none'),
    ('10.0.0.0/8', NULL, 'invalid-asn', 'no origin, the prefix of the VRP'),
    ('11.0.0.0/8', NULL, 'not-found', 'no origin, not covered'),
    ('10.4.0.0/16', 0, 'invalid-asn', 'AS0 does not match a VRP of AS0'),
    ('10.4.0.0/16', 64500, 'valid', 'AS0 forbids nothing that another VRP allows'),
    ('10.4.0.0/16', 64501, 'invalid-asn', 'AS0 and another AS'),
    ('172.16.0.0/12', 0, 'invalid-asn', 'AS0 is the only VRP'),
    ('172.16.0.0/12', 64500, 'invalid-asn', 'AS0 is the only VRP, of any AS'),
    ('172.16.0.0/16', 0, 'invalid-asn', 'AS0 too long: not invalid-length'),
    ('172.16.0.0/12', NULL, 'invalid-asn', 'AS0 and no origin'),
    ('10.5.0.0/16', 64505, 'valid', 'AS0 and a VRP that matches'),
    ('10.5.1.0/24', 64505, 'invalid-length', 'AS0 and a VRP that is too short'),
    ('10.9.0.0/16', 0, 'invalid-asn', 'AS0 as origin'),
    ('192.0.2.1/32', 64500, 'valid', 'a VRP of one address'),
    ('192.0.2.0/24', 64500, 'not-found', 'a VRP longer than the route does not cover it'),
    ('198.19.0.0/24', 4294967295, 'valid', 'the last AS number'),
    ('198.19.0.0/24', -1, 'invalid-asn', 'not its signed form'),
    ('2001:db8::/32', 64500, 'valid', 'IPv6: the prefix of the VRP'),
    ('2001:db8:7::/48', 64500, 'valid', 'IPv6: as long as max_length'),
    ('2001:db8:7::/49', 64500, 'invalid-length', 'IPv6: one bit longer'),
    ('2001:db8:7::/48', 64501, 'invalid-asn', 'IPv6: of another AS'),
    ('2001:db8:1::/48', 64501, 'valid', 'IPv6: the longer of two VRPs'),
    ('2001:db8:1::/48', 64500, 'valid', 'IPv6: the shorter of two VRPs'),
    ('2001:db8:1:1::/64', 64501, 'invalid-length', 'IPv6: too long for both'),
    ('2001:db8:7::/48', NULL, 'invalid-asn', 'IPv6: no origin'),
    ('2001:db8:ffff:1::/64', 0, 'invalid-asn', 'IPv6: AS0'),
    ('2001:db8:ffff:1::/64', 64500, 'invalid-length', 'IPv6: AS0, and another that is too short'),
    ('2001:d00::/24', 64500, 'not-found', 'IPv6: shorter than the VRP'),
    ('2001:db9::/32', 64500, 'not-found', 'IPv6: the neighbour'),
    ('2001:db8:2::1/128', 4294967295, 'valid', 'IPv6: a VRP of one address'),
    ('::/0', 64500, 'not-found', 'IPv6: the default route'),
    ('::a00:0/104', 64500, 'not-found', 'IPv6: the bits of 10.0.0.0/8 are not it');
SELECT is(hunt.rpki(prefix, origin), wanted, format('%s of AS%s: %s', prefix, coalesce(origin::text, ' NULL'), what)) FROM rov;
SELECT is(hunt.rpki(NULL, 64500), NULL, 'no prefix (of a family without): NULL');

-- the same without the index
SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off;
SELECT is_empty('SELECT * FROM rov WHERE hunt.rpki(prefix, origin) IS DISTINCT FROM wanted', 'the same without the index');
RESET enable_indexscan; RESET enable_indexonlyscan; RESET enable_bitmapscan;

-- default routes in the VRPs, either family
INSERT INTO hunt.vrp (prefix, max_length, asn) VALUES ('0.0.0.0/0', 0, 0), ('::/0', 128, 64500);
SELECT is(hunt.rpki('11.0.0.0/8', 64500), 'invalid-asn', 'a VRP of 0.0.0.0/0 covers all of IPv4');
SELECT is(hunt.rpki('2001:db9::/32', 64500), 'valid', 'a VRP of ::/0 covers all of IPv6');

SELECT throws_ok(format('INSERT INTO hunt.vrp (prefix, max_length, asn) VALUES (%L, %s, %s)', p, m, a), '23514', NULL, format('no VRP %s %s %s', p, m, a))
FROM (VALUES ('10.0.0.0/8', 7, 1), ('10.0.0.0/8', 33, 1), ('2001:db8::/32', 31, 1), ('2001:db8::/32', 129, 1),
    ('10.0.0.0/8', 8, -1), ('10.0.0.0/8', 8, 4294967296)) AS v (p, m, a);

-- --- what is shipped ------------------------------------------------------------------------

-- the most specific entry, as hunts find it
CREATE FUNCTION pg_temp.bogon(cidr) RETURNS text LANGUAGE sql AS
    'SELECT name FROM hunt.bogon_prefix_list WHERE prefix >>= $1 ORDER BY masklen(prefix) DESC LIMIT 1';
SELECT is(pg_temp.bogon(p::cidr), wanted, format('%s: %s', p, coalesce(wanted, 'no bogon')))
FROM (VALUES ('10.1.2.0/24', 'private use'), ('172.31.0.0/16', 'private use'), ('172.32.0.0/16', NULL), ('192.168.4.0/22', 'private use'),
    ('100.64.0.0/10', 'shared address space'), ('100.128.0.0/16', NULL), ('203.0.113.0/24', 'documentation (TEST-NET-3)'),
    ('192.0.0.0/24', 'IETF protocol assignments'), ('192.31.196.0/24', NULL), ('192.175.48.0/24', NULL), ('192.52.193.0/24', NULL),
    ('198.19.0.0/16', 'benchmarking'), ('239.1.1.0/24', 'multicast'), ('240.0.0.0/8', 'reserved'), ('255.255.255.255/32', 'limited broadcast'),
    ('8.8.8.0/24', NULL), ('223.255.255.0/24', NULL), ('0.0.0.0/0', NULL), ('::/0', NULL),
    ('2001:db8:1::/48', 'documentation'), ('3fff:fff::/32', 'documentation'), ('2001:4:112::/48', NULL), ('2001:3::/32', NULL),
    ('2620:4f:8000::/48', NULL), ('2001:200::/32', NULL), ('2a00::/12', NULL), ('fd00::/8', 'unique local'), ('fe80::/64', 'link local'),
    ('ff02::/16', 'multicast'), ('100::/64', 'discard only'), ('64:ff9b::/96', 'reserved; loopback, IPv4-mapped, translation'),
    ('64:ff9b:1:1::/64', 'IPv4/IPv6 translation, local use'), ('100:0:0:1::/64', 'dummy prefix'), ('2001:2:0:1::/64', 'benchmarking'), ('2001:2:1::/48', 'IETF protocol assignments'),
    ('192.88.99.0/24', '6to4 relay anycast, deprecated'), ('5f00::/16', 'segment identifiers of SRv6'), ('2002:c000:204::/48', '6to4'), ('3ffe:1::/32', '6bone, returned')) AS v (p, wanted);
-- all blocks of the IANA special-purpose address registries (2025-10-09), with what they say on "globally reachable";
-- "bogon" where we are of another opinion: see sql/010-hunt-data.sql
SELECT is(CASE WHEN EXISTS (SELECT FROM hunt.bogon_prefix_list WHERE prefix >>= p::cidr) THEN 'bogon' ELSE 'reachable' END, coalesce(ours, iana), format('%s: %s', p, coalesce(ours, iana)))
FROM (VALUES
    ('0.0.0.0/8', 'bogon', NULL), ('0.0.0.0/32', 'bogon', NULL), ('10.0.0.0/8', 'bogon', NULL), ('100.64.0.0/10', 'bogon', NULL), ('127.0.0.0/8', 'bogon', NULL),
    ('169.254.0.0/16', 'bogon', NULL), ('172.16.0.0/12', 'bogon', NULL), ('192.0.0.0/24', 'bogon', NULL), ('192.0.0.0/29', 'bogon', NULL), ('192.0.0.8/32', 'bogon', NULL),
    ('192.0.0.9/32', 'reachable', 'bogon'), ('192.0.0.10/32', 'reachable', 'bogon'), ('192.0.0.170/32', 'bogon', NULL), ('192.0.0.171/32', 'bogon', NULL),
    ('192.0.2.0/24', 'bogon', NULL), ('192.31.196.0/24', 'reachable', NULL), ('192.52.193.0/24', 'reachable', NULL), ('192.88.99.0/24', 'terminated', 'bogon'),
    ('192.88.99.2/32', 'bogon', NULL), ('192.168.0.0/16', 'bogon', NULL), ('192.175.48.0/24', 'reachable', NULL), ('198.18.0.0/15', 'bogon', NULL),
    ('198.51.100.0/24', 'bogon', NULL), ('203.0.113.0/24', 'bogon', NULL), ('240.0.0.0/4', 'bogon', NULL), ('255.255.255.255/32', 'bogon', NULL),
    ('::1/128', 'bogon', NULL), ('::/128', 'bogon', NULL), ('::ffff:0:0/96', 'bogon', NULL), ('64:ff9b::/96', 'reachable', 'bogon'), ('64:ff9b:1::/48', 'bogon', NULL),
    ('100::/64', 'bogon', NULL), ('100:0:0:1::/64', 'bogon', NULL), ('2001::/23', 'bogon but for parts', 'reachable'), ('2001::/32', 'not applicable', 'reachable'),
    ('2001:1::1/128', 'reachable', NULL), ('2001:1::2/128', 'reachable', NULL), ('2001:1::3/128', 'reachable', NULL), ('2001:2::/48', 'bogon', NULL),
    ('2001:3::/32', 'reachable', NULL), ('2001:4:112::/48', 'reachable', NULL), ('2001:10::/28', 'terminated', 'bogon'), ('2001:20::/28', 'reachable', NULL),
    ('2001:30::/28', 'reachable', NULL), ('2001:db8::/32', 'bogon', NULL), ('2002::/16', 'not applicable', 'bogon'), ('2620:4f:8000::/48', 'reachable', NULL),
    ('3fff::/20', 'bogon', NULL), ('5f00::/16', 'bogon', NULL), ('fc00::/7', 'bogon', NULL), ('fe80::/10', 'bogon', NULL),
    -- the rest of 2001::/23
    ('2001:2:8000::/33', 'bogon', NULL), ('2001:5::/32', 'bogon', NULL), ('2001:40::/26', 'bogon', NULL), ('2001:1ff::/32', 'bogon', NULL)) AS v (p, iana, ours);
-- every /10 outside of 2000::/3 is covered, none inside is
SELECT is_empty($$
    SELECT p FROM generate_series(0, 1023) n, LATERAL (SELECT (lpad(to_hex(n * 64), 4, '0') || '::/10')::cidr AS p) a
    WHERE EXISTS (SELECT FROM hunt.bogon_prefix_list WHERE prefix >>= p) = (p <<= '2000::/3')$$, 'all of IPv6 outside of 2000::/3 is bogon');
SELECT is((SELECT name FROM hunt.bogon_asn_list WHERE asns @> asn), wanted, format('AS%s: %s', asn, coalesce(wanted, 'no bogon')))
FROM (VALUES (0, 'AS 0'), (1, NULL), (23455, NULL), (23456, 'AS_TRANS'), (23457, NULL), (112, NULL), (64495, NULL), (64496, 'documentation'),
    (64511, 'documentation'), (64512, 'private use'), (65534, 'private use'), (65535, 'last 16-bit ASN'), (65536, 'documentation'),
    (65551, 'documentation'), (65552, 'reserved'), (131071, 'reserved'), (131072, NULL), (4199999999, NULL), (4200000000, 'private use'),
    (4294967294, 'private use'), (4294967295, 'last 32-bit ASN')) AS v (asn, wanted);
SELECT is_empty('SELECT * FROM hunt.bogon_asn_list a JOIN hunt.bogon_asn_list b ON a.asns && b.asns AND a.asns <> b.asns', 'no two ranges of ASNs overlap');
SELECT is_empty($$SELECT 1 FROM hunt.bogon_prefix_list WHERE source IS NULL UNION ALL SELECT 1 FROM hunt.bogon_asn_list WHERE source IS NULL$$,
    'each has its source');
SELECT cmp_ok((SELECT count(*) FROM hunt.tier1), '>=', 15::bigint, 'tier-1 networks are shipped');

-- --- relationships --------------------------------------------------------------------------------

DELETE FROM hunt.as_relationship;
INSERT INTO hunt.as_relationship VALUES (64500, 64501, 'p2c'), (64502, 64501, 'p2c'), (64500, 64502, 'p2p');
SELECT is(hunt.relationship(a, b), wanted, format('AS%s is to AS%s: %s', b, a, coalesce(wanted, 'not known')))
FROM (VALUES (64500, 64501, 'customer'), (64501, 64500, 'provider'), (64501, 64502, 'provider'), (64500, 64502, 'peer'), (64502, 64500, 'peer'),
    (64500, 64503, NULL), (64500, 64500, NULL), (NULL, 64500, NULL)) AS v (a, b, wanted);
SELECT throws_ok($$INSERT INTO hunt.as_relationship VALUES (2, 1, 'p2p')$$, '23514', NULL, 'peers: the lower ASN is first');
SELECT throws_ok($$INSERT INTO hunt.as_relationship VALUES (1, 1, 'p2c')$$, '23514', NULL, 'nobody is his own customer');
SELECT throws_ok($$INSERT INTO hunt.as_relationship VALUES (1, 2, 's2s')$$, '23514', NULL, 'no other relationships');

-- --- hunt.data_replace and hunt.data_status ------------------------------------------------------------

DELETE FROM hunt.vrp;
DELETE FROM hunt.data_source WHERE name NOT LIKE 'bogon%' AND name <> 'tier1';
SELECT results_eq($$SELECT name, state, rows > 0, source IS NULL FROM hunt.data_status$$, $$VALUES ('vrp', 'none', false, true),
    ('as_relationship', 'none', false, true), ('tier1', 'ok', true, false), ('as_name', 'none', false, true),
    ('bogon_prefix_list', 'ok', true, false), ('bogon_asn_list', 'ok', true, false)$$, 'at first: what is shipped');
CREATE TEMP TABLE vrp (LIKE hunt.vrp);
SELECT throws_ok($$SELECT hunt.data_replace('vrp', 'x')$$, '22000', NULL, 'nothing is refused');
INSERT INTO vrp VALUES ('10.0.0.0/8', 8, 1, 'one'), ('10.0.0.0/8', 8, 2, NULL), ('10.0.0.0/8', 8, 2, NULL), ('2001:db8::/32', 48, 3, 'two');
SELECT results_eq($$SELECT * FROM hunt.data_replace('vrp', 'a file', '2026-01-02 03:04:05+00')$$, $$VALUES (3::bigint, 0::bigint, 3::bigint)$$,
    'three added');
SELECT set_eq('SELECT prefix, max_length, asn, trust_anchor FROM hunt.vrp', 'SELECT prefix, max_length, asn, trust_anchor FROM vrp', 'they are there');
SELECT results_eq($$SELECT * FROM hunt.data_replace('vrp', 'again')$$, $$VALUES (0::bigint, 0::bigint, 3::bigint)$$, 'again: nothing to do');
DELETE FROM vrp WHERE asn = 1;
UPDATE vrp SET trust_anchor = 'three' WHERE asn = 3;
INSERT INTO vrp VALUES ('11.0.0.0/8', 8, 1, NULL);
SELECT results_eq($$SELECT * FROM hunt.data_replace('vrp', 'other', '2026-01-02 03:04:05+00')$$, $$VALUES (2::bigint, 2::bigint, 3::bigint)$$,
    'one added, one removed, one of another trust anchor');
SELECT set_eq('SELECT prefix, max_length, asn, trust_anchor FROM hunt.vrp', 'SELECT prefix, max_length, asn, trust_anchor FROM vrp', 'they are there');
SELECT results_eq($$SELECT state, rows, source, data_time, loaded_at BETWEEN now() AND clock_timestamp() FROM hunt.data_status WHERE name = 'vrp'$$,
    $$VALUES ('old', 3::bigint, 'other', '2026-01-02 03:04:05+00'::timestamptz, true)$$, 'hunt.data_status has it; its data is old');
SELECT results_eq($$SELECT added, removed, rows FROM hunt.data_source WHERE name = 'vrp'$$, $$VALUES (2::bigint, 2::bigint, 3::bigint)$$, 'and hunt.data_source');
SELECT hunt.data_replace('vrp', 'now', now() - interval '23 hours') \g /dev/null
SELECT is((SELECT state FROM hunt.data_status WHERE name = 'vrp'), 'ok', 'VRPs are good for a day');
SELECT throws_ok($$INSERT INTO vrp VALUES ('11.0.0.0/8', 8, 1, 'twice'); SELECT hunt.data_replace('vrp', 'x')$$, '23505', NULL, 'one VRP of two trust anchors is an error');
TRUNCATE vrp;
SELECT throws_ok($$SELECT hunt.data_replace('vrp', 'x', NULL, false, true)$$, '22000', NULL, 'nothing is refused again');
SELECT is((SELECT count(*) FROM hunt.vrp), 3::bigint, 'they are still there');
SELECT results_eq($$SELECT * FROM hunt.data_replace('vrp', 'x', NULL, true)$$, $$VALUES (0::bigint, 3::bigint, 0::bigint)$$, 'unless that is meant');
SELECT is((SELECT state FROM hunt.data_status WHERE name = 'vrp'), 'none', 'then there are none');
SELECT is(hunt.rpki('10.0.0.0/8', 1), NULL, 'and hunt.rpki knows it');

CREATE TEMP TABLE as_name (LIKE hunt.as_name);
INSERT INTO as_name SELECT n, 'name ' || n FROM generate_series(1, 1000) n;
SELECT is((SELECT total FROM hunt.data_replace('as_name', 'x', NULL, true, true)), 1000::bigint, 'a thousand names');
DELETE FROM as_name WHERE asn > 499;
SELECT throws_ok($$SELECT hunt.data_replace('as_name', 'x')$$, '22000', NULL, 'less than half of a thousand is refused');
SELECT is((SELECT count(*) FROM hunt.as_name), 1000::bigint, 'they are still there');
INSERT INTO as_name VALUES (500, 'name 500');
SELECT results_eq($$SELECT * FROM hunt.data_replace('as_name', 'x')$$, $$VALUES (0::bigint, 500::bigint, 500::bigint)$$, 'half of them is not');
DELETE FROM as_name WHERE asn > 10;
SELECT results_eq($$SELECT * FROM hunt.data_replace('as_name', 'x')$$, $$VALUES (0::bigint, 490::bigint, 10::bigint)$$, 'small tables may shrink');
SELECT throws_ok(format('SELECT hunt.data_replace(%L, ''x'')', name), '22023', NULL, format('not %s', coalesce(name, 'NULL')))
FROM unnest(ARRAY['bogon_prefix_list', 'data_source', 'vrp; DROP TABLE hunt.vrp', NULL]) AS name;

-- --- who may what -----------------------------------------------------------------------------------------

SELECT ok(has_table_privilege('exabgp_pg_reader', c.oid, 'SELECT') AND NOT has_table_privilege('exabgp_pg_reader', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
    AND NOT has_table_privilege('exabgp_pg_writer', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'), format('hunt.%s is for reading', relname))
FROM pg_class c
WHERE c.oid IN ('hunt.vrp'::regclass, 'hunt.bogon_prefix_list'::regclass, 'hunt.bogon_asn_list'::regclass, 'hunt.as_relationship'::regclass,
    'hunt.as_name'::regclass, 'hunt.tier1'::regclass, 'hunt.data_source'::regclass, 'hunt.data_status'::regclass);
SELECT ok(has_function_privilege('exabgp_pg_reader', f, 'EXECUTE') = reader AND NOT has_function_privilege('tap_nobody', f, 'EXECUTE'), f)
FROM (VALUES ('hunt.rpki(cidr, bigint)', true), ('hunt.relationship(bigint, bigint)', true),
    ('hunt.data_replace(text, text, timestamptz, boolean, boolean)', false)) AS v (f, reader);
SET LOCAL ROLE exabgp_pg_reader;
SELECT hunt.rpki('192.0.2.0/24', 1) IS NULL AND hunt.relationship(64500, 64501) = 'customer' AS works \gset
RESET ROLE;
SELECT ok(:'works', 'readers may ask');

SELECT * FROM finish();
ROLLBACK;
