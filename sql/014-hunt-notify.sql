-- 014-hunt-notify.sql - what exabgp-pg-notify tells whom: each receiver's place in
-- hunt.finding_change, and what it was told of each finding.

-- The login of exabgp-pg-notify is to be a member of this role.  It may call the functions below,
-- nothing else: it sees findings only as messages.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'exabgp_pg_notifier') THEN
		BEGIN
			CREATE ROLE exabgp_pg_notifier NOLOGIN;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL;	-- another database's init was quicker: roles are the cluster's
		END;
	END IF;
END
$$;
GRANT USAGE ON SCHEMA hunt TO exabgp_pg_notifier;

CREATE TABLE IF NOT EXISTS hunt.notify_receiver (
	receiver	text PRIMARY KEY,
	position	bigint NOT NULL,
	added_at	timestamptz NOT NULL DEFAULT now(),
	told		bigint NOT NULL DEFAULT 0,
	last_told	timestamptz,
	failures	bigint NOT NULL DEFAULT 0,
	failing_since	timestamptz,
	error		text
) WITH (fillfactor = 50);
ALTER TABLE hunt.notify_receiver
	ADD COLUMN IF NOT EXISTS refused_change bigint,
	ADD COLUMN IF NOT EXISTS refused_since timestamptz,
	ADD COLUMN IF NOT EXISTS refusals int NOT NULL DEFAULT 0;
COMMENT ON TABLE hunt.notify_receiver IS 'who is told of findings, and how far; delete the row of one that is no more';
COMMENT ON COLUMN hunt.notify_receiver.position IS
    'change_id up to which all was told, is held back, was set aside, or needs no telling';
COMMENT ON COLUMN hunt.notify_receiver.told IS 'messages that it took';
COMMENT ON COLUMN hunt.notify_receiver.failures IS 'attempts that failed since the last message that it took';
COMMENT ON COLUMN hunt.notify_receiver.refused_change IS
    'the message that it refuses, if it does: not for now, but as it is; refusals: how often';

CREATE TABLE IF NOT EXISTS hunt.notify_finding (
	receiver	text NOT NULL REFERENCES hunt.notify_receiver ON DELETE CASCADE,
	finding_id	bigint NOT NULL,
	told_at		timestamptz,
	told_change	bigint,
	over		boolean NOT NULL DEFAULT false,
	held_change	bigint,
	held		bigint NOT NULL DEFAULT 0,
	document	jsonb,
	PRIMARY KEY (receiver, finding_id)
) WITH (fillfactor = 70);
ALTER TABLE hunt.notify_finding ADD COLUMN IF NOT EXISTS set_aside boolean NOT NULL DEFAULT false;
COMMENT ON TABLE hunt.notify_finding IS 'what each receiver was told of each finding';
COMMENT ON COLUMN hunt.notify_finding.told_at IS
    'when, by the clock, it last was, or a message was set aside; NULL: not yet';
COMMENT ON COLUMN hunt.notify_finding.over IS 'it was told that the finding is over or ignored';
COMMENT ON COLUMN hunt.notify_finding.set_aside IS 'the last message was not taken, but set aside';
COMMENT ON COLUMN hunt.notify_finding.held_change IS
    'latest change that waits for the end of the quiet time; held: how many such changes there are';
COMMENT ON COLUMN hunt.notify_finding.document IS
    'the finding as it was told, without evidence: what can be told of one that is no more';

CREATE TABLE IF NOT EXISTS hunt.notify_aside (
	aside_id	bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	receiver	text NOT NULL REFERENCES hunt.notify_receiver ON DELETE CASCADE,
	finding_id	bigint NOT NULL,
	change_id	bigint NOT NULL,
	set_aside_at	timestamptz NOT NULL DEFAULT clock_timestamp(),
	refused_since	timestamptz NOT NULL,
	refusals	int NOT NULL,
	reason		text
);
CREATE INDEX IF NOT EXISTS notify_aside_receiver ON hunt.notify_aside (receiver, set_aside_at);
COMMENT ON TABLE hunt.notify_aside IS
    'messages that a receiver refused until they were set aside: it was not told of these changes; delete what you have
