//! Who is let in.
//!
//! [`KeyAuthenticator`] knows API keys. A gateway asks its
//! [`Authenticator`](mcphub_core::principal::Authenticator) through a [`Gate`], which remembers for a
//! short while who was let in.

mod gate;
mod keys;

pub(crate) use gate::{Admission, Gate};
pub use keys::KeyAuthenticator;
