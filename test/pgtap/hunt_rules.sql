-- hunt_rules.sql - rules: what configurations are wrong, what announcements show, what
-- becomes of findings.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
SET timezone = 'UTC';
SET jit = off;
BEGIN;
SELECT no_plan();

-- --- configurations ----------------------------------------------------------------------

CREATE FUNCTION pg_temp.problems(config jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(path || ': ' || problem, '; ' ORDER BY path, problem), 'none') FROM hunt.config_check(config)
$$;
-- the one of the interface's description
\set full '{"rules": [{"name": "anycast", "prefixes": ["192.0.2.0/24", "10.13.0.0/16^20-24"], "origin_asns": [64500, [64510, 64519]], "neighbors": [64501], "prepend_seq": [[64501, 64501]], "policies": ["no-export"], "community_annotations": [{"critical": [{"in": ["64500:1"], "out": ["64500:3"]}]}], "min_peers": 1, "mitigation": "text of the operator''s"}], "withdrawn_threshold_percent": 80, "dormant_after": "24 hours", "autoignore": [{"prefixes": ["10.13.0.0/16^+"], "peers_below": 3, "infected_below": 5, "quiet": "1 hour"}]}'

SELECT is(pg_temp.problems(config::jsonb), wanted, left(config, 150))
FROM (VALUES
    (:'full', 'none'),
    ('{"rules": []}', 'none'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"]}]}', 'none'),
    ('{"rules": [{"prefixes": ["2001:db8::/32^48", "::/0"], "origin_asns": "*", "neighbors": "*", "prepend_seq": [], "policies": [], "community_annotations": []}]}', 'none'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": ["*"], "neighbors": [], "community_annotations": [{"a": [{}]}, {"b": [{"out": ["1:2:3"]}]}]}]}', 'none'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": []}], "withdrawn_threshold_percent": 0.5}', 'none'),
    ('null', '$: not an object'),
    ('[]', '$: not an object'),
    ('{}', '$.rules: missing'),
    ('{"rules": {}}', '$.rules: not a list'),
    ('{"rules": [3]}', '$.rules[0]: not an object'),
    ('{"rules": [], "rule": []}', '$.rule: unknown key (known: rules, withdrawn_threshold_percent, dormant_after, autoignore)'),
    ('{"rules": [], "a b": []}', '$."a b": unknown key (known: rules, withdrawn_threshold_percent, dormant_after, autoignore)'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "asns": []}]}',
	'$.rules[0].asns: unknown key (known: name, prefixes, origin_asns, neighbors, prepend_seq, policies, community_annotations, min_peers, mitigation)'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"]}, {}]}', '$.rules[1].prefixes: missing'),
    ('{"rules": [{"prefixes": []}]}', '$.rules[0].prefixes: not a list of at least one prefix'),
    ('{"rules": [{"prefixes": "10.0.0.0/8"}]}', '$.rules[0].prefixes: not a list of at least one prefix'),
    ('{"rules": [{"prefixes": [8]}]}', '$.rules[0].prefixes[0]: not a string'),
    ('{"rules": [{"prefixes": ["10.0.0.0"]}]}', '$.rules[0].prefixes[0]: not a prefix such as 192.0.2.0/24 or 10.0.0.0/8^16-24'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8^"]}]}', '$.rules[0].prefixes[0]: not a prefix such as 192.0.2.0/24 or 10.0.0.0/8^16-24'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8", "10.0.0.1/8"]}]}', '$.rules[0].prefixes[1]: bits are set beyond the length: is 10.0.0.0/8 meant?'),
    ('{"rules": [{"prefixes": ["10.0.0.0/33"]}]}', '$.rules[0].prefixes[0]: not an IPv4 or IPv6 prefix'),
    ('{"rules": [{"prefixes": ["10.0.0.300/8"]}]}', '$.rules[0].prefixes[0]: not an IPv4 or IPv6 prefix'),
    ('{"rules": [{"prefixes": ["10.0.0.0/16^8"]}]}', '$.rules[0].prefixes[0]: ^8 is shorter than the prefix itself'),
    ('{"rules": [{"prefixes": ["10.0.0.0/16^24-20"]}]}', '$.rules[0].prefixes[0]: the range ^24-20 ends before it begins'),
    ('{"rules": [{"prefixes": ["10.0.0.0/16^24-33"]}]}', '$.rules[0].prefixes[0]: ^33 is longer than 32 bits'),
    ('{"rules": [{"prefixes": ["10.0.0.1/32^-"]}]}', '$.rules[0].prefixes[0]: no prefix is more specific than this'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": 64500}]}', '$.rules[0].origin_asns: neither a list of ASNs and [from, to] ranges nor "*"'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": [0]}]}', '$.rules[0].origin_asns[0]: neither an ASN from 1 to 4294967295 nor a range [from, to]'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": [1, "2"]}]}', '$.rules[0].origin_asns[1]: neither an ASN from 1 to 4294967295 nor a range [from, to]'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": [1.5]}]}', '$.rules[0].origin_asns[0]: neither an ASN from 1 to 4294967295 nor a range [from, to]'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": [4294967296]}]}', '$.rules[0].origin_asns[0]: neither an ASN from 1 to 4294967295 nor a range [from, to]'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": ["*", 1]}]}', '$.rules[0].origin_asns[0]: "*" stands alone, or it means nothing'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "origin_asns": [[1], [2, 1], [1, "x"]]}]}', '$.rules[0].origin_asns[0]: not a range [from, to] of two ASNs; $.rules[0].origin_asns[1]: the range ends before it begins; $.rules[0].origin_asns[2]: not a range [from, to] of two ASNs'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "neighbors": {}}]}', '$.rules[0].neighbors: neither a list of ASNs and [from, to] ranges nor "*"'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "prepend_seq": [64500]}]}', '$.rules[0].prepend_seq[0]: not a list of ASNs'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "prepend_seq": [[1], [], [[1, 2]]]}]}', '$.rules[0].prepend_seq[1]: no hops; $.rules[0].prepend_seq[2][0]: not an ASN from 1 to 4294967295'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "prepend_seq": "x"}]}', '$.rules[0].prepend_seq: not a list of lists of ASNs'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "policies": ["no-export", "blackhole"]}]}', '$.rules[0].policies[1]: not a policy (known: "no-export")'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "policies": "no-export"}]}', '$.rules[0].policies: not a list'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "community_annotations": {}}]}', '$.rules[0].community_annotations: not a list'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "community_annotations": [3, {"a": [{}], "b": [{}]}]}]}', '$.rules[0].community_annotations[0]: not an object with one member, the annotation; $.rules[0].community_annotations[1]: not an object with one member, the annotation'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "community_annotations": [{"a": []}]}]}', '$.rules[0].community_annotations[0].a: not a list of at least one {"in": [...], "out": [...]}'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "community_annotations": [{"a": [{"on": []}]}]}]}', '$.rules[0].community_annotations[0].a[0].on: unknown key (known: in, out)'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "community_annotations": [{"a": [{"in": "1:1"}]}]}]}', '$.rules[0].community_annotations[0].a[0].in: not a list of communities'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "community_annotations": [{"a": [{"out": ["65536:1", "1:2:3"]}]}]}]}', '$.rules[0].community_annotations[0].a[0].out[0]: not a community such as "64500:1" or "64500:1:2"'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "community_annotations": [{"": [3]}]}]}', '$.rules[0].community_annotations[0]."": an annotation has 1 to 100 characters; $.rules[0].community_annotations[0].""[0]: not an object with the members in, out'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "min_peers": 0}]}', '$.rules[0].min_peers: not a number of peers, 1 or more'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "min_peers": "2"}]}', '$.rules[0].min_peers: not a number of peers, 1 or more'),
    ('{"rules": [{"prefixes": ["10.0.0.0/8"], "name": 1, "mitigation": null}]}', '$.rules[0].mitigation: not a string; $.rules[0].name: not a string'),
    ('{"rules": [], "withdrawn_threshold_percent": 0}', '$.withdrawn_threshold_percent: not a percentage above 0 up to 100'),
    ('{"rules": [], "withdrawn_threshold_percent": 101}', '$.withdrawn_threshold_percent: not a percentage above 0 up to 100'),
    ('{"rules": [], "withdrawn_threshold_percent": "80"}', '$.withdrawn_threshold_percent: not a percentage above 0 up to 100'),
    ('{"rules": [], "dormant_after": 24}', '$.dormant_after: not a time such as "24 hours"'),
    ('{"rules": [], "dormant_after": "a while"}', '$.dormant_after: not a time such as "24 hours"'),
    ('{"rules": [], "dormant_after": "-1 hour"}', '$.dormant_after: not a time such as "24 hours"'),
    ('{"rules": [], "autoignore": {}}', '$.autoignore: not a list'),
    ('{"rules": [], "autoignore": [1]}', '$.autoignore[0]: not an object'),
    ('{"rules": [], "autoignore": [{}]}', '$.autoignore[0].infected_below: missing; $.autoignore[0].peers_below: missing; $.autoignore[0].prefixes: missing; $.autoignore[0].quiet: missing'),
    ('{"rules": [], "autoignore": [{"prefixes": ["x"], "peers_below": -1, "infected_below": 1.5, "quiet": "x", "peers": 1}]}',
	'$.autoignore[0].infected_below: not a number, 1 or more; $.autoignore[0].peers: unknown key (known: prefixes, peers_below, infected_below, quiet); $.autoignore[0].peers_below: not a number, 1 or more; $.autoignore[0].prefixes[0]: not a prefix such as 192.0.2.0/24 or 10.0.0.0/8^16-24; $.autoignore[0].quiet: not a time such as "24 hours"')
) AS t (config, wanted);

SELECT is(r.prefix || ' ' || r.min_len || '-' || r.max_len, wanted, spec)
FROM (VALUES ('10.0.0.0/8', '10.0.0.0/8 8-8'), ('10.0.0.0/8^-', '10.0.0.0/8 9-32'), ('10.0.0.0/8^+', '10.0.0.0/8 8-32'),
    ('10.0.0.0/8^16', '10.0.0.0/8 16-16'), ('10.0.0.0/8^16-24', '10.0.0.0/8 16-24'), ('2001:db8::/32^-', '2001:db8::/32 33-128'),
    ('192.0.2.1/32^+', '192.0.2.1/32 32-32')) AS t (spec, wanted), hunt.prefix_range(spec) r;

SELECT throws_ok($$SELECT hunt.config_load('{"rules": [{"prefixes": ["x"]}], "y": 1}')$$, '22023', 'the configuration has 2 problems',
    'a configuration with problems is refused');
SELECT is((SELECT count(*) FROM hunt.config) + (SELECT count(*) FROM hunt.rule) + (SELECT count(*) FROM bgp.consumer WHERE name = 'hunt'), 0::bigint,
    'and leaves nothing');
SELECT throws_ok($$SELECT * FROM hunt.replay('2026-01-01', '2026-01-02')$$, '55000', 'no rules are loaded', 'replay without rules');
SELECT throws_ok($$SELECT * FROM hunt.replay('2026-01-02', '2026-01-01', '{"rules": []}')$$, '22023', NULL, 'replay of no time');
SELECT throws_ok($$SELECT * FROM hunt.replay('2026-01-01', '2026-01-02', '{"rules": 1}')$$, '22023', NULL, 'replay with a bad configuration');
SELECT is(hunt.scan(), 0, 'a scan without rules');
SELECT is(hunt.config_load(:'full'), 1, 'the first configuration is version 1');
SELECT is((SELECT count(*) FROM bgp.consumer WHERE name = 'hunt'), 1::bigint, 'batches are kept for us from now on');
SELECT is(hunt.config_load(:'full'), 2, 'the next is 2');
SELECT is((SELECT count(*) || ' ' || count(DISTINCT version) FROM hunt.rule_prefix), '2 1', 'only the rules in force are there as rows');
SELECT is((SELECT config FROM hunt.config WHERE version = 1), :'full'::jsonb, 'each version is kept');

-- --- paths ----------------------------------------------------------------------------------

SELECT is(hunt.clean_path(path::bigint[]), wanted::bigint[], 'clean ' || path)
FROM (VALUES ('{}', '{}'), ('{1}', '{1}'), ('{1,2,3}', '{1,2,3}'), ('{1,1,2,3,3,3}', '{1,2,3}'), ('{1,2,3,2,4}', '{1,2,4}'),
    ('{1,2,1,3}', '{1,3}'), ('{5,1,2,3,1}', '{5,1}'), ('{3,1,2,2,1,4,1}', '{3,1}')) AS t (path, wanted);
