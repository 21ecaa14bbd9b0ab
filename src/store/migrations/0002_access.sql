-- What keys share, and what else restricts them.

ALTER TABLE keyward.domain
    ADD description text NOT NULL DEFAULT '',
    ADD disabled_at timestamptz,
    ADD updated_at timestamptz NOT NULL DEFAULT now(),
    ADD version bigint NOT NULL DEFAULT 1;

ALTER TABLE keyward.environment
    ADD display_name text NOT NULL DEFAULT '',
    ADD description text NOT NULL DEFAULT '',
    ADD updated_at timestamptz NOT NULL DEFAULT now(),
    ADD version bigint NOT NULL DEFAULT 1;
UPDATE keyward.environment SET display_name = initcap(name);
ALTER TABLE keyward.environment ALTER display_name DROP DEFAULT;

-- Keys and users name groups and users by their uid, which is never given twice: who deleted a group
-- and makes another one of that name gives it to nobody who had the old one.
CREATE TABLE keyward.permission_group (
    uid bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT permission_group_pkey PRIMARY KEY,
    domain text NOT NULL
        CONSTRAINT permission_group_domain_exists REFERENCES keyward.domain (name),
    name text NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    permissions text[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    version bigint NOT NULL,
    CONSTRAINT permission_group_permissions_plain CHECK (
        array_to_string(permissions || 'end'::text, ' ', '') ~ '^([a-z0-9_.*-]+ )*end$'
    )
);
CREATE UNIQUE INDEX permission_group_name_unique
    ON keyward.permission_group (domain, name) WHERE deleted_at IS NULL;

CREATE TABLE keyward.domain_user (
    uid bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT domain_user_pkey PRIMARY KEY,
    domain text NOT NULL CONSTRAINT domain_user_domain_exists REFERENCES keyward.domain (name),
    id text NOT NULL,
    kind text NOT NULL CONSTRAINT domain_user_kind_known CHECK (kind IN ('person', 'service')),
    display_name text NOT NULL,
    description text NOT NULL,
    permissions text[] NOT NULL,
    -- uids of groups of the same domain, or of groups that were deleted
    groups bigint[] NOT NULL,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    version bigint NOT NULL,
    CONSTRAINT domain_user_permissions_plain CHECK (
        array_to_string(permissions || 'end'::text, ' ', '') ~ '^([a-z0-9_.*-]+ )*end$'
    )
);
CREATE UNIQUE INDEX domain_user_id_unique
    ON keyward.domain_user (domain, id) WHERE deleted_at IS NULL;
-- by id alone, for lists of keys over all domains
CREATE INDEX domain_user_ids ON keyward.domain_user (id);
CREATE INDEX domain_user_groups ON keyward.domain_user USING gin (groups) WHERE groups <> '{}';

CREATE TABLE keyward.route_map (
    domain text CONSTRAINT route_map_pkey PRIMARY KEY
        CONSTRAINT route_map_domain_exists REFERENCES keyward.domain (name),
    -- each `METHODS TEMPLATE PERMISSION`, `*` for all methods
    entries text[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE keyward.catalogue (
    domain text CONSTRAINT catalogue_pkey PRIMARY KEY
        CONSTRAINT catalogue_domain_exists REFERENCES keyward.domain (name),
    -- an array of objects with name, display_name and description
    permissions jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);

-- every domain has one of each
INSERT INTO keyward.route_map (domain, entries, created_at, updated_at, version)
SELECT name, '{}', now(), now(), 1 FROM keyward.domain;
INSERT INTO keyward.catalogue (domain, permissions, created_at, updated_at, version)
SELECT name, '[]', now(), now(), 1 FROM keyward.domain;

CREATE TABLE keyward.template (
    name text CONSTRAINT template_pkey PRIMARY KEY,
    display_name text NOT NULL,
    description text NOT NULL,
    required_permissions text[] NOT NULL,
    optional_permissions text[] NOT NULL,
    environment text CONSTRAINT template_environment_exists REFERENCES keyward.environment (name),
    lifetime_seconds bigint,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
INSERT INTO keyward.template (name, display_name, description, required_permissions,
    optional_permissions, environment, created_at, updated_at, version)
VALUES
    ('booking-panel', 'Booking panel',
        'For a panel that shows and books systems: reads users and systems and controls them.',
        '{users.read,systems.read,control}', '{zones.read,metadata.read}', NULL, now(), now(), 1),
    ('map-kiosk', 'Map kiosk',
        'For a screen in a public place: reads everything and changes nothing.',
        '{public.read}', '{}', NULL, now(), now(), 1);

ALTER TABLE keyward.key
    -- of the same domain
    ADD user_uid bigint CONSTRAINT key_user_exists REFERENCES keyward.domain_user (uid),
    -- uids of groups of the same domain, or of groups that were deleted
    ADD groups bigint[] NOT NULL DEFAULT '{}',
    ADD customers text[] NOT NULL DEFAULT '{}',
    ADD allowed_addresses text[] NOT NULL DEFAULT '{}',
    ADD denied_addresses text[] NOT NULL DEFAULT '{}',
    ADD managed_by uuid,
    ADD self_regenerate boolean NOT NULL DEFAULT false,
    -- both or neither: an admin key that is bound to domains and to a ceiling
    ADD delegated_domains text[],
    ADD ceiling text[],
    -- where it came from; templates come and go
    ADD template text,
    ADD CONSTRAINT key_delegation_whole CHECK (
        num_nonnulls(delegated_domains, ceiling) IN (0, 2) AND delegated_domains <> '{}'
    ),
    ADD CONSTRAINT key_ceiling_plain CHECK (
        array_to_string(ceiling || 'end'::text, ' ', '') ~ '^([a-z0-9_.*-]+ )*end$'
    ),
    ADD CONSTRAINT key_delegated_domains_plain CHECK (
        array_to_string(delegated_domains || 'end'::text, ' ', '') ~ '^([a-z0-9-]+ )*end$'
    ),
    ADD CONSTRAINT key_customers_plain CHECK (
        array_to_string(customers || 'end'::text, ' ', '') ~ '^([!-~]+ )*end$'
    ),
    ADD CONSTRAINT key_addresses_plain CHECK (
        array_to_string(allowed_addresses || denied_addresses || 'end'::text, ' ', '')
            ~ '^([0-9a-f.:/]+ )*end$'
    );
CREATE INDEX key_of_user ON keyward.key (user_uid) WHERE user_uid IS NOT NULL;
CREATE INDEX key_groups ON keyward.key USING gin (groups) WHERE groups <> '{}';

ALTER TABLE keyward.change_log DROP CONSTRAINT change_log_kind_known;
ALTER TABLE keyward.change_log ADD CONSTRAINT change_log_kind_known CHECK (kind IN (
    'key', 'domain', 'environment', 'user', 'group', 'route_map', 'catalogue', 'template'));

-- Changes that were refused for want of rights. Those of one caller, action and reason within an hour
-- are one row, so that nobody fills the table.
CREATE TABLE keyward.refusal (
    actor text NOT NULL,
    action text NOT NULL,
    reason text NOT NULL,
    hour timestamptz NOT NULL,
    times bigint NOT NULL,
    first_at timestamptz NOT NULL,
    first_subject text NOT NULL,
    last_at timestamptz NOT NULL,
    last_subject text NOT NULL,
    last_peer text,
    CONSTRAINT refusal_pkey PRIMARY KEY (actor, action, reason, hour)
);
