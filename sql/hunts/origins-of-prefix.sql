-- Who originated it over the last week?
--
--	psql -v prefix=192.0.2.0/24 [-v since='2026-11-18'] [-v until=now] -f origins-of-prefix.sql
--
-- prefix	the prefix; more specifics of it are listed as well
-- since, until	the range (default: a week up to now)

\set ON_ERROR_STOP 1
\if :{?prefix}
\else
DO $$ BEGIN RAISE EXCEPTION 'which prefix?' USING HINT = 'psql -v prefix=192.0.2.0/24 -f origins-of-prefix.sql'; END $$;
\endif
\if :{?since}
\else
SELECT now() - interval '7 days' AS since \gset
\endif
\if :{?until}
\else
\set until now
\endif
SELECT :'since'::timestamptz AS since, :'until'::timestamptz AS until, network(:'prefix'::inet)::cidr AS prefix \gset

\echo Who announced :prefix and what is inside of it, from :since to :until:
SELECT l.prefix, l.origin_asn, n.name, hunt.rpki(l.prefix, l.origin_asn) AS rpki, min(l.ts) AS first_seen, max(l.ts) AS last_seen,
    count(DISTINCT l.peer_id) AS peers, count(*) FILTER (WHERE NOT l.refreshed) AS announcements
FROM bgp.route_log l LEFT JOIN hunt.as_name n ON n.asn = l.origin_asn
WHERE l.prefix <<= :'prefix' AND l.ts >= :'since' AND l.ts < :'until' AND l.kind = 'announce' AND l.family IN ('ipv4 unicast', 'ipv6 unicast')
GROUP BY l.prefix, l.origin_asn, n.name
ORDER BY l.prefix, first_seen;

\echo What was there already when it began, and said nothing new:
SELECT r.prefix, r.origin_asn, n.name, count(DISTINCT r.peer_id) AS peers, min(r.since) AS oldest, max(r.since) AS newest
FROM bgp.rib_at(:'since', :'prefix') r LEFT JOIN hunt.as_name n ON n.asn = r.origin_asn
GROUP BY r.prefix, r.origin_asn, n.name
ORDER BY r.prefix, peers DESC;

\echo When the origin changed at a peer:
SELECT h.prefix, h.evidence->'from' AS from_asns, h.suspect AS to_asn, h.first_seen, h.last_seen, h.peers, h.events
FROM hunt.origin_change(:'since', :'until', :'prefix') h;