SELECT is((SELECT string_agg(j.hops::text || CASE WHEN j.in_set THEN '*' ELSE '' END, ' ') FROM hunt.judged_paths(path::bigint[], as_path, 7) j), wanted, 'paths of ' || coalesce(as_path, path))
FROM (VALUES ('{1,2}', NULL, '{1,2}'), ('{}', NULL, '{7}'), (NULL, NULL, '{7}'), ('{1,2,3}', '1 {2,3}', '{1,2}* {1,3}*'),
    ('{1,2,3,4}', '1 {2,3} 4', '{1,2,4} {1,3,4}'), ('{1,2}', '(65001 65002) 1 2', '{1,2}'), ('{1,2}', '1 [65001,65002] 2', '{1,2}'),
    ('{1,2,3,4}', '{1,2} {3,4}', '{1,3}* {1,4}* {2,3}* {2,4}*'), ('{1,2}', '1 2', '{1,2}')) AS t (path, as_path, wanted);
SELECT is(count(*), 64::bigint, 'a set of 1000: 64 are judged')
FROM hunt.judged_paths(ARRAY(SELECT generate_series(1, 1000))::bigint[], '{' || (SELECT string_agg(n::text, ',') FROM generate_series(1, 1000) n) || '}', 7);

-- --- types -------------------------------------------------------------------------------------

-- one row a case: rules, prefix, path (as_path where there are sets), what it shows
CREATE FUNCTION pg_temp.judge(rules jsonb, prefix cidr, as_path text, communities text[] DEFAULT NULL, peer_asn bigint DEFAULT 9) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	flat	bigint[] := ARRAY(SELECT m[1]::bigint FROM regexp_matches(regexp_replace($3, '\(.*?\)', '', 'g'), '\d+', 'g') m);
	sets	text := CASE WHEN $3 ~ '[{(]' THEN $3 END;
BEGIN
	PERFORM hunt.rules_remove(-1);
	PERFORM hunt.rules_install(-1, jsonb_build_object('rules', rules));
	RETURN coalesce((SELECT string_agg(concat_ws(' ', j.type, coalesce(j.hijacker_asn::text, '?'), j.infected::text, nullif(j.configured_prefix, $2)::text, j.annotation), '; ')
	    FROM hunt.judge(-1, prefix, flat, sets, communities, peer_asn) j), 'fine');
END
$$;
\set o '[{"prefixes": ["10.0.0.0/16"], "origin_asns": [64500, [64510, 64512]]}]'
\set n '[{"prefixes": ["10.0.0.0/16"], "origin_asns": [64500], "neighbors": [64501, 64502]}]'
\set p '[{"prefixes": ["10.0.0.0/16"], "origin_asns": [64500], "prepend_seq": [[64501, 64501], [64503, 64502]]}]'
\set l '[{"prefixes": ["10.0.0.0/16"], "origin_asns": [64500], "policies": ["no-export"]}]'
\set pl '[{"prefixes": ["10.0.0.0/16"], "origin_asns": [64500], "prepend_seq": [[64501, 64501]], "policies": ["no-export"]}]'
\set nl '[{"prefixes": ["10.0.0.0/16"], "origin_asns": [64500], "neighbors": [64501], "policies": ["no-export"]}]'
\set q '[{"prefixes": ["10.0.0.0/16"], "origin_asns": []}]'
\set ql '[{"prefixes": ["10.0.0.0/16"], "policies": ["no-export"]}]'
\set any '[{"prefixes": ["10.0.0.0/16"], "origin_asns": "*"}]'
\set an '[{"prefixes": ["10.0.0.0/16"], "origin_asns": "*", "neighbors": [64501]}]'
\set r '[{"prefixes": ["10.0.0.0/16^20-24"], "origin_asns": [64500]}]'
\set two '[{"prefixes": ["10.0.0.0/16"], "origin_asns": [64500], "neighbors": [64501]}, {"prefixes": ["10.0.0.0/16"], "origin_asns": [64600]}]'
\set long '[{"prefixes": ["10.0.0.0/8"], "origin_asns": [1]}, {"prefixes": ["10.0.0.0/16"], "origin_asns": [64500]}, {"prefixes": ["10.0.0.0/12^14-15"], "origin_asns": [2]}]'
\set six '[{"prefixes": ["2001:db8::/32^+"], "origin_asns": [64500]}]'
SELECT is(pg_temp.judge(rules::jsonb, prefix::cidr, path), wanted, prefix || ' [' || path || '] under ' || left(rules, 140))
FROM (VALUES
    -- exact, origin
    (:'o', '10.0.0.0/16', '9 64500', 'fine'),
    (:'o', '10.0.0.0/16', '9 64510', 'fine'),
    (:'o', '10.0.0.0/16', '9 64512', 'fine'),
    (:'o', '10.0.0.0/16', '9 64513', 'E|0|-|- 64513 {9}'),
    (:'o', '10.0.0.0/16', '9 8 7 666', 'E|0|-|- 666 {7,8,9}'),
    (:'o', '10.0.0.0/16', '666', 'E|0|-|- 666 {}'),
    (:'o', '10.0.0.0/16', '9 64500 666 666', 'E|0|-|- 666 {9,64500}'),
    (:'o', '10.0.0.0/16', '9 666 64500 64500', 'fine'),
    -- what is not configured, or covers what is
    (:'o', '10.1.0.0/16', '9 666', 'fine'),
    (:'o', '10.0.0.0/15', '9 666', 'fine'),
    (:'o', '0.0.0.0/0', '9 666', 'fine'),
    -- sub-prefix: whoever announces it
    (:'o', '10.0.1.0/24', '9 666', 'S|0|-|- 666 {9} 10.0.0.0/16'),
    (:'o', '10.0.1.0/24', '9 64500', 'S|-|-|- ? {} 10.0.0.0/16'),
    (:'o', '10.0.1.0/24', '9 8 7 6 64500', 'S|-|-|- ? {8,9} 10.0.0.0/16'),
    (:'n', '10.0.1.0/24', '9 666 64500', 'S|1|-|- 666 {9} 10.0.0.0/16'),
    (:'p', '10.0.1.0/24', '9 64501 64500', 'S|P|-|- 9 {} 10.0.0.0/16'),
    (:'l', '10.0.1.0/24', '9 8 7 64500', 'S|-|-|L 7 {8,9} 10.0.0.0/16'),
    (:'l', '10.0.1.0/24', '9 8 7 666', 'S|0|-|L 666 {7,8,9} 10.0.0.0/16'),
    (:'nl', '10.0.1.0/24', '9 8 7 64500', 'S|1|-|L 7 {8,9} 10.0.0.0/16'),
    (:'pl', '10.0.1.0/24', '9 8 64501 64500', 'S|P|-|L 8 {9} 10.0.0.0/16'),
    (:'o', '10.0.0.1/32', '9 666', 'S|0|-|- 666 {9} 10.0.0.0/16'),
    -- first neighbour, prepends collapsed and loops cut out
    (:'n', '10.0.0.0/16', '9 64501 64500', 'fine'),
    (:'n', '10.0.0.0/16', '9 64502 64502 64500 64500', 'fine'),
    (:'n', '10.0.0.0/16', '64500', 'fine'),
    (:'n', '10.0.0.0/16', '64500 64500', 'fine'),
    (:'n', '10.0.0.0/16', '9 666 64500', 'E|1|-|- 666 {9}'),
    (:'n', '10.0.0.0/16', '9 666 666 64500 64500', 'E|1|-|- 666 {9}'),
    (:'n', '10.0.0.0/16', '9 64501 64500 666 64500', 'fine'),
    (:'n', '10.0.0.0/16', '9 666 64500 64501 64500', 'E|1|-|- 666 {9}'),
    (:'n', '10.0.0.0/16', '9 666 667', 'E|0|-|- 667 {9,666}'),
    -- prepends, on the raw hops
    (:'p', '10.0.0.0/16', '9 64501 64501 64500', 'fine'),
    (:'p', '10.0.0.0/16', '9 64503 64502 64500', 'fine'),
    (:'p', '10.0.0.0/16', '64500', 'fine'),
    (:'p', '10.0.0.0/16', '9 64501 64500', 'E|P|-|- 9 {}'),
    (:'p', '10.0.0.0/16', '64501 64500', 'E|P|-|- 64501 {}'),
    (:'p', '10.0.0.0/16', '9 64502 64501 64501 64500', 'fine'),
    (:'p', '10.0.0.0/16', '9 7 64502 64500', 'E|P|-|- 7 {9}'),
    (:'p', '10.0.0.0/16', '9 7 666 64500', 'E|P|-|- 666 {7,9}'),
    (:'p', '10.0.0.0/16', '9 64501 64501 64500 64500', 'E|P|-|- 64500 {9,64501}'),
    -- no-export: peer, another, neighbour, origin
    (:'l', '10.0.0.0/16', '64501 64500', 'fine'),
    (:'l', '10.0.0.0/16', '9 64501 64500', 'fine'),
    (:'l', '10.0.0.0/16', '9 9 64501 64501 64500', 'fine'),
    (:'l', '10.0.0.0/16', '9 8 64501 64500', 'E|-|-|L 64501 {8,9}'),
    (:'l', '10.0.0.0/16', '9 8 7 666', 'E|0|-|L 666 {7,8,9}'),
    (:'nl', '10.0.0.0/16', '9 8 666 64500', 'E|1|-|L 666 {8,9}'),
    (:'pl', '10.0.0.0/16', '9 8 64501 64501 64500', 'E|-|-|L 64501 {8,9}'),
    (:'pl', '10.0.0.0/16', '9 8 7 64501 64500', 'E|P|-|L 7 {8,9}'),
    -- squatting
    (:'q', '10.0.0.0/16', '9 64500', 'Q|0|-|- 64500 {9}'),
    (:'q', '10.0.1.0/24', '9 64500', 'Q|0|-|- 64500 {9} 10.0.0.0/16'),
    (:'ql', '10.0.0.0/16', '9 8 7 64500', 'Q|0|-|L 64500 {7,8,9}'),
    -- any origin
    (:'any', '10.0.0.0/16', '9 1', 'fine'),
    (:'any', '10.0.1.0/24', '9 1', 'S|-|-|- ? {} 10.0.0.0/16'),
    (:'an', '10.0.0.0/16', '9 64501 1', 'fine'),
    (:'an', '10.0.0.0/16', '9 666 1', 'E|1|-|- 666 {9}'),
    -- range operators: each length is a configured prefix of its own
    (:'r', '10.0.0.0/16', '9 666', 'fine'),
    (:'r', '10.0.0.0/19', '9 666', 'fine'),
    (:'r', '10.0.16.0/20', '9 64500', 'fine'),
    (:'r', '10.0.16.0/20', '9 666', 'E|0|-|- 666 {9}'),
    (:'r', '10.0.16.0/24', '9 64500', 'fine'),
    (:'r', '10.0.16.128/25', '9 64500', 'S|-|-|- ? {} 10.0.16.0/24'),
    (:'six', '2001:db8:1::/48', '9 64500', 'fine'),
    (:'six', '2001:db8:1::/48', '9 666', 'E|0|-|- 666 {9}'),
    (:'six', '2001:db9::/32', '9 666', 'fine'),
    -- several rules on a prefix: one that is content clears it, else the last one's verdict stands
    (:'two', '10.0.0.0/16', '9 64501 64500', 'fine'),
    (:'two', '10.0.0.0/16', '9 666 64600', 'fine'),
    (:'two', '10.0.0.0/16', '9 666 64500', 'E|0|-|- 64500 {9,666}'),
    -- the longest one decides
    (:'long', '10.0.0.0/16', '9 1', 'E|0|-|- 1 {9}'),
    (:'long', '10.0.0.0/16', '9 64500', 'fine'),
    (:'long', '10.0.1.0/24', '9 1', 'S|0|-|- 1 {9} 10.0.0.0/16'),
    (:'long', '10.1.0.0/16', '9 2', 'S|-|-|- ? {} 10.0.0.0/15'),
    (:'long', '10.0.0.0/14', '9 1', 'E|0|-|- 1 {9}'),
    (:'long', '10.0.0.0/13', '9 1', 'S|-|-|- ? {} 10.0.0.0/8'),
    (:'long', '10.16.0.0/16', '9 2', 'S|0|-|- 2 {9} 10.0.0.0/8'),
    -- sets: each member is judged
    (:'o', '10.0.0.0/16', '9 {64500,64511}', 'fine'),
    (:'o', '10.0.0.0/16', '9 {666,64500}', 'E|0|-|- 666 {9}'),
    (:'o', '10.0.0.0/16', '9 {666,667}', 'E|0|-|- 666 {9}; E|0|-|- 667 {9}'),
    (:'n', '10.0.0.0/16', '9 {666,64501} 64500', 'E|1|-|- 666 {9}'),
    (:'o', '10.0.0.0/16', '{8,9} 666', 'E|0|-|- 666 {8,9}'),
    (:'n', '10.0.0.0/16', '(65001 65002) 64501 64500', 'fine'),
    -- no path: the peer's own AS (9)
    (:'o', '10.0.0.0/16', '', 'E|0|-|- 9 {}')
) AS t (rules, prefix, path, wanted);
SELECT is(pg_temp.judge(:'o', '10.0.0.0/16', '', NULL, 64500), 'fine', 'no path, from a peer that may originate');
SELECT is(pg_temp.judge(:'o', '10.0.0.0/16', '', NULL, NULL), 'fine', 'no path, from a peer of unknown ASN: nobody to blame');
SELECT is(pg_temp.judge(:'q', '10.0.0.0/16', '', NULL, NULL), 'Q|0|-|- ? {}', 'but squatting it is');

