//! What a call comes with besides its arguments.

use mcphub_core::principal::Principal;

use super::Progress;
use crate::trace::TraceContext;

/// For whom a call is made, and who hears of it.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CallContext<'a> {
    /// Who calls, where callers are asked that.
    pub who: Option<&'a Principal>,
    /// Whom to tell of the call before its result is there.
    pub progress: Option<&'a Progress>,
    /// The trace that it belongs to, as its client says.
    pub trace: Option<&'a TraceContext>,
}
