-- Users, what they are in each tenant, and whose a key is.
CREATE TABLE account (
    name        TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('person', 'service')),
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE role (
    tenant_id   INTEGER NOT NULL REFERENCES tenant (id),
    name        TEXT NOT NULL,
    permissions TEXT NOT NULL, -- JSON
    revision    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE membership (
    tenant_id  INTEGER NOT NULL REFERENCES tenant (id),
    account    TEXT NOT NULL REFERENCES account (name),
    role       TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, account),
    FOREIGN KEY (tenant_id, role) REFERENCES role (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX membership_account ON membership (account);
CREATE INDEX membership_role ON membership (tenant_id, role);

ALTER TABLE api_key ADD COLUMN account TEXT REFERENCES account (name); -- of the tenant itself where absent

CREATE INDEX api_key_account ON api_key (account);
