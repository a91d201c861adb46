-- What programs are let in with.
CREATE TABLE api_key (
    id           INTEGER PRIMARY KEY,
    tenant_id    INTEGER NOT NULL REFERENCES tenant (id),
    name         TEXT NOT NULL,
    permissions  TEXT NOT NULL, -- JSON
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER, -- to the minute
    UNIQUE (tenant_id, name)
) STRICT;

-- The tokens of a key: the newest, and the one before it while that is still good.
CREATE TABLE api_key_token (
    digest     BLOB PRIMARY KEY CHECK (length(digest) = 32), -- SHA-256 of 256 random bits
    api_key_id INTEGER NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    ends_at    INTEGER -- when it does, because there is a newer one
) STRICT, WITHOUT ROWID;

CREATE INDEX api_key_token_key ON api_key_token (api_key_id);
CREATE UNIQUE INDEX api_key_token_newest ON api_key_token (api_key_id) WHERE ends_at IS NULL;
