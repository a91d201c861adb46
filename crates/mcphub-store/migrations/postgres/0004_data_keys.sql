-- The keys that credentials are encrypted with, each encrypted itself ("wrapped") with a master key
-- that no database sees. Credentials of before are encrypted with the master key itself, whose id
-- their `key_id` has then.
CREATE TABLE data_key (
    id         TEXT COLLATE "C" PRIMARY KEY,
    wrapped    BYTEA NOT NULL,
    wrapped_by TEXT COLLATE "C" NOT NULL, -- the id of the master key
    current    BIGINT NOT NULL CHECK (current IN (0, 1)), -- whether new credentials get it
    complete   BIGINT NOT NULL CHECK (complete IN (0, 1)), -- whether no change to it was broken off
    created_at BIGINT NOT NULL,
    retired_at BIGINT -- since when it is not current
);

CREATE UNIQUE INDEX data_key_current ON data_key (current) WHERE current = 1;
