//! Who is let in.
//!
//! [`KeyAuthenticator`] knows API keys, [`BearerAuthenticator`] who is signed in as well. A gateway
//! asks its [`Authenticator`](mcphub_core::principal::Authenticator) through a [`Gate`], which
//! remembers for a short while who was let in. [`SignIns`] signs users in, over [`http`].

mod bearer;
mod gate;
pub(crate) mod http;
mod keys;
mod password;
mod sign_in;

pub use bearer::BearerAuthenticator;
pub(crate) use gate::{Admission, Gate, Seen};
pub use keys::KeyAuthenticator;
pub use password::PasswordHasher;
pub(crate) use sign_in::NotSignedIn;
pub use sign_in::{SignInSettings, SignIns};
