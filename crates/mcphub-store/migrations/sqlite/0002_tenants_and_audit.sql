-- Tenants, each with its own servers, count of changes and audit log; servers that were removed and
-- may come back. A name is unique in its tenant, so that tables which refer to a server are made
-- anew: renaming keeps their rows, where dropping would take them along.

CREATE TABLE tenant (
    id             INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    version        INTEGER NOT NULL, -- how often its servers changed
    audit_sequence INTEGER NOT NULL, -- of the newest entry of its audit log; 0 before the first
    audit_hash     BLOB NOT NULL CHECK (length(audit_hash) = 32),
    created_at     INTEGER NOT NULL
) STRICT;

INSERT INTO tenant (id, name, version, audit_sequence, audit_hash, created_at)
SELECT 1, 'default', version, 0, zeroblob(32), CAST(unixepoch('subsec') * 1000 AS INTEGER)
FROM registry;

DROP TABLE registry;

DROP INDEX server_source;
DROP INDEX document_version_current;
DROP INDEX document_version_digest;
DROP INDEX credential_key_id;
ALTER TABLE server RENAME TO server_1;
ALTER TABLE tool_set RENAME TO tool_set_1;
ALTER TABLE document RENAME TO document_1;
ALTER TABLE document_version RENAME TO document_version_1;
ALTER TABLE credential RENAME TO credential_1;

CREATE TABLE server (
    id           INTEGER PRIMARY KEY,
    tenant_id    INTEGER NOT NULL REFERENCES tenant (id),
    name         TEXT NOT NULL,
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
    updated_at   INTEGER NOT NULL,
    removed_at   INTEGER, -- when it was removed, until it is restored or purged
    UNIQUE (tenant_id, name)
) STRICT;

CREATE INDEX server_source ON server (tenant_id, source, name) WHERE removed_at IS NULL;
CREATE INDEX server_removed ON server (tenant_id, removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE tool_set (
    server_id INTEGER PRIMARY KEY REFERENCES server (id) ON DELETE CASCADE,
    json      TEXT NOT NULL
) STRICT;

-- The bytes of each document once in its tenant, whoever uploaded it.
CREATE TABLE document (
    tenant_id INTEGER NOT NULL REFERENCES tenant (id),
    digest    TEXT NOT NULL, -- lower-case hex SHA-256
    stored_at INTEGER NOT NULL,
    bytes     BLOB NOT NULL,
    PRIMARY KEY (tenant_id, digest)
) STRICT;

-- The newest documents that a server had.
CREATE TABLE document_version (
    server_id   INTEGER NOT NULL REFERENCES server (id) ON DELETE CASCADE,
    revision    INTEGER NOT NULL, -- of the server that came with it
    tenant_id   INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    source      TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    current     INTEGER NOT NULL CHECK (current IN (0, 1)),
    PRIMARY KEY (server_id, revision),
    FOREIGN KEY (tenant_id, digest) REFERENCES document (tenant_id, digest)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX document_version_current ON document_version (server_id) WHERE current = 1;
CREATE INDEX document_version_digest ON document_version (tenant_id, digest);

CREATE TABLE credential (
    server_id  INTEGER NOT NULL REFERENCES server (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL, -- headers are sent in the order in which they were given
    key        TEXT NOT NULL,
    key_id     TEXT NOT NULL, -- of the key that it is encrypted with
    nonce      BLOB NOT NULL CHECK (length(nonce) = 12),
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (server_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX credential_key_id ON credential (key_id);

INSERT INTO server (id, tenant_id, name, title, source, serve, base_url, artifact, tools,
                    plan_version, revision, fingerprint, created_at, updated_at, removed_at)
SELECT id, 1, name, title, source, serve, base_url, artifact, tools, plan_version, revision,
       fingerprint, created_at, updated_at, NULL
FROM server_1;
INSERT INTO tool_set SELECT server_id, json FROM tool_set_1;
INSERT INTO document (tenant_id, digest, stored_at, bytes)
SELECT 1, digest, stored_at, bytes FROM document_1;
INSERT INTO document_version (server_id, revision, tenant_id, digest, source, uploaded_at, current)
SELECT server_id, revision, 1, digest, source, uploaded_at, current FROM document_version_1;
INSERT INTO credential
SELECT server_id, position, key, key_id, nonce, ciphertext FROM credential_1;

DROP TABLE credential_1;
DROP TABLE document_version_1;
DROP TABLE document_1;
DROP TABLE tool_set_1;
DROP TABLE server_1;

-- What was changed, by whom. Written in the transaction of the change, each entry with a hash over
-- itself and the one before it.
CREATE TABLE audit (
    tenant_id INTEGER NOT NULL REFERENCES tenant (id),
    sequence  INTEGER NOT NULL, -- 1, 2, 3 … in its tenant
    at        INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    target    TEXT NOT NULL,
    detail    TEXT NOT NULL, -- JSON, byte for byte what was hashed
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_actor ON audit (tenant_id, actor, sequence);
CREATE INDEX audit_action ON audit (tenant_id, action, sequence);
CREATE INDEX audit_target ON audit (tenant_id, target, sequence);

CREATE TRIGGER audit_is_not_altered BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
