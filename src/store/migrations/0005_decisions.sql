-- What was decided, as far as it is logged, and how much keys are used.

-- A partition for each day (UTC), named `decision_YYYYMMDD`. An empty text: there is none.
CREATE TABLE keyward.decision (
    decided_at timestamptz NOT NULL,
    -- the id as it is shown, without `dec_`: sixteen digits of the thread, sixteen of the count
    id uuid NOT NULL,
    -- why it was denied; empty: it was allowed
    reason text NOT NULL,
    key_id uuid,
    domain text NOT NULL,
    environment text NOT NULL,
    user_id text NOT NULL,
    customer text NOT NULL,
    method text NOT NULL,
    route text NOT NULL,
    permission text NOT NULL,
    -- the limit that denied it, as in `user/hourly`
    limit_name text NOT NULL,
    address inet,
    way text NOT NULL,
    revision bigint NOT NULL,
    -- a batch that is sent again is recognised by it
    CONSTRAINT decision_pkey PRIMARY KEY (decided_at, id)
) PARTITION BY RANGE (decided_at);
CREATE INDEX decision_key ON keyward.decision (key_id, decided_at);
CREATE INDEX decision_id ON keyward.decision (id);

-- Makes the partitions of yesterday, today and two days to come, and drops those that are over. With the
-- rights of who owns the table: the service's role need not be the one that migrates.
CREATE FUNCTION keyward.keep_decisions(retention interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_day date := (now() AT TIME ZONE 'UTC')::date - 1;
    kept_from timestamptz := now() - retention;
    day date;
    name text;
BEGIN
    -- any number that no other program takes: one at a time
    PERFORM pg_advisory_xact_lock(7161820034572);
    FOR day IN SELECT first_day + n FROM generate_series(0, 3) AS n LOOP
        name := 'decision_' || to_char(day, 'YYYYMMDD');
        IF to_regclass('keyward.' || name) IS NULL
            AND (day + 1)::timestamp AT TIME ZONE 'UTC' > kept_from
        THEN
            EXECUTE format(
                'CREATE TABLE keyward.%I PARTITION OF keyward.decision FOR VALUES FROM (%L) TO (%L)',
                name, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
        END IF;
    END LOOP;
    FOR name IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'keyward.decision'::regclass
            AND CASE WHEN relname ~ '^decision_[0-9]{8}$' THEN
                (to_date(substr(relname, 10), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC'
                    <= kept_from
            ELSE false END
    LOOP
        EXECUTE format('DROP TABLE keyward.%I', name);
    END LOOP;
END
$$;

-- How much each key was used in each hour. Written by every replica, in batches.
CREATE TABLE keyward.usage_hour (
    key_id uuid NOT NULL,
    -- the first instant of the hour
    hour_at timestamptz NOT NULL,
    -- what the key belonged to when it was first used in the hour
    domain text NOT NULL,
    user_uid bigint,
    allowed bigint NOT NULL,
    -- the key, its user or domain was stopped, or its time was over or had not come
    denied_stopped bigint NOT NULL,
    -- another environment, address or customer
    denied_misplaced bigint NOT NULL,
    -- route or permission
    denied_forbidden bigint NOT NULL,
    -- a limit
    denied_limited bigint NOT NULL,
    cost bigint NOT NULL,
    CONSTRAINT usage_hour_pkey PRIMARY KEY (key_id, hour_at)
) WITH (fillfactor = 70);
CREATE INDEX usage_hour_domain ON keyward.usage_hour (hour_at, domain);
CREATE INDEX usage_hour_user ON keyward.usage_hour (user_uid, hour_at) WHERE user_uid IS NOT NULL;

-- The last batch that each running replica has written, so that one that is sent twice counts once.
CREATE TABLE keyward.usage_batch (
    replica uuid CONSTRAINT usage_batch_pkey PRIMARY KEY,
    number bigint NOT NULL,
    written_at timestamptz NOT NULL
);
