//! What a call's trace says to an API.

use mcphub_core::call::HttpRequest;

use crate::trace::{BAGGAGE, TraceContext};

/// What goes on to an API of the trace that a call belongs to, by the names that OpenTelemetry has
/// (`OTEL_PROPAGATORS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Propagators {
    /// `traceparent` and `tracestate` (W3C Trace Context). Default yes: they name a trace and nobody.
    pub trace_context: bool,
    /// `baggage` (W3C Baggage). Default no: whatever its client put in, which may be about people.
    pub baggage: bool,
}

impl Default for Propagators {
    fn default() -> Self {
        Self {
            trace_context: true,
            baggage: false,
        }
    }
}

impl Propagators {
    /// Nothing.
    pub const NONE: Self = Self {
        trace_context: false,
        baggage: false,
    };

    /// Adds the headers that go on, but for those that the call sets itself.
    pub(super) fn add(self, trace: &TraceContext, request: &mut HttpRequest) {
        for (name, value) in trace.headers() {
            let wanted = match name {
                BAGGAGE => self.baggage,
                _ => self.trace_context,
            };
            let set = |(known, _): &(String, String)| known.eq_ignore_ascii_case(name);
            if wanted && !request.headers.iter().any(set) {
                request.headers.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}
