-- Which tools have a word, in plain rows that are the same on both engines: for each word and block of
-- 64 tools one integer, with a bit for each tool. A search reads them in the order of tools, so that
-- it ends when its page is full, and two words are met where their bits are. A word begins with what
-- it is: `h` one of a name or title, `b` one of a description alone, `H` and `B` the first one to three
-- letters of such words, `@` what kind the tool is of. The rows are written when the store is opened,
-- from `tool_set`.

CREATE TABLE tool_posting (
    tenant_id BIGINT NOT NULL,
    word      TEXT COLLATE "C" NOT NULL,
    block     BIGINT NOT NULL, -- a tool's number divided by 64
    tools     BIGINT NOT NULL, -- bit 0 is the block's first tool
    PRIMARY KEY (tenant_id, word, block)
);

TRUNCATE tool;
ALTER TABLE tool DROP COLUMN words;
UPDATE server SET indexed = 0;
