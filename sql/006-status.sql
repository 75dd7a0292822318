-- 006-status.sql - bgp.ingest_status tells at a glance, also of a helper that is gone.

-- What the database knows of a helper is what it last committed: one that has nothing to
-- commit and one that was killed with nothing left to load look the same ("quiet"); while
-- the database itself was away, nothing could be noted (the helper's own metrics tell).
CREATE OR REPLACE VIEW bgp.ingest_status AS
SELECT i.collector,
    max(i.last_commit) AS last_commit,
    coalesce(max(now() - i.oldest_pending), interval '0') AS lag,
    sum(i.journal_bytes)::bigint AS journal_bytes,
    sum(i.rows_total)::bigint AS rows_total,
    sum(i.errors_total)::bigint AS errors_total,
    sum(i.gaps_total)::bigint AS gaps_total,
    now() - max(i.last_commit) AS since_commit,
    CASE
    WHEN max(i.last_commit) IS NULL THEN 'new'
    WHEN bool_or(i.oldest_pending IS NOT NULL AND i.last_commit < now() - interval '1 minute') THEN 'stalled'
    WHEN bool_or(i.oldest_pending < now() - interval '1 minute') THEN 'behind'
    WHEN (array_agg(s.event = 'stop' AND s.seq = i.seq ORDER BY i.last_commit DESC NULLS LAST))[1] THEN 'stopped'
    WHEN max(i.last_commit) < now() - interval '1 minute' THEN 'quiet'
    ELSE 'loading'
    END AS helper,
    (SELECT count(*) FROM bgp.peer p WHERE p.collector = i.collector AND p.state = 'up') AS peers_up,
    (SELECT count(*) FROM bgp.peer p WHERE p.collector = i.collector) AS peers
FROM bgp.ingest_position i
LEFT JOIN LATERAL (SELECT l.event, l.seq FROM bgp.session_log l
    WHERE l.peer_id IS NULL AND l.collector = i.collector AND l.event IN ('start', 'stop')
    ORDER BY l.ts DESC, l.seq DESC LIMIT 1) s ON true
GROUP BY i.collector;
COMMENT ON VIEW bgp.ingest_status IS 'does data flow, and how far behind is it, per collector';
COMMENT ON COLUMN bgp.ingest_status.rows_total IS 'announcements and withdrawals loaded';
COMMENT ON COLUMN bgp.ingest_status.journal_bytes IS 'lines on disk that were not loaded at the last commit';
COMMENT ON COLUMN bgp.ingest_status.lag IS 'age of the oldest journaled line that was not loaded at the last commit; grows while the helper is down';
COMMENT ON COLUMN bgp.ingest_status.since_commit IS 'how long ago the last commit was';
COMMENT ON COLUMN bgp.ingest_status.helper IS 'loading; behind: by more than a minute; stalled: lines wait and nothing was committed for a minute, the helper is gone or cannot load; quiet: all was loaded, nothing came for a minute or the helper is gone; stopped: ended in order, all loaded; new: nothing committed yet';
COMMENT ON COLUMN bgp.ingest_status.peers_up IS 'peers whose session was up as far as is loaded';
COMMENT ON COLUMN bgp.ingest_status.peers IS 'peers that were ever seen';
GRANT SELECT ON bgp.ingest_status TO exabgp_pg_reader;
