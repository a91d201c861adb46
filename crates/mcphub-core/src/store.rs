//! The store: small traits for what the platform knows, and the bundle [`Store`].
//!
//! A handle on a store is bound to a [`Scope`]: it sees one tenant, and what it changes is in that
//! tenant's audit log under one actor. No method takes a tenant, so that none can be given a wrong
//! one; [`Tenants`] is the way to other handles.

mod search;
mod selection;
mod servers;

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::audit::{AuditHead, AuditNote, AuditPage, AuditQuery, Hash};
use crate::job::{ClaimedJob, JobListing, JobName, NewJob};
use crate::key::{FoundApiKey, KeyListing, KeyName, NewApiKey};
use crate::password::PasswordHash;
use crate::principal::Permissions;
use crate::role::{MembershipListing, RoleListing, RoleName};
use crate::secret::{Credentials, Grant};
use crate::server::ServerName;
use crate::sign_in::{
    Account, FoundSignIn, NewSignIn, Refreshed, SignInId, SignInListing, SignInPlace, TokenDigests,
};
use crate::spec::Document;
use crate::tenant::{Scope, TenantListing, TenantName};
use crate::user::{UserKind, UserListing, UserName};

pub use search::{FoundTool, ToolPage, ToolPlace, ToolSearch};
pub use selection::VirtualServerStore;
pub use servers::{
    Listing, Page, Registration, Saved, ServerFilter, ServerRevision, ServerStatus, ServerStore,
    ServerSummary,
};

/// Everything that a host keeps of one tenant.
pub trait Store:
    ServerStore
    + VirtualServerStore
    + DocumentStore
    + CredentialStore
    + ApiKeyStore
    + RoleStore
    + MembershipStore
    + SignInStore
    + JobStore
    + AuditStore
    + AuditRetention
{
}

impl<T> Store for T where
    T: ServerStore
        + VirtualServerStore
        + DocumentStore
        + CredentialStore
        + ApiKeyStore
        + RoleStore
        + MembershipStore
        + SignInStore
        + JobStore
        + AuditStore
        + AuditRetention
{
}

/// Everybody that a host knows, and the way to the store of each tenant.
pub trait People: Users + Passwords + Tenants {}

impl<T: Users + Passwords + Tenants> People for T {}

/// Uploaded documents.
///
/// # Behavior
/// - The document of a server is the one last saved, byte for byte.
/// - `document_versions` has the newest first, each with the revision that it came with, and its pages
///   join; the newest [`DocumentVersion::KEPT`] are kept, and the current one always.
/// - `document_at` gives a version that is kept, byte for byte.
#[async_trait]
pub trait DocumentStore: Send + Sync + Debug + 'static {
    /// The current document of a server.
    async fn document(&self, server: &ServerName) -> Result<Option<Document>>;

    /// At most `limit` of the documents that a server had, without their bytes, from before a revision;
    /// none for an unknown one. A limit that is not 1 to 1,000 is `InvalidInput`.
    async fn document_versions(
        &self,
        server: &ServerName,
        before: Option<u64>,
        limit: u32,
    ) -> Result<DocumentListing>;

    /// The document that came with a revision of a server, if it is kept.
    async fn document_at(&self, server: &ServerName, revision: u64) -> Result<Option<Document>>;
}

/// A document that a server had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentVersion {
    /// The server's revision that came with it.
    pub revision: u64,
    /// When, in Unix milliseconds.
    pub uploaded_at: i64,
    /// Where it came from.
    pub source: String,
    /// Its SHA-256.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is the one that is served.
    pub current: bool,
}

/// A page of the documents that a server had.
#[derive(Debug, Clone, Default)]
pub struct DocumentListing {
    /// The newest first.
    pub versions: Vec<DocumentVersion>,
    /// The revision before which the next page begins, if there is one.
    pub next: Option<u64>,
}