seen';
COMMENT ON COLUMN hunt.notify_aside.refusals IS 'attempts that it refused';
COMMENT ON COLUMN hunt.notify_aside.reason IS 'what it said to the last one';

-- hunt.notify_document: a finding as messages have it: hunt.finding, with the name of the AS at
-- fault and what the rules in force for it say; NULL if there is no such finding (any more).
CREATE OR REPLACE FUNCTION hunt.notify_document(finding_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
	RETURN (
	    SELECT to_jsonb(f) || jsonb_build_object(
		'hijacker_name', (SELECT n.name FROM hunt.as_name n WHERE n.asn = f.hijacker_asn),
		'rules', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', r.name, 'mitigation',
		    r.mitigation)) ORDER BY r.rule), '[]')
		    FROM hunt.rule r
		    WHERE r.version = (SELECT max(c.version) FROM hunt.config c)
		    AND (r.name IS NOT NULL OR r.mitigation IS NOT NULL)
		      AND EXISTS (SELECT FROM hunt.rule_prefix p WHERE p.version = r.version AND p.rule = r.rule
			AND p.prefix >>= f.configured_prefix
			    AND masklen(f.configured_prefix) BETWEEN p.min_len AND p.max_len)))
	    FROM hunt.finding f WHERE f.finding_id = $1);
END
$$;

COMMENT ON FUNCTION hunt.notify_document(bigint) IS 'a finding as messages have it; NULL if there is none';

