-- Is my prefix hijacked right now?
--
--	psql -v prefix=192.0.2.0/24 [-v origins=64500,64501] [-v since='2026-11-25 12:00'] -f is-my-prefix-hijacked.sql
--
-- prefix	yours; its more specifics, and what covers it, are looked at as well
-- origins	the ASNs that may originate it; without them, the one that most peers have
-- since	from when on (default: a day ago)

\set ON_ERROR_STOP 1
\if :{?prefix}
\else
DO $$ BEGIN RAISE EXCEPTION 'which prefix?' USING HINT = 'psql -v prefix=192.0.2.0/24 -f is-my-prefix-hijacked.sql'; END $$;
\endif
\if :{?since}
\else
SELECT now() - interval '1 day' AS since \gset
\endif
SELECT :'since'::timestamptz AS since, now() AS until, network(:'prefix'::inet)::cidr AS prefix \gset

-- whose it is
\if :{?origins}
\else
SELECT coalesce((SELECT r.origin_asn::text FROM bgp.rib r WHERE r.prefix = :'prefix' AND r.origin_asn IS NOT NULL
    GROUP BY r.origin_asn ORDER BY count(DISTINCT r.peer_id) DESC, min(r.first_announced) LIMIT 1), '') AS origins \gset
\echo No origins were given: the one that most peers have counts as yours.
\endif
SELECT format('{%s}', :'origins')::bigint[] AS mine \gset

\echo
\echo What peers have now for :prefix and inside of it.  Look for origins that are not yours (:mine) and for prefixes that you do not announce.
SELECT r.prefix, r.origin_asn, r.origin_asn = ANY (:'mine') AS yours, n.name, hunt.rpki(r.prefix, r.origin_asn) AS rpki, count(DISTINCT r.peer_id) AS peers,
    min(r.since) AS oldest, max(r.since) AS newest, min(r.as_path) AS a_path
FROM bgp.rib r LEFT JOIN hunt.as_name n ON n.asn = r.origin_asn
WHERE r.prefix <<= :'prefix' AND r.family IN ('ipv4 unicast', 'ipv6 unicast')
GROUP BY r.prefix, r.origin_asn, n.name
ORDER BY r.prefix, peers DESC;

\echo What covers it.  Where your own route is gone, traffic follows these.
SELECT r.prefix, r.origin_asn, n.name, count(DISTINCT r.peer_id) AS peers, min(r.since) AS oldest
FROM bgp.rib r LEFT JOIN hunt.as_name n ON n.asn = r.origin_asn
WHERE r.prefix = ANY (bgp.supernets(:'prefix')) AND r.prefix <> :'prefix' AND r.family IN ('ipv4 unicast', 'ipv6 unicast')
GROUP BY r.prefix, r.origin_asn, n.name
ORDER BY masklen(r.prefix) DESC, peers DESC;

\echo Other origins since :since: exactly this prefix or inside of it.
SELECT 'other origin' AS what, h.suspect, h.prefix, h.first_seen, h.last_seen, h.peers_count, h.evidence->'update'->>'as_path' AS as_path
FROM hunt.moas(:'since', :'until', :'prefix') h WHERE h.suspect <> ALL (:'mine')
UNION ALL
SELECT 'more specific', h.suspect, h.prefix, h.first_seen, h.last_seen, h.peers_count, h.evidence->'update'->>'as_path'
FROM hunt.sub_moas(:'since', :'until', :'prefix') h WHERE h.suspect <> ALL (:'mine')
ORDER BY 4, 3, 2;

\echo New neighbours of your ASes since :since: a hijacker may put your ASN at the end of its path.
SELECT h.suspect AS neighbour, n.name, h.evidence->'link' AS link, h.prefix, h.first_seen, h.peers_count, h.evidence->>'history' AS history, h.evidence->'update'->>'as_path' AS as_path
FROM unnest(:'mine'::bigint[]) m (asn) CROSS JOIN LATERAL hunt.new_neighbor(:'since', :'until', :'prefix', m.asn) h LEFT JOIN hunt.as_name n ON n.asn = h.suspect;
