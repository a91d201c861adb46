-- Users, what they are in each tenant, and whose a key is.
CREATE TABLE account (
    name        TEXT COLLATE "C" PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('person', 'service')),
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE role (
    tenant_id   BIGINT NOT NULL REFERENCES tenant (id),
    name        TEXT COLLATE "C" NOT NULL,
    permissions TEXT NOT NULL, -- JSON
    revision    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE membership (
    tenant_id  BIGINT NOT NULL REFERENCES tenant (id),
    account    TEXT COLLATE "C" NOT NULL REFERENCES account (name),
    role       TEXT COLLATE "C" NOT NULL,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, account),
    FOREIGN KEY (tenant_id, role) REFERENCES role (tenant_id, name)
);

CREATE INDEX membership_account ON membership (account);
CREATE INDEX membership_role ON membership (tenant_id, role);

ALTER TABLE api_key ADD COLUMN account TEXT COLLATE "C" REFERENCES account (name); -- of the tenant itself where absent

CREATE INDEX api_key_account ON api_key (account);