impl DocumentVersion {
    /// How many are kept of a server.
    pub const KEPT: u32 = 50;
}

/// Credentials, encrypted at rest.
///
/// # Behavior
/// - What `save` was given comes back whole.
/// - No file of the store holds a secret in the clear.
/// - A ciphertext that was moved to another server or key does not open: an `Internal` error.
/// - `renew_grant` replaces a grant in one step, where it is still the known one, and nothing else:
///   it is no change of the registry, because it lets in whom the one before let in, and not in the
///   audit log.
#[async_trait]
pub trait CredentialStore: Send + Sync + Debug + 'static {
    /// The credentials of a server; empty for an unknown one.
    async fn credentials(&self, server: &ServerName) -> Result<Credentials>;

    /// Replaces the grant of a security scheme. Whether `known` was there.
    async fn renew_grant(
        &self,
        server: &ServerName,
        scheme: &str,
        known: &Grant,
        renewed: &Grant,
    ) -> Result<bool>;
}

/// API keys, of which the digests of tokens are kept.
///
/// # Behavior
/// - `create_api_key` of a name that is taken is `false` and changes nothing; a key that was
///   revoked or has expired gives way.
/// - `find_api_key` finds a key by any of its tokens, whether it still lets somebody in or not, and
///   none of another tenant.
/// - `rotate_api_key` gives a key another token. The newest before it is good until the time given,
///   any earlier one is forgotten, and nothing else changes; of a key that is not there, or lets
///   nobody in any more, it is `false`.
/// - A key of a user comes with what that user is at the time when it is found: whether they are
///   disabled, and what their role allows. `create_api_key` for who is no member is `NotFound`.
/// - A revoked key stays revoked, and is listed. `revoke_api_key` of one that is revoked or not
///   there is `false`.
/// - Of several at once that make a key of one name, one succeeds.
/// - A use is noted at most once in [`ApiKey::USE_NOTED_EVERY`](crate::key::ApiKey::USE_NOTED_EVERY),
///   and an earlier one never; it is not in the audit log.
/// - `api_keys` is sorted by name, and its pages join.
/// - No change of a key is one of the registry.
#[async_trait]
pub trait ApiKeyStore: Send + Sync + Debug + 'static {
    /// Makes a key. Whether it is new.
    async fn create_api_key(&self, key: &NewApiKey) -> Result<bool>;

    /// At most `limit` keys after that name; a limit that is not 1 to 1,000 is `InvalidInput`.
    async fn api_keys(&self, after: Option<&KeyName>, limit: u32) -> Result<KeyListing>;

    /// The key of that name, whether it still lets somebody in or not, as its newest token finds it.
    async fn api_key(&self, name: &KeyName) -> Result<Option<FoundApiKey>>;

    /// The key that has a token with that digest.
    async fn find_api_key(&self, digest: &Hash) -> Result<Option<FoundApiKey>>;

    /// Gives a key another token; the one before is good until then, in Unix milliseconds. Whether
    /// there is such a key.
    async fn rotate_api_key(&self, name: &KeyName, digest: &Hash, until: i64) -> Result<bool>;

    /// Revokes a key with all its tokens. Whether it was there.
    async fn revoke_api_key(&self, name: &KeyName) -> Result<bool>;

    /// Notes that a key was used, at that time in Unix milliseconds.
    async fn note_api_key_use(&self, name: &KeyName, at: i64) -> Result<()>;
}

