-- The oldest entries of the audit log may be removed: those up to a number that is noted before, in
-- the transaction that adds an entry about it.

ALTER TABLE tenant ADD COLUMN audit_pruned INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER audit_is_not_shortened;

CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
WHEN old.sequence > (SELECT audit_pruned FROM tenant WHERE id = old.tenant_id)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
