-- Notices of keys that are about to expire.

-- One row: which replica makes and sends notices.
CREATE TABLE keyward.notice_head (
    only_row boolean CONSTRAINT notice_head_pkey PRIMARY KEY DEFAULT true
        CONSTRAINT notice_head_only_row CHECK (only_row),
    owner text,
    -- until when others leave it alone
    lease_expire_at timestamptz NOT NULL DEFAULT '-infinity',
    -- when all keys were looked at last; null: never
    looked_at timestamptz
);
INSERT INTO keyward.notice_head DEFAULT VALUES;

-- Without a reference to the key, which may be purged meanwhile.
CREATE TABLE keyward.notice (
    id uuid CONSTRAINT notice_pkey PRIMARY KEY,
    key_id uuid NOT NULL,
    -- the key's, when the notice was made
    expire_at timestamptz NOT NULL,
    threshold_seconds bigint NOT NULL,
    state text NOT NULL
        CONSTRAINT notice_state_known CHECK (state IN ('waiting', 'sent', 'given_up')),
    made_at timestamptz NOT NULL,
    -- how often it was sent in vain, why the last time, and when to try next
    tries integer NOT NULL DEFAULT 0,
    error text,
    try_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT notice_once UNIQUE (key_id, expire_at, threshold_seconds)
);
CREATE INDEX notice_waiting ON keyward.notice (try_at, id) WHERE state = 'waiting';
CREATE INDEX notice_ended ON keyward.notice (expire_at) WHERE state <> 'waiting';