\set a '[{"prefixes": ["10.0.0.0/16"], "origin_asns": [1], "community_annotations": [{"critical": [{"in": ["1:1"], "out": ["1:3"]}, {"in": ["1:4", "1:5:6"]}]}, {"low": [{"out": ["1:2"]}]}]}, {"prefixes": ["10.0.0.0/16"], "origin_asns": [1], "community_annotations": [{"other": [{"in": ["1:2"]}]}]}]'
SELECT is(pg_temp.judge(:'a', '10.0.0.0/16', '9 666', communities::text[]), rtrim('E|0|-|- 666 {9} ' || wanted), 'annotation of ' || communities)
FROM (VALUES ('{1:1}', 'critical'), ('{1:1,1:3}', 'low'), ('{}', 'low'), ('{1:4}', 'low'), ('{1:4,1:5:6,1:2}', 'critical'), ('{1:2}', 'other'),
    ('{1:1,1:2}', 'critical')) AS t (communities, wanted);

-- --- findings --------------------------------------------------------------------------------------

SELECT hunt.rules_remove(-1);
CREATE SEQUENCE pg_temp.seqs;
CREATE FUNCTION pg_temp.at(seconds numeric) RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2026-01-01 12:00:00+00' + $1 * interval '1 s' $$;
CREATE FUNCTION pg_temp.peer(n int) RETURNS int LANGUAGE sql AS $$
	SELECT bgp.ensure_peer('hunt', inet '192.0.2.0' + $1, 65000 + $1, NULL, NULL, pg_temp.at(0))
$$;
SELECT pg_temp.peer(n), bgp.ensure_partition(pg_temp.peer(n), '2026-01-01') FROM generate_series(1, 12) n \g /dev/null

-- what a peer says, committed: path text 'w' withdraws, 'up' and 'down' are its session's
CREATE FUNCTION pg_temp.say(seconds numeric, peer int, prefix cidr, what text, communities text[] DEFAULT NULL, path_id bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	s	bigint := nextval('pg_temp.seqs');
	hops	bigint[] := ARRAY(SELECT m[1]::bigint FROM regexp_matches(what, '\d+', 'g') m);
BEGIN
	IF what IN ('up', 'down') THEN
		INSERT INTO bgp.session_log (ts, seq, peer_id, collector, event) VALUES (pg_temp.at($1), s, pg_temp.peer($2), 'hunt', what);
	ELSIF what IN ('begin', 'end') THEN
		INSERT INTO bgp.session_log (ts, seq, peer_id, collector, event, family, detail) VALUES (pg_temp.at($1), s, pg_temp.peer($2), 'hunt', 'refresh',
		    'ipv4 unicast', jsonb_build_object('route-refresh', jsonb_build_object('subtype', what)));
	ELSIF what = 'w' THEN
		INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path_id) VALUES (pg_temp.at($1), s, pg_temp.peer($2), 'W', $3, $6);
	ELSE
		INSERT INTO bgp.route_event (ts, seq, peer_id, kind, prefix, path_id, path, as_path, origin_asn, communities)
		VALUES (pg_temp.at($1), s, pg_temp.peer($2), 'A', $3, $6, hops, CASE WHEN what ~ '{' THEN what END, CASE WHEN what !~ '{' THEN hops[cardinality(hops)] END, $5);
	END IF;
	INSERT INTO bgp.batch_pending (consumer, peer_id, from_seq, to_seq, from_ts, to_ts)
	VALUES ('hunt', pg_temp.peer($2), s - 1, s, pg_temp.at($1), pg_temp.at($1));
END
$$;
-- the findings of a prefix, oldest first: type hijacker state [times] peers/withdrawn
CREATE FUNCTION pg_temp.found(p cidr) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(concat_ws(' ', type, hijacker_asn, state, extract(epoch FROM first_seen - pg_temp.at(0))::int || '-' || extract(epoch FROM last_seen - pg_temp.at(0))::int
	    || coalesce('-' || extract(epoch FROM ended_at - pg_temp.at(0))::int, ''), array_length(peers_seen, 1) || '/' || coalesce(array_length(peers_withdrawn, 1), 0)),
	    '; ' ORDER BY first_seen, type, hijacker_asn), 'none') FROM hunt.finding WHERE prefix = p
$$;
CREATE FUNCTION pg_temp.id(p cidr) RETURNS bigint LANGUAGE sql AS $$ SELECT max(finding_id) FROM hunt.finding WHERE prefix = p $$;

\set rules '{"rules": [{"prefixes": ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16", "10.5.0.0/16", "10.7.0.0/16", "10.8.0.0/16", "10.9.0.0/16"], "origin_asns": [64500], "community_annotations": [{"bad": [{"in": ["1:1"]}]}, {"so": [{"in": ["1:2"]}]}]}, {"prefixes": ["10.6.0.0/16"], "origin_asns": [64500], "min_peers": 2}], "dormant_after": "1 hour", "autoignore": [{"prefixes": ["10.9.0.0/16"], "peers_below": 2, "infected_below": 3, "quiet": "10 minutes"}]}'
SELECT is(hunt.config_load(:'rules'), 3, 'rules');

SELECT pg_temp.say(1, 1, '10.0.0.0/16', '9 8 666', '{1:2}') \g /dev/null
SELECT is(hunt.scan(), 1, 'an announcement that shows it');
SELECT is(pg_temp.found('10.0.0.0/16'), 'E|0|-|- 666 ongoing 1-1 1/0', 'gives a finding');
SELECT results_eq($$SELECT hunt, configured_prefix, peers_seen, peers_withdrawn, asns_infected, community_annotation, config_version, acknowledged, note, jsonb_array_length(evidence)
    FROM hunt.finding WHERE prefix = '10.0.0.0/16'$$,
    $$VALUES ('hijack', cidr '10.0.0.0/16', '{65001}'::bigint[], '{}'::bigint[], '{8,9}'::bigint[], 'so', 3, false, NULL::text, 1)$$, 'with all that is known');
SELECT is(evidence -> 0, '{"ts": "2026-01-01T12:00:01.000000Z", "kind": "announce", "as_path": "9 8 666", "collector": "hunt", "peer_asn": 65001, "communities": ["1:2"], "peer_address": "192.0.2.1"}'::jsonb
    || jsonb_build_object('peer_id', pg_temp.peer(1)), 'and the update that shows it') FROM hunt.finding WHERE prefix = '10.0.0.0/16';
SELECT ok(detected_at BETWEEN now() AND clock_timestamp(), 'detected now, by the clock') FROM hunt.finding WHERE prefix = '10.0.0.0/16';
SELECT is(hunt.scan(), 0, 'each event once');
SELECT is((SELECT count(*) FROM bgp.batch_pending WHERE consumer = 'hunt'), 0::bigint, 'nothing is left to do');
SELECT pg_temp.say(2, 2, '10.0.0.0/16', '9 7 666', '{1:1}'), pg_temp.say(2, 3, '10.0.0.0/16', '9 64500'), pg_temp.say(2, 4, '10.0.9.0/24', '9 666'), pg_temp.say(3, 1, '10.0.0.0/16', '5 666', '{1:2}') \g /dev/null
SELECT is(hunt.scan(), 2, 'more of it, and another prefix');
SELECT is(pg_temp.found('10.0.0.0/16'), 'E|0|-|- 666 ongoing 1-3 2/0', 'another peer');
SELECT results_eq($$SELECT peers_seen, asns_infected, community_annotation FROM hunt.finding WHERE prefix = '10.0.0.0/16'$$,
    $$VALUES ('{65001,65002}'::bigint[], '{5,7,8,9}'::bigint[], 'bad')$$, 'more ASNs; the annotation that comes first in the rules stays');
SELECT pg_temp.say(4, 1, '10.0.0.0/16', 'w') \g /dev/null
SELECT is(hunt.scan(), 1, 'a peer withdraws it');
SELECT is(pg_temp.found('10.0.0.0/16'), 'E|0|-|- 666 ongoing 1-3 2/1', 'it is still there');
SELECT pg_temp.say(5, 2, '10.0.0.0/24', 'w'), pg_temp.say(5, 2, '10.0.0.0/15', 'w'), pg_temp.say(5, 3, '10.0.0.0/16', 'w') \g /dev/null
SELECT is(hunt.scan(), 0, 'withdrawals of others');
SELECT pg_temp.say(6, 2, '10.0.0.0/16', '9 64500') \g /dev/null
SELECT is(hunt.scan(), 1, 'a legitimate route takes its place');
SELECT is(pg_temp.found('10.0.0.0/16'), 'E|0|-|- 666 withdrawn 1-3-6 2/2', 'it is over');
SELECT is(pg_temp.found('10.0.9.0/24'), 'S|0|-|- 666 ongoing 2-2 1/0', 'the sub-prefix is not: only a route for exactly the prefix counts');
SELECT is(jsonb_path_query_array(evidence, '$[*].kind'), '["announce", "announce", "announce", "withdraw", "replaced"]', 'how each peer lost it') FROM hunt.finding WHERE prefix = '10.0.0.0/16';
SELECT pg_temp.say(7, 1, '10.0.0.0/16', '9 666') \g /dev/null
SELECT is(hunt.scan(), 1, 'it comes back');
SELECT is(pg_temp.found('10.0.0.0/16'), 'E|0|-|- 666 withdrawn 1-3-6 2/2; E|0|-|- 666 ongoing 7-7 1/0', 'as a new finding');
SELECT pg_temp.say(8, 1, '10.0.0.0/16', '9 667') \g /dev/null
SELECT is(hunt.scan(), 2, 'another origin takes its place');
SELECT is(pg_temp.found('10.0.0.0/16'), 'E|0|-|- 666 withdrawn 1-3-6 2/2; E|0|-|- 666 withdrawn 7-7-8 1/1; E|0|-|- 667 ongoing 8-8 1/0', 'which is another finding');
SELECT pg_temp.say(9, 1, '10.0.0.0/16', '9 {668,669}') \g /dev/null
SELECT is(hunt.scan(), 3, 'a set');
SELECT matches(pg_temp.found('10.0.0.0/16'), 'E\|0\|-\|- 667 withdrawn 8-8-9 1/1; E\|0\|-\|- 668 ongoing 9-9 1/0; E\|0\|-\|- 669 ongoing 9-9 1/0$', 'two findings in one route');
SELECT results_eq($$SELECT p.ended_by, p.ended_at IS NULL FROM hunt.finding_peer p JOIN hunt.finding USING (finding_id) WHERE prefix = '10.0.0.0/16' ORDER BY finding_id, peer_id$$,
    $$VALUES ('withdraw', false), ('replaced', false), ('replaced', false), ('replaced', false), (NULL, true), (NULL, true)$$, 'peers, and how they lost it');

-- sessions, and routes not sent again
SELECT pg_temp.say(1, 1, '10.1.0.0/16', '9 666'), pg_temp.say(1, 2, '10.1.0.0/16', '9 666'), pg_temp.say(2, 2, NULL, 'down') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.1.0.0/16'), 'E|0|-|- 666 ongoing 1-1 2/1', 'a session goes down');
SELECT pg_temp.say(3, 2, NULL, 'up'), pg_temp.say(4, 2, '10.1.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.1.0.0/16'), 'E|0|-|- 666 ongoing 1-4 2/0', 'comes up, and shows it again');
SELECT pg_temp.say(5, 2, NULL, 'up'), pg_temp.say(6, 1, NULL, 'down') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.1.0.0/16'), 'E|0|-|- 666 withdrawn 1-4-6 2/2', 'one begins anew without having been seen to end, the other ends');
SELECT is(jsonb_path_query_array(evidence, '$[*].kind'), '["announce", "announce", "session-down", "announce", "session-down", "session-down"]', 'told apart in the evidence') FROM hunt.finding WHERE prefix = '10.1.0.0/16';
SELECT pg_temp.say(7, 1, '10.1.0.0/16', '9 666'), pg_temp.say(7, 2, '10.1.0.0/16', '9 666'), pg_temp.say(8, 1, NULL, 'begin'), pg_temp.say(8, 2, NULL, 'begin'),
    pg_temp.say(9, 2, '10.1.0.0/16', '9 666'), pg_temp.say(10, 1, NULL, 'end'), pg_temp.say(10, 2, NULL, 'end') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.1.0.0/16'), '; E\|0\|-\|- 666 ongoing 7-9 2/1$', 'a route that a refresh does not bring again is gone');

