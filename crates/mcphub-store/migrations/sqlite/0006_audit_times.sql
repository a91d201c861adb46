-- Entries of the audit log by time. From now on no entry is before the one that it follows.

ALTER TABLE tenant ADD COLUMN audit_at INTEGER NOT NULL DEFAULT 0; -- of the newest entry

UPDATE tenant
SET audit_at = coalesce((SELECT max(at) FROM audit WHERE tenant_id = tenant.id), 0);

CREATE INDEX audit_at ON audit (tenant_id, at, sequence);