/// The users of a store: people and services. They belong to no tenant.
///
/// # Behavior
/// - `create_user` of a name that is taken is `false` and changes nothing, also of several at once.
/// - A disabled user stays in the list. `disable_user` of one that is disabled or not there is
///   `false`, and so is `enable_user` of one that is enabled or not there.
/// - `users` is sorted by name, and its pages join.
/// - Changes are in the log of the handle's tenant.
#[async_trait]
pub trait Users: Send + Sync + Debug + 'static {
    /// Adds a user. Whether they are new.
    async fn create_user(&self, name: &UserName, kind: UserKind) -> Result<bool>;

    /// At most `limit` users after that name; a limit that is not 1 to 1,000 is `InvalidInput`.
    async fn users(&self, after: Option<&UserName>, limit: u32) -> Result<UserListing>;

    /// Lets none of their keys in any more, in any tenant. Whether that was otherwise.
    async fn disable_user(&self, name: &UserName) -> Result<bool>;

    /// Lets their keys in again. Whether that was otherwise.
    async fn enable_user(&self, name: &UserName) -> Result<bool>;
}

/// The passwords of users: people alone have any, and a store has hashes of them.
///
/// # Behavior
/// - `set_password` gives a user a password, or takes it away, and ends what they are signed in to, in
///   all tenants, in the same step. Of an unknown user it is `false`; of a service `InvalidInput`.
/// - `renew_password` puts another hash of the same password in the place of the known one, where that
///   is still there: it ends no sign-in and is not in the log.
/// - Changes are in the log of the handle's tenant, without the hash.
#[async_trait]
pub trait Passwords: Send + Sync + Debug + 'static {
    /// Gives a user a password, or takes it away. Whether there is such a user.
    async fn set_password(&self, user: &UserName, hash: Option<&PasswordHash>) -> Result<bool>;

    /// Replaces a hash. Whether `known` was there.
    async fn renew_password(
        &self,
        user: &UserName,
        known: &PasswordHash,
        renewed: &PasswordHash,
    ) -> Result<bool>;
}

/// The roles of a tenant.
///
/// # Behavior
/// - `save_role` makes a role, or changes it and lets its revision grow by one; what is there
///   already is no change.
/// - With a revision it is a `Conflict` unless the role has that one, 0 for one that is not there: of
///   several at once one succeeds.
/// - A role that a member has is not removed: `Conflict`. One that is not there is `false`.
/// - `roles` is sorted by name, and its pages join.
/// - No change of a role is one of the registry.
#[async_trait]
pub trait RoleStore: Send + Sync + Debug + 'static {
    /// Makes or changes a role.
    async fn save_role(
        &self,
        name: &RoleName,
        permissions: &Permissions,
        revision: Option<u64>,
    ) -> Result<Saved>;

    /// At most `limit` roles after that name; a limit that is not 1 to 1,000 is `InvalidInput`.
    async fn roles(&self, after: Option<&RoleName>, limit: u32) -> Result<RoleListing>;

    /// Removes a role. Whether it was there.
    async fn remove_role(&self, name: &RoleName) -> Result<bool>;
}

/// The members of a tenant.
///
/// # Behavior
/// - `set_membership` makes a user a member, or gives a member another role and lets the revision
///   grow by one; a user or role that is not there is `NotFound`.
/// - With a revision it is a `Conflict` unless the membership has that one, 0 for who is no member.
/// - Who is a member of one tenant is one of no other.
/// - `memberships` is sorted by the user's name, and its pages join.
/// - No change of a membership is one of the registry.
#[async_trait]
pub trait MembershipStore: Send + Sync + Debug + 'static {
    /// Makes a user a member, in that role.
    async fn set_membership(
        &self,
        user: &UserName,
        role: &RoleName,
        revision: Option<u64>,
    ) -> Result<Saved>;

    /// At most `limit` members after that user; a limit that is not 1 to 1,000 is `InvalidInput`.
    async fn memberships(&self, after: Option<&UserName>, limit: u32) -> Result<MembershipListing>;

    /// Takes a user out of the tenant. Whether they were a member.
    async fn remove_membership(&self, user: &UserName) -> Result<bool>;
}

