//! What a call comes with besides its arguments.

use mcphub_core::principal::Principal;

use super::Progress;

/// For whom a call is made, and who hears of it.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CallContext<'a> {
    /// Who calls, where callers are asked that.
    pub who: Option<&'a Principal>,
    /// Whom to tell of the call before its result is there.
    pub progress: Option<&'a Progress>,
}
