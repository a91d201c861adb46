-- Work that is done once, by whichever node.
CREATE TABLE job (
    tenant_id  INTEGER NOT NULL REFERENCES tenant (id),
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL, -- what its name begins with
    detail     TEXT NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL, -- of one that is claimed: when the claim ends
    begun      INTEGER NOT NULL, -- how often; tells a claim from those before
    attempts   INTEGER NOT NULL, -- how often it is begun at most
    error      TEXT, -- why it failed the last time
    failed_at  INTEGER, -- since when nobody tries any more
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_due ON job (tenant_id, kind, due_at) WHERE failed_at IS NULL;
