-- Where keys were used from last, and how much for each customer.

-- Programs of the version before go on without it: what they note moves the time on and leaves the address.
ALTER TABLE keyward.key_usage ADD last_used_address inet;

-- A number that is never given twice, so that a customer that is made again does not have the counts of
-- the one before. The rows are written anew, which takes a second for some hundred thousand customers.
ALTER TABLE keyward.customer
    ADD uid bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT customer_uid_unique UNIQUE;

-- How much was asked for on behalf of each customer in each hour. Written by every replica, in batches. Rows
-- of a customer go with it; what a batch adds at that very moment has nobody's number, and goes in its time.
CREATE TABLE keyward.usage_customer_hour (
    customer_uid bigint NOT NULL,
    -- the first instant of the hour
    hour_at timestamptz NOT NULL,
    allowed bigint NOT NULL,
    -- the classes of `usage_hour`
    denied_stopped bigint NOT NULL,
    denied_misplaced bigint NOT NULL,
    denied_forbidden bigint NOT NULL,
    denied_limited bigint NOT NULL,
    cost bigint NOT NULL,
    CONSTRAINT usage_customer_hour_pkey PRIMARY KEY (customer_uid, hour_at)
) WITH (fillfactor = 70);
CREATE INDEX usage_customer_hour_time ON keyward.usage_customer_hour (hour_at);
