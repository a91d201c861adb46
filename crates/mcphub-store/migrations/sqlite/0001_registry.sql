-- Forward only: a released file is never edited (its checksum is verified), a change is a new file.
-- All pending files run in one transaction; one that rebuilds a table sets
-- `PRAGMA defer_foreign_keys = ON` first. Times are Unix milliseconds, set by SQLite.

PRAGMA application_id = 0x6d637068; -- "mcph", so that a database of another program is told apart

-- How often the registered servers changed. Every change takes the next number and is known by it,
-- so that a revision is never used twice, not even by a name that was removed and came back.
CREATE TABLE registry (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO registry (id, version) VALUES (1, 0);

CREATE TABLE server (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    title        TEXT NOT NULL,
    source       TEXT NOT NULL,
    serve        TEXT NOT NULL,
    base_url     TEXT,
    artifact     TEXT, -- JSON
    tools        INTEGER NOT NULL,
    plan_version INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    fingerprint  TEXT NOT NULL, -- SHA-256 of all of a registration but its credentials
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX server_source ON server (source, name);

-- Apart from its server, so that a list does not step over megabytes.
CREATE TABLE tool_set (
    server_id INTEGER PRIMARY KEY REFERENCES server (id) ON DELETE CASCADE,
    json      TEXT NOT NULL
) STRICT;

-- The bytes of each document once, whoever uploaded it.
CREATE TABLE document (
    digest    TEXT PRIMARY KEY, -- lower-case hex SHA-256
    stored_at INTEGER NOT NULL,
    bytes     BLOB NOT NULL
) STRICT;

-- Every document that a server ever had.
CREATE TABLE document_version (
    server_id   INTEGER NOT NULL REFERENCES server (id) ON DELETE CASCADE,
    revision    INTEGER NOT NULL, -- of the server that came with it
    digest      TEXT NOT NULL REFERENCES document (digest),
    source      TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    current     INTEGER NOT NULL CHECK (current IN (0, 1)),
    PRIMARY KEY (server_id, revision)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX document_version_current ON document_version (server_id) WHERE current = 1;
CREATE INDEX document_version_digest ON document_version (digest);

CREATE TABLE credential (
    server_id  INTEGER NOT NULL REFERENCES server (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL, -- headers are sent in the order in which they were given
    key        TEXT NOT NULL,
    key_id     TEXT NOT NULL, -- of the master key
    nonce      BLOB NOT NULL CHECK (length(nonce) = 12),
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (server_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX credential_key_id ON credential (key_id);
