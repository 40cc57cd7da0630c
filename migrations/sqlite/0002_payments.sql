-- Every payment, over every way in. The keys under which it is counted are in payment_keys.
CREATE TABLE payments (
    id               TEXT    NOT NULL PRIMARY KEY,
    way              TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    chain_id         INTEGER NOT NULL,
    token            BLOB    NOT NULL,
    payer            BLOB    NOT NULL,
    pay_to           BLOB    NOT NULL,
    -- Base units of the token: up to 256 bits, so text.
    amount           TEXT    NOT NULL,
    -- The signed authorization; NULL for a transfer that its payer sent without one. A transfer that was
    -- found on the chain has the nonce alone, if it was made under an authorization.
    transfer_method  TEXT,
    valid_after      INTEGER,
    valid_before     INTEGER,
    nonce            BLOB,
    signature        BLOB,
    -- A leave for Permit2 (EIP-2612) that came with it: nonce, deadline, signature.
    permit           BLOB,
    credits_units    INTEGER NOT NULL,
    -- The wallet that is credited; a direct call's payment credits nobody unless its tool fails, and
    -- what is in suspense nobody until it is moved.
    wallet           TEXT    NOT NULL,
    -- The client's own label for a purchase.
    label            TEXT,
    -- The head of the chain when the intent was stored: where to begin looking for its use.
    since_block      INTEGER NOT NULL,
    transaction_hash BLOB,
    block            INTEGER,
    block_hash       BLOB,
    -- The transfer's position among its transaction's logs, where no authorization names it.
    log_position     INTEGER,
    -- Its money is for suspense, since nobody can be told to have sent it.
    unattributed     INTEGER NOT NULL DEFAULT 0,
    -- Where a credited payment's money went in the books.
    booked           TEXT,
    -- Its block is deeper than any reorganization that is looked for.
    final            INTEGER NOT NULL DEFAULT 0,
    -- How often the chain dropped it after it had counted.
    reversals        INTEGER NOT NULL DEFAULT 0,
    -- Why it was given up, in x402's words.
    reason           TEXT,
    created_ms       INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    CONSTRAINT payments_way_known CHECK (way IN ('purchase', 'direct', 'claim', 'event', 'transfer')),
    CONSTRAINT payments_signed_whole CHECK (
        (signature IS NULL OR nonce IS NOT NULL)
        AND (signature IS NULL) = (transfer_method IS NULL)
        AND (signature IS NULL) = (valid_after IS NULL)
        AND (signature IS NULL) = (valid_before IS NULL)
    ),
    CONSTRAINT payments_method_known CHECK (transfer_method IN ('eip3009', 'permit2')),
    CONSTRAINT payments_named CHECK (signature IS NOT NULL OR log_position IS NOT NULL),
    CONSTRAINT payments_booked_known CHECK (booked IN ('wallet', 'revenue', 'suspense')),
    CONSTRAINT payments_booked_when_credited CHECK ((booked IS NOT NULL) = (state = 'credited')),
    CONSTRAINT payments_state_known CHECK (
        state IN ('authorized', 'broadcast', 'confirmed', 'credited', 'refused', 'failed', 'expired')
    ),
    -- Zero: less than a unit arrived, which no posting can hold.
    CONSTRAINT payments_credits_not_negative CHECK (credits_units >= 0)
) WITHOUT ROWID;
CREATE INDEX payments_open ON payments (id) WHERE state IN ('authorized', 'broadcast', 'refused');
CREATE INDEX payments_open_of_payer ON payments (payer) WHERE state IN ('authorized', 'broadcast');
CREATE INDEX payments_of_wallet ON payments (wallet) WHERE booked = 'wallet';
CREATE INDEX payments_suspense ON payments (created_ms, id) WHERE booked = 'suspense';
-- Whose blocks are still compared with the chain's.
CREATE INDEX payments_not_final ON payments (chain_id, block, block_hash)
WHERE final = 0 AND state IN ('credited', 'confirmed');
CREATE INDEX payments_final ON payments (chain_id, block) WHERE final = 1;
CREATE INDEX payments_unpaid_of_payer ON payments (payer) WHERE state NOT IN ('confirmed', 'credited');
CREATE INDEX payments_by_permit2 ON payments (payer) WHERE transfer_method = 'permit2' AND final = 0;
CREATE INDEX payments_unsettled_direct ON payments (payer)
WHERE way = 'direct' AND state IN ('authorized', 'broadcast', 'confirmed');
-- One unsettled direct call a payer; what the chain dropped may come on top.
CREATE UNIQUE INDEX payments_one_direct_call ON payments (payer)
WHERE way = 'direct' AND state IN ('authorized', 'broadcast', 'confirmed') AND reversals = 0;

