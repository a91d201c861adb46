-- What was chosen for the tools of a server, so that it can be planned again: JSON.

ALTER TABLE server ADD COLUMN choices TEXT NOT NULL DEFAULT '{}';
