-- The tools of servers in rows of their own, so that servers are found by their tools, and both by
-- words. They are made of `tool_set`, in the same transaction, and of what was there before when
-- the store is opened.

ALTER TABLE server ADD COLUMN indexed     INTEGER NOT NULL DEFAULT 0; -- the revision that this is of
ALTER TABLE server ADD COLUMN read_only   INTEGER NOT NULL DEFAULT 0; -- how many tools are of this kind
ALTER TABLE server ADD COLUMN additive    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE server ADD COLUMN destructive INTEGER NOT NULL DEFAULT 0;

CREATE INDEX server_not_indexed ON server (tenant_id, id) WHERE indexed <> revision;
CREATE INDEX server_serve ON server (tenant_id, serve, name);
CREATE INDEX server_read_only ON server (tenant_id, name) WHERE read_only > 0;
CREATE INDEX server_additive ON server (tenant_id, name) WHERE additive > 0;
CREATE INDEX server_destructive ON server (tenant_id, name) WHERE destructive > 0;
DROP INDEX server_removed;
CREATE INDEX server_removed ON server (tenant_id, name) WHERE removed_at IS NOT NULL;

CREATE TABLE tool (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- kept when a server is saved again
    tenant_id   INTEGER NOT NULL,
    server_id   INTEGER NOT NULL REFERENCES server (id) ON DELETE CASCADE,
    server      TEXT NOT NULL, -- its name, which never changes
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    title       TEXT,
    description TEXT NOT NULL,
    UNIQUE (server_id, name)
) STRICT;

CREATE INDEX tool_name ON tool (tenant_id, name, server);

-- Words, each with the tenant in a column of its own. What is not ASCII is part of a word: mcphub
-- tells words apart before they come here.
CREATE VIRTUAL TABLE tool_text USING fts5 (
    tenant, heading, body,
    content = '', contentless_delete = 1, detail = column, tokenize = 'ascii'
);

CREATE VIRTUAL TABLE server_text USING fts5 (
    tenant, heading,
    content = '', contentless_delete = 1, detail = column, tokenize = 'ascii'
);

CREATE TRIGGER tool_text_follows AFTER DELETE ON tool
BEGIN
    DELETE FROM tool_text WHERE rowid = old.id;
END;

CREATE TRIGGER server_text_follows AFTER DELETE ON server
BEGIN
    DELETE FROM server_text WHERE rowid = old.id;
END;
