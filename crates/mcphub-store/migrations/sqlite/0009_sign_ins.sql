-- Passwords of users, and what they are signed in to.
ALTER TABLE account ADD COLUMN password TEXT; -- a hash: Argon2id, or another system's bcrypt until they sign in

CREATE TABLE sign_in (
    family         BLOB PRIMARY KEY CHECK (length(family) = 32), -- SHA-256 of what its refresh tokens have in common
    tenant_id      INTEGER NOT NULL REFERENCES tenant (id),
    account        TEXT NOT NULL REFERENCES account (name),
    turn           BLOB NOT NULL CHECK (length(turn) = 32), -- SHA-256 of what only the newest of them has
    access         BLOB NOT NULL UNIQUE CHECK (length(access) = 32), -- SHA-256 of the newest access token
    access_ends_at INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    refreshed_at   INTEGER NOT NULL,
    lapses_at      INTEGER NOT NULL CHECK (lapses_at <= ends_at), -- unless it is refreshed before
    ends_at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_in_account ON sign_in (account);
CREATE INDEX sign_in_lapses ON sign_in (lapses_at);
CREATE INDEX sign_in_tenant ON sign_in (tenant_id, account, refreshed_at);
