-- Jobs: changes of many keys, made in the background, a batch at a time.

CREATE TABLE keyward.job (
    id uuid CONSTRAINT job_pkey PRIMARY KEY,
    kind text NOT NULL CONSTRAINT job_kind_known CHECK (kind IN (
        'import_keys', 'revoke_keys', 'deactivate_keys', 'purge_keys', 'trim_change_log')),
    state text NOT NULL CONSTRAINT job_state_known CHECK (state IN (
        'receiving', 'pending', 'running', 'succeeded', 'failed', 'cancelled')),
    -- what the kind needs to know, without secrets
    parameters jsonb NOT NULL,
    -- the domain whose keys it is about; null: of several
    domain text,
    -- items in all, and what became of them
    total bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    -- the position of the last item that was dealt with
    reached bigint NOT NULL DEFAULT 0,
    -- the replica that works on it, and until when others leave it alone
    owner text,
    lease_expire_at timestamptz,
    -- null: Keyward itself
    created_by uuid,
    peer text,
    -- empty: the request has no name
    request_id text NOT NULL DEFAULT '',
    -- SHA-256 of the request, so that a name is not used for two
    fingerprint bytea NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    -- why it failed
    error text
);
CREATE UNIQUE INDEX job_request_unique ON keyward.job (created_by, request_id)
    WHERE request_id <> '';
CREATE INDEX job_order ON keyward.job (created_at, id);
CREATE INDEX job_open ON keyward.job (created_at, id)
    WHERE state IN ('receiving', 'pending', 'running');

-- Keys that are to be imported, until they are. The digests are keyed with the pepper already.
CREATE TABLE keyward.job_import (
    job_id uuid NOT NULL CONSTRAINT job_import_job_exists REFERENCES keyward.job (id),
    position bigint NOT NULL,
    key_id uuid NOT NULL,
    digest bytea NOT NULL,
    hint text NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    permissions text[] NOT NULL,
    labels jsonb NOT NULL,
    limits text[] NOT NULL,
    user_id text,
    groups text[] NOT NULL,
    not_before_at timestamptz,
    expire_at timestamptz,
    CONSTRAINT job_import_pkey PRIMARY KEY (job_id, position)
);

-- Keys that are there and are to be changed, as they were found when the job was made.
CREATE TABLE keyward.job_key (
    job_id uuid NOT NULL CONSTRAINT job_key_job_exists REFERENCES keyward.job (id),
    position bigint NOT NULL,
    key_id uuid NOT NULL,
    CONSTRAINT job_key_pkey PRIMARY KEY (job_id, position)
);

-- What went wrong with single items: the first thousand of each job.
CREATE TABLE keyward.job_error (
    job_id uuid NOT NULL
        CONSTRAINT job_error_job_exists REFERENCES keyward.job (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    -- the display name of a key that was to be made, or the id of a key
    subject text NOT NULL,
    message text NOT NULL,
    CONSTRAINT job_error_pkey PRIMARY KEY (job_id, position)
);

-- So that old changes can be told; rows that are there count as written now.
ALTER TABLE keyward.change_log ADD logged_at timestamptz NOT NULL DEFAULT now();

ALTER TABLE keyward.change_log DROP CONSTRAINT change_log_kind_known;
ALTER TABLE keyward.change_log ADD CONSTRAINT change_log_kind_known CHECK (kind IN (
    'key', 'domain', 'environment', 'user', 'group', 'route_map', 'catalogue', 'template',
    'customer', 'quota', 'job'));

-- Requests are forgotten with the key that came of them.
CREATE INDEX request_of_key ON keyward.request (key_id);
