//! The lines of an archive.

use mcphub_core::audit::{AuditEntry, Hash};
use serde::{Deserialize, Serialize};

/// One line: an object with a single member, whose name says what it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Line {
    Archive(Header),
    User(User),
    Tenant(Tenant),
    Document(Document),
    Server(Box<Server>),
    VirtualServer(VirtualServer),
    Role(Role),
    Member(Member),
    ApiKey(ApiKey),
    Audit(Audit),
    End(End),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) format: u32,
    pub(super) schema: i64,
    /// The key that credentials are encrypted with; without one they were left out.
    pub(super) secrets: Option<Secrets>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secrets {
    pub(super) key_id: String,
    /// In base64.
    pub(super) wrapped: String,
    pub(super) wrapped_by: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tenant {
    pub(super) name: String,
    pub(super) version: i64,
    pub(super) created_at: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) tenant: String,
    pub(super) digest: String,
    pub(super) stored_at: i64,
    /// In base64.
    pub(super) bytes: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    pub(super) tenant: String,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) source: String,
    pub(super) serve: String,
    pub(super) base_url: Option<String>,
    pub(super) artifact: Option<String>,
    pub(super) tools: i64,
    pub(super) plan_version: i64,
    pub(super) revision: i64,
    pub(super) fingerprint: String,
    /// JSON, as text.
    pub(super) choices: String,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) removed_at: Option<i64>,
    /// JSON, as text: numbers and the order of members stay as they are.
    pub(super) plan: String,
    pub(super) documents: Vec<Version>,
    pub(super) credentials: Vec<Credential>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VirtualServer {
    pub(super) tenant: String,
    pub(super) name: String,
    /// JSON, as text.
    pub(super) definition: String,
    pub(super) revision: i64,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) revision: i64,
    pub(super) digest: String,
    pub(super) source: String,
    pub(super) uploaded_at: i64,
    pub(super) current: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credential {
    pub(super) key: String,
    /// In base64.
    pub(super) nonce: String,
    /// In base64.
    pub(super) ciphertext: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) created_at: i64,
    pub(super) disabled_at: Option<i64>,
    /// The hash of it, if they have one and secrets were not left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<Password>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Password {
    /// In base64.
    pub(super) nonce: String,
    /// In base64.
    pub(super) ciphertext: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Role {
    pub(super) tenant: String,
    pub(super) name: String,
    /// JSON, as text.
    pub(super) permissions: String,
    pub(super) revision: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    pub(super) tenant: String,
    pub(super) user: String,
    pub(super) role: String,
    pub(super) revision: i64,
    pub(super) since: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKey {
    pub(super) tenant: String,
    pub(super) name: String,
    /// Absent in archives of before there were users.
    #[serde(default)]
    pub(super) user: Option<String>,
    /// JSON, as text.
    pub(super) permissions: String,
    pub(super) created_at: i64,
    pub(super) expires_at: Option<i64>,
    pub(super) revoked_at: Option<i64>,
    pub(super) last_used_at: Option<i64>,
    pub(super) tokens: Vec<Token>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Token {
    /// In base64.
    pub(super) digest: String,
    pub(super) created_at: i64,
    pub(super) ends_at: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Audit {
    pub(super) tenant: String,
    pub(super) entry: AuditEntry,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct End {
    pub(super) lines: u64,
    pub(super) sha256: Hash,
}