-- ADD-PATH: the peer has lost it when none of its paths shows it
SELECT pg_temp.say(1, 4, '10.2.0.0/16', '9 666', NULL, 1), pg_temp.say(1, 4, '10.2.0.0/16', '9 666', NULL, 2), pg_temp.say(2, 4, '10.2.0.0/16', 'w', NULL, 1), pg_temp.say(2, 4, '10.2.0.0/16', '9 64500', NULL, 3) \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.2.0.0/16'), 'E|0|-|- 666 ongoing 1-1 1/0', 'one of two paths is withdrawn');
SELECT pg_temp.say(3, 4, '10.2.0.0/16', '9 64500', NULL, 2) \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.2.0.0/16'), 'E|0|-|- 666 withdrawn 1-1-3 1/1', 'both are gone');

-- events that come late
SELECT pg_temp.say(10, 1, '10.3.0.0/16', '9 666'), pg_temp.say(30, 1, '10.3.0.0/16', 'w'), pg_temp.say(40, 2, '10.3.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.3.0.0/16'), 'E|0|-|- 666 withdrawn 10-10-30 1/1; E|0|-|- 666 ongoing 40-40 1/0', 'twice');
SELECT pg_temp.say(20, 3, '10.3.0.0/16', '9 666') \g /dev/null
SELECT is(hunt.scan(), 2, 'late: another peer had it all the time');
SELECT is(pg_temp.found('10.3.0.0/16'), 'E|0|-|- 666 ongoing 10-40 3/1', 'it is one');
SELECT is((SELECT array_agg(c.change ORDER BY c.change_id) FROM hunt.finding_change c WHERE c.finding_id IN (pg_temp.id('10.3.0.0/16'), pg_temp.id('10.3.0.0/16') + 1)), '{opened,opened,merged,ongoing}'::text[], 'and it is said');
SELECT pg_temp.say(25, 3, '10.3.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.3.0.0/16'), 'E|0|-|- 666 withdrawn 10-20-30 2/2; E|0|-|- 666 ongoing 40-40 1/0', 'late again: it had not');
SELECT pg_temp.say(35, 4, '10.3.0.0/16', '9 666'), pg_temp.say(36, 4, '10.3.0.0/16', '9 64500') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.3.0.0/16'), 'E|0|-|- 666 withdrawn 10-20-30 2/2; E|0|-|- 666 withdrawn 35-35-36 1/1; E|0|-|- 666 ongoing 40-40 1/0', 'one in between');
SELECT pg_temp.say(41, 5, '10.3.0.0/16', '9 64500') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.say(39, 5, '10.3.0.0/16', '9 667') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.3.0.0/16'), 'E\|0\|-\|- 667 withdrawn 39-39-41 1/1', 'what a later route has replaced already, is over');

SELECT pg_temp.say(10, 10, '10.7.1.0/24', '9 667'), pg_temp.say(30, 10, '10.7.1.0/24', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.say(20, 10, NULL, 'down') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.7.1.0/24'), 'S|0|-|- 667 withdrawn 10-10-20 1/1', 'a session had gone down before');

-- how many peers must lose it: the share, rounded to the nearest whole peer, one at least
CREATE FUNCTION pg_temp.needed(n int, percent numeric) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	events	hunt.rule_event[] := '{}';
	v	hunt.rule_verdict := ROW('E|0|-|-', 666, '10.0.0.0/16', 666, '{}', NULL, NULL, 1);
	ended	int;
BEGIN
	FOR i IN 1 .. n LOOP
		events := events || ROW(pg_temp.at(i), i, i, 'A', '10.0.0.0/16', -1, '{666}', NULL, NULL, NULL, NULL, NULL, i, NULL, ARRAY[v])::hunt.rule_event
		    || ROW(pg_temp.at(n + i), i, n + i, 'W', '10.0.0.0/16', -1, NULL, NULL, NULL, NULL, NULL, NULL, i, NULL, NULL)::hunt.rule_event;
	END LOOP;
	events := ARRAY(SELECT e FROM unnest(events) e ORDER BY e.ts);
	SELECT extract(epoch FROM (f.finding).ended_at - pg_temp.at(n))::int INTO ended FROM hunt.follow('10.0.0.0/16', events, '{}', '{}', percent) f LIMIT 1;
	RETURN ended;
END
$$;
SELECT is(pg_temp.needed(n, percent), wanted, format('%s %% of %s peers', percent, n))
FROM (VALUES (1, 80, 1), (2, 80, 2), (3, 80, 2), (4, 80, 3), (5, 80, 4), (6, 80, 5), (7, 80, 6), (8, 80, 6), (10, 80, 8),
    (1, 100, 1), (3, 100, 3), (3, 50, 2), (5, 50, 3), (1, 1, 1), (10, 1, 1), (3, 10, 1), (10, 24.9, 2), (10, 25, 3)) AS t (n, percent, wanted);

-- a log whose beginning has been dropped: the finding knows more
SELECT pg_temp.say(50, n, '10.2.0.0/16', '9 667') FROM generate_series(4, 6) n \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.say(55, 4, '10.2.0.0/16', '9 667') \g /dev/null
SELECT hunt.scan() \g /dev/null
DELETE FROM bgp.route_event WHERE prefix = '10.2.0.0/16' AND ts < pg_temp.at(52);
INSERT INTO bgp.rib_horizon SELECT pg_temp.peer(n), '2026-01-02' FROM generate_series(1, 12) n;
SELECT pg_temp.say(53, 7, '10.2.0.0/16', '9 667') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.2.0.0/16'), '; E\|0\|-\|- 667 ongoing 50-55 4/0$', 'a late event where the log no longer has what was before');
SELECT is(string_agg(concat_ws(' ', e ->> 'kind', e ->> 'peer_asn', e ->> 'as_path', right(e ->> 'ts', 10)), ', ' ORDER BY n),
    'announce 65004 9 667 50.000000Z, announce 65005 9 667 50.000000Z, announce 65006 9 667 50.000000Z, announce 65007 9 667 53.000000Z, announce 65004 9 667 55.000000Z', 'its evidence has all of it')
FROM hunt.finding f, jsonb_array_elements(f.evidence) WITH ORDINALITY AS u (e, n) WHERE f.finding_id = pg_temp.id('10.2.0.0/16');
DELETE FROM bgp.rib_horizon;

-- what RPKI says of it
INSERT INTO hunt.vrp (prefix, max_length, asn) VALUES ('10.1.0.0/16', 16, 64500), ('10.1.1.0/24', 24, 701);
SELECT pg_temp.say(60, 8, prefix::cidr, path) FROM (VALUES ('10.1.0.0/16', '9 701'), ('10.1.0.0/24', '9 64500'), ('10.1.1.0/24', '9 701'), ('10.1.1.0/25', '9 {701}'),
    ('10.2.0.0/16', '9 701')) AS t (prefix, path) \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', prefix, hijacker_asn, rpki_status), '; ' ORDER BY prefix) FROM hunt.finding WHERE first_seen = pg_temp.at(60)),
    '10.1.0.0/16 701 invalid-asn; 10.1.0.0/24 invalid-length; 10.1.1.0/24 701 valid; 10.1.1.0/25 701 invalid-asn; 10.2.0.0/16 701 not-found', 'RPKI');
SELECT is(count(*), 0::bigint, 'without VRPs it says nothing') FROM hunt.finding WHERE first_seen < pg_temp.at(60) AND rpki_status IS NOT NULL;

-- 100 updates at most are kept: the first and the last
SELECT pg_temp.say(100 + n * 0.001, 1, '10.4.0.0/16', '9 666') FROM generate_series(1, 130) n \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT results_eq($$SELECT jsonb_array_length(evidence), evidence -> 0 ->> 'ts', evidence -> 49 ->> 'ts', evidence -> 50 ->> 'ts', evidence -> 99 ->> 'ts' FROM hunt.finding WHERE prefix = '10.4.0.0/16'$$,
    $$VALUES (100, '2026-01-01T12:01:40.001000Z', '2026-01-01T12:01:40.050000Z', '2026-01-01T12:01:40.081000Z', '2026-01-01T12:01:40.130000Z')$$, '100 updates are kept');

-- min_peers: at the same time
SELECT pg_temp.say(1, 4, '10.6.0.0/16', '9 666'), pg_temp.say(2, 4, '10.6.0.0/16', 'w'), pg_temp.say(3, 5, '10.6.0.0/16', '9 666') \g /dev/null
SELECT is(hunt.scan(), 0, 'fewer peers than min_peers');
SELECT is(pg_temp.found('10.6.0.0/16'), 'none', 'no finding');
SELECT pg_temp.say(4, 6, '10.6.0.0/16', '9 666') \g /dev/null
SELECT is(hunt.scan(), 1, 'enough');
SELECT is(pg_temp.found('10.6.0.0/16'), 'E|0|-|- 666 ongoing 3-4 2/0', 'seen since the first of them');
SELECT is(change, 'opened', 'told when it became one') FROM hunt.finding_change WHERE finding_id = pg_temp.id('10.6.0.0/16');
SELECT pg_temp.say(5, 5, '10.6.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.6.0.0/16'), 'E|0|-|- 666 ongoing 3-4 2/1', 'it stays one with fewer');
SELECT pg_temp.id('10.6.0.0/16') AS few \gset
SELECT pg_temp.say(3.5, 5, '10.6.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.6.0.0/16'), 'none', 'late: there never were two at a time');
SELECT is((SELECT change FROM hunt.finding_change WHERE finding_id = :few ORDER BY change_id DESC LIMIT 1), 'retracted', 'who was told of it hears that');

-- not for us: other families
SELECT pg_temp.say(1, 1, '10.8.0.0/16', '9 666') \g /dev/null
UPDATE bgp.route_event SET family = 'ipv4 mpls-vpn', rd = '1:1' WHERE prefix = '10.8.0.0/16';
SELECT is(hunt.scan(), 0, 'a VPN''s route of the same prefix');

-- quiet: by the log's own time
SELECT pg_temp.say(1, 4, '10.9.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.9.0.0/16'), 'E|0|-|- 666 ongoing 1-1 1/0', 'one that autoignore is about');
SELECT pg_temp.say(601, 9, '172.16.0.0/24', '9 1') \g /dev/null
SELECT is(hunt.scan(), 0, 'not quiet for longer than it says');
SELECT pg_temp.say(602, 9, '172.16.0.0/24', '9 1') \g /dev/null
SELECT is(hunt.scan(), 1, 'quiet');
SELECT is(pg_temp.found('10.9.0.0/16'), 'E|0|-|- 666 ignored 1-1 1/0', 'is ignored');
SELECT pg_temp.say(603, 4, '10.9.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.9.0.0/16'), 'E|0|-|- 666 ongoing 1-603 1/0', 'until it shows again');
SELECT pg_temp.say(604, 5, '10.9.0.0/16', '9 666'), pg_temp.say(1300, 9, '172.16.0.0/24', '9 1') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.9.0.0/16'), 'E|0|-|- 666 ongoing 1-604 2/0', 'too many see it');
SELECT pg_temp.say(4210, 9, '172.16.0.0/24', '9 1') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.9.0.0/16'), 'E|0|-|- 666 dormant 1-604 2/0', 'dormant');
SELECT is(pg_temp.found('10.4.0.0/16'), 'E|0|-|- 666 dormant 100-100 1/0', 'others as well');
SELECT is(hunt.scan(), 0, 'said once');
SELECT pg_temp.say(4220, 1, '10.4.0.0/16', 'w'), pg_temp.say(4220, 3, '10.9.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.4.0.0/16'), 'E|0|-|- 666 withdrawn 100-100-4220 1/1', 'a dormant one ends');
SELECT is(pg_temp.found('10.9.0.0/16'), 'E|0|-|- 666 ongoing 1-4220 3/0', 'another wakes up');

