-- What changed at 12:03?
--
--	psql -v at='2026-11-25 12:03' [-v span='1 minute'] [-v prefix=192.0.2.0/24] -f what-changed.sql
--
-- at		the moment (default: a minute ago)
-- span		how long to look from there (default 1 minute)
-- prefix	only this one and what is inside of it (default: everything)

\set ON_ERROR_STOP 1
\if :{?at}
\else
SELECT now() - interval '1 minute' AS at \gset
\endif
\if :{?span}
\else
\set span '1 minute'
\endif
\if :{?prefix}
\set narrow on
\else
\set narrow off
\set prefix ''
\endif
SELECT :'at'::timestamptz AS since, :'at'::timestamptz + :'span'::interval AS until \gset

\echo What peers sent between :since and :until:
SELECT l.peer_asn, l.peer_address, l.collector, l.family, count(*) FILTER (WHERE l.kind = 'announce') AS announcements, count(*) FILTER (WHERE l.kind = 'withdraw') AS withdrawals,
    count(DISTINCT l.prefix) AS prefixes, count(DISTINCT l.origin_asn) AS origins
FROM bgp.route_log l
WHERE l.ts >= :'since' AND l.ts < :'until' AND (:'prefix' = '' OR l.prefix <<= nullif(:'prefix', '')::cidr)
GROUP BY 1, 2, 3, 4 ORDER BY count(*) DESC;

\echo Sessions:
SELECT s.ts, s.collector, p.peer_asn, p.peer_address, s.event, s.family, s.detail
FROM bgp.session_log s LEFT JOIN bgp.peer p USING (peer_id)
WHERE s.ts >= :'since' AND s.ts < :'until' AND s.event NOT IN ('keepalive') ORDER BY s.ts, s.seq;

\echo Origins that changed:
SELECT h.prefix, h.evidence->'from' AS from_asns, h.suspect AS to_asn, h.first_seen, h.peers, h.evidence->'update'->>'as_path' AS as_path
FROM hunt.origin_change(:'since', :'until', nullif(:'prefix', '')::cidr) h;

\echo ASes whose prefixes were withdrawn:
SELECT h.suspect AS asn, n.name, h.evidence->>'lost' AS lost, h.evidence->>'of' AS of, h.first_seen, h.last_seen, h.peers_count
FROM hunt.origin_outage(:'since', :'until', nullif(:'prefix', '')::cidr, percent => 50) h LEFT JOIN hunt.as_name n ON n.asn = h.suspect
ORDER BY (h.evidence->>'lost')::int DESC LIMIT 50;

\echo Prefixes with the most updates:
SELECT l.prefix, max(l.origin_asn) AS origin_asn, count(*) AS updates, count(*) FILTER (WHERE l.kind = 'withdraw') AS withdrawals, count(DISTINCT l.peer_id) AS peers, count(DISTINCT l.as_path) AS paths
FROM bgp.route_log l
WHERE l.ts >= :'since' AND l.ts < :'until' AND l.prefix IS NOT NULL AND (:'prefix' = '' OR l.prefix <<= nullif(:'prefix', '')::cidr)
GROUP BY l.prefix ORDER BY updates DESC, l.prefix LIMIT 20;

\if :narrow
\echo The routes before and after:
SELECT h.evidence->>'change' AS change, h.prefix, h.peers, h.evidence->>'path_before' AS path_before, h.evidence->>'path_after' AS path_after
FROM hunt.rib_diff(:'since', :'until', :'prefix'::cidr) h;
\endif