/// What users are signed in to: a tenant.
///
/// # Behavior
/// - `account` tells what a user is at that time: whether they are disabled, and what their role
///   allows; `None` for who is no user.
/// - `begin_sign_in` is `false`, and changes nothing, for who is disabled, is no member, or has another
///   password by now. A user has at most [`SignIn::MAX`](crate::sign_in::SignIn::MAX): one more ends that which was not
///   refreshed for the longest time.
/// - `find_sign_in` finds a sign-in by its newest access token, and none of another tenant.
/// - `refresh_sign_in` replaces both tokens, of several at once with one refresh token once. A refresh
///   token that was replaced ends the sign-in: `Reused`. `Expired`, `Disabled` and `NoMember` change
///   nothing. A refresh is not in the log.
/// - A sign-in that was ended is gone: none of its tokens is known.
/// - `end_sign_in` and `end_sign_ins` say how many there were.
/// - `sign_ins` has those that may still be refreshed, the newest first, and its pages join, also while
///   others begin and end.
/// - `note_failed_sign_in` adds an entry to the log for who is a user, and none for anybody else: what
///   was typed for a name may be a password.
/// - No change of a sign-in is one of the registry.
#[async_trait]
pub trait SignInStore: Send + Sync + Debug + 'static {
    /// What is known of who wants to sign in.
    async fn account(&self, user: &UserName) -> Result<Option<Account>>;

    /// Begins a sign-in. Whether it did.
    async fn begin_sign_in(&self, sign_in: &NewSignIn) -> Result<bool>;

    /// The sign-in with that access token, whether it still lets in or not.
    async fn find_sign_in(&self, access: &Hash) -> Result<Option<FoundSignIn>>;

    /// Gives a sign-in its next tokens, in exchange for the refresh token with that `turn`.
    async fn refresh_sign_in(&self, turn: &Hash, next: &TokenDigests) -> Result<Refreshed>;

    /// Ends the sign-in whose refresh tokens have that in common. Whether there was one.
    async fn end_sign_in(&self, family: &Hash) -> Result<bool>;

    /// Ends a user's sign-in of that id, or all of them without one. How many there were.
    async fn end_sign_ins(&self, user: &UserName, id: Option<&SignInId>) -> Result<u64>;

    /// At most `limit` of what a user is signed in to, after that place; a limit that is not 1 to 1,000 is
    /// `InvalidInput`. There are at most [`SignIn::MAX`](crate::sign_in::SignIn::MAX).
    async fn sign_ins(
        &self,
        user: &UserName,
        after: Option<&SignInPlace>,
        limit: u32,
    ) -> Result<SignInListing>;

    /// Forgets at most `limit` sign-ins that have lapsed, which is not in the log. How many there were; a
    /// limit that is not 1 to 1,000 is `InvalidInput`.
    async fn purge_sign_ins(&self, limit: u32) -> Result<u64>;

    /// Notes that somebody could not sign in as that user.
    async fn note_failed_sign_in(&self, user: &UserName, from: Option<IpAddr>) -> Result<()>;
}

