-- Words that are found as fast in a large store as in a small one. Each begins with what it is: `t`
-- the tenant, `h` a word of a name or title, `b` one of a description alone. So no search looks at
-- the columns of what it finds, and the beginnings of words, up to three letters after the first,
-- have an index. `tool_word` and `server_word` tell which words begin with more letters than that.
-- The rows are written when the store is opened, from `tool_set`.

DROP TRIGGER tool_text_follows;
DROP TRIGGER server_text_follows;
DROP TABLE tool_text;
DROP TABLE server_text;

CREATE VIRTUAL TABLE tool_text USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, prefix = '2 3 4', tokenize = 'ascii'
);

CREATE VIRTUAL TABLE server_text USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, prefix = '2 3 4', tokenize = 'ascii'
);

CREATE VIRTUAL TABLE tool_word USING fts5vocab (tool_text, instance);
CREATE VIRTUAL TABLE server_word USING fts5vocab (server_text, instance);

CREATE TRIGGER tool_text_follows AFTER DELETE ON tool
BEGIN
    DELETE FROM tool_text WHERE rowid = old.id;
END;

CREATE TRIGGER server_text_follows AFTER DELETE ON server
BEGIN
    DELETE FROM server_text WHERE rowid = old.id;
END;

UPDATE server SET indexed = 0;
