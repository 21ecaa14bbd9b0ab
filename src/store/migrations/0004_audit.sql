-- Audit events become a chain: each has the hash of the one before in its own, so that who edits,
-- removes, adds or moves one in the database is found. Programs of the version before write events
-- without knowing of it; so the chain is the work of a trigger.

-- Nobody writes an event until the end, and nobody who has begun to waits for us.
LOCK TABLE keyward.audit_event IN ACCESS EXCLUSIVE MODE;

ALTER TABLE keyward.audit_event
    -- what the caller calls the request; empty: nothing
    ADD request_id text NOT NULL DEFAULT '',
    -- the domain that the subject belongs to; null: to the whole installation, or not known
    ADD domain text,
    -- the place in the chain, from 1 on without gaps
    ADD number bigint,
    -- SHA-256 of the hash before and of all but number and hash
    ADD hash bytea;

-- One row: the end of the chain. The lock of log_head, which writers of events have, is taken before its.
CREATE TABLE keyward.audit_head (
    only_row boolean CONSTRAINT audit_head_pkey PRIMARY KEY DEFAULT true
        CONSTRAINT audit_head_only_row CHECK (only_row),
    number bigint NOT NULL,
    hash bytea NOT NULL
);
INSERT INTO keyward.audit_head (number, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- Functions in plpgsql keep their plans for as long as a connection lasts; in sql they would be planned
-- for each event.

-- Its length in characters and the text, or a dash for null: texts that differ stay different when
-- they are joined.
CREATE FUNCTION keyward.audit_field(field text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN coalesce(length(field) || ':' || field, '-');
END $$;

-- What is hashed of an event, after the hash before it. The program computes the same.
CREATE FUNCTION keyward.audit_text(event keyward.audit_event) RETURNS text
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN keyward.audit_field(event.revision::text)
        || keyward.audit_field(event.position::text)
        || keyward.audit_field((extract(epoch FROM event.occurred_at) * 1000000)::bigint::text)
        || keyward.audit_field(event.actor)
        || keyward.audit_field(event.peer)
        || keyward.audit_field(event.action)
        || keyward.audit_field(event.kind)
        || keyward.audit_field(event.subject)
        || keyward.audit_field(event.domain)
        || keyward.audit_field(event.request_id)
        || keyward.audit_field(event.before::text)
        || keyward.audit_field(event.after::text);
END $$;

-- The domain of a subject, for events whose writer did not say it.
CREATE FUNCTION keyward.audit_domain(kind text, subject text, shown jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN kind = 'key' THEN shown ->> 'domain'
        WHEN kind IN ('domain', 'route_map', 'catalogue') THEN subject
        WHEN kind IN ('user', 'group', 'customer') THEN split_part(subject, '/', 1)
        -- `customer/DOMAIN/ID NAME` and `domain/DOMAIN NAME`
        WHEN kind = 'quota' AND starts_with(subject, 'customer/') THEN split_part(subject, '/', 2)
        WHEN kind = 'quota' AND starts_with(subject, 'domain/')
            THEN split_part(split_part(subject, '/', 2), ' ', 1)
    END;
END $$;

-- The events that are there, in their order.
DO $$
DECLARE
    event keyward.audit_event;
    end_number bigint := 0;
    end_hash bytea := decode(repeat('00', 32), 'hex');
BEGIN
    FOR event IN SELECT * FROM keyward.audit_event ORDER BY revision, position LOOP
        event.domain := keyward.audit_domain(
            event.kind, event.subject, coalesce(event.after, event.before));
        end_number := end_number + 1;
        end_hash := sha256(end_hash || convert_to(keyward.audit_text(event), 'UTF8'));
        UPDATE keyward.audit_event SET domain = event.domain, number = end_number, hash = end_hash
        WHERE revision = event.revision AND position = event.position;
    END LOOP;
    UPDATE keyward.audit_head SET number = end_number, hash = end_hash;
END $$;

ALTER TABLE keyward.audit_event
    ALTER number SET NOT NULL,
    ALTER hash SET NOT NULL,
    ADD CONSTRAINT audit_event_number_unique UNIQUE (number);
CREATE INDEX audit_event_order ON keyward.audit_event (occurred_at, revision, position);
CREATE INDEX audit_event_of_actor ON keyward.audit_event (actor, occurred_at);
CREATE INDEX audit_event_of_domain ON keyward.audit_event (domain, occurred_at);
CREATE INDEX audit_event_of_request ON keyward.audit_event (request_id) WHERE request_id <> '';

-- An event belongs to a revision that its own transaction has taken: so it has the lock of log_head, and
-- nobody else adds events. The end of the chain is kept for the transaction in a setting, and put into its
-- row once for each statement: a row that is updated for each of many events is found ever more slowly.
CREATE FUNCTION keyward.chain_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- `REVISION:NUMBER:HASH`
    last text[] := string_to_array(current_setting('keyward.audit_end', true), ':');
BEGIN
    IF last[1] = NEW.revision::text THEN
        NEW.number := last[2]::bigint;
        NEW.hash := decode(last[3], 'hex');
    ELSE
        SELECT head.number, head.hash INTO NEW.number, NEW.hash
        FROM keyward.audit_head AS head, keyward.log_head AS log
        WHERE log.revision = NEW.revision AND log.xmin = pg_current_xact_id()::xid;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'an audit event belongs to a revision that its own transaction takes';
        END IF;
    END IF;
    IF NEW.domain IS NULL THEN
        NEW.domain := keyward.audit_domain(
            NEW.kind, NEW.subject, coalesce(NEW.after, NEW.before));
    END IF;
    NEW.number := NEW.number + 1;
    NEW.hash := sha256(NEW.hash || convert_to(keyward.audit_text(NEW), 'UTF8'));
    PERFORM set_config('keyward.audit_end',
        NEW.revision || ':' || NEW.number || ':' || encode(NEW.hash, 'hex'), true);
    RETURN NEW;
END $$;
CREATE TRIGGER audit_event_chained BEFORE INSERT ON keyward.audit_event
    FOR EACH ROW EXECUTE FUNCTION keyward.chain_audit_event();

CREATE FUNCTION keyward.keep_audit_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last text[] := string_to_array(current_setting('keyward.audit_end', true), ':');
BEGIN
    UPDATE keyward.audit_head SET number = last[2]::bigint, hash = decode(last[3], 'hex')
    WHERE number < last[2]::bigint;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_event_end_kept AFTER INSERT ON keyward.audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION keyward.keep_audit_end();

-- What was refused: changes, for want of rights, and logins of operators and holders. Of a login the
-- actor is the network that it came from, and `others` where there are too many of them.
ALTER TABLE keyward.refusal
    ADD id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT refusal_id_unique UNIQUE,
    -- null: of the whole installation, of several, or not known
    ADD domain text,
    -- of the last one
    ADD request_id text NOT NULL DEFAULT '';
CREATE INDEX refusal_hours ON keyward.refusal (hour);
CREATE INDEX refusal_order ON keyward.refusal (first_at, id);
