-- Several peppers, of which one takes the place of another while keys go on working.

-- The row that is there is the first pepper. Programs of the version before add it with `is_first` as the
-- default, so that there is one, and read it; they are refused from when there is a second one.
ALTER TABLE keyward.pepper DROP CONSTRAINT pepper_pkey;
ALTER TABLE keyward.pepper RENAME only_row TO is_first;
ALTER TABLE keyward.pepper RENAME CONSTRAINT pepper_only_row TO pepper_first_or_null;
ALTER TABLE keyward.pepper
    -- true: the one that digests are keyed with of which no other is said; null: another one
    ALTER is_first DROP NOT NULL,
    ADD CONSTRAINT pepper_first_unique UNIQUE (is_first),
    -- made from the pepper itself, so that every process calls it the same
    ADD id text GENERATED ALWAYS AS (encode(substring(verifier FROM 1 FOR 4), 'hex')) STORED
        CONSTRAINT pepper_pkey PRIMARY KEY,
    ADD created_at timestamptz NOT NULL DEFAULT now(),
    -- when a replica first made digests with it; the latest of all is the one that keys are moved to
    ADD first_current_at timestamptz,
    -- when a replica last said that it makes digests with it, and that it has it
    ADD current_at timestamptz,
    ADD seen_at timestamptz,
    ADD retired_at timestamptz;
UPDATE keyward.pepper SET first_current_at = now();

-- Null: the first pepper. Nothing is written to the rows that are there.
ALTER TABLE keyward.key
    ADD pepper text,
    ADD retiring_pepper text;

-- The same token by the other peppers that the replica had which took the item, so that a key that has
-- it already is found.
ALTER TABLE keyward.job_import
    ADD pepper text,
    ADD other_digests bytea[] NOT NULL DEFAULT '{}';

ALTER TABLE keyward.change_log DROP CONSTRAINT change_log_kind_known;
ALTER TABLE keyward.change_log ADD CONSTRAINT change_log_kind_known CHECK (kind IN (
    'key', 'domain', 'environment', 'user', 'group', 'route_map', 'catalogue', 'template',
    'customer', 'quota', 'job', 'pepper'));
