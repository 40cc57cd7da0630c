-- Accounts and the postings that explain their balances.
CREATE TABLE accounts (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL,
    balance_units INTEGER NOT NULL DEFAULT 0,
    held_units    INTEGER NOT NULL DEFAULT 0,
    -- SQLite makes a sum that leaves 64 bits a floating-point number, in silence.
    CONSTRAINT accounts_whole CHECK (typeof(balance_units) = 'integer' AND typeof(held_units) = 'integer'),
    CONSTRAINT accounts_name_unique UNIQUE (name),
    CONSTRAINT accounts_held_not_negative CHECK (held_units >= 0),
    CONSTRAINT accounts_wallet_covers_holds CHECK (name NOT LIKE 'wallet:%' OR balance_units >= held_units)
);

CREATE TABLE postings (
    id           INTEGER PRIMARY KEY,
    from_account INTEGER NOT NULL REFERENCES accounts (id),
    to_account   INTEGER NOT NULL REFERENCES accounts (id),
    amount_units INTEGER NOT NULL,
    reason       TEXT    NOT NULL,
    -- The charge, payment or grant that the posting belongs to.
    reference    TEXT    NOT NULL,
    created_ms   INTEGER NOT NULL,
    CONSTRAINT postings_two_sides CHECK (from_account <> to_account),
    CONSTRAINT postings_amount_positive CHECK (amount_units > 0),
    CONSTRAINT postings_reason_known CHECK (reason IN (
        'purchase', 'charge', 'direct_call', 'promotion', 'expiry', 'suspense', 'attribution', 'reversal',
        'recovery', 'refund', 'refund_paid', 'refund_void', 'refund_undone'
    ))
);
CREATE INDEX postings_from_account ON postings (from_account);
CREATE INDEX postings_to_account ON postings (to_account);
-- What became of one payment's money, up to those who have it now.
CREATE INDEX postings_of_payment ON postings (reference)
WHERE reason IN ('purchase', 'direct_call', 'suspense', 'attribution', 'reversal', 'recovery', 'refund', 'refund_void');

-- The only statement that moves a balance: so none moves without its posting.
CREATE TRIGGER postings_move_balances AFTER INSERT ON postings BEGIN
    UPDATE accounts SET balance_units = balance_units - NEW.amount_units WHERE id = NEW.from_account;
    UPDATE accounts SET balance_units = balance_units + NEW.amount_units WHERE id = NEW.to_account;
END;
CREATE TRIGGER postings_never_change BEFORE UPDATE ON postings BEGIN
    SELECT RAISE(ABORT, 'postings are never changed');
END;
CREATE TRIGGER postings_never_go BEFORE DELETE ON postings BEGIN
    SELECT RAISE(ABORT, 'postings are never deleted');
END;

-- What a wallet was given, and what is left of it. remaining_units includes held_units.
CREATE TABLE grants (
    id              INTEGER PRIMARY KEY,
    account_id      INTEGER NOT NULL REFERENCES accounts (id),
    source          TEXT    NOT NULL,
    priority        INTEGER NOT NULL,
    expires_ms      INTEGER,
    remaining_units INTEGER NOT NULL,
    held_units      INTEGER NOT NULL DEFAULT 0,
    created_ms      INTEGER NOT NULL,
    CONSTRAINT grants_whole CHECK (typeof(remaining_units) = 'integer' AND typeof(held_units) = 'integer'),
    CONSTRAINT grants_held_within_remaining CHECK (0 <= held_units AND held_units <= remaining_units),
    CONSTRAINT grants_source_known CHECK (source IN ('x402', 'on_chain', 'card', 'promotion', 'refund'))
);
-- Grants that do not expire merge, so that dust cannot slow anyone's spends.
CREATE UNIQUE INDEX grants_merge ON grants (account_id, source, priority) WHERE expires_ms IS NULL;
CREATE INDEX grants_account ON grants (account_id) WHERE remaining_units > 0;
CREATE INDEX grants_expiry ON grants (expires_ms) WHERE expires_ms IS NOT NULL AND remaining_units > held_units;