-- the operator's moves
SELECT throws_ok(format('SELECT hunt.%s(0%s)', move, CASE move WHEN 'annotate' THEN ', ''x''' ELSE '' END), 'P0002', 'there is no finding 0', move || ' of none')
FROM unnest('{resolve,ignore,acknowledge,annotate}'::text[]) move;
SELECT pg_temp.say(5000, n, '10.5.0.0/16', '9 666') FROM generate_series(1, 2) n \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT hunt.acknowledge(pg_temp.id('10.5.0.0/16')), hunt.annotate(pg_temp.id('10.5.0.0/16'), 'called them') \g /dev/null
SELECT results_eq($$SELECT acknowledged, note FROM hunt.finding WHERE prefix = '10.5.0.0/16'$$, $$VALUES (true, 'called them')$$, 'acknowledged, annotated');
SELECT pg_temp.say(5001, 3, '10.5.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT results_eq($$SELECT acknowledged, note, cardinality(peers_seen) FROM hunt.finding WHERE prefix = '10.5.0.0/16'$$, $$VALUES (true, 'called them', 3)$$, 'which stays as more is seen');
SELECT hunt.resolve(pg_temp.id('10.5.0.0/16')) \g /dev/null
SELECT results_eq($$SELECT state, acknowledged, ended_at FROM hunt.finding WHERE prefix = '10.5.0.0/16'$$, $$VALUES ('resolved', true, now())$$, 'resolved');
SELECT throws_ok(format('SELECT hunt.%s(%s)', move, pg_temp.id('10.5.0.0/16')), '55000', format('finding %s cannot be %sd: it is resolved', pg_temp.id('10.5.0.0/16'), move), move || ' of one that is resolved')
FROM unnest('{resolve,ignore}'::text[]) move;
SELECT pg_temp.say(5002, 3, '10.5.0.0/16', 'w'), pg_temp.say(5000.5, 4, '10.5.0.0/16', '9 666') \g /dev/null
SELECT is(hunt.scan(), 0, 'what comes late, and withdrawals, say nothing new of it');
SELECT pg_temp.say(5003, 3, '10.5.0.0/16', '9 666') \g /dev/null
SELECT is(hunt.scan(), 1, 'announced again');
SELECT matches(pg_temp.found('10.5.0.0/16'), 'resolved 5000-5001-\d+ 3/0; E\|0\|-\|- 666 ongoing 5003-5003 1/0$', 'it is a new one');
SELECT hunt.ignore(pg_temp.id('10.5.0.0/16')) \g /dev/null
SELECT throws_ok(format('SELECT hunt.%s(%s)', move, pg_temp.id('10.5.0.0/16')), '55000', NULL, move || ' of one that is ignored')
FROM unnest('{resolve,ignore,acknowledge}'::text[]) move;
SELECT pg_temp.say(5004, 4, '10.5.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.5.0.0/16'), '; E\|0\|-\|- 666 ignored 5003-5004 2/0$', 'ignored, whoever announces it');
SELECT pg_temp.say(5005, 3, '10.5.0.0/16', 'w'), pg_temp.say(5005, 4, '10.5.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.5.0.0/16'), '; E\|0\|-\|- 666 ignored 5003-5004-5005 2/2$', 'until it is gone');
SELECT pg_temp.say(5006, 3, '10.5.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.5.0.0/16'), '; E\|0\|-\|- 666 ongoing 5006-5006 1/0$', 'then it is a new one');
SELECT hunt.annotate(pg_temp.id('10.5.0.0/16'), '') \g /dev/null
SELECT is((SELECT note FROM hunt.finding WHERE finding_id = pg_temp.id('10.5.0.0/16')), NULL, 'no note');
SELECT hunt.resolve(pg_temp.id('10.4.0.0/16')) \g /dev/null
SELECT is(pg_temp.found('10.4.0.0/16'), 'E|0|-|- 666 resolved 100-100-4220 1/1', 'one that was withdrawn is resolved, and ended when it did');
SELECT results_eq(format('SELECT change, state FROM hunt.finding_change WHERE finding_id = %s ORDER BY change_id', pg_temp.id('10.4.0.0/16')),
    $$VALUES ('opened', 'ongoing'), ('dormant', 'dormant'), ('withdrawn', 'withdrawn'), ('resolved', 'resolved')$$, 'its story');

-- --- new rules ------------------------------------------------------------------------------------

SELECT is(pg_temp.found('10.7.0.0/16'), 'none', 'nothing there yet');
SELECT pg_temp.say(6000, n, '10.7.0.0/16', '9 666') FROM generate_series(1, 2) n \g /dev/null
SELECT pg_temp.say(6000, 3, '10.7.0.0/16', '9 64500'), pg_temp.say(6000, 1, '10.77.0.0/16', '9 64500') \g /dev/null
SELECT hunt.scan() \g /dev/null
-- what peers hold, as bgp.rib has it
SELECT bgp.rib_entry_create(pg_temp.peer(n)) FROM generate_series(1, 3) n \g /dev/null
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, peer_id, prefix, qualifier, path, origin_asn)
SELECT e.ts, e.ts, e.ts, e.seq, 0, -1, e.peer_id, e.prefix, '', e.path, e.origin_asn
FROM bgp.route_event e WHERE e.prefix IN ('10.7.0.0/16', '10.77.0.0/16');
SELECT is(hunt.config_load(:'rules'), 4, 'the same rules again');
SELECT is(pg_temp.found('10.7.0.0/16'), 'E|0|-|- 666 ongoing 6000-6000 2/0', 'change nothing');
SELECT is((SELECT config_version FROM hunt.finding WHERE prefix = '10.7.0.0/16'), 4, 'but the version');
SELECT is((SELECT count(*) FROM hunt.finding WHERE state = 'outdated'), 0::bigint, 'nothing is outdated');
SELECT is(hunt.config_load('{"rules": [{"prefixes": ["10.7.0.0/16"], "origin_asns": [666]}, {"prefixes": ["10.77.0.0/16"], "origin_asns": [1]}, {"prefixes": ["10.5.0.0/16"], "origin_asns": [666], "neighbors": [8]}]}'), 5, 'other rules');
SELECT matches(pg_temp.found('10.7.0.0/16'), '^E\|0\|-\|- 666 outdated 6000-6000-\d+ 2/2; E\|0\|-\|- 64500 ongoing 6000-6000 1/0$', 'what was bad is good now, and what was good is bad: at once');
SELECT is(pg_temp.found('10.77.0.0/16'), 'E|0|-|- 64500 ongoing 6000-6000 1/0', 'a route that is there is judged at once');
SELECT matches(pg_temp.found('10.5.0.0/16'), 'E\|0\|-\|- 666 outdated 5006-5006-\d+ 1/1; E\|1\|-\|- 9 ongoing 5006-5006 1/0$', 'still wrong, in another way: the old finding is outdated, there is a new one');
SELECT is((SELECT count(*) FROM hunt.finding WHERE ended_at IS NULL AND config_version < 5), 0::bigint, 'every open finding was judged');
SELECT is((SELECT count(DISTINCT (prefix, hijacker_asn, type)) - count(*) FROM hunt.finding WHERE ended_at IS NULL), 0::bigint, 'open findings are unique');
SELECT is(hunt.scan(), 0, 'nothing more');
SELECT pg_temp.say(6001, 1, '10.7.0.0/16', '9 666'), pg_temp.say(6001, 3, '10.7.0.0/16', 'w') \g /dev/null
SELECT is(hunt.scan(), 1, 'and on under the new rules');
SELECT matches(pg_temp.found('10.7.0.0/16'), 'outdated 6000-6000-\d+ 2/2; E\|0\|-\|- 64500 withdrawn 6000-6000-6001 1/1$', 'as they say');
-- there and back again: what was outdated is found anew, in the routes that are there
SELECT hunt.config_load(:'rules') \g /dev/null
SELECT hunt.config_load(:'rules') \g /dev/null
SELECT is(pg_temp.found('10.77.0.0/16') || '; ' || (SELECT count(*) FROM hunt.finding WHERE prefix = '10.7.0.0/16' AND ended_at IS NULL AND hijacker_asn = 666), 'E|0|-|- 64500 outdated 6000-6000-'
    || extract(epoch FROM now() - pg_temp.at(0))::int || ' 1/1; 1', 'under the rules before: what was outdated is found again in the routes that are there, once');
SELECT pg_temp.say(5999, 5, '10.7.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.7.0.0/16'), 'E\|0\|-\|- 666 ongoing 5999-6001 3/0', 'and takes what comes late');
SELECT is(count(*), 1::bigint, 'one that is resolved stays so') FROM hunt.finding WHERE prefix = '10.5.0.0/16' AND state = 'resolved';
UPDATE bgp.peer SET stale_since = pg_temp.at(7000) WHERE peer_id = pg_temp.peer(1);
SELECT hunt.config_load('{"rules": []}') \g /dev/null
SELECT is((SELECT count(*) FROM hunt.finding WHERE ended_at IS NULL), 0::bigint, 'no rules: nothing is one');
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.77.0.0/16"], "origin_asns": [1]}]}') \g /dev/null
SELECT is((SELECT count(*) FROM hunt.finding WHERE ended_at IS NULL), 0::bigint, 'a route that may be gone is not taken for one that is there');

-- --- the past under other rules -----------------------------------------------------------------------

CREATE FUNCTION pg_temp.rows() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM hunt.finding_row), (SELECT count(*) FROM hunt.rule), (SELECT count(*) FROM hunt.rule_prefix),
	    (SELECT count(*) FROM hunt.config), (SELECT count(*) FROM hunt.finding_change), (SELECT count(*) FROM hunt.autoignore_prefix))
$$;
SELECT pg_temp.rows() AS before \gset
SELECT is((SELECT string_agg(concat_ws(' ', prefix, type, hijacker_asn, state, cardinality(peers_seen)), '; ' ORDER BY prefix, first_seen, hijacker_asn)
    FROM hunt.replay(pg_temp.at(0), pg_temp.at(6000), '{"rules": [{"prefixes": ["10.0.0.0/16", "10.3.0.0/16"], "origin_asns": [64500]}], "dormant_after": "2 hours"}')),
    '10.0.0.0/16 E|0|-|- 666 withdrawn 2; 10.0.0.0/16 E|0|-|- 666 withdrawn 1; 10.0.0.0/16 E|0|-|- 667 withdrawn 1; 10.0.0.0/16 E|0|-|- 668 ongoing 1; '
    '10.0.0.0/16 E|0|-|- 669 ongoing 1; 10.0.9.0/24 S|0|-|- 666 ongoing 1; 10.3.0.0/16 E|0|-|- 666 withdrawn 2; 10.3.0.0/16 E|0|-|- 666 withdrawn 1; '
    '10.3.0.0/16 E|0|-|- 667 withdrawn 1; 10.3.0.0/16 E|0|-|- 666 ongoing 1', 'what the past would have given');
SELECT is((SELECT string_agg(concat_ws(' ', type, hijacker_asn, state), '; ') FROM hunt.replay(pg_temp.at(1), pg_temp.at(3), '{"rules": [{"prefixes": ["10.0.0.0/16"], "origin_asns": [64500]}]}')
    WHERE prefix = '10.0.0.0/16'), 'E|0|-|- 666 ongoing', 'a part of it, ends included');
SELECT is((SELECT count(*) FROM hunt.replay(pg_temp.at(0), pg_temp.at(9000))), 1::bigint, 'under the rules in force');
SELECT is(pg_temp.rows(), :'before', 'and nothing is stored');

-- --- how it is going, and who may ----------------------------------------------------------------------

SELECT pg_temp.say(8000, 1, '10.0.0.0/16', '9 666') \g /dev/null
UPDATE bgp.batch_pending SET queued_at = now() - interval '5 s' WHERE consumer = 'hunt';
SELECT results_eq($$SELECT config_version, rules, prefixes, open_findings, backlog_batches, backlog_age FROM hunt.status$$,
    $$VALUES (9, 1, 1::bigint, 0::bigint, 1::bigint, interval '5 s')$$, 'a scan that is due');
SELECT hunt.scan() \g /dev/null
SELECT results_eq($$SELECT backlog_batches, backlog_age, scanned_to FROM hunt.status$$, $$VALUES (0::bigint, interval '0', pg_temp.at(8000))$$, 'none');

SELECT is(has_function_privilege(r, f::regprocedure, 'EXECUTE'), r = owner, format('%s: %s', r, f))
FROM (VALUES ('hunt.scan()', 'exabgp_pg_writer'), ('hunt.scan_follow()', 'exabgp_pg_writer'), ('hunt.replay(timestamptz,timestamptz,jsonb)', 'exabgp_pg_reader'),
    ('hunt.config_check(jsonb)', 'exabgp_pg_reader'), ('hunt.config_load(jsonb)', ''), ('hunt.resolve(bigint)', ''), ('hunt.ignore(bigint)', ''),
    ('hunt.acknowledge(bigint)', ''), ('hunt.annotate(bigint,text)', ''), ('hunt.store(hunt.rule_case,bigint,int,hunt.finding_row)', ''), ('hunt.lock()', '')) AS t (f, owner),
    unnest('{exabgp_pg_writer,exabgp_pg_reader}'::text[]) r;
SET ROLE exabgp_pg_reader;
SELECT count(*) AS c FROM hunt.config_check('{}') \gset
SELECT count(*) AS n FROM hunt.replay('2026-01-01', '2026-01-02', '{"rules": [{"prefixes": ["10.0.0.0/16"]}]}') \gset
SELECT count(*) AS f FROM hunt.finding \gset
RESET ROLE;
SELECT ok(:c = 1 AND :n > 0 AND :f > 0, 'a reader checks rules, replays, and reads findings');

-- --- what the operator said, and late events --------------------------------------------------------------

