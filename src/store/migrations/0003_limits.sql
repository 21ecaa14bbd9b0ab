-- How much keys may be used, by themselves and together.

-- The checks are not run over the rows that are there, which have no limits: that would hold up all who
-- write. Each limit `NAME:rate:LIMIT:MICROSECONDS:BURST`, `NAME:quota:LIMIT:PERIOD` or `NAME:concurrency:LIMIT`
ALTER TABLE keyward.key
    ADD limits text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT key_limits_plain CHECK (
        array_to_string(limits || 'end'::text, ' ', '') ~ '^([a-z0-9:-]+ )*end$'
    ) NOT VALID;
ALTER TABLE keyward.domain_user
    ADD limits text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT domain_user_limits_plain CHECK (
        array_to_string(limits || 'end'::text, ' ', '') ~ '^([a-z0-9:-]+ )*end$'
    ) NOT VALID;
ALTER TABLE keyward.domain
    ADD limits text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT domain_limits_plain CHECK (
        array_to_string(limits || 'end'::text, ' ', '') ~ '^([a-z0-9:-]+ )*end$'
    ) NOT VALID;
ALTER TABLE keyward.template
    ADD limits text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT template_limits_plain CHECK (
        array_to_string(limits || 'end'::text, ' ', '') ~ '^([a-z0-9:-]+ )*end$'
    ) NOT VALID;

CREATE TABLE keyward.customer (
    domain text NOT NULL CONSTRAINT customer_domain_exists REFERENCES keyward.domain (name),
    id text NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    limits text[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT customer_pkey PRIMARY KEY (domain, id),
    CONSTRAINT customer_limits_plain CHECK (
        array_to_string(limits || 'end'::text, ' ', '') ~ '^([a-z0-9:-]+ )*end$'
    )
);

-- What was used of quotas in their last period. Written by every replica, in batches.
CREATE TABLE keyward.quota (
    -- `key/ID`, `user/UID`, `customer/DOMAIN/ID` or `domain/NAME`
    owner text NOT NULL,
    name text NOT NULL,
    -- `day`, `month` or seconds: one of another length is another quota
    period text NOT NULL,
    -- the first instant of the period
    start_at timestamptz NOT NULL,
    used bigint NOT NULL,
    -- what there is besides the quota, from the beginning of the period
    credits bigint NOT NULL,
    -- counts how often operators said what was used
    generation bigint NOT NULL DEFAULT 0,
    CONSTRAINT quota_pkey PRIMARY KEY (owner, name)
) WITH (fillfactor = 70);

-- The last batch that each running replica has written, so that one that is sent twice counts once.
CREATE TABLE keyward.quota_batch (
    replica uuid CONSTRAINT quota_batch_pkey PRIMARY KEY,
    number bigint NOT NULL,
    written_at timestamptz NOT NULL
);

ALTER TABLE keyward.change_log DROP CONSTRAINT change_log_kind_known;
ALTER TABLE keyward.change_log ADD CONSTRAINT change_log_kind_known CHECK (kind IN (
    'key', 'domain', 'environment', 'user', 'group', 'route_map', 'catalogue', 'template',
    'customer', 'quota'));
