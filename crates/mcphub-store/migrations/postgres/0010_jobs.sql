-- Work that is done once, by whichever node.
CREATE TABLE job (
    tenant_id  BIGINT NOT NULL REFERENCES tenant (id),
    name       TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL, -- what its name begins with
    detail     TEXT NOT NULL, -- JSON
    created_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL, -- of one that is claimed: when the claim ends
    begun      BIGINT NOT NULL, -- how often; tells a claim from those before
    attempts   BIGINT NOT NULL, -- how often it is begun at most
    error      TEXT, -- why it failed the last time
    failed_at  BIGINT, -- since when nobody tries any more
    PRIMARY KEY (tenant_id, name)
);

CREATE INDEX job_due ON job (tenant_id, kind, due_at) WHERE failed_at IS NULL;
