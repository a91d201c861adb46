-- Selections of what servers have, under names of their own.
CREATE TABLE virtual_server (
    tenant_id  BIGINT NOT NULL REFERENCES tenant (id),
    name       TEXT COLLATE "C" NOT NULL, -- none that a server has which is not removed
    definition TEXT NOT NULL, -- JSON
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
