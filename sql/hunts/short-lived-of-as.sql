-- What did this AS announce for less than an hour?
--
--	psql -v asn=64500 [-v life='1 hour'] [-v since='2026-11-25 12:00'] [-v until=now] -f short-lived-of-as.sql
--
-- asn		the origin
-- life		it never stayed longer than this at any peer (default 1 hour)
-- since, until	the range (default: a day up to now)

\set ON_ERROR_STOP 1
\if :{?asn}
\else
DO $$ BEGIN RAISE EXCEPTION 'which AS?' USING HINT = 'psql -v asn=64500 -f short-lived-of-as.sql'; END $$;
\endif
\if :{?life}
\else
\set life '1 hour'
\endif
\if :{?since}
\else
SELECT now() - interval '1 day' AS since \gset
\endif
\if :{?until}
\else
\set until now
\endif
SELECT :'since'::timestamptz AS since, :'until'::timestamptz AS until \gset

\echo Announced by AS:asn between :since and :until, and gone within :life each time:
SELECT h.prefix, h.first_seen, h.last_seen AS gone, h.evidence->>'longest' AS longest, h.events AS times, h.peers_count AS peers,
    hunt.rpki(h.prefix, h.suspect) AS rpki, h.evidence->'update'->>'as_path' AS as_path
FROM hunt.short_lived(:'since', :'until', asn => :asn, life => :'life') h;

\echo Whose address space it was: what covers these prefixes now, and who originates them now.
SELECT h.prefix, r.prefix AS route, r.origin_asn, n.name, count(DISTINCT r.peer_id) AS peers
FROM hunt.short_lived(:'since', :'until', asn => :asn, life => :'life') h
JOIN bgp.rib r ON r.prefix = ANY (bgp.supernets(h.prefix)) AND masklen(r.prefix) > 0
LEFT JOIN hunt.as_name n ON n.asn = r.origin_asn
GROUP BY h.prefix, r.prefix, r.origin_asn, n.name
ORDER BY h.prefix, masklen(r.prefix) DESC, peers DESC;