SELECT hunt.config_load('{"rules": [{"prefixes": ["10.20.0.0/16"], "origin_asns": [64500]}]}') \g /dev/null
SELECT pg_temp.say(9120, 1, '10.20.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT hunt.annotate(pg_temp.id('10.20.0.0/16'), 'ticket 4711'), hunt.ignore(pg_temp.id('10.20.0.0/16')), pg_temp.id('10.20.0.0/16') AS mine \gset
SELECT pg_temp.say(9100, 2, '10.20.0.0/16', '9 8 666'), pg_temp.say(9103, 2, '10.20.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.20.0.0/16'), 'E|0|-|- 666 withdrawn 9100-9100-9103 1/1; E|0|-|- 666 ignored 9120-9120 1/0', 'one before it is another');
SELECT is(note, 'ticket 4711', 'which does not take the note') FROM hunt.finding WHERE finding_id = :mine AND state = 'ignored';
SELECT pg_temp.say(9104, 3, '10.20.0.0/16', '9 666'), pg_temp.say(9102, 3, '10.20.0.0/16', '9 666') \g /dev/null
SELECT hunt.annotate(min(finding_id), 'called AS8'), hunt.acknowledge(min(finding_id)) FROM hunt.finding WHERE prefix = '10.20.0.0/16' AND state = 'withdrawn' \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.20.0.0/16'), 'E|0|-|- 666 ignored 9100-9120 3/1', 'they are one: ignored, as the last was');
SELECT results_eq($$SELECT note, acknowledged FROM hunt.finding WHERE prefix = '10.20.0.0/16'$$, $$VALUES (E'called AS8\nticket 4711', false)$$, 'with both notes');
SELECT pg_temp.say(9105, 3, '10.20.0.0/16', 'w'), pg_temp.say(9105, 2, '10.20.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.20.0.0/16'), 'E\|0\|-\|- 666 withdrawn 9100-9104-9105 2/2; E\|0\|-\|- 666 ignored 9120-9120 1/0', 'they are two again: what is there is ignored');
SELECT is(note, E'called AS8\nticket 4711', 'and has the notes') FROM hunt.finding WHERE prefix = '10.20.0.0/16' AND state = 'ignored';

-- --- new rules: how many peers, and what share of them --------------------------------------------------------

SELECT hunt.config_load('{"rules": [{"prefixes": ["10.21.0.0/16"], "origin_asns": [64500], "min_peers": 2}]}') \g /dev/null
SELECT pg_temp.say(9200, 1, '10.21.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.21.0.0/16'), 'none', 'too few peers');
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.21.0.0/16"], "origin_asns": [64500], "min_peers": 1}]}') \g /dev/null
SELECT is(pg_temp.found('10.21.0.0/16'), 'E|0|-|- 666 ongoing 9200-9200 1/0', 'enough, now that one is');
SELECT ok(detected_at BETWEEN now() AND clock_timestamp(), 'detected when the rules were loaded') FROM hunt.finding WHERE prefix = '10.21.0.0/16';
SELECT is((SELECT array_agg(change) FROM hunt.finding_change WHERE finding_id = pg_temp.id('10.21.0.0/16')), '{opened}'::text[], 'and told');
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.21.0.0/16"], "origin_asns": [64500], "min_peers": 3}]}') \g /dev/null
SELECT matches(pg_temp.found('10.21.0.0/16'), '^E\|0\|-\|- 666 outdated 9200-9200-\d+ 1/0$', 'never enough, now that three are needed');
SELECT pg_temp.say(9201, 2, '10.21.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.say(9202, 3, '10.21.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.21.0.0/16'), '; E\|0\|-\|- 666 ongoing 9200-9202 3/0$', 'until three have it, the first of them included');

SELECT hunt.config_load('{"rules": [{"prefixes": ["10.22.0.0/16"], "origin_asns": [64500]}], "withdrawn_threshold_percent": 100}') \g /dev/null
SELECT pg_temp.say(9300, n, '10.22.0.0/16', '9 666'), pg_temp.say(9300 + n, n, '10.22.0.0/16', 'w') FROM generate_series(1, 4) n \g /dev/null
SELECT pg_temp.say(9300, 5, '10.22.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.22.0.0/16'), 'E|0|-|- 666 ongoing 9300-9300 5/4', 'all must lose it');
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.22.0.0/16"], "origin_asns": [64500]}], "withdrawn_threshold_percent": 60}') \g /dev/null
SELECT is(pg_temp.found('10.22.0.0/16'), 'E|0|-|- 666 withdrawn 9300-9300-9303 5/3', 'three of five are enough: it was over with the third');
SELECT is(hunt.scan(), 0, 'and is not found again');

-- numbers that JSON may write in several ways
SELECT is(pg_temp.problems('{"rules": [{"prefixes": ["10.23.0.0/16"], "origin_asns": [64500.0, [1e2, 200.00]], "prepend_seq": [[64501.0]], "min_peers": 1.0}]}'), 'none', '64500.0 is an ASN');
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.23.0.0/16"], "origin_asns": [64500.0, [1e2, 200.00]], "prepend_seq": [[64501.0]], "min_peers": 1.0}]}') \g /dev/null
SELECT pg_temp.say(9400, 1, '10.23.0.0/16', '9 64501 64500'), pg_temp.say(9400, 2, '10.23.0.0/16', '9 150'), pg_temp.say(9400, 3, '10.23.0.0/16', '9 64501 201') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.23.0.0/16'), 'E|0|-|- 201 ongoing 9400-9400 1/0; E|P|-|- 9 ongoing 9400-9400 1/0', 'as other numbers are');

-- --- new rules: when the routes that are there came, and those that bgp.rib does not have yet ---------------------------