CREATE TRIGGER payments_never_go BEFORE DELETE ON payments BEGIN
    SELECT RAISE(ABORT, 'payments are never deleted');
END;
-- A reorganization may undo a credited payment's block: then it waits for its transfer again.
CREATE TRIGGER payments_credit_once BEFORE UPDATE OF state ON payments
WHEN OLD.state = 'credited' AND NEW.state NOT IN ('credited', 'broadcast') BEGIN
    SELECT RAISE(ABORT, 'a credited payment only goes back to broadcast');
END;
CREATE TRIGGER payments_same_terms BEFORE UPDATE OF
    way, chain_id, token, payer, pay_to, amount, transfer_method, valid_after, valid_before, nonce, signature,
    permit, credits_units, log_position
ON payments BEGIN
    SELECT RAISE(ABORT, 'the terms of a payment are never changed');
END;

-- Each transfer is counted once, over every way in: whoever inserts its key first has it.
CREATE TABLE payment_keys (
    key        TEXT NOT NULL CONSTRAINT payment_keys_once PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payments (id)
) WITHOUT ROWID;
CREATE INDEX payment_keys_payment ON payment_keys (payment_id);
CREATE TRIGGER payment_keys_never_change BEFORE UPDATE ON payment_keys BEGIN
    SELECT RAISE(ABORT, 'payment keys are never changed');
END;
CREATE TRIGGER payment_keys_never_go BEFORE DELETE ON payment_keys BEGIN
    SELECT RAISE(ABORT, 'payment keys are never deleted');
END;

-- Payments on their way back to their payers.
CREATE TABLE refunds (
    id               TEXT    NOT NULL PRIMARY KEY,
    payment_id       TEXT    NOT NULL REFERENCES payments (id),
    state            TEXT    NOT NULL,
    chain_id         INTEGER NOT NULL,
    token            BLOB    NOT NULL,
    -- The account that pays, and the payer who is paid.
    float            BLOB    NOT NULL,
    payer            BLOB    NOT NULL,
    -- Base units of the token: up to 256 bits, so text.
    amount           TEXT    NOT NULL,
    -- The credits that were taken back, and the grant that they were taken from.
    units            INTEGER NOT NULL,
    grant_id         INTEGER NOT NULL REFERENCES grants (id),
    -- Nothing that was signed for it can be in an older block.
    since_block      INTEGER NOT NULL,
    transaction_hash BLOB,
    block            INTEGER,
    block_hash       BLOB,
    -- Its block is deeper than any reorganization that is looked for.
    final            INTEGER NOT NULL DEFAULT 0,
    -- Why it is void.
    reason           TEXT,
    created_ms       INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    CONSTRAINT refunds_state_known CHECK (state IN ('held', 'broadcast', 'paid', 'void')),
    CONSTRAINT refunds_units_positive CHECK (units > 0),
    CONSTRAINT refunds_paid_somewhere CHECK (state <> 'paid' OR (transaction_hash IS NOT NULL AND block IS NOT NULL))
) WITHOUT ROWID;
-- A payment goes back once.
CREATE UNIQUE INDEX refunds_once ON refunds (payment_id) WHERE state <> 'void';
CREATE INDEX refunds_open ON refunds (id) WHERE state IN ('held', 'broadcast');
CREATE INDEX refunds_of_day ON refunds (chain_id, created_ms) WHERE state <> 'void';
CREATE TRIGGER refunds_never_go BEFORE DELETE ON refunds BEGIN
    SELECT RAISE(ABORT, 'refunds are never deleted');
END;
-- Whose blocks are still compared with the chain's.
CREATE INDEX refunds_not_final ON refunds (chain_id, id) WHERE state = 'paid' AND final = 0;
CREATE TRIGGER refunds_end_once BEFORE UPDATE ON refunds WHEN OLD.state = 'void' OR OLD.final = 1 BEGIN
    SELECT RAISE(ABORT, 'a refund at its end is never changed');
END;
-- A reorganization may undo a paid refund's block: then it is sent again.
CREATE TRIGGER refunds_pay_once BEFORE UPDATE OF state ON refunds
WHEN OLD.state = 'paid' AND NEW.state NOT IN ('paid', 'broadcast') BEGIN
    SELECT RAISE(ABORT, 'a paid refund only goes back to broadcast');