-- Price lists by the hash that session nonces carry.
CREATE TABLE price_lists (
    hash       BLOB    NOT NULL PRIMARY KEY,
    text       TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE charges (
    id            TEXT    NOT NULL PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES accounts (id),
    session       TEXT    NOT NULL,
    request_id    TEXT    NOT NULL,
    tool          TEXT    NOT NULL,
    action        TEXT    NOT NULL,
    price_units   INTEGER NOT NULL,
    price_list    BLOB    NOT NULL,
    -- What the payer signed: message and signature prove the charge to anyone.
    message       TEXT    NOT NULL,
    signature     BLOB    NOT NULL,
    payload_hash  BLOB    NOT NULL,
    result_hash   BLOB,
    credit_source TEXT    NOT NULL,
    status        TEXT    NOT NULL DEFAULT 'held',
    deadline_ms   INTEGER NOT NULL,
    created_ms    INTEGER NOT NULL,
    finished_ms   INTEGER,
    CONSTRAINT charges_price_positive CHECK (price_units > 0),
    CONSTRAINT charges_status_known CHECK (status IN ('held', 'captured', 'voided')),
    CONSTRAINT charges_finish_once CHECK ((status = 'held') = (finished_ms IS NULL))
) WITHOUT ROWID;
CREATE INDEX charges_held ON charges (deadline_ms) WHERE status = 'held';

CREATE TRIGGER charges_change_only_when_held BEFORE UPDATE ON charges WHEN OLD.status <> 'held' BEGIN
    SELECT RAISE(ABORT, 'a finished charge is never changed');
END;
CREATE TRIGGER charges_never_go BEFORE DELETE ON charges BEGIN
    SELECT RAISE(ABORT, 'charges are never deleted');
END;

-- What a hold took, from which grants. A capture posts exactly this.
CREATE TABLE allocations (
    charge_id    TEXT    NOT NULL REFERENCES charges (id),
    grant_id     INTEGER NOT NULL REFERENCES grants (id),
    amount_units INTEGER NOT NULL,
    PRIMARY KEY (charge_id, grant_id),
    CONSTRAINT allocations_amount_positive CHECK (amount_units > 0)
) WITHOUT ROWID;
CREATE TRIGGER allocations_never_change BEFORE UPDATE ON allocations BEGIN
    SELECT RAISE(ABORT, 'allocations are never changed');
END;
CREATE TRIGGER allocations_never_go BEFORE DELETE ON allocations BEGIN
    SELECT RAISE(ABORT, 'allocations are never deleted');
END;

-- Idempotency, apart from history: rows go when their time is over.
CREATE TABLE requests (
    wallet          TEXT    NOT NULL,
    session         TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    charge_id       TEXT    NOT NULL REFERENCES charges (id),
    expires_ms      INTEGER NOT NULL,
    -- The stored reply: absent while the call runs and when a crash voided its hold.
    reply_kind      TEXT,
    reply_status    INTEGER,
    reply_body      BLOB,
    balance_units   INTEGER,
    CONSTRAINT requests_key PRIMARY KEY (wallet, session, request_id),
    CONSTRAINT requests_reply_kind_known CHECK (reply_kind IN ('captured', 'failed', 'timed_out'))
) WITHOUT ROWID;
CREATE INDEX requests_charge ON requests (charge_id);
CREATE INDEX requests_expiry ON requests (expires_ms);

-- Bytes of stored replies, of calls and of direct calls.
CREATE TABLE reply_bytes (
    id    INTEGER PRIMARY KEY CONSTRAINT reply_bytes_one_row CHECK (id = 1),
    total INTEGER NOT NULL
);
INSERT INTO reply_bytes (id, total) VALUES (1, 0);
CREATE TRIGGER requests_count_reply AFTER UPDATE OF reply_body ON requests BEGIN
    UPDATE reply_bytes
    SET total = total + coalesce(length(NEW.reply_body), 0) - coalesce(length(OLD.reply_body), 0);
END;
CREATE TRIGGER requests_uncount_reply AFTER DELETE ON requests WHEN OLD.reply_body IS NOT NULL BEGIN
    UPDATE reply_bytes SET total = total - length(OLD.reply_body);
END;
