-- schema.sql - what users may rely on: objects, columns, types, comments, rights.
-- Columns beyond these, and in another order, are no failure: they may come.
\set ON_ERROR_STOP 1
SET search_path = tap, pg_catalog;
BEGIN;
SELECT no_plan();

-- --- objects, columns and types ---------------------------------------------------

CREATE TEMP TABLE wanted (relation text, kind "char", columns text);
INSERT INTO wanted VALUES
('peer', 'r',
    'peer_id integer, collector text, peer_address inet, peer_asn bigint, local_address inet,'
    ' local_asn bigint, router_id inet, label text, state text, state_since timestamp with time zone,'
    ' first_seen timestamp with time zone, last_seen timestamp with time zone'),
('route_event', 'p', 'peer_id integer, ts timestamp with time zone'),
('route_log', 'v',
    'ts timestamp with time zone, collector text, peer_id integer, peer_address inet, peer_asn bigint,'
    ' kind text, family text, prefix cidr, path_id bigint, rd text, labels integer[], next_hop inet,'
    ' as_path text, path bigint[], origin_asn bigint, origin text, med bigint, local_pref bigint,'
    ' communities text[], large_communities text[], ext_communities text[], aggregator text,'
    ' atomic_aggregate boolean, attributes jsonb, nlri jsonb'),
('session_log', 'r',
    'ts timestamp with time zone, peer_id integer, collector text, event text, family text, detail jsonb'),
('ingest_error', 'r', 'ts timestamp with time zone, collector text, line text, error text'),
('ingest_gap', 'r',
    'collector text, from_ts timestamp with time zone, to_ts timestamp with time zone, lines bigint,'
    ' bytes bigint, reason text'),
('ingest_status', 'v',
    'collector text, last_commit timestamp with time zone, lag interval, journal_bytes bigint,'
    ' rows_total bigint, errors_total bigint, gaps_total bigint');

