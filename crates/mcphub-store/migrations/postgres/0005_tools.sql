-- The tools of servers in rows of their own, so that servers are found by their tools, and both by
-- words. They are made of `tool_set`, in the same transaction, and of what was there before when
-- the store is opened.

ALTER TABLE server ADD COLUMN indexed     BIGINT NOT NULL DEFAULT 0; -- the revision that this is of
ALTER TABLE server ADD COLUMN read_only   BIGINT NOT NULL DEFAULT 0; -- how many tools are of this kind
ALTER TABLE server ADD COLUMN additive    BIGINT NOT NULL DEFAULT 0;
ALTER TABLE server ADD COLUMN destructive BIGINT NOT NULL DEFAULT 0;
ALTER TABLE server ADD COLUMN words       TSVECTOR NOT NULL DEFAULT '';

CREATE INDEX server_not_indexed ON server (tenant_id, id) WHERE indexed <> revision;
CREATE INDEX server_serve ON server (tenant_id, serve, name);
CREATE INDEX server_read_only ON server (tenant_id, name) WHERE read_only > 0;
CREATE INDEX server_additive ON server (tenant_id, name) WHERE additive > 0;
CREATE INDEX server_destructive ON server (tenant_id, name) WHERE destructive > 0;
CREATE INDEX server_words ON server USING gin (words) WITH (gin_pending_list_limit = 256);
DROP INDEX server_removed;
CREATE INDEX server_removed ON server (tenant_id, name) WHERE removed_at IS NOT NULL;

CREATE TABLE tool (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- kept when a server is saved again
    tenant_id   BIGINT NOT NULL,
    server_id   BIGINT NOT NULL REFERENCES server (id) ON DELETE CASCADE,
    server      TEXT COLLATE "C" NOT NULL, -- its name, which never changes
    name        TEXT COLLATE "C" NOT NULL,
    kind        TEXT NOT NULL,
    title       TEXT,
    description TEXT NOT NULL,
    words       TSVECTOR NOT NULL, -- those of name and title with the weight A; the tenant is one
    UNIQUE (server_id, name)
);

CREATE INDEX tool_name ON tool (tenant_id, name, server);
CREATE INDEX tool_words ON tool USING gin (words) WITH (gin_pending_list_limit = 256);
