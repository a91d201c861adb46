-- Which tools have a word, in plain rows that are the same on both engines: for each word and block of
-- 64 tools one integer, with a bit for each tool. A search reads them in the order of tools, so that
-- it ends when its page is full, and two words are met where their bits are. A word begins with what
-- it is: `h` one of a name or title, `b` one of a description alone, `H` and `B` the first one to three
-- letters of such words, `@` what kind the tool is of. The rows are written when the store is opened,
-- from `tool_set`.

DROP TRIGGER tool_text_follows;
DROP TABLE tool_word;
DROP TABLE tool_text;

CREATE TABLE tool_posting (
    tenant_id INTEGER NOT NULL,
    word      TEXT NOT NULL,
    block     INTEGER NOT NULL, -- a tool's number divided by 64
    tools     INTEGER NOT NULL, -- bit 0 is the block's first tool
    PRIMARY KEY (tenant_id, word, block)
) STRICT, WITHOUT ROWID;

DELETE FROM tool;
UPDATE server SET indexed = 0;