SELECT has_schema('bgp');
SELECT is(
    (SELECT c.relkind FROM pg_class c WHERE c.oid = to_regclass('bgp.' || w.relation)), w.kind,
    format('bgp.%s is a %s', w.relation,
	CASE w.kind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' ELSE 'view' END))
FROM wanted w ORDER BY w.relation;

SELECT is(
    (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
     WHERE a.attrelid = to_regclass('bgp.' || w.relation) AND a.attname = (c.words)[1]
       AND a.attnum > 0 AND NOT a.attisdropped),
    (c.words)[2],
    format('bgp.%s.%s is %s', w.relation, (c.words)[1], (c.words)[2]))
FROM wanted w,
    LATERAL (SELECT regexp_match(trim(column_), '^(\w+) (.*)$') AS words, n
	FROM regexp_split_to_table(w.columns, ',') WITH ORDINALITY AS s (column_, n)) c
ORDER BY w.relation, c.n;

SELECT is(pg_get_partkeydef('bgp.route_event'::regclass), 'LIST (peer_id)', 'level 1 is LIST (peer_id)');
SELECT is(bgp.ensure_partition(bgp.ensure_peer('schema', '192.0.2.1', 1, NULL, NULL, now()), '2024-01-02'),
    true, 'a leaf is made');
SELECT is(pg_get_partkeydef(i.inhrelid), 'RANGE (ts)', 'level 2 is RANGE (ts)')
FROM pg_inherits i WHERE i.inhparent = 'bgp.route_event'::regclass;

SELECT throws_ok($$INSERT INTO bgp.peer (collector, state) VALUES ('x', 'idle')$$, '23514', NULL,
    'the state of a peer is up, down or unknown');
SELECT lives_ok(format($$INSERT INTO bgp.peer (collector, state) VALUES ('x %s', '%s')$$, s, s),
    'a peer may be ' || s) FROM unnest(ARRAY['up', 'down', 'unknown']) s;
SELECT is((SELECT state FROM bgp.peer WHERE collector = 'schema'), 'unknown', 'a peer begins as unknown');

-- --- comments -----------------------------------------------------------------------

SELECT isnt(obj_description('bgp'::regnamespace, 'pg_namespace'), NULL, 'schema bgp has a comment');
SELECT isnt(obj_description(c.oid, 'pg_class'), NULL, c.oid::regclass || ' has a comment')
FROM pg_class c
WHERE c.relnamespace = 'bgp'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
ORDER BY c.relname;
SELECT isnt(obj_description(p.oid, 'pg_proc'), NULL, p.oid::regprocedure || ' has a comment')
FROM pg_proc p WHERE p.pronamespace = 'bgp'::regnamespace ORDER BY p.oid::regprocedure::text;

-- --- functions with rights of their owner ----------------------------------------------

SELECT ok(coalesce(EXISTS (SELECT FROM unnest(p.proconfig) s
	WHERE s ~ '^search_path=(pg_catalog, )?("?\w+"?, )*"?pg_temp"?$' AND s NOT LIKE '%$user%' AND s NOT LIKE '%public%'), false),
    p.oid::regprocedure || ' has a fixed search_path, pg_temp last')
FROM pg_proc p
WHERE p.prosecdef AND p.pronamespace = 'bgp'::regnamespace
ORDER BY p.oid::regprocedure::text;
SELECT cmp_ok((SELECT count(*) FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'bgp'::regnamespace),
    '>', 0::bigint, 'there are such functions');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p
    WHERE p.pronamespace = 'bgp'::regnamespace AND has_function_privilege('tap_nobody', p.oid, 'EXECUTE')$$,
    'PUBLIC may execute no function');

-- --- rights --------------------------------------------------------------------------------

SELECT is_empty($$
    SELECT rolname FROM pg_roles WHERE rolname LIKE 'exabgp_pg_%' AND
	(rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication)$$,
    'the roles cannot log in, nor have attributes');

CREATE TEMP VIEW relation AS
SELECT c.oid::regclass AS relation, c.relispartition FROM pg_class c
WHERE c.relnamespace = 'bgp'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm');

SELECT is_empty($$
    SELECT relation, privilege FROM relation,
	unnest(ARRAY['SELECT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) privilege
    WHERE has_table_privilege('exabgp_pg_writer', relation, privilege)
       OR privilege IN ('SELECT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege('exabgp_pg_writer', relation, privilege)$$,
    'the writer may do nothing but INSERT to any relation');
SELECT set_eq($$
    SELECT relation::text FROM relation WHERE has_table_privilege('exabgp_pg_writer', relation, 'INSERT')$$,
    ARRAY['bgp.route_event', 'bgp.session_log', 'bgp.ingest_error', 'bgp.ingest_gap'],
    'the writer may INSERT into the log and nothing else');
SELECT set_eq($$
    SELECT p.proname::text FROM pg_proc p
    WHERE p.pronamespace = 'bgp'::regnamespace AND has_function_privilege('exabgp_pg_writer', p.oid, 'EXECUTE')$$,
    ARRAY['ensure_peer', 'ensure_partition', 'ingest_open', 'ingest_peers', 'ingest_peer_states', 'ingest_commit', 'rib_follow'],
    'the writer may execute what the helper calls and nothing else');

SELECT is_empty($$SELECT relation FROM relation WHERE NOT has_table_privilege('exabgp_pg_reader', relation, 'SELECT')$$,
    'the reader may select everything, leafs too');
SELECT is_empty($$
    SELECT relation, privilege FROM relation,
	unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) privilege
    WHERE has_table_privilege('exabgp_pg_reader', relation, privilege)
       OR privilege IN ('INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege('exabgp_pg_reader', relation, privilege)$$,
    'the reader may write nothing');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p
    WHERE p.pronamespace = 'bgp'::regnamespace AND p.prosecdef AND p.provolatile = 'v'
      AND has_function_privilege('exabgp_pg_reader', p.oid, 'EXECUTE')$$,
    'the reader may execute no function that changes anything');

SELECT ok(has_schema_privilege(role, 'bgp', 'USAGE') AND NOT has_schema_privilege(role, 'bgp', 'CREATE'),
    role || ' may use schema bgp, not create in it')
FROM unnest(ARRAY['exabgp_pg_writer', 'exabgp_pg_reader']) role;
SELECT ok(NOT has_schema_privilege('tap_nobody', 'bgp', 'USAGE'), 'others may not even use schema bgp');

SELECT * FROM finish();
ROLLBACK;
