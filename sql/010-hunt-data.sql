-- 010-hunt-data.sql - what hunts compare routes with: validated ROA payloads, bogons,
-- AS relationships, AS names, tier-1 networks; and when each of them was loaded.

CREATE SCHEMA IF NOT EXISTS hunt;
COMMENT ON SCHEMA hunt IS 'questions about the log of schema bgp, and the data they need (exabgp-pg)';
GRANT USAGE ON SCHEMA hunt TO exabgp_pg_reader;

CREATE TABLE IF NOT EXISTS hunt.data_source (
	name		text PRIMARY KEY,
	loaded_at	timestamptz NOT NULL DEFAULT now(),
	rows		bigint NOT NULL,
	source		text,
	data_time	timestamptz,
	added		bigint,
	removed		bigint
);
COMMENT ON TABLE hunt.data_source IS
    'each table of reference data that was filled: when, with how many rows, from where; see hunt.data_status';
COMMENT ON COLUMN hunt.data_source.name IS 'the table, without its schema';
COMMENT ON COLUMN hunt.data_source.source IS 'file, RTR server or document it came from';
COMMENT ON COLUMN hunt.data_source.data_time IS 'when the data was made, by its own account';
COMMENT ON COLUMN hunt.data_source.added IS 'rows that the last load brought';
COMMENT ON COLUMN hunt.data_source.removed IS 'rows that the last load took away';

-- --- RPKI -------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS hunt.vrp (
	prefix		cidr NOT NULL,
	max_length	int NOT NULL CHECK (max_length BETWEEN masklen(prefix)
			    AND CASE family(prefix) WHEN 4 THEN 32 ELSE 128 END),
	asn		bigint NOT NULL CHECK (asn BETWEEN 0 AND 4294967295),
	trust_anchor	text,
	PRIMARY KEY (prefix, asn, max_length)
);
COMMENT ON TABLE hunt.vrp IS 'validated ROA payloads (RFC 6811 section 2), replaced as a whole by exabgp-pg-vrps';
COMMENT ON COLUMN hunt.vrp.asn IS '0: nobody may announce this (RFC 6483 section 4)';
COMMENT ON COLUMN hunt.vrp.trust_anchor IS 'NULL when the source does not tell, as RTR';
-- For prefix >>= ...: many times faster than a B-tree with prefix = ANY (bgp.supernets(...)), and
-- than GiST, on half a million VRPs.
CREATE INDEX IF NOT EXISTS vrp_prefix ON hunt.vrp USING spgist (prefix);