-- hunt.notify_begin: makes sure that there is such a receiver; true if there was none.  A new
-- one is told of what is open, or of all changes since a time.
CREATE OR REPLACE FUNCTION hunt.notify_begin(receiver text, since timestamptz DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	fresh	boolean;
BEGIN
	IF receiver IS NULL OR receiver ~ '[[:cntrl:]]' OR length(receiver) NOT BETWEEN 1 AND 100 THEN
		RAISE EXCEPTION 'not a name of a receiver' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	-- (one statement, so that it is one moment)
	WITH r AS (
		INSERT INTO hunt.notify_receiver AS x (receiver, position)
		SELECT $1, coalesce((SELECT min(c.change_id) - 1 FROM hunt.finding_change c WHERE c.changed_at >= $2),
		    (SELECT max(c.change_id) FROM hunt.finding_change c), 0)
		ON CONFLICT DO NOTHING RETURNING x.receiver),
	f AS (
		INSERT INTO hunt.notify_finding (receiver, finding_id, held_change, held)
		SELECT r.receiver, o.finding_id, c.change_id, 1
		FROM r, hunt.finding o, LATERAL (SELECT max(h.change_id) AS change_id FROM hunt.finding_change h
		    WHERE h.finding_id = o.finding_id) c
		WHERE $2 IS NULL AND o.ended_at IS NULL AND o.state <> 'ignored' AND c.change_id IS NOT NULL)
	SELECT count(*) = 1 INTO fresh FROM r;
	-- what was over long ago
	DELETE FROM hunt.notify_finding n
	WHERE n.receiver = $1 AND n.over AND n.held_change IS NULL AND n.told_at < now() - interval '7 days';
	RETURN fresh;
END
$$;
COMMENT ON FUNCTION hunt.notify_begin(text, timestamptz) IS
    'adds a receiver if there is none of this name (true): it is told of open findings, or of all changes since a time';

-- hunt.notify_next: the next message for a receiver; or none, and in how many seconds to ask
-- again (NULL: when there is a change).  Messages come in the order of changes.  After one about a
-- finding there is none for the quiet time (NULL: for ever), but for one that it is over or no
-- longer is; when it has passed, the latest change since then is told.  repeat: what is open is
-- told again so long after the last message.
CREATE OR REPLACE FUNCTION hunt.notify_next(receiver text, quiet interval, repeat interval DEFAULT NULL,
    OUT message jsonb, OUT again double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_column
DECLARE
	clock		timestamptz := clock_timestamp();
	passed		bigint;
	n		hunt.notify_finding;
	c		hunt.finding_change;
	is_over		boolean;
	document	jsonb;
	looked		int := 0;
	how		text;
BEGIN
	SELECT r.position INTO passed FROM hunt.notify_receiver r WHERE r.receiver = $1 FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no receiver "%"', $1 USING ERRCODE = 'no_data_found';
	END IF;
	-- what was held back long enough: it is older than all that was not looked at yet
	FOR n IN
		SELECT h.* FROM hunt.notify_finding h
		WHERE h.receiver = $1 AND h.held_change IS NOT NULL AND (h.told_at IS NULL OR h.told_at + $2 <= clock)
		ORDER BY h.held_change
	LOOP
		document := hunt.notify_document(n.finding_id);
		IF document IS NOT NULL THEN
			SELECT * INTO c FROM hunt.finding_change x WHERE x.change_id = n.held_change;
			how := c.change;
			EXIT;
		END IF;
		UPDATE hunt.notify_finding h SET held_change = NULL, held = 0 WHERE h.receiver = $1
		    AND h.finding_id = n.finding_id;
	END LOOP;
	IF document IS NULL THEN
		n := NULL;
		FOR c IN SELECT x.* FROM hunt.finding_change x WHERE x.change_id > passed ORDER BY x.change_id
		    LIMIT 1000 LOOP
			looked := looked + 1;
			n := NULL;
			SELECT h.* INTO n FROM hunt.notify_finding h WHERE h.receiver = $1
			    AND h.finding_id = c.finding_id;
			is_over := c.change IN ('merged', 'retracted', 'ended')
			    OR coalesce(c.state, '') IN ('withdrawn', 'outdated', 'resolved', 'ignored');
			document := hunt.notify_document(c.finding_id);
			IF document IS NULL THEN
				-- merged into another, or retracted, since then: of interest to whom it was told
				IF c.change IN ('merged', 'retracted') AND NOT n.over THEN
					document := n.document;
				END IF;
			ELSIF c.state = 'ignored' AND c.change NOT IN ('ignored', 'ended', 'annotated') THEN
				document := NULL;
			ELSIF n.told_at IS NOT NULL AND ($2 IS NULL OR n.told_at + $2 > clock) AND n.over = is_over
			  AND c.change NOT IN ('withdrawn', 'outdated', 'resolved', 'ignored', 'ended') THEN
				UPDATE hunt.notify_finding h SET held_change = c.change_id, held = h.held + 1
				WHERE h.receiver = $1 AND h.finding_id = c.finding_id;
				document := NULL;
			END IF;
			IF document IS NOT NULL THEN
				how := c.change;
				EXIT;
			END IF;
			passed := c.change_id;
		END LOOP;
		UPDATE hunt.notify_receiver r SET position = passed WHERE r.receiver = $1 AND r.position <> passed;
	END IF;
	IF document IS NULL AND looked < 1000 AND $3 IS NOT NULL THEN
		FOR n IN
			SELECT h.* FROM hunt.notify_finding h
			WHERE h.receiver = $1 AND NOT h.over AND h.held_change IS NULL AND h.told_at + $3 <= clock
			ORDER BY h.told_at
		LOOP
			document := hunt.notify_document(n.finding_id);
			IF document ->> 'state' IN ('ongoing', 'dormant') THEN
				SELECT * INTO c FROM hunt.finding_change x WHERE x.change_id = n.told_change;
				how := 'repeated';
				EXIT;
			END IF;
			document := NULL;
		END LOOP;
	END IF;
	IF document IS NOT NULL THEN
		message := jsonb_build_object('receiver', $1, 'change_id', c.change_id, 'change', how, 'changed_at',
		    c.changed_at,
		    'changed_by', c.changed_by, 'state', c.state, 'changes', greatest(1, coalesce(n.held, 0) + CASE
		    WHEN n.held_change = c.change_id THEN 0 ELSE 1 END),
		    'finding', document);
	ELSIF looked = 1000 THEN
		again := 0;
	ELSE
		SELECT extract(epoch FROM min(least(CASE WHEN h.held_change IS NOT NULL THEN h.told_at + $2 END,
			CASE WHEN h.held_change IS NULL AND NOT h.over THEN h.told_at + $3 END)) - clock)
		INTO again FROM hunt.notify_finding h WHERE h.receiver = $1
		    AND (h.held_change IS NOT NULL OR $3 IS NOT NULL);
		again := greatest(again, 0.1);
	END IF;
END
$$;
COMMENT ON FUNCTION hunt.notify_next(text, interval, interval) IS
    'the next message for a receiver, the same one until hunt.notify_done; again: when none is due, after how many
seconds one is';

-- hunt.notify_pass: moves a receiver past the message of this change, which it took or which is set aside.
CREATE OR REPLACE FUNCTION hunt.notify_pass(receiver text, change_id bigint, taken boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	c	hunt.finding_change;
	passed	bigint;
BEGIN
	SELECT r.position INTO passed FROM hunt.notify_receiver r WHERE r.receiver = $1 FOR UPDATE;
	SELECT x.* INTO c FROM hunt.finding_change x WHERE x.change_id = $2;
	IF passed IS NULL OR c.change_id IS NULL OR EXISTS (SELECT FROM hunt.finding_change x WHERE x.change_id > passed
	    AND x.change_id < $2) THEN
		RAISE EXCEPTION 'change % is not what receiver "%" is to be told', $2,
		    $1 USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	UPDATE hunt.notify_receiver r SET position = greatest(r.position, $2), refused_change = NULL,
	    refused_since = NULL, refusals = 0
	WHERE r.receiver = $1;
	INSERT INTO hunt.notify_finding AS n (receiver, finding_id, told_at, told_change, over, set_aside, document)
	VALUES ($1, c.finding_id, clock_timestamp(), $2,
	    c.change IN ('merged', 'retracted', 'ended')
	    OR coalesce(c.state, '') IN ('withdrawn', 'outdated', 'resolved', 'ignored'),
	    NOT $3, CASE WHEN $3 THEN hunt.notify_document(c.finding_id) - 'evidence' END)
	ON CONFLICT ON CONSTRAINT notify_finding_pkey DO UPDATE
	SET told_at = excluded.told_at, told_change = $2, over = excluded.over, set_aside = excluded.set_aside,
	    document = coalesce(excluded.document, n.document),
	    held_change = CASE WHEN n.held_change > $2 THEN n.held_change END, held = CASE WHEN n.held_change > $2
	    THEN n.held ELSE 0 END;
END
$$;
COMMENT ON FUNCTION hunt.notify_pass(text, bigint, boolean) IS
    'what hunt.notify_done and hunt.notify_refused have in common';

-- hunt.notify_done: the receiver took the message of this change.
CREATE OR REPLACE FUNCTION hunt.notify_done(receiver text, change_id bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT hunt.notify_pass($1, $2, true);
	UPDATE hunt.notify_receiver r SET told = r.told + 1, last_told = clock_timestamp(), failures = 0,
	    failing_since = NULL, error = NULL
	WHERE r.receiver = $1
$$;
COMMENT ON FUNCTION hunt.notify_done(text, bigint) IS
    'a receiver took the message of this change; refused if others stand before it';

CREATE OR REPLACE FUNCTION hunt.notify_failed(receiver text, error text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	UPDATE hunt.notify_receiver r SET failures = r.failures + 1,
	    failing_since = coalesce(r.failing_since, clock_timestamp()), error = left($2, 1000)
	WHERE r.receiver = $1
$$;
COMMENT ON FUNCTION hunt.notify_failed(text, text) IS 'a receiver did not take a message, and why';

-- hunt.notify_refused: a receiver refused the message of this change, whenever it comes.  Sets it
-- aside if that was so for long enough and at least three times, and returns 0; else in how many
-- seconds it may.  Of a finding of which the last message was set aside, three times are enough:
-- one that it cannot bear is not to keep others waiting again and again.
CREATE OR REPLACE FUNCTION hunt.notify_refused(receiver text, change_id bigint, error text, patience interval)
RETURNS double precision
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	me	hunt.notify_receiver;
	finding	bigint := (SELECT c.finding_id FROM hunt.finding_change c WHERE c.change_id = $2);
	again	boolean := EXISTS (SELECT FROM hunt.notify_finding n WHERE n.receiver = $1 AND n.finding_id = finding
	    AND n.set_aside);
	wait	double precision;
BEGIN
	PERFORM hunt.notify_failed($1, $3);
	UPDATE hunt.notify_receiver r SET refused_change = $2,
	    refused_since = CASE WHEN r.refused_change = $2 THEN r.refused_since ELSE clock_timestamp() END,
	    refusals = CASE WHEN r.refused_change = $2 THEN r.refusals ELSE 0 END + 1
	WHERE r.receiver = $1 RETURNING r.* INTO me;
	IF NOT again THEN
		wait := greatest(0, extract(epoch FROM $4 - (clock_timestamp() - me.refused_since)));
	END IF;
	IF me.refusals < 3 THEN
		RETURN greatest(1, wait);
	ELSIF wait > 0 THEN
		RETURN wait;
	END IF;
	PERFORM hunt.notify_pass($1, $2, false);
	INSERT INTO hunt.notify_aside (receiver, finding_id, change_id, refused_since, refusals, reason)
	VALUES ($1, finding, $2, me.refused_since, me.refusals, me.error);
	RETURN 0;
END
$$;
COMMENT ON FUNCTION hunt.notify_refused(text, bigint, text, interval) IS
    'a receiver refused the message of this change; 0: that lasted so long that it was set aside, else in how many
seconds it may be';

CREATE OR REPLACE VIEW hunt.notify_status AS
SELECT r.receiver, b.waiting, r.last_told, r.told, r.failing_since, r.failures, r.error,
    (SELECT count(*) FROM hunt.notify_finding n WHERE n.receiver = r.receiver AND n.held_change IS NOT NULL) AS held,
    coalesce(now() - b.oldest, interval '0') AS behind, a.set_aside, a.last_set_aside, a.why_set_aside
FROM hunt.notify_receiver r,
    LATERAL (SELECT count(*) AS waiting, min(c.changed_at) AS oldest FROM hunt.finding_change c
    WHERE c.change_id > r.position) b, LATERAL (SELECT count(*) AS set_aside, max(x.set_aside_at) AS last_set_aside,
    (array_agg(x.reason ORDER BY x.aside_id DESC))[1] AS why_set_aside
	FROM hunt.notify_aside x WHERE x.receiver = r.receiver) a;
COMMENT ON VIEW hunt.notify_status IS 'is each receiver told of findings, and if not, why';
COMMENT ON COLUMN hunt.notify_status.waiting IS 'changes that it was not told of yet';
COMMENT ON COLUMN hunt.notify_status.held IS 'findings with changes that wait for the end of the quiet time';
COMMENT ON COLUMN hunt.notify_status.behind IS 'how long the oldest change that waits has done so';
COMMENT ON COLUMN hunt.notify_status.set_aside IS
    'messages that it refused and will not get any more: hunt.notify_aside';

-- hunt.forget_changes: for retention: changes of findings before this moment that every receiver
-- has passed, and none refers to; and what was set aside before it.
CREATE OR REPLACE FUNCTION hunt.forget_changes(before timestamptz) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	DELETE FROM hunt.notify_aside a WHERE a.set_aside_at < $1;
	WITH gone AS (
	    DELETE FROM hunt.finding_change c
	    WHERE c.changed_at < $1 AND c.change_id < (SELECT coalesce(min(r.position), 9223372036854775807)
	    FROM hunt.notify_receiver r)
	      AND NOT EXISTS (SELECT FROM hunt.notify_finding n WHERE c.change_id IN (n.told_change, n.held_change))
	    RETURNING 1)
	SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION hunt.forget_changes(timestamptz) IS
    'drops old changes of findings that every receiver was told of; how many';

REVOKE ALL ON FUNCTION hunt.notify_document(bigint), hunt.notify_begin(text, timestamptz),
    hunt.notify_next(text, interval, interval),
    hunt.notify_pass(text, bigint, boolean), hunt.notify_done(text, bigint), hunt.notify_failed(text, text),
    hunt.notify_refused(text, bigint, text, interval), hunt.forget_changes(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hunt.notify_begin(text, timestamptz), hunt.notify_next(text, interval, interval),
    hunt.notify_done(text, bigint), hunt.notify_failed(text, text),
    hunt.notify_refused(text, bigint, text, interval) TO exabgp_pg_notifier;
GRANT SELECT ON hunt.notify_receiver, hunt.notify_finding, hunt.notify_aside, hunt.notify_status TO exabgp_pg_reader;