/// Work that is done once, by whichever node.
///
/// # Behavior
/// - `enqueue_job` of a name that is taken is `false` and changes nothing, also of several at once; one
///   that failed for good gives way. A detail that is too large, or attempts out of their range, are
///   `InvalidInput`.
/// - `claim_job` gives that job of the kind which is due for the longest time, to one at a time; `None`
///   when none is due. One whose claim has ended is due again, and fails for good when it was begun
///   as often as it may be.
/// - `keep_job` lets a claim end later, `finish_job` takes the job away, and `fail_job` lets it wait for
///   [`Job::backoff`](crate::job::Job::backoff) or, when it was begun as often as it may be, fail for good. All are `false`, and
///   change nothing, when another may have claimed it, or another job of its name.
/// - `jobs` is sorted by name, and its pages join.
/// - Jobs are those of one tenant. None is in the audit log, nor a change of the registry.
///
/// Times are those of the node that asks: claims are for much longer than clocks differ.
#[async_trait]
pub trait JobStore: Send + Sync + Debug + 'static {
    /// Adds a job. Whether it is new.
    async fn enqueue_job(&self, job: &NewJob) -> Result<bool>;

    /// Claims a job of a kind for so long.
    async fn claim_job(&self, kind: &str, time: Duration) -> Result<Option<ClaimedJob>>;

    /// Claims it for so long from now. Whether it was still this one's.
    async fn keep_job(&self, claimed: &ClaimedJob, time: Duration) -> Result<bool>;

    /// It is done. Whether it was still this one's.
    async fn finish_job(&self, claimed: &ClaimedJob) -> Result<bool>;

    /// It failed; why, without a secret, cut to [`Job::MAX_ERROR`](crate::job::Job::MAX_ERROR). Whether it was still this one's.
    async fn fail_job(&self, claimed: &ClaimedJob, why: &str) -> Result<bool>;

    /// At most `limit` jobs after that name; a limit that is not 1 to 1,000 is `InvalidInput`.
    async fn jobs(&self, after: Option<&JobName>, limit: u32) -> Result<JobListing>;
}

/// The audit log of a tenant.
///
/// # Behavior
/// - Every change that a method of the store makes adds one entry, in the same step as the change;
///   what changes nothing adds none.
/// - Numbers are 1, 2, 3 …, whoever writes at once, and every hash follows from the one before.
/// - Notes are entries like others, in their order, all of them or none.
/// - No entry has an earlier time than the one before it, also when the clock is set back.
/// - A page has the entries that meet all conditions, in the order asked for; pages join.
/// - No entry holds a secret.
#[async_trait]
pub trait AuditStore: Send + Sync + Debug + 'static {
    /// A page of entries.
    async fn audit(&self, query: &AuditQuery) -> Result<AuditPage>;

    /// Where the log ends.
    async fn audit_head(&self) -> Result<AuditHead>;

    /// Adds what is no change of the store, each entry under its own actor; more than
    /// [`AuditNote::MAX`] are `InvalidInput`. After an error that may be retried they may be there
    /// all the same.
    async fn note(&self, notes: &[AuditNote]) -> Result<()>;
}

/// How long a tenant's audit log is kept. Who notes calls need not be who may remove entries.
///
/// # Behavior
/// - `prune_audit` removes the oldest entries that are from before a time, as many as `limit` of them,
///   and adds an entry that says which and what the rest goes on from, all in one step. What removes
///   none adds none.
/// - What is left is a [`Chain`](crate::audit::Chain) still, numbered on, whoever writes meanwhile.
#[async_trait]
pub trait AuditRetention: Send + Sync + Debug + 'static {
    /// Removes at most `limit` entries from before that time, in Unix milliseconds. How many there were; a
    /// limit that is not 1 to [`Pruned::MAX`](crate::audit::Pruned::MAX) is `InvalidInput`.
    async fn prune_audit(&self, before: i64, limit: u32) -> Result<u64>;
}

/// The tenants of a store, and the way to the store of each.
///
/// # Behavior
/// - A tenant sees nothing of another: neither its servers, nor its documents, credentials, audit
///   log or version.
/// - The tenant `default` is always there.
/// - `create_tenant` of a name that is taken is `false` and changes nothing.
/// - `tenants` is sorted by name, and its pages join without gap or repetition.
/// - `scoped` to an unknown tenant is `NotFound`.
#[async_trait]
pub trait Tenants: Send + Sync + Debug + 'static {
    /// Makes a tenant. Whether it is new.
    async fn create_tenant(&self, name: &TenantName) -> Result<bool>;

    /// At most `limit` tenants after that name, 1 to 1,000; another limit is `InvalidInput`.
    async fn tenants(&self, after: Option<&TenantName>, limit: u32) -> Result<TenantListing>;

    /// A handle for that tenant and actor.
    async fn scoped(&self, scope: Scope) -> Result<Arc<dyn Store>>;
}
