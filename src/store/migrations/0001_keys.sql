-- The first tables. Forward only: a migration that has landed is never edited.

CREATE TABLE keyward.environment (
    name text CONSTRAINT environment_pkey PRIMARY KEY,
    tag text NOT NULL CONSTRAINT environment_tag_unique UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO keyward.environment (name, tag)
VALUES ('production', 'prod'), ('staging', 'stag'), ('development', 'dev');

CREATE TABLE keyward.domain (
    name text CONSTRAINT domain_pkey PRIMARY KEY,
    display_name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO keyward.domain (name, display_name)
VALUES ('default', 'Default'), ('keyward', 'Admin keys');

CREATE TABLE keyward.key (
    id uuid CONSTRAINT key_pkey PRIMARY KEY,
    domain text NOT NULL CONSTRAINT key_domain_exists REFERENCES keyward.domain (name),
    environment text NOT NULL
        CONSTRAINT key_environment_exists REFERENCES keyward.environment (name),
    display_name text NOT NULL,
    description text NOT NULL,
    permissions text[] NOT NULL,
    route_rules text[] NOT NULL,
    labels jsonb NOT NULL,
    not_before_at timestamptz,
    expire_at timestamptz,
    standing text NOT NULL
        CONSTRAINT key_standing_known CHECK (standing IN ('active', 'inactive', 'revoked')),
    -- all four are present if and only if standing is revoked
    revoke_reason text,
    revoke_comment text,
    revoked_at timestamptz,
    revoked_by text,
    -- HMAC-SHA256(pepper, SHA-256(token)) of the token that opens the key
    digest bytea NOT NULL CONSTRAINT key_digest_unique UNIQUE,
    hint text NOT NULL,
    -- the token that it replaced, until retiring_expire_at; all three are present or none is
    retiring_digest bytea CONSTRAINT key_retiring_digest_unique UNIQUE,
    retiring_hint text,
    retiring_expire_at timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    version bigint NOT NULL,
    -- replicas read both lists joined by blanks and line ends
    CONSTRAINT key_permissions_plain CHECK (
        array_to_string(permissions || 'end'::text, ' ', '') ~ '^([a-z0-9_.*-]+ )*end$'
    ),
    CONSTRAINT key_route_rules_plain CHECK (
        array_to_string(route_rules || 'end'::text, E'\n', '') ~ '^([ -~]+\n)*end$'
    ),
    CONSTRAINT key_digest_length CHECK (octet_length(digest) = 32),
    CONSTRAINT key_retiring_digest_length CHECK (octet_length(retiring_digest) = 32),
    CONSTRAINT key_revocation_whole CHECK (
        num_nonnulls(revoke_reason, revoke_comment, revoked_at, revoked_by)
        = CASE standing WHEN 'revoked' THEN 4 ELSE 0 END
    ),
    CONSTRAINT key_retiring_whole CHECK (
        num_nonnulls(retiring_digest, retiring_hint, retiring_expire_at) IN (0, 3)
    )
);
CREATE INDEX key_created_order ON keyward.key (created_at, id);
CREATE INDEX key_expire_order ON keyward.key (expire_at, id) WHERE expire_at IS NOT NULL;
CREATE INDEX key_of_admins ON keyward.key (created_at, id) WHERE domain = 'keyward';

-- Written in batches, a few times a minute, never through the log. No index on what changes, and
-- room in each page, so that an update stays in its page (HOT).
CREATE TABLE keyward.key_usage (
    key_id uuid CONSTRAINT key_usage_pkey PRIMARY KEY,
    last_used_at timestamptz NOT NULL
) WITH (fillfactor = 70);

-- One row: the last revision. Its lock is what puts commits in the order of their revisions.
CREATE TABLE keyward.log_head (
    only_row boolean CONSTRAINT log_head_pkey PRIMARY KEY DEFAULT true
        CONSTRAINT log_head_only_row CHECK (only_row),
    revision bigint NOT NULL,
    -- the nonce of that revision in the log
    nonce uuid NOT NULL
);
INSERT INTO keyward.log_head (revision, nonce) VALUES (0, gen_random_uuid());

-- What each revision changed; the content is in the tables themselves.
CREATE TABLE keyward.change_log (
    revision bigint NOT NULL,
    kind text NOT NULL CONSTRAINT change_log_kind_known CHECK (kind IN ('key')),
    subject text NOT NULL,
    -- differs between two histories that gave out the same revision, as after a restored backup
    nonce uuid NOT NULL,
    CONSTRAINT change_log_pkey PRIMARY KEY (revision, kind, subject)
);

-- Written in the transaction of the change that it tells of.
CREATE TABLE keyward.audit_event (
    revision bigint NOT NULL,
    position integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    actor text NOT NULL,
    peer text,
    action text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    before jsonb,
    after jsonb,
    CONSTRAINT audit_event_pkey PRIMARY KEY (revision, position)
);
CREATE INDEX audit_event_of_subject ON keyward.audit_event (kind, subject, revision);

-- Requests that a caller may repeat.
CREATE TABLE keyward.request (
    caller text NOT NULL,
    request_id text NOT NULL,
    -- SHA-256 of the request, so that an id is not used for two
    fingerprint bytea NOT NULL,
    key_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT request_pkey PRIMARY KEY (caller, request_id)
);
CREATE INDEX request_age ON keyward.request (created_at);

-- One row: recognises the pepper that the digests are keyed with.
CREATE TABLE keyward.pepper (
    only_row boolean CONSTRAINT pepper_pkey PRIMARY KEY DEFAULT true
        CONSTRAINT pepper_only_row CHECK (only_row),
    verifier bytea NOT NULL
);
