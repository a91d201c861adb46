-- Selections of what servers have, under names of their own.
CREATE TABLE virtual_server (
    tenant_id  INTEGER NOT NULL REFERENCES tenant (id),
    name       TEXT NOT NULL, -- none that a server has which is not removed
    definition TEXT NOT NULL, -- JSON
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
