-- Every payment, over every way in, counted once under its key.
CREATE TABLE payments (
    id               TEXT    NOT NULL PRIMARY KEY,
    key              TEXT    NOT NULL,
    way              TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    chain_id         INTEGER NOT NULL,
    token            BLOB    NOT NULL,
    payer            BLOB    NOT NULL,
    pay_to           BLOB    NOT NULL,
    -- Base units of the token: up to 256 bits, so text.
    amount           TEXT    NOT NULL,
    valid_after      INTEGER NOT NULL,
    valid_before     INTEGER NOT NULL,
    nonce            BLOB    NOT NULL,
    signature        BLOB    NOT NULL,
    credits_units    INTEGER NOT NULL,
    -- The wallet that is credited; a direct call's payment credits nobody unless its tool fails.
    wallet           TEXT    NOT NULL,
    -- The client's own label for a purchase.
    label            TEXT,
    -- The head of the chain when the intent was stored: where to begin looking for its use.
    since_block      INTEGER NOT NULL,
    transaction_hash BLOB,
    block            INTEGER,
    -- Why it was given up, in x402's words.
    reason           TEXT,
    created_ms       INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    CONSTRAINT payments_key_unique UNIQUE (key),
    CONSTRAINT payments_way_known CHECK (way IN ('purchase', 'direct')),
    CONSTRAINT payments_state_known CHECK (
        state IN ('authorized', 'broadcast', 'confirmed', 'credited', 'refused', 'failed', 'expired')
    ),
    CONSTRAINT payments_credits_positive CHECK (credits_units > 0)
) WITHOUT ROWID;
CREATE INDEX payments_open ON payments (id) WHERE state IN ('authorized', 'broadcast', 'refused');
CREATE INDEX payments_open_of_payer ON payments (payer) WHERE state IN ('authorized', 'broadcast');
-- One unsettled direct call a payer.
CREATE UNIQUE INDEX payments_one_direct_call ON payments (payer)
WHERE way = 'direct' AND state IN ('authorized', 'broadcast', 'confirmed');

CREATE TRIGGER payments_never_go BEFORE DELETE ON payments BEGIN
    SELECT RAISE(ABORT, 'payments are never deleted');
END;
CREATE TRIGGER payments_credit_once BEFORE UPDATE ON payments WHEN OLD.state = 'credited' BEGIN
    SELECT RAISE(ABORT, 'a credited payment is never changed');
END;

-- What a relayer signed, stored before it is broadcast. A row takes its account nonce for good, and
-- holds the bytes that were signed with it last.
CREATE TABLE relayer_transactions (
    chain_id      INTEGER NOT NULL,
    relayer       BLOB    NOT NULL,
    account_nonce INTEGER NOT NULL,
    -- NULL where it only uses up an account nonce that others wait for.
    payment_id    TEXT    REFERENCES payments (id),
    hash          BLOB    NOT NULL,
    raw           BLOB    NOT NULL,
    -- The most that its gas may cost, in gwei.
    cost_gwei     INTEGER NOT NULL,
    -- open: may still be mined; closed: its account nonce was used at a confirmed block.
    status        TEXT    NOT NULL DEFAULT 'open',
    created_ms    INTEGER NOT NULL,
    -- When these bytes were signed: later than created_ms once they replaced others.
    signed_ms     INTEGER NOT NULL,
    CONSTRAINT relayer_transactions_nonce PRIMARY KEY (chain_id, relayer, account_nonce),
    CONSTRAINT relayer_transactions_status_known CHECK (status IN ('open', 'closed'))
) WITHOUT ROWID;
CREATE UNIQUE INDEX relayer_transactions_one_open ON relayer_transactions (payment_id) WHERE status = 'open';
CREATE INDEX relayer_transactions_open ON relayer_transactions (chain_id, relayer, account_nonce)
WHERE status = 'open';

-- Bytes that the same transaction at other fees took the place of. They were broadcast, so any of them
-- may still be the one that is mined.
CREATE TABLE relayer_replaced (
    chain_id      INTEGER NOT NULL,
    relayer       BLOB    NOT NULL,
    account_nonce INTEGER NOT NULL,
    hash          BLOB    NOT NULL,
    raw           BLOB    NOT NULL,
    signed_ms     INTEGER NOT NULL,
    PRIMARY KEY (chain_id, relayer, account_nonce, hash),
    FOREIGN KEY (chain_id, relayer, account_nonce) REFERENCES relayer_transactions
) WITHOUT ROWID;

-- The tool call that a direct payment pays for.
CREATE TABLE direct_calls (
    payment_id         TEXT    NOT NULL PRIMARY KEY REFERENCES payments (id),
    tool               TEXT    NOT NULL,
    action             TEXT    NOT NULL,
    settle_first       INTEGER NOT NULL,
    -- SHA-256 of tool, action, payment-identifier and the parameters' bytes: a repeat must bring the
    -- same, and must have an identifier, since the authorization is public once it settled.
    request_hash       BLOB    NOT NULL,
    identified         INTEGER NOT NULL,
    stage              TEXT    NOT NULL,
    -- When a call that is not at its end was surely broken off.
    deadline_ms        INTEGER NOT NULL,
    reply_status       INTEGER,
    reply_body         BLOB,
    expires_ms         INTEGER NOT NULL,
    created_ms         INTEGER NOT NULL,
    CONSTRAINT direct_calls_stage_known CHECK (
        stage IN ('waiting', 'running', 'done', 'failed', 'timed_out', 'abandoned')
    )
) WITHOUT ROWID;
CREATE INDEX direct_calls_deadline ON direct_calls (deadline_ms) WHERE stage IN ('waiting', 'running', 'done');
CREATE INDEX direct_calls_expiry ON direct_calls (expires_ms) WHERE reply_body IS NOT NULL;
CREATE TRIGGER direct_calls_count_reply AFTER UPDATE OF reply_body ON direct_calls BEGIN
    UPDATE reply_bytes
    SET total = total + coalesce(length(NEW.reply_body), 0) - coalesce(length(OLD.reply_body), 0);
END;

-- Payers whose settlement failed after their tool had run.
CREATE TABLE barred_payers (
    payer      BLOB    NOT NULL PRIMARY KEY,
    payment_id TEXT    NOT NULL REFERENCES payments (id),
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- Addresses that were ever a payTo of a network.
CREATE TABLE pay_to_addresses (
    chain_id   INTEGER NOT NULL,
    address    BLOB    NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (chain_id, address)
) WITHOUT ROWID;

-- The ids of the keys that this database was written with.
CREATE TABLE signing_keys (
    kind       TEXT    NOT NULL PRIMARY KEY,
    id         TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;
