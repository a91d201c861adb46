//! Keys as backends keep them.

use sha2::{Digest, Sha256};

/// 128 bits of the SHA-256 of a text from outside: of one size, free of characters that mean
/// something to a backend, and telling nobody who the client was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digested([u8; 16]);

impl Digested {
    /// Of a text that belongs to a tenant.
    pub(crate) fn within(tenant: &str, text: &str) -> Self {
        let mut digest = Sha256::new();
        // No text of one tenant is one of another, wherever the border lies.
        digest.update((tenant.len() as u64).to_be_bytes());
        digest.update(tenant);
        digest.update(text);
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(digest.finalize())
            .for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.to_vec()
    }

    pub(crate) fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}
