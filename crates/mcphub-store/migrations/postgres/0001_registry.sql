-- Forward only: a released file is never edited (its checksum is verified), a change is a new file.
-- All pending files run in one transaction, with the store's schema as the search path. A number
-- means the same as in `migrations/sqlite`. Times are Unix milliseconds of the node that writes.

-- How often the registered servers changed. Every change takes the next number and is known by it,
-- so that a revision is never used twice, not even by a name that was removed and came back.
CREATE TABLE registry (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);

INSERT INTO registry (id, version) VALUES (1, 0);

CREATE TABLE server (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL UNIQUE, -- sorted by its bytes, whatever the database's locale
    title        TEXT NOT NULL,
    source       TEXT NOT NULL,
    serve        TEXT NOT NULL,
    base_url     TEXT,
    artifact     TEXT, -- JSON
    tools        BIGINT NOT NULL,
    plan_version BIGINT NOT NULL,
    revision     BIGINT NOT NULL,
    fingerprint  TEXT NOT NULL, -- SHA-256 of all of a registration but its credentials
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);

-- By hash, because a source can be longer than what a tree takes.
CREATE INDEX server_source ON server USING hash (source);

-- Apart from its server, so that a list does not step over megabytes.
CREATE TABLE tool_set (
    server_id BIGINT PRIMARY KEY REFERENCES server (id) ON DELETE CASCADE,
    json      TEXT NOT NULL -- not JSONB, which loses the order of members and big numbers
);

-- The bytes of each document once, whoever uploaded it.
CREATE TABLE document (
    digest    TEXT COLLATE "C" PRIMARY KEY, -- lower-case hex SHA-256
    stored_at BIGINT NOT NULL,
    bytes     BYTEA NOT NULL
);

-- Every document that a server ever had.
CREATE TABLE document_version (
    server_id   BIGINT NOT NULL REFERENCES server (id) ON DELETE CASCADE,
    revision    BIGINT NOT NULL, -- of the server that came with it
    digest      TEXT COLLATE "C" NOT NULL REFERENCES document (digest),
    source      TEXT NOT NULL,
    uploaded_at BIGINT NOT NULL,
    current     BIGINT NOT NULL CHECK (current IN (0, 1)),
    PRIMARY KEY (server_id, revision)
);

CREATE UNIQUE INDEX document_version_current ON document_version (server_id) WHERE current = 1;
CREATE INDEX document_version_digest ON document_version (digest);

CREATE TABLE credential (
    server_id  BIGINT NOT NULL REFERENCES server (id) ON DELETE CASCADE,
    position   BIGINT NOT NULL, -- headers are sent in the order in which they were given
    key        TEXT NOT NULL,
    key_id     TEXT COLLATE "C" NOT NULL, -- of the master key
    nonce      BYTEA NOT NULL CHECK (length(nonce) = 12),
    ciphertext BYTEA NOT NULL,
    PRIMARY KEY (server_id, position)
);

CREATE INDEX credential_key_id ON credential (key_id);