-- Where millions of routes are to be judged, a join on v.prefix >>= r.prefix with the same four cases
-- costs a third of so many calls.
CREATE OR REPLACE FUNCTION hunt.rpki(prefix cidr, origin_asn bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT CASE
	    WHEN $1 IS NULL THEN NULL
	    WHEN count(*) = 0 THEN (SELECT 'not-found' FROM hunt.vrp LIMIT 1)
	    WHEN bool_or(v.asn = $2 AND v.asn <> 0 AND masklen($1) <= v.max_length) THEN 'valid'
	    WHEN bool_or(v.asn = $2 AND v.asn <> 0) THEN 'invalid-length'
	    ELSE 'invalid-asn' END
	FROM hunt.vrp v WHERE v.prefix >>= $1
$$;
COMMENT ON FUNCTION hunt.rpki(cidr, bigint) IS
    'RFC 6811: valid, invalid-asn, invalid-length (an ASN matches, but no max_length), not-found; NULL without any VRPs.
AS0 and a NULL origin match no VRP';

-- --- bogons ------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS hunt.bogon_prefix_list (
	prefix		cidr PRIMARY KEY,
	name		text NOT NULL,
	source		text,
	since		date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date
);
COMMENT ON TABLE hunt.bogon_prefix_list IS
    'address space that does not belong into the global table, more specifics included; add and delete as you like,
upgrades keep it';
COMMENT ON COLUMN hunt.bogon_prefix_list.since IS 'day of the document, or when the row was added';

CREATE TABLE IF NOT EXISTS hunt.bogon_asn_list (
	asns		int8range PRIMARY KEY,
	name		text NOT NULL,
	source		text,
	since		date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date
);
COMMENT ON TABLE hunt.bogon_asn_list IS
    'AS numbers that do not belong into a global AS path; add and delete as you like, upgrades keep it';
COMMENT ON COLUMN hunt.bogon_asn_list.since IS 'day of the document, or when the row was added';

-- --- AS relationships, names, tier-1 networks ---------------------------------------------

-- A pair of ASNs stands here once: p2c with the provider first, p2p with the lower ASN first.
CREATE TABLE IF NOT EXISTS hunt.as_relationship (
	asn1		bigint NOT NULL CHECK (asn1 BETWEEN 0 AND 4294967295),
	asn2		bigint NOT NULL CHECK (asn2 BETWEEN 0 AND 4294967295),
	relationship	text NOT NULL CHECK (relationship IN ('p2c', 'p2p')),
	PRIMARY KEY (asn1, asn2),
	CHECK (CASE relationship WHEN 'p2p' THEN asn1 < asn2 ELSE asn1 <> asn2 END)
);
CREATE INDEX IF NOT EXISTS as_relationship_asn2 ON hunt.as_relationship (asn2, asn1);
COMMENT ON TABLE hunt.as_relationship IS
    'how ASes do business: p2c, asn1 is the provider of asn2; p2p, peers, the lower ASN first';

CREATE TABLE IF NOT EXISTS hunt.as_name (
	asn		bigint PRIMARY KEY CHECK (asn BETWEEN 0 AND 4294967295),
	name		text NOT NULL,
	country		text CHECK (country ~ '^[A-Z][A-Z]$')
);
COMMENT ON TABLE hunt.as_name IS 'names of ASes, with the ISO 3166 code of their country';

CREATE TABLE IF NOT EXISTS hunt.tier1 (
	asn		bigint PRIMARY KEY CHECK (asn BETWEEN 0 AND 4294967295),
	name		text
);
COMMENT ON TABLE hunt.tier1 IS
    'networks that buy transit from nobody; edit as you like, but a file of AS relationships with a line of the inferred
clique replaces it, unless exabgp-pg-as-data has --keep-tier1';

-- What b is in the eyes of a; one row at most, since a pair stands there once.
CREATE OR REPLACE FUNCTION hunt.relationship(a bigint, b bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN r.relationship = 'p2p' THEN 'peer' WHEN r.asn1 = $1 THEN 'customer' ELSE 'provider' END
	FROM hunt.as_relationship r
	WHERE (r.asn1 = $1 AND r.asn2 = $2) OR (r.asn1 = $2 AND r.asn2 = $1)
$$;
COMMENT ON FUNCTION hunt.relationship(bigint, bigint) IS
    'what b is to a: customer, provider, peer; NULL when not known';

-- --- what is shipped -------------------------------------------------------------------------

-- Once: what the operator adds and deletes later, stays so.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM hunt.data_source WHERE name = 'bogon_prefix_list') THEN
		-- Checked against the IANA special-purpose address registries (both of 2025-10-09), and the
		-- IPv6 address space (2025-10-23), as they were on 2026-09-28; test/pgtap has all their blocks.
		-- IPv4: what the registry does not call globally reachable, and multicast.  (AS112 and AMT are
		-- reachable: not here.  Two addresses of 192.0.0.0/24 are as well, but no route of the global
		-- table.)
		INSERT INTO hunt.bogon_prefix_list (prefix, name, source, since) VALUES
		    ('0.0.0.0/8', 'this network', 'RFC 791', '1981-09-01'),
		    ('10.0.0.0/8', 'private use', 'RFC 1918', '1996-02-01'),
		    ('100.64.0.0/10', 'shared address space', 'RFC 6598', '2012-04-01'),
		    ('127.0.0.0/8', 'loopback', 'RFC 1122', '1989-10-01'),
		    ('169.254.0.0/16', 'link local', 'RFC 3927', '2005-05-01'),
		    ('172.16.0.0/12', 'private use', 'RFC 1918', '1996-02-01'),
		    ('192.0.0.0/24', 'IETF protocol assignments', 'RFC 6890', '2013-04-01'),
		    ('192.0.2.0/24', 'documentation (TEST-NET-1)', 'RFC 5737', '2010-01-01'),
		    ('192.88.99.0/24', '6to4 relay anycast, deprecated', 'RFC 7526', '2015-05-01'),
		    ('192.168.0.0/16', 'private use', 'RFC 1918', '1996-02-01'),
		    ('198.18.0.0/15', 'benchmarking', 'RFC 2544', '1999-03-01'),
		    ('198.51.100.0/24', 'documentation (TEST-NET-2)', 'RFC 5737', '2010-01-01'),
		    ('203.0.113.0/24', 'documentation (TEST-NET-3)', 'RFC 5737', '2010-01-01'),
		    ('224.0.0.0/4', 'multicast', 'RFC 5771', '2010-03-01'),
		    ('240.0.0.0/4', 'reserved', 'RFC 1112', '1989-08-01'),
		    ('255.255.255.255/32', 'limited broadcast', 'RFC 919', '1984-10-01');
		-- IPv6: all outside of 2000::/3, and within it what is no global unicast; not what is merely not
		-- allocated yet.  2001::/23 in pieces, since AMT, AS112, anycast, Teredo, ORCHIDv2 and DRIP in it
		-- are reachable or have no ruling.  Of 2002::/16 the registry says neither, but since RFC 7526
		-- there are to be no public relays to it, and usual filters have it; as they have all of ::/8,
		-- with 64:ff9b::/96 (NAT64), which the registry calls reachable.
		INSERT INTO hunt.bogon_prefix_list (prefix, name, source, since) VALUES
		    ('::/8', 'reserved; loopback, IPv4-mapped, translation', 'RFC 4291', '2006-02-01'),
		    ('64:ff9b:1::/48', 'IPv4/IPv6 translation, local use', 'RFC 8215', '2017-08-01'),
		    ('100::/8', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('100::/64', 'discard only', 'RFC 6666', '2012-08-01'),
		    ('100:0:0:1::/64', 'dummy prefix', 'RFC 9780', '2025-05-01'),
		    ('200::/7', 'NSAP, deprecated', 'RFC 4048', '2005-04-01'),
		    ('400::/6', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('800::/5', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('1000::/4', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('2001:2::/32', 'IETF protocol assignments', 'RFC 2928', '2000-09-01'),
		    ('2001:2::/48', 'benchmarking', 'RFC 5180', '2008-05-01'),
		    ('2001:5::/32', 'IETF protocol assignments', 'RFC 2928', '2000-09-01'),
		    ('2001:6::/31', 'IETF protocol assignments', 'RFC 2928', '2000-09-01'),
		    ('2001:8::/29', 'IETF protocol assignments', 'RFC 2928', '2000-09-01'),
		    ('2001:10::/28', 'ORCHID, returned', 'RFC 4843', '2007-04-01'),
		    ('2001:40::/26', 'IETF protocol assignments', 'RFC 2928', '2000-09-01'),
		    ('2001:80::/25', 'IETF protocol assignments', 'RFC 2928', '2000-09-01'),
		    ('2001:100::/24', 'IETF protocol assignments', 'RFC 2928', '2000-09-01'),
		    ('2001:db8::/32', 'documentation', 'RFC 3849', '2004-07-01'),
		    ('2002::/16', '6to4', 'RFC 3056, RFC 7526', '2015-05-01'),
		    ('3ffe::/16', '6bone, returned', 'RFC 3701', '2004-03-01'),
		    ('3fff::/20', 'documentation', 'RFC 9637', '2024-08-01'),
		    ('4000::/3', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('5f00::/16', 'segment identifiers of SRv6', 'RFC 9602', '2024-10-01'),
		    ('6000::/3', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('8000::/3', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('a000::/3', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('c000::/3', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('e000::/4', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('f000::/5', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('f800::/6', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('fc00::/7', 'unique local', 'RFC 4193', '2005-10-01'),
		    ('fe00::/9', 'reserved', 'RFC 4291', '2006-02-01'),
		    ('fe80::/10', 'link local', 'RFC 4291', '2006-02-01'),
		    ('fec0::/10', 'site local, deprecated', 'RFC 3879', '2004-09-01'),
		    ('ff00::/8', 'multicast', 'RFC 4291', '2006-02-01');
		INSERT INTO hunt.data_source (name, rows, source, data_time)
		SELECT 'bogon_prefix_list', count(*),
		    'shipped: IANA special-purpose address registries of 2025-10-09, IPv6 address space of 2025-10-23',
		    '2026-09-28 00:00:00+00'
		FROM hunt.bogon_prefix_list;
	END IF;
	IF NOT EXISTS (SELECT FROM hunt.data_source WHERE name = 'bogon_asn_list') THEN
		-- The IANA registries of special-purpose AS numbers and of AS numbers (65552 to 131071 is reserved
		-- in the latter only), as they were on 2026-09-28.  (The former has AS112 as well, which is in use:
		-- RFC 7534.)
		INSERT INTO hunt.bogon_asn_list (asns, name, source, since) VALUES
		    ('[0,0]', 'AS 0', 'RFC 7607', '2015-08-01'),
		    ('[23456,23456]', 'AS_TRANS', 'RFC 6793', '2012-12-01'),
		    ('[64496,64511]', 'documentation', 'RFC 5398', '2008-12-01'),
		    ('[64512,65534]', 'private use', 'RFC 6996', '2013-07-01'),
		    ('[65535,65535]', 'last 16-bit ASN', 'RFC 7300', '2014-07-01'),
		    ('[65536,65551]', 'documentation', 'RFC 5398', '2008-12-01'),
		    ('[65552,131071]', 'reserved', 'IANA AS numbers', '2008-12-01'),
		    ('[4200000000,4294967294]', 'private use', 'RFC 6996', '2013-07-01'),
		    ('[4294967295,4294967295]', 'last 32-bit ASN', 'RFC 7300', '2014-07-01');
		INSERT INTO hunt.data_source (name, rows, source, data_time)
		SELECT 'bogon_asn_list', count(*),
		    'shipped: IANA registries of AS numbers and special-purpose AS numbers', '2026-09-28 00:00:00+00'
		FROM hunt.bogon_asn_list;
	END IF;
	IF NOT EXISTS (SELECT FROM hunt.data_source WHERE name = 'tier1') THEN
		-- Nobody keeps a list; these are on one of two.  CAIDA sets a clique for its AS relationships
		-- (README of serial-1, the list of March 2016, static again since August 2019): with networks
		-- that were bought since then, and still peer as before.  jwbensley/Tier-1-Analysis has those that
		-- bgp.tools, CAIDA's AS Rank and Wikipedia agree upon (2025 Q4, the same in April 2026); of these
		-- not Hurricane Electric (6939), which is said to be one for IPv6 only.
		INSERT INTO hunt.tier1 (asn, name) VALUES
		    (174, 'Cogent'), (209, 'Lumen, formerly Qwest'), (286, 'GTT, formerly KPN'), (701, 'Verizon'),
		    (1239, 'Cogent, formerly Sprint'), (1299, 'Arelion'), (2828, 'Verizon, formerly XO'), (2914, 'NTT'),
		    (3257, 'GTT'),
		    (3320, 'Deutsche Telekom'), (3356, 'Lumen'), (3491, 'PCCW'), (5511, 'Orange'), (6453, 'Tata'),
		    (6461, 'Zayo'),
		    (6762, 'Sparkle'), (6830, 'Liberty Global'), (7018, 'AT&T'), (12956, 'Telxius');
		INSERT INTO hunt.data_source (name, rows, source, data_time)
		SELECT 'tier1', count(*), 'shipped: clique of CAIDA, list of jwbensley/Tier-1-Analysis',
		    '2026-04-24 00:00:00+00' FROM hunt.tier1;
	END IF;
END
$$;

-- --- loading -------------------------------------------------------------------------------------

-- hunt.data_replace: makes the table the same as the temporary table of its name, which the caller has filled,
-- and notes when and from where.  Only what differs is written, all in the caller's transaction: readers see
-- the old rows or the new ones, and wait for nothing; another that loads the same table waits for us.
-- Refuses to replace rows with none at all, or a thousand or more with less than half of them, unless told to.
CREATE OR REPLACE FUNCTION hunt.data_replace(name text, source text, data_time timestamptz DEFAULT NULL,
    allow_empty boolean DEFAULT false, allow_shrink boolean DEFAULT false,
    OUT added bigint, OUT removed bigint, OUT total bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '128MB' AS $$
DECLARE
	key	text := CASE $1 WHEN 'vrp' THEN 'prefix, asn, max_length' WHEN 'as_relationship' THEN 'asn1, asn2'
		    WHEN 'as_name' THEN 'asn' WHEN 'tier1' THEN 'asn' END;
	before	bigint;
BEGIN
	IF key IS NULL THEN
		RAISE EXCEPTION 'hunt.% is not a table that is loaded', $1 USING ERRCODE = 'invalid_parameter_value';
	END IF;
	EXECUTE format('LOCK TABLE hunt.%I IN SHARE ROW EXCLUSIVE MODE', $1);
	EXECUTE format('SELECT count(*) FROM hunt.%I', $1) INTO before;
	EXECUTE format('SELECT count(*) FROM pg_temp.%I', $1) INTO total;
	IF total = 0 AND NOT allow_empty THEN
		RAISE EXCEPTION 'hunt.%: refusing to load nothing', $1 USING ERRCODE = 'data_exception';
	ELSIF total > 0 AND before >= 1000 AND total < before / 2 AND NOT allow_shrink THEN
		RAISE EXCEPTION 'hunt.%: refusing to replace % rows with only %', $1, before,
		    total USING ERRCODE = 'data_exception';
	END IF;
	EXECUTE format('DELETE FROM hunt.%1$I WHERE (%2$s) IN (SELECT %2$s'
	    ' FROM (TABLE hunt.%1$I EXCEPT TABLE pg_temp.%1$I) g)', $1, key);
	GET DIAGNOSTICS removed = ROW_COUNT;
	-- (in order: indexes take that several times as fast)
	EXECUTE format('INSERT INTO hunt.%1$I (TABLE pg_temp.%1$I EXCEPT TABLE hunt.%1$I) ORDER BY 1, 2', $1);
	GET DIAGNOSTICS added = ROW_COUNT;
	total := before - removed + added;
	INSERT INTO hunt.data_source AS d (name, loaded_at, rows, source, data_time, added, removed)
	VALUES ($1, clock_timestamp(), total, $2, $3, added, removed)
	ON CONFLICT ON CONSTRAINT data_source_pkey DO UPDATE SET loaded_at = excluded.loaded_at, rows = excluded.rows,
	    source = excluded.source, data_time = excluded.data_time, added = excluded.added,
	    removed = excluded.removed;
END
$$;
COMMENT ON FUNCTION hunt.data_replace(text, text, timestamptz, boolean, boolean) IS
    'replaces hunt.NAME as a whole with the rows of the temporary table NAME: what exabgp-pg-vrps and exabgp-pg-as-data
call';

CREATE OR REPLACE VIEW hunt.data_status AS
SELECT t.name, t.what, CASE
    WHEN d.name IS NULL OR n.rows = 0 THEN 'none'
    WHEN coalesce(d.data_time, d.loaded_at) < now() - t.good_for THEN 'old'
    ELSE 'ok' END AS state,
    coalesce(n.rows, 0) AS rows, d.loaded_at, now() - d.loaded_at AS age, d.source, d.data_time,
    now() - d.data_time AS data_age
FROM (VALUES
    (1, 'vrp', 'VRPs of the RPKI: exabgp-pg-vrps', interval '1 day'),
    (2, 'as_relationship', 'AS relationships: exabgp-pg-as-data --relationships', interval '3 months'),
    (3, 'tier1', 'tier-1 networks: shipped, or exabgp-pg-as-data --relationships', interval '1 year'),
    (4, 'as_name', 'AS names: exabgp-pg-as-data --names', interval '3 months'),
    (5, 'bogon_prefix_list', 'address space that is not to be routed: shipped', interval '1 year'),
    (6, 'bogon_asn_list', 'ASNs that are not to be seen: shipped', interval '1 year')) AS t (n, name, what, good_for)
LEFT JOIN hunt.data_source d USING (name)
-- (small ones are edited by hand)
CROSS JOIN LATERAL (SELECT CASE t.name
    WHEN 'tier1' THEN (SELECT count(*) FROM hunt.tier1)
    WHEN 'bogon_prefix_list' THEN (SELECT count(*) FROM hunt.bogon_prefix_list)
    WHEN 'bogon_asn_list' THEN (SELECT count(*) FROM hunt.bogon_asn_list)
    ELSE d.rows END) AS n (rows)
ORDER BY t.n;
COMMENT ON VIEW hunt.data_status IS 'the data that hunts need: what is there, since when, how old';
COMMENT ON COLUMN hunt.data_status.state IS
    'none, ok, or old: VRPs after a day, AS relationships and names after 3 months, what is shipped after a year, by
data_time where it is known';
COMMENT ON COLUMN hunt.data_status.age IS 'since it was loaded';
COMMENT ON COLUMN hunt.data_status.data_age IS 'since it was made, where the source tells';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hunt FROM PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA hunt TO exabgp_pg_reader;
GRANT EXECUTE ON FUNCTION hunt.rpki(cidr, bigint), hunt.relationship(bigint, bigint) TO exabgp_pg_reader;
