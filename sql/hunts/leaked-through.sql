-- Which routes leaked through AS X?
--
--	psql -v asn=64500 [-v since='2026-11-25 12:00'] [-v until=now] -f leaked-through.sql
--
-- asn		the AS that is suspected
-- since, until	the range (default: a day up to now)

\set ON_ERROR_STOP 1
\if :{?asn}
\else
DO $$ BEGIN RAISE EXCEPTION 'which AS?' USING HINT = 'psql -v asn=64500 -f leaked-through.sql'; END $$;
\endif
\if :{?since}
\else
SELECT now() - interval '1 day' AS since \gset
\endif
\if :{?until}
\else
\set until now
\endif
SELECT :'since'::timestamptz AS since, :'until'::timestamptz AS until,
    EXISTS (SELECT FROM hunt.as_relationship) AS relationships, EXISTS (SELECT FROM hunt.tier1) AS tops \gset

\if :relationships
\echo Passed by AS:asn from a provider or peer to a provider or peer (RFC 7908), by type:
SELECT h.evidence->>'type' AS type, h.evidence->>'from' AS from_asn, h.evidence->>'to' AS to_asn, count(*) AS prefixes, min(h.first_seen) AS first_seen, max(h.last_seen) AS last_seen,
    min(h.evidence->>'as_path') AS a_path
FROM hunt.valley(:'since', :'until', asn => :asn) h GROUP BY 1, 2, 3 ORDER BY prefixes DESC;
\echo Routes marked as only for customers (RFC 9234) that it passed on:
SELECT h.prefix, h.first_seen, h.last_seen, h.peers, h.evidence->>'otc' AS otc, h.evidence->>'why' AS why, h.evidence->>'as_path' AS as_path
FROM hunt.otc_leak(:'since', :'until', asn => :asn) h;
\else
\echo There are no AS relationships (hunt.as_relationship): what is a leak by them cannot be told.
\endif
\if :tops
\echo Had from one tier-1 network and passed on to another:
SELECT h.prefix, h.first_seen, h.last_seen, h.peers_count, h.evidence->>'from' AS from_asn, h.evidence->>'to' AS to_asn, h.evidence->>'as_path' AS as_path
FROM hunt.tier1_leak(:'since', :'until', asn => :asn) h;
\endif
\echo All that came through it, by the ASes before and behind it; a pair that is new or much larger than it used to be is what a leak looks like.
SELECT p.from_asn, f.name AS from_name, p.to_asn, t.name AS to_name, count(DISTINCT p.prefix) AS prefixes, count(DISTINCT p.peer_id) AS peers,
    min(p.ts) AS first_seen, max(p.ts) AS last_seen
FROM (SELECT l.prefix, l.peer_id, l.ts, l.path[i + 1] AS from_asn,
    (SELECT l.path[j] FROM generate_series(i - 1, 1, -1) j WHERE l.path[j] <> :asn LIMIT 1) AS to_asn FROM bgp.route_log l, generate_subscripts(l.path, 1) i
    WHERE l.ts >= :'since' AND l.ts < :'until' AND l.path @> ARRAY[:asn::bigint] AND l.path[i] = :asn AND l.path[i + 1] IS DISTINCT FROM :asn) p
LEFT JOIN hunt.as_name f ON f.asn = p.from_asn LEFT JOIN hunt.as_name t ON t.asn = p.to_asn
GROUP BY 1, 2, 3, 4 ORDER BY prefixes DESC, 1, 3 LIMIT 50;
