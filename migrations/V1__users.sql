-- Oldest binary that can live with this schema: 1.0.0
--
-- Adopts a table made by the reference service as it is, or makes the same one.

CREATE TABLE IF NOT EXISTS users (
    id            serial PRIMARY KEY,
    email         varchar(255) NOT NULL,
    password_hash varchar(255) NOT NULL,
    full_name     varchar(255),
    created_at    timestamptz DEFAULT now(),
    CONSTRAINT uq_users_email UNIQUE (email)
);

-- Nobody may register between the check for collisions and the index that forbids them; and what the columns need is
-- locked at once, because a writer of the reference service that reads first would deadlock with a lock raised later.
LOCK TABLE users IN ACCESS EXCLUSIVE MODE;

DO $$
DECLARE
    unfit text;
    collisions text;
BEGIN
    SELECT string_agg(wanted.name, ', ' ORDER BY wanted.name) INTO unfit
    FROM (VALUES
        ('id', ARRAY['int4'], true),
        ('email', ARRAY['varchar', 'text'], true),
        ('password_hash', ARRAY['varchar', 'text'], true),
        ('full_name', ARRAY['varchar', 'text'], false),
        ('created_at', ARRAY['timestamptz'], false)
    ) AS wanted (name, types, always)
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = 'users'::regclass AND a.attname = wanted.name AND NOT a.attisdropped
            AND t.typname = ANY (wanted.types) AND (a.attnotnull OR NOT wanted.always)
    );
    IF unfit IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'MA001', MESSAGE = unfit;
    END IF;

    SELECT string_agg(same.ids, '; ' ORDER BY same.first) INTO collisions
    FROM (
        SELECT min(id) AS first, string_agg(id::text, ', ' ORDER BY id) AS ids
        FROM users
        GROUP BY lower(email COLLATE "C")
        HAVING count(*) > 1
        ORDER BY min(id)
        LIMIT 1000
    ) AS same;
    IF collisions IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'MA002', MESSAGE = collisions;
    END IF;
END
$$;

-- Addresses that differ only in the case of ASCII letters are one account. Collation "C" folds nothing else, and never
-- changes under an operating system's update, which would corrupt the index.
CREATE UNIQUE INDEX IF NOT EXISTS uq_users_email_key ON users (lower(email COLLATE "C"));

ALTER TABLE users
    ADD COLUMN IF NOT EXISTS token_version integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS disabled_at timestamptz;

COMMENT ON COLUMN users.token_version IS 'raised by revoke: tokens issued under a lower one are refused';

-- One row a bucket that is not full. Keys are keyed hashes of accounts and networks.
CREATE TABLE login_attempts (
    key        bytea PRIMARY KEY,
    -- When the bucket is full again, in seconds since 1970 (GCRA's theoretical arrival time).
    full_at    double precision NOT NULL
);
CREATE INDEX login_attempts_full_at ON login_attempts (full_at);

-- Networks an account logged in from; nobody elsewhere can lock its owner out of them.
CREATE TABLE login_networks (
    account   bytea NOT NULL,
    network   bytea NOT NULL,
    last_seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, network)
);
CREATE INDEX login_networks_last_seen ON login_networks (last_seen);

-- Takes one place from each bucket, or from none: returns the index (from 1) of the bucket that refuses and the seconds
-- until it would not, or 0 and 0. A function, because each of its statements sees what concurrent callers committed
-- once their locks are ours; and one statement for the client, so that a pooler in transaction mode can carry it.
CREATE FUNCTION login_admit(
    keys bytea[], bursts double precision[], intervals double precision[],
    account_wide boolean[], account bytea, network bytea,
    OUT refused integer, OUT wait double precision
) LANGUAGE plpgsql AS $$
DECLARE
    known boolean;
    clock double precision;
BEGIN
    -- Always in the same order, or two callers could wait for each other.
    PERFORM pg_advisory_xact_lock(1834576, ordered.lock)
    FROM (SELECT hashtext(encode(k, 'hex')) AS lock FROM unnest(keys) AS k ORDER BY 1) AS ordered;
    clock := extract(epoch FROM clock_timestamp());
    known := EXISTS (
        SELECT FROM login_networks AS n
        WHERE n.account = login_admit.account AND n.network = login_admit.network
    );
    SELECT i, greatest(coalesce(a.full_at, clock), clock) + intervals[i] * (1 - bursts[i]) - clock
    INTO refused, wait
    FROM generate_subscripts(keys, 1) AS i LEFT JOIN login_attempts AS a ON a.key = keys[i]
    WHERE NOT (account_wide[i] AND known)
    ORDER BY 2 DESC, 1
    LIMIT 1;
    -- A microsecond of slack: sums of intervals are not exact.
    IF wait > 0.000001 THEN
        RETURN;
    END IF;
    refused := 0;
    wait := 0;
    INSERT INTO login_attempts AS a (key, full_at)
    SELECT keys[i], clock + intervals[i]
    FROM generate_subscripts(keys, 1) AS i
    WHERE NOT (account_wide[i] AND known)
    -- In the order in which places are given back, for the same reason.
    ORDER BY keys[i]
    ON CONFLICT (key) DO UPDATE SET full_at = greatest(a.full_at, clock) + (excluded.full_at - clock);
END
$$;

-- Keys that all replicas share.
CREATE TABLE service_keys (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);

-- What an older binary reads to know whether it may run beside a newer schema.
CREATE TABLE schema_compatibility (
    migration     integer PRIMARY KEY,
    oldest_binary text NOT NULL
);
INSERT INTO schema_compatibility VALUES (1, '1.0.0');
