-- The oldest entries of the audit log may be removed: those up to a number that is noted before, in
-- the transaction that adds an entry about it.

ALTER TABLE tenant ADD COLUMN audit_pruned BIGINT NOT NULL DEFAULT 0;

CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.sequence <= (SELECT audit_pruned FROM tenant WHERE id = OLD.tenant_id) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
