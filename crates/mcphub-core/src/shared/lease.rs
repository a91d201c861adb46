//! Who does what has to be done once.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// Lends names to one node at a time.
///
/// A holder that stalls can outlive its lease without noticing. What it changes then has to be
/// refused by its token, or to be harmless when it is done twice.
///
/// # Behavior
/// - Of all that ask for a name at the same time, at however many nodes, one gets it.
/// - A name is free again when its lease was given back or has run out.
/// - Each lease of a name has a larger token than the one before, also after the other system lost
///   what it knew, as long as its clock was not set back.
/// - `renew` makes a lease last for `time` from now, and is `false` once another may have the name.
/// - `give_back` of a lease that has run out takes the name from nobody.
#[async_trait]
pub trait Leases: Send + Sync + Debug + 'static {
    /// Asks for a name for so long; `None` while another has it.
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>>;

    /// Asks for more time. Whether the name is still this one's.
    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool>;

    /// Gives a name back. Whether it was still this one's.
    async fn give_back(&self, lease: Lease) -> Result<bool>;
}

/// A name that one node has for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What was lent.
    pub name: String,
    /// Grows with each lease of the name: what comes with a smaller token comes too late.
    pub token: u64,
}