END;
CREATE TRIGGER refunds_same_terms BEFORE UPDATE OF
    payment_id, chain_id, token, float, payer, amount, units, grant_id, since_block
ON refunds BEGIN
    SELECT RAISE(ABORT, 'the terms of a refund are never changed');
END;

-- What a relayer, or the float of refunds, signed, stored before it is broadcast. A row takes its account nonce for good, and
-- holds the bytes that were signed with it last.
CREATE TABLE relayer_transactions (
    chain_id      INTEGER NOT NULL,
    relayer       BLOB    NOT NULL,
    account_nonce INTEGER NOT NULL,
    -- What it is for; both NULL where it only uses up an account nonce that others wait for.
    payment_id    TEXT    REFERENCES payments (id),
    refund_id     TEXT    REFERENCES refunds (id),
    hash          BLOB    NOT NULL,
    raw           BLOB    NOT NULL,
    -- The most that its gas may cost, in gwei.
    cost_gwei     INTEGER NOT NULL,
    -- open: may still be mined; closed: its account nonce was used at a confirmed block.
    status        TEXT    NOT NULL DEFAULT 'open',
    -- It was mined, and moved nothing.
    reverted      INTEGER NOT NULL DEFAULT 0,
    created_ms    INTEGER NOT NULL,
    -- When these bytes were signed: later than created_ms once they replaced others.
    signed_ms     INTEGER NOT NULL,
    CONSTRAINT relayer_transactions_nonce PRIMARY KEY (chain_id, relayer, account_nonce),
    CONSTRAINT relayer_transactions_status_known CHECK (status IN ('open', 'closed')),
    CONSTRAINT relayer_transactions_one_purpose CHECK (payment_id IS NULL OR refund_id IS NULL)
) WITHOUT ROWID;
CREATE UNIQUE INDEX relayer_transactions_one_open ON relayer_transactions (payment_id) WHERE status = 'open';
-- A refund is signed under one account nonce: no two of its transactions can both be mined.
CREATE UNIQUE INDEX relayer_transactions_one_refund ON relayer_transactions (refund_id);
CREATE INDEX relayer_transactions_of_payment ON relayer_transactions (payment_id);
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

-- Payments that a facilitator elsewhere was asked to settle: stored before each request.
CREATE TABLE facilitator_requests (
    payment_id   TEXT    NOT NULL PRIMARY KEY REFERENCES payments (id),
    -- Who was asked last, by host and port.
    facilitator  TEXT    NOT NULL,
    requests     INTEGER NOT NULL,
    requested_ms INTEGER NOT NULL,
    -- The transaction that was answered last: a hint where to look first, and no more.
    hint         BLOB,
    -- The chain would have refused the payment although its time had not run out.
    would_fail   INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT facilitator_requests_positive CHECK (requests > 0)
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

-- Contracts that ever sold credits on a network: what they pass on counts through their events alone.
CREATE TABLE purchase_contracts (
    chain_id   INTEGER NOT NULL,
    address    BLOB    NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (chain_id, address)
) WITHOUT ROWID;

-- How far each network was watched.
CREATE TABLE watch_cursors (
    chain_id    INTEGER NOT NULL PRIMARY KEY,
    -- Nothing before it is ever read.
    first_block INTEGER NOT NULL,
    -- The next block to be read.
    next_block  INTEGER NOT NULL,
    CONSTRAINT watch_cursors_forward CHECK (first_block <= next_block)
) WITHOUT ROWID;

-- Blocks that were watched, by which a reorganization is noticed.
CREATE TABLE watched_blocks (
    chain_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    PRIMARY KEY (chain_id, number)
) WITHOUT ROWID;

-- The ids of the keys that this database was written with.
CREATE TABLE signing_keys (
    kind       TEXT    NOT NULL PRIMARY KEY,
    id         TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- What an operator did by hand, and why.
CREATE TABLE admin_actions (
    id         INTEGER PRIMARY KEY,
    verb       TEXT    NOT NULL,
    arguments  TEXT    NOT NULL,
    note       TEXT,
    created_ms INTEGER NOT NULL
);
CREATE TRIGGER admin_actions_never_change BEFORE UPDATE ON admin_actions BEGIN
    SELECT RAISE(ABORT, 'admin actions are never changed');
END;
CREATE TRIGGER admin_actions_never_go BEFORE DELETE ON admin_actions BEGIN
    SELECT RAISE(ABORT, 'admin actions are never deleted');
END;
