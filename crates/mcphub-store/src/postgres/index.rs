//! Which indexes there have to be, beside those of keys.

/// As the migrations make them.
const INDEXES: [(&str, &str); 26] = [
    ("api_key_account", "api_key (account)"),
    ("api_key_token_key", "api_key_token (api_key_id)"),
    (
        "api_key_token_newest",
        "api_key_token (api_key_id) WHERE ends_at IS NULL",
    ),
    ("audit_action", "audit (tenant_id, action, sequence)"),
    ("audit_actor", "audit (tenant_id, actor, sequence)"),
    ("audit_at", "audit (tenant_id, at, sequence)"),
    ("audit_target", "audit (tenant_id, target, sequence)"),
    ("credential_key_id", "credential (key_id)"),
    ("data_key_current", "data_key (current) WHERE current = 1"),
    (
        "document_version_current",
        "document_version (server_id) WHERE current = 1",
    ),
    (
        "document_version_digest",
        "document_version (tenant_id, digest)",
    ),
    (
        "job_due",
        "job (tenant_id, kind, due_at) WHERE failed_at IS NULL",
    ),
    ("membership_account", "membership (account)"),
    ("membership_role", "membership (tenant_id, role)"),
    (
        "server_additive",
        "server (tenant_id, name) WHERE additive > 0",
    ),
    (
        "server_destructive",
        "server (tenant_id, name) WHERE destructive > 0",
    ),
    (
        "server_not_indexed",
        "server (tenant_id, id) WHERE indexed <> revision",
    ),
    (
        "server_read_only",
        "server (tenant_id, name) WHERE read_only > 0",
    ),
    (
        "server_removed",
        "server (tenant_id, name) WHERE removed_at IS NOT NULL",
    ),
    ("server_serve", "server (tenant_id, serve, name)"),
    ("server_source", "server USING hash (source)"),
    (
        "server_words",
        "server USING gin (words) WITH (gin_pending_list_limit = 256)",
    ),
    ("sign_in_account", "sign_in (account)"),
    ("sign_in_lapses", "sign_in (lapses_at)"),
    (
        "sign_in_tenant",
        "sign_in (tenant_id, account, refreshed_at)",
    ),
    ("tool_name", "tool (tenant_id, name, server)"),
];

/// Those that keep something from being there twice.
const UNIQUE: [&str; 3] = [
    "api_key_token_newest",
    "data_key_current",
    "document_version_current",
];

/// The name of every index, and the statement that makes it.
pub(crate) fn indexes() -> Vec<(String, String)> {
    let indexes = INDEXES.iter().map(|(name, on)| {
        let unique = if UNIQUE.contains(name) { "UNIQUE " } else { "" };
        let statement = format!("CREATE {unique}INDEX {name} ON {on}");
        ((*name).to_owned(), statement)
    });
    indexes.collect()
}