SELECT hunt.config_load('{"rules": []}') \g /dev/null
SELECT pg_temp.say(9500, 2, NULL, 'up'), pg_temp.say(9501, 2, '10.24.0.0/16', '9 666'), pg_temp.say(9502, 2, NULL, 'begin'), pg_temp.say(9503, 2, '10.24.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
UPDATE bgp.peer SET stale_since = NULL WHERE peer_id = pg_temp.peer(2);
INSERT INTO bgp.rib_entry (since, first_announced, ts, seq, attributes_hash, path_id, peer_id, prefix, qualifier, path, origin_asn)
VALUES (pg_temp.at(9501), pg_temp.at(9501), pg_temp.at(9503), 1, 0, -1, pg_temp.peer(2), '10.24.0.0/16', '', '{9,666}', 666);
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.24.0.0/16", "10.25.0.0/16"], "origin_asns": [64500]}]}') \g /dev/null
SELECT is(pg_temp.found('10.24.0.0/16'), 'E|0|-|- 666 ongoing 9501-9503 1/0', 'since it came, last seen when it was announced again');
SELECT pg_temp.say(9504, 2, NULL, 'end') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.24.0.0/16'), 'E|0|-|- 666 ongoing 9501-9503 1/0', 'so that a refresh that brought it does not take it away');

SELECT hunt.config_load('{"rules": []}') \g /dev/null
SELECT pg_temp.say(9600, 2, '10.25.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
INSERT INTO bgp.batch_pending (consumer, peer_id, from_seq, to_seq, from_ts, to_ts)
SELECT 'rib', e.peer_id, e.seq - 1, e.seq, e.ts, e.ts FROM bgp.route_event e WHERE e.prefix = '10.25.0.0/16';
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.25.0.0/16"], "origin_asns": [64500]}]}') \g /dev/null
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.25.0.0/16"], "origin_asns": [64500]}]}') \g /dev/null
SELECT is(count(*), 1::bigint, 'what bgp.rib does not show yet waits for the next scan, once') FROM bgp.batch_pending WHERE consumer = 'hunt';
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.25.0.0/16'), 'E|0|-|- 666 ongoing 9600-9600 1/0', 'which finds it');

-- --- what becomes of a finding does not depend on when it is looked at ---------------------------------------------------

-- (peers of whom nothing was said before)
SELECT count(bgp.ensure_partition(pg_temp.peer(20 + n), '2026-01-01')) FROM generate_series(1, 7) n \g /dev/null
CREATE FUNCTION pg_temp.tell(seconds numeric, peer int, prefix cidr, what text) RETURNS void LANGUAGE sql AS 'SELECT pg_temp.say($1, 20 + $2, $3, $4)';
-- now_is: what scanning has made of a prefix, and that a replay of all gives the same as to times and peers
CREATE FUNCTION pg_temp.replayed(p cidr) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(concat_ws(' ', type, hijacker_asn, CASE WHEN ended_at IS NULL THEN 'open' ELSE 'over' END, extract(epoch FROM first_seen - pg_temp.at(0))::int || '-'
	    || extract(epoch FROM last_seen - pg_temp.at(0))::int || coalesce('-' || extract(epoch FROM ended_at - pg_temp.at(0))::int, ''), array_length(peers_seen, 1) || '/' || coalesce(array_length(peers_withdrawn, 1), 0)),
	    '; ' ORDER BY first_seen, last_seen, type, hijacker_asn), 'none') FROM hunt.replay(pg_temp.at(0), pg_temp.at(90000)) WHERE prefix = p
$$;
CREATE FUNCTION pg_temp.now_is(p cidr, wanted text, why text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM hunt.scan();
	RETURN NEXT is(pg_temp.found(p), wanted, why);
	RETURN NEXT is(pg_temp.replayed(p), regexp_replace(regexp_replace(wanted, '\m(ongoing|dormant)\M', 'open', 'g'), '\m(withdrawn|ignored)\M', 'over', 'g'), why || ': and by replay');
END
$$;
CREATE FUNCTION pg_temp.rules(p cidr, min_peers int DEFAULT 1, percent int DEFAULT 80, origins text DEFAULT '64500') RETURNS int LANGUAGE sql AS $$
	SELECT hunt.config_load(format('{"rules": [{"prefixes": ["%s"], "origin_asns": [%s], "min_peers": %s}], "withdrawn_threshold_percent": %s}', p, origins, min_peers, percent)::jsonb)
$$;
-- everything at one microsecond: which case is which is not known by its time alone
SELECT pg_temp.rules('10.30.0.0/16') \g /dev/null
SELECT pg_temp.tell((ARRAY[12, 10, 11, 9, 8, 7, 6])[i], i, '10.30.0.0/16', '9 ' || 600 + i) FROM generate_series(1, 7) i \g /dev/null
SELECT is(hunt.scan(), 7, 'seven hijackers of a prefix');
SELECT pg_temp.tell((ARRAY[12, 10])[i], i, '10.30.0.0/16', 'w'), pg_temp.tell((ARRAY[12, 10])[i], i, '10.30.0.0/16', '9 ' || 600 + i) FROM generate_series(1, 2) i \g /dev/null
SELECT is(hunt.scan(), 2, 'two come and go and come at one time');
SELECT is(count(*) FILTER (WHERE ended_at IS NULL) || ' ' || count(*), '7 9', 'each is open once') FROM hunt.finding WHERE prefix = '10.30.0.0/16';
SELECT pg_temp.rules('10.31.0.0/16') \g /dev/null
SELECT pg_temp.tell(10, 1, '10.31.0.0/16', what) FROM (VALUES (1, '9 666'), (2, 'w'), (3, '9 666')) v (n, what) ORDER BY n \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT hunt.annotate(finding_id, 'ticket'), hunt.ignore(finding_id) FROM hunt.finding WHERE prefix = '10.31.0.0/16' AND ended_at IS NULL \g /dev/null
SELECT pg_temp.tell(n, 2, '10.31.0.0/16', '9 64500') FROM generate_series(9, 10) n \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', state, note), ', ' ORDER BY ended_at) FROM hunt.finding WHERE prefix = '10.31.0.0/16'), 'withdrawn, ignored ticket', 'what is open stays ignored, whatever comes late');

-- what an operator or new rules have closed does not take what was before along
SELECT pg_temp.rules('10.32.0.0/16') \g /dev/null
SELECT pg_temp.tell(10, 1, '10.32.0.0/16', '9 666'), pg_temp.tell(20, 1, '10.32.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.tell(30, 1, '10.32.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT hunt.resolve(pg_temp.id('10.32.0.0/16')) \g /dev/null
SELECT pg_temp.tell(15, 2, '10.32.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.32.0.0/16'), '^E\|0\|-\|- 666 withdrawn 10-10-20 1/1; E\|0\|-\|- 666 resolved 30-30-', 'a finding before one that is resolved stays');
SELECT pg_temp.rules('10.33.0.0/16') \g /dev/null
SELECT pg_temp.tell(10, 1, '10.33.0.0/16', '9 666'), pg_temp.tell(20, 1, '10.33.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.rules('10.33.0.0/16', origins => '64500, 666') \g /dev/null
SELECT pg_temp.tell(15, 2, '10.33.0.0/16', '9 64500') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.33.0.0/16'), 'E|0|-|- 666 withdrawn 10-10-20 1/1', 'what ended under other rules is what it was');

-- rules that are loaded again change nothing and tell nobody; others give what a replay gives
SELECT pg_temp.rules('10.34.0.0/16', 3, 30) \g /dev/null
SELECT pg_temp.tell(10, 1, '10.34.0.0/16', '9 666'), pg_temp.tell(11, 2, '10.34.0.0/16', '9 666'), pg_temp.tell(12, 1, '10.34.0.0/16', 'w'), pg_temp.tell(13, 3, '10.34.0.0/16', '9 666'),
    pg_temp.tell(14, 4, '10.34.0.0/16', '9 666') \g /dev/null
SELECT pg_temp.now_is('10.34.0.0/16', 'E|0|-|- 666 ongoing 10-14 4/1', 'one of three had lost it before it was one');
SELECT count(*) AS told FROM hunt.finding_change \gset
SELECT pg_temp.rules('10.34.0.0/16', 3, 30) \g /dev/null
SELECT pg_temp.now_is('10.34.0.0/16', 'E|0|-|- 666 ongoing 10-14 4/1', 'the same rules again');
SELECT is((SELECT count(*) FROM hunt.finding_change), :told::bigint, 'tell nobody');
SELECT pg_temp.rules('10.34.0.0/16', 4, 30) \g /dev/null
SELECT pg_temp.now_is('10.34.0.0/16', 'none', 'there never were four at a time');
SELECT is((SELECT change FROM hunt.finding_change ORDER BY change_id DESC LIMIT 1), 'retracted', 'which is told');
SELECT pg_temp.rules('10.34.0.0/16', 2, 30) \g /dev/null
SELECT pg_temp.now_is('10.34.0.0/16', 'E|0|-|- 666 withdrawn 10-11-12 2/1; E|0|-|- 666 ongoing 13-14 2/0', 'two at a time there were twice');
SELECT pg_temp.rules('10.35.0.0/16', 1, 100) \g /dev/null
SELECT pg_temp.tell(10, n, '10.35.0.0/16', '9 666') FROM generate_series(1, 5) n \g /dev/null
SELECT pg_temp.tell(10 + n, n, '10.35.0.0/16', 'w') FROM generate_series(1, 3) n \g /dev/null
SELECT pg_temp.tell(16 + n, n, '10.35.0.0/16', '9 666') FROM generate_series(4, 5) n \g /dev/null
SELECT pg_temp.now_is('10.35.0.0/16', 'E|0|-|- 666 ongoing 10-21 5/3', 'all must lose it');
SELECT pg_temp.rules('10.35.0.0/16', 1, 60) \g /dev/null
SELECT pg_temp.now_is('10.35.0.0/16', 'E|0|-|- 666 withdrawn 10-10-13 5/3; E|0|-|- 666 ongoing 20-21 2/0', 'three are enough: it was over, and came again');

-- what is ignored stays so, though late events show that too few saw it; and a merger is told as what it is
SELECT pg_temp.rules('10.36.0.0/16', 2) \g /dev/null
SELECT pg_temp.tell(10, 1, '10.36.0.0/16', '9 666'), pg_temp.tell(11, 2, '10.36.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT hunt.ignore(pg_temp.id('10.36.0.0/16')) \g /dev/null
SELECT pg_temp.tell(10.5, 1, '10.36.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.tell(13, 1, '10.36.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is((SELECT string_agg(state, ',') FROM hunt.finding WHERE prefix = '10.36.0.0/16' AND ended_at IS NULL), 'ignored', 'ignored, whatever is found out of it');
SELECT pg_temp.rules('10.37.0.0/16') \g /dev/null
SELECT pg_temp.tell(10, 1, '10.37.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.id('10.37.0.0/16') AS first, hunt.ignore(pg_temp.id('10.37.0.0/16')) \gset
SELECT pg_temp.tell(20, 1, '10.37.0.0/16', 'w'), pg_temp.tell(30, 1, '10.37.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.tell(19, 2, '10.37.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is((SELECT string_agg(change, ',' ORDER BY change_id) FROM hunt.finding_change WHERE finding_id = :first), 'opened,ignored,ended,ongoing', 'one that was ignored goes on as one that is not: told as ongoing');
SELECT is(pg_temp.found('10.37.0.0/16'), 'E|0|-|- 666 ongoing 10-30 2/0', 'as it is');

-- autoignore: late announcements by more peers wake it, and so do rules that do not ignore it
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.38.0.0/16"], "origin_asns": [64500]}], "autoignore": [{"prefixes": ["10.38.0.0/16"], "peers_below": 3, "infected_below": 10, "quiet": "1 hour"}], "dormant_after": "1000 days"}') \g /dev/null
SELECT pg_temp.tell(9700, 1, '10.38.0.0/16', '9 666'), pg_temp.tell(19000, 2, '10.39.0.0/16', '9 1') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.38.0.0/16'), 'E|0|-|- 666 ignored 9700-9700 1/0', 'ignored');
SELECT pg_temp.tell(9690, 2, '10.38.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.38.0.0/16'), 'E|0|-|- 666 ignored 9690-9700 2/0', 'two are below three');
SELECT pg_temp.tell(9690, n, '10.38.0.0/16', '9 666') FROM generate_series(3, 5) n \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.38.0.0/16'), 'E|0|-|- 666 ongoing 9690-9700 5/0', 'five are not, though they came late');
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.38.0.0/16"], "origin_asns": [64500]}], "autoignore": [{"prefixes": ["10.38.0.0/16"], "peers_below": 30, "infected_below": 10, "quiet": "1 hour"}], "dormant_after": "1000 days"}') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.38.0.0/16'), 'E|0|-|- 666 ignored 9690-9700 5/0', 'ignored by other rules');
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.38.0.0/16"], "origin_asns": [64500]}], "dormant_after": "1000 days"}') \g /dev/null
SELECT is(pg_temp.found('10.38.0.0/16'), 'E|0|-|- 666 ongoing 9690-9700 5/0', 'and not by those that have no autoignore');

-- what a finding remembers is asked only of days that the log has lost
SELECT pg_temp.rules('10.40.0.0/16') \g /dev/null
SELECT pg_temp.tell(9810, 5, '10.40.0.0/16', '9 666'), pg_temp.tell(9820, 5, NULL, 'begin'), pg_temp.tell(9830, 5, NULL, 'end') \g /dev/null
SELECT pg_temp.now_is('10.40.0.0/16', 'E|0|-|- 666 withdrawn 9810-9810-9830 1/1', 'not refreshed');
SELECT pg_temp.tell(9825, 5, '10.40.0.0/16', '9 666') \g /dev/null
SELECT pg_temp.now_is('10.40.0.0/16', 'E|0|-|- 666 ongoing 9810-9825 1/0', 'it was, as a late update says');
SELECT pg_temp.rules('10.43.0.0/16') \g /dev/null
SELECT pg_temp.tell(9840, 5, '10.43.0.0/16', '9 3 666'), pg_temp.tell(9840, 6, '10.43.0.0/16', '9 5 666'), pg_temp.tell(9840, 7, '10.43.0.0/16', '9 5 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.43.0.0/16"], "origin_asns": [666], "neighbors": [3]}, {"prefixes": ["10.43.0.0/16"], "origin_asns": [64500]}]}') \g /dev/null
SELECT pg_temp.tell(9849, 5, '10.43.0.0/16', '9 5 666'), pg_temp.tell(9839, 4, '10.43.0.0/16', '9 5 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(string_agg(concat_ws(' ', type, hijacker_asn, state, peers_seen, peers_withdrawn), '; ' ORDER BY type), (SELECT string_agg(concat_ws(' ', type, hijacker_asn, state, peers_seen, peers_withdrawn), '; ' ORDER BY type)
    FROM hunt.replay(pg_temp.at(9800), pg_temp.at(9900)) WHERE prefix = '10.43.0.0/16'), 'that rules ended a route is none of its events') FROM hunt.finding WHERE prefix = '10.43.0.0/16' AND state <> 'outdated';
-- more happened than the evidence keeps: when a peer came that came again is lost
SELECT pg_temp.rules('10.41.0.0/16', 1, 100) \g /dev/null
SELECT pg_temp.tell(9700 + n, 7, '10.41.0.0/16', '9 666') FROM generate_series(1, 50) n \g /dev/null
SELECT pg_temp.tell(9700 + s, p, '10.41.0.0/16', w) FROM (VALUES (60, 5, '9 666'), (62, 7, 'w'), (65, 6, '9 666'), (70, 5, 'w'), (71, 5, '9 666')) v (s, p, w) ORDER BY s \g /dev/null
SELECT pg_temp.tell(9780 + n, 5, '10.41.0.0/16', '9 666') FROM generate_series(1, 46) n \g /dev/null
SELECT pg_temp.now_is('10.41.0.0/16', 'E|0|-|- 666 ongoing 9701-9826 3/1', 'a hundred updates');
SELECT hunt.acknowledge(pg_temp.id('10.41.0.0/16')) \g /dev/null
SELECT set_config('tap.changes', (SELECT count(*)::text FROM hunt.finding_change), true) \g /dev/null
DELETE FROM bgp.route_event WHERE prefix = '10.41.0.0/16' AND ts < pg_temp.at(9800);
INSERT INTO bgp.rib_horizon SELECT pg_temp.peer(20 + n), '2026-01-02' FROM generate_series(1, 7) n;
SELECT pg_temp.tell(9810.5, 4, '10.41.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.41.0.0/16'), 'E|0|-|- 666 ongoing 9701-9826 4/1', 'it is known to have been open all along');
SELECT is((SELECT acknowledged FROM hunt.finding WHERE finding_id = pg_temp.id('10.41.0.0/16')), true, 'the same finding');
SELECT is(count(*) - current_setting('tap.changes')::int, 1::bigint, 'of which one peer more is told') FROM hunt.finding_change;
-- it may have ended earlier than was known, of peers that have lost their log or not
SELECT pg_temp.rules('10.44.0.0/16') \g /dev/null
SELECT pg_temp.tell(9900 + n * 0.1, 3, '10.44.0.0/16', '9 666') FROM generate_series(0, 100) n \g /dev/null
SELECT pg_temp.tell(9950, 3, '10.44.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
DELETE FROM bgp.route_event WHERE prefix = '10.44.0.0/16';
SELECT pg_temp.tell(9945, 3, '10.44.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.44.0.0/16'), 'E|0|-|- 666 withdrawn 9900-9910-9945 1/1', 'a late withdrawal');
SELECT pg_temp.tell(9940, 3, NULL, 'down') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.44.0.0/16'), 'E|0|-|- 666 withdrawn 9900-9910-9940 1/1', 'a session that went down before');
SELECT pg_temp.tell(9960, 6, '10.44.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.44.0.0/16'), 'E|0|-|- 666 withdrawn 9900-9910-9940 1/1; E|0|-|- 666 ongoing 9960-9960 1/0', 'what comes later is another finding');
-- route refreshes, of which the session log still tells
SELECT pg_temp.tell(9500, 2, '10.45.0.0/16', '9 666'), pg_temp.tell(9509, 2, NULL, 'begin'), pg_temp.tell(9510, 2, '10.45.0.0/16', '9 666'), pg_temp.tell(9515, 2, NULL, 'end'),
    pg_temp.tell(9519, 2, NULL, 'begin'), pg_temp.tell(9520, 2, '10.45.0.0/16', '9 666'), pg_temp.tell(9525, 2, NULL, 'end') \g /dev/null
SELECT bgp.rib_entry_create(pg_temp.peer(22)), bgp.rib_rebuild(pg_temp.peer(22)) \g /dev/null
DELETE FROM bgp.batch_pending;
SELECT pg_temp.rules('10.45.0.0/16') \g /dev/null
SELECT hunt.scan() \g /dev/null
DELETE FROM bgp.route_event WHERE prefix = '10.45.0.0/16';
DELETE FROM bgp.rib_entry WHERE prefix = '10.45.0.0/16';
SELECT pg_temp.rules('10.45.0.0/16', 1, 50) \g /dev/null
SELECT pg_temp.tell(9505, 6, '10.45.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT matches(pg_temp.found('10.45.0.0/16'), '^E\|0\|-\|- 666 (ongoing|dormant) 9500-9520 2/0$', 'a refresh says nothing of announcements that nothing remembers');
-- how many showed it at a time, what they had on their paths and in their communities, when the evidence no longer has it
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.46.0.0/16"], "origin_asns": [64500], "min_peers": 3, "community_annotations": [{"critical": [{"in": ["1:666"]}]}]}], "withdrawn_threshold_percent": 100}') \g /dev/null
SELECT pg_temp.tell(9400 + n, 4 + n, '10.46.0.0/16', '9 666') FROM generate_series(1, 2) n \g /dev/null
SELECT pg_temp.tell(9402 + n * 0.1, 6, '10.46.0.0/16', '9 666') FROM generate_series(1, 60) n \g /dev/null
SELECT pg_temp.say(9410, 27, '10.46.0.0/16', '9 4242 666', '{1:666}'), pg_temp.tell(9411, 7, '10.46.0.0/16', 'w'), pg_temp.tell(9412, 5, '10.46.0.0/16', 'w'), pg_temp.tell(9413, 7, '10.46.0.0/16', '9 666') \g /dev/null
SELECT pg_temp.tell(9420 + n * 0.1, 6, '10.46.0.0/16', '9 666') FROM generate_series(1, 100) n \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is((SELECT concat_ws(' ', pg_temp.found('10.46.0.0/16'), asns_infected, community_annotation) FROM hunt.finding WHERE prefix = '10.46.0.0/16'),
    'E|0|-|- 666 ongoing 9401-9430 3/1 {9,4242} critical', 'three peers at a time, once');
DELETE FROM bgp.route_event WHERE prefix = '10.46.0.0/16';
SELECT pg_temp.tell(9405.05, 6, '10.46.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is((SELECT concat_ws(' ', pg_temp.found('10.46.0.0/16'), asns_infected, community_annotation) FROM hunt.finding WHERE prefix = '10.46.0.0/16'),
    'E|0|-|- 666 ongoing 9401-9430 3/1 {9,4242} critical', 'it remains what it was');
-- a route that rules have ended stays ended, under whatever rules
SELECT pg_temp.rules('10.47.0.0/16') \g /dev/null
SELECT pg_temp.tell(9460, 1, '10.47.0.0/16', '9 3 666'), pg_temp.tell(9461, 6, '10.47.0.0/16', '9 5 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT hunt.config_load('{"rules": [{"prefixes": ["10.47.0.0/16"], "origin_asns": [666], "neighbors": [3]}, {"prefixes": ["10.47.0.0/16"], "origin_asns": [64500]}]}') \g /dev/null
SELECT pg_temp.tell(9470, 1, '10.47.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT pg_temp.rules('10.47.0.0/16') \g /dev/null
DELETE FROM bgp.route_event WHERE prefix = '10.47.0.0/16';
SELECT pg_temp.tell(9460.5, 7, '10.47.0.0/16', '9 666') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.47.0.0/16'), 'E|0|-|- 666 ongoing 9460-9461 3/1', 'ended by rules');
-- what peers did after the end is lost: they do not show it for ever if it ended later
SELECT pg_temp.rules('10.48.0.0/16', 1, 50) \g /dev/null
SELECT pg_temp.tell(9480 + s, p, '10.48.0.0/16', w) FROM (VALUES (1, 1, '9 666'), (2, 2, '9 666'), (3, 3, '9 666'), (10, 1, 'w'), (12, 3, 'w'), (14, 2, 'w')) v (s, p, w) ORDER BY s \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.48.0.0/16'), 'E|0|-|- 666 withdrawn 9481-9483-9492 3/2', 'two of three');
DELETE FROM bgp.route_event WHERE prefix = '10.48.0.0/16';
SELECT pg_temp.tell(9491, p, '10.48.0.0/16', '9 666') FROM generate_series(4, 5) p \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.48.0.0/16'), 'E|0|-|- 666 withdrawn 9481-9491-9492 5/3', 'three of five, the third at some time after that');
-- two findings, and two updates of a peer, in one microsecond
SELECT pg_temp.rules('10.49.0.0/16', 1, 50) \g /dev/null
SELECT pg_temp.tell(9300 + s, p, '10.49.0.0/16', w) FROM (VALUES (1, 1, 1, '9 666'), (2, 2, 2, '9 666'), (3, 10, 1, 'w'), (4, 10, 2, '9 8 666'), (5, 20, 2, 'w')) v (n, s, p, w) ORDER BY n \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.49.0.0/16'), 'E|0|-|- 666 withdrawn 9301-9302-9310 2/1; E|0|-|- 666 withdrawn 9310-9310-9320 1/1', 'one ends as the next begins');
DELETE FROM bgp.route_event WHERE prefix = '10.49.0.0/16';
SELECT pg_temp.tell(9305, 6, '10.49.0.0/16', 'w') \g /dev/null
SELECT is(hunt.scan(), 0, 'nothing has changed');
SELECT is(pg_temp.found('10.49.0.0/16'), 'E|0|-|- 666 withdrawn 9301-9302-9310 2/1; E|0|-|- 666 withdrawn 9310-9310-9320 1/1', 'as they were');
SELECT pg_temp.rules('10.50.0.0/16', 1, 50) \g /dev/null
SELECT pg_temp.tell(9300 + s, 1, '10.50.0.0/16', w) FROM (VALUES (1, 1, '9 666'), (2, 1, '9 5 666'), (3, 10, 'w'), (4, 10, '9 8 666'), (5, 20, 'w')) v (n, s, w) ORDER BY n \g /dev/null
SELECT hunt.scan() \g /dev/null
DELETE FROM bgp.route_event WHERE prefix = '10.50.0.0/16';
SELECT pg_temp.tell(9305, 6, '10.50.0.0/16', 'w') \g /dev/null
SELECT is(hunt.scan(), 0, 'nothing has changed, of one peer');
SELECT is(string_agg(concat_ws(' ', first_seen - pg_temp.at(9300), ended_at - pg_temp.at(9300), asns_infected), '; ' ORDER BY first_seen), '00:00:01 00:00:10 {5,9}; 00:00:10 00:00:20 {8,9}', 'as they were, with all on their paths')
FROM hunt.finding WHERE prefix = '10.50.0.0/16';
-- announced and withdrawn in the same microsecond
SELECT pg_temp.rules('10.42.0.0/16') \g /dev/null
SELECT pg_temp.tell(9850, 5, '10.42.0.0/16', '9 666'), pg_temp.tell(9850, 5, '10.42.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
DELETE FROM bgp.route_event WHERE prefix = '10.42.0.0/16';
SELECT pg_temp.tell(9849, 6, '10.42.0.0/16', '9 666'), pg_temp.tell(9851, 6, '10.42.0.0/16', 'w') \g /dev/null
SELECT hunt.scan() \g /dev/null
SELECT is(pg_temp.found('10.42.0.0/16'), 'E|0|-|- 666 withdrawn 9849-9850-9851 2/2', 'what was lost in the microsecond that it came is lost');
DELETE FROM bgp.rib_horizon;

-- at random: a scan, or the same rules, or nothing
CREATE FUNCTION pg_temp.look(p cidr, min_peers int, percent int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF random() < 0.4 THEN
		PERFORM hunt.scan();
	ELSIF random() < 0.1 THEN
		PERFORM pg_temp.rules(p, min_peers, percent);
	END IF;
END
$$;
-- the findings of a prefix are those that a replay of this time gives, with their evidence
CREATE FUNCTION pg_temp.as_replayed(p cidr, since numeric, until numeric, why text) RETURNS text LANGUAGE sql AS $$
	SELECT is(string_agg(f.said, E'\n' ORDER BY f.said) FILTER (WHERE f.live), string_agg(f.said, E'\n' ORDER BY f.said) FILTER (WHERE NOT f.live), why || ': as replayed')
	FROM (SELECT u.live, concat_ws(' ', u.type, u.hijacker_asn, u.first_seen, u.last_seen, u.ended_at, u.peers_seen, u.peers_withdrawn, u.evidence) AS said
	    FROM (SELECT true AS live, f.* FROM hunt.finding f UNION ALL SELECT false, f.* FROM hunt.replay(pg_temp.at(since), pg_temp.at(until)) f) u WHERE u.prefix = p) f
$$;

-- at random: updates and sessions of four peers in any order of commits, scans and the same rules in between
CREATE FUNCTION pg_temp.trial(seed int, min_peers int, percent int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	p	cidr := format('10.%s.0.0/16', 100 + seed);
	e	record;
BEGIN
	PERFORM setseed(seed / 1000.0);
	PERFORM pg_temp.rules(p, min_peers, percent);
	FOR e IN SELECT n / 2 AS at, 1 + floor(random() * 4)::int AS peer, (ARRAY['w', 'w', '9 64500', '9 667', '9 8 666', '9 666', '9 666', 'down'])[1 + floor(random() * 8)::int] AS what
	    FROM generate_series(seed * 200, seed * 200 + 30) n ORDER BY random() LOOP
		PERFORM pg_temp.tell(20000 + e.at, e.peer, CASE WHEN e.what <> 'down' THEN p END, e.what);
		PERFORM pg_temp.look(p, min_peers, percent);
	END LOOP;
	PERFORM hunt.scan();
	RETURN NEXT is((SELECT count(DISTINCT (r.type, r.hijacker_asn)) - count(*) FROM hunt.finding_row r WHERE r.prefix = p AND r.ended_at IS NULL), 0::bigint, format('at random, %s: each is open once', seed));
	RETURN NEXT pg_temp.as_replayed(p, 20000, 60000, format('at random, %s', seed));
END
$$;
SELECT pg_temp.trial(n, 1 + n % 3, (ARRAY[80, 50, 100])[1 + n % 3]) FROM generate_series(1, 45) n;

-- and when retention drops days meanwhile, of one peer or of all: 40 events from noon on, half an hour each, and those before midnight go
SELECT format('CREATE TABLE bgp.other_days_%1$s PARTITION OF bgp.route_event_%1$s DEFAULT', pg_temp.peer(20 + n)) FROM generate_series(1, 4) n \gexec
CREATE TEMP TABLE gone (LIKE bgp.route_event);
CREATE FUNCTION pg_temp.trial_dropped(seed int, min_peers int, percent int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	p	cidr := format('10.%s.0.0/16', 150 + seed);
	noon	int := (20 + seed * 2) * 86400;	-- after pg_temp.at(0), which is at noon
	losers	int[] := ARRAY(SELECT pg_temp.peer(20 + n) FROM generate_series(1, 4) n WHERE seed % 3 > 0 OR n = 1 + seed % 4);
	e	record;
BEGIN
	PERFORM setseed(seed / 1000.0);
	PERFORM pg_temp.rules(p, min_peers, percent);
	FOR e IN SELECT n, 1 + floor(random() * 4)::int AS peer, (ARRAY['w', 'w', '9 64500', '9 667', '9 8 666', '9 666', '9 666', 'down'])[1 + floor(random() * 8)::int] AS what
	    FROM generate_series(0, 40) n ORDER BY n < 24 DESC, CASE WHEN n < 24 THEN n END, random() LOOP
		IF e.n >= 24 AND NOT EXISTS (SELECT FROM bgp.rib_horizon) THEN
			PERFORM hunt.scan();
			WITH d AS (DELETE FROM bgp.route_event x WHERE x.peer_id = ANY (losers) AND x.ts < pg_temp.at(noon + 43200) AND x.prefix = p RETURNING *)
			INSERT INTO pg_temp.gone SELECT * FROM d;
			INSERT INTO bgp.rib_horizon SELECT unnest(losers), (pg_temp.at(noon + 43200) AT TIME ZONE 'UTC')::date;
		END IF;
		PERFORM pg_temp.tell(noon + e.n * 1800, e.peer, CASE WHEN e.what <> 'down' THEN p END, e.what);
		PERFORM pg_temp.look(p, min_peers, percent);
	END LOOP;
	PERFORM hunt.scan();
	DELETE FROM bgp.rib_horizon;
	INSERT INTO bgp.route_event SELECT * FROM pg_temp.gone g WHERE g.prefix = p;
	RETURN NEXT pg_temp.as_replayed(p, noon, noon + 86400, format('the log lost a day, %s', seed));
END
$$;
SELECT pg_temp.trial_dropped(n, 1 + n % 3, (ARRAY[80, 50, 100])[1 + n % 3]) FROM generate_series(1, 45) n;

-- and when more happened on the lost days than the evidence keeps: what is known stays known, whatever else comes
CREATE FUNCTION pg_temp.known(p cidr) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', f.finding_id, f.type, f.hijacker_asn, f.state, f.first_seen, f.last_seen, f.ended_at, f.peers_seen, f.peers_withdrawn, f.asns_infected, f.note), E'\n' ORDER BY f.finding_id)
	FROM hunt.finding f WHERE f.prefix = p
$$;
CREATE FUNCTION pg_temp.trial_cut(seed int, min_peers int, percent int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	p	cidr := format('10.%s.0.0/16', 200 + seed);
	noon	int := (120 + seed) * 86400;
	was	text;
	changes	bigint;
BEGIN
	PERFORM setseed(seed / 1000.0);
	PERFORM pg_temp.rules(p, min_peers, percent);
	PERFORM pg_temp.tell(noon + n * 10, 1 + floor(random() * 3)::int, p, coalesce((ARRAY['w', '9 64500', '9 667', '9 8 666'])[1 + floor(random() * 40)::int], '9 666'))
	    FROM generate_series(1, 400) n;
	PERFORM pg_temp.tell(noon + 1000 * n + 1, 1, NULL, 'down') FROM generate_series(1, seed % 3) n;
	PERFORM hunt.scan();
	PERFORM hunt.annotate(f.finding_id, 'note ' || f.finding_id) FROM hunt.finding f WHERE f.prefix = p;
	was := pg_temp.known(p);
	changes := (SELECT count(*) FROM hunt.finding_change);
	DELETE FROM bgp.route_event x WHERE x.prefix = p AND x.ts < pg_temp.at(noon + (1 + seed % 4) * 1000);
	PERFORM pg_temp.tell(noon + 5 + 10 * floor(random() * 400)::int, 4, p, 'w') FROM generate_series(1, 3);
	PERFORM hunt.scan();
	RETURN NEXT is(pg_temp.known(p), was, format('a day lost, with more than the evidence keeps, %s', seed));
	RETURN NEXT is((SELECT count(*) FROM hunt.finding_change), changes, format('a day lost, with more than the evidence keeps, %s: nobody is told', seed));
END
$$;
SELECT pg_temp.trial_cut(n, 1 + n % 3, (ARRAY[80, 50, 100])[1 + n / 3 % 3]) FROM generate_series(1, 27) n;

SELECT * FROM finish();
ROLLBACK;
