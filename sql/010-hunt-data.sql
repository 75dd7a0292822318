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
COMMENT ON TABLE hunt.data_source IS 'each table of reference data that was filled: when, with how many rows, from where; see hunt.data_status';
COMMENT ON COLUMN hunt.data_source.name IS 'the table, without its schema';
COMMENT ON COLUMN hunt.data_source.source IS 'file, RTR server or document it came from';
COMMENT ON COLUMN hunt.data_source.data_time IS 'when the data was made, by its own account';
COMMENT ON COLUMN hunt.data_source.added IS 'rows that the last load brought';
COMMENT ON COLUMN hunt.data_source.removed IS 'rows that the last load took away';

-- --- RPKI -------------------------------------------------------------------------------

-- One row per VRP.  The key has all that hunt.rpki reads, so that it reads the index only.
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

CREATE OR REPLACE FUNCTION hunt.rpki(prefix cidr, origin_asn bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN $1 IS NOT NULL AND EXISTS (SELECT FROM hunt.vrp) THEN
	    (SELECT CASE
		WHEN count(*) = 0 THEN 'not-found'
		WHEN bool_or(v.asn = $2 AND v.asn <> 0 AND masklen($1) <= v.max_length) THEN 'valid'
		WHEN bool_or(v.asn = $2 AND v.asn <> 0) THEN 'invalid-length'
		ELSE 'invalid-asn' END
	    FROM hunt.vrp v WHERE v.prefix = ANY (bgp.supernets($1))) END
$$;
COMMENT ON FUNCTION hunt.rpki(cidr, bigint) IS
    'RFC 6811: valid, invalid-asn, invalid-length (an ASN matches, all its max_lengths are too short), not-found; NULL without VRPs. AS0 and a NULL origin match no VRP';

-- --- bogons ------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS hunt.bogon_prefix_list (
	prefix		cidr PRIMARY KEY,
	name		text NOT NULL,
	source		text,
	since		date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date
);
COMMENT ON TABLE hunt.bogon_prefix_list IS 'address space that does not belong into the global table, more specifics included; add and delete as you like, upgrades keep it';
COMMENT ON COLUMN hunt.bogon_prefix_list.since IS 'day of the document, or when the row was added';

CREATE TABLE IF NOT EXISTS hunt.bogon_asn_list (
	asns		int8range PRIMARY KEY,
	name		text NOT NULL,
	source		text,
	since		date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date
);
COMMENT ON TABLE hunt.bogon_asn_list IS 'AS numbers that do not belong into a global AS path; add and delete as you like, upgrades keep it';
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
COMMENT ON TABLE hunt.as_relationship IS 'how ASes do business: p2c, asn1 is the provider of asn2; p2p, peers, the lower ASN first';

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
COMMENT ON TABLE hunt.tier1 IS 'networks that buy transit from nobody; edit as you like, a file of AS relationships with a line of the inferred clique replaces it';

-- What b is in the eyes of a; one row at most, since a pair stands there once.
CREATE OR REPLACE FUNCTION hunt.relationship(a bigint, b bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN r.relationship = 'p2p' THEN 'peer' WHEN r.asn1 = $1 THEN 'customer' ELSE 'provider' END
	FROM hunt.as_relationship r
	WHERE (r.asn1 = $1 AND r.asn2 = $2) OR (r.asn1 = $2 AND r.asn2 = $1)
$$;
COMMENT ON FUNCTION hunt.relationship(bigint, bigint) IS 'what b is to a: customer, provider, peer; NULL when not known';

GRANT SELECT ON ALL TABLES IN SCHEMA hunt TO exabgp_pg_reader;
REVOKE ALL ON FUNCTION hunt.rpki(cidr, bigint), hunt.relationship(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hunt.rpki(cidr, bigint), hunt.relationship(bigint, bigint) TO exabgp_pg_reader;
