//! A server is met: which era it speaks, and the handshake of the legacy one.

use std::sync::Arc;

use mcphub_core::connection::Era as Choice;
use mcphub_core::principal::Principal;
use mcphub_core::{ErrorKind, Result};

use super::{Era, MCP_SESSION_ID, Wire, refuses_caller};
use crate::upstream::ClientAbilities;
use crate::upstream::access::how_to_get_in;
use crate::upstream::message::{self, Call, LEGACY, Params, initialized};
use crate::upstream::streamable_http::answer::Answer;
use crate::upstream::streamable_http::session::{Ending, Session};

impl Wire {
    /// Which era the server speaks (MCP 2026-07-28, Versioning, Backward Compatibility).
    /// `server/discover` is asked because it does nothing: a server of the legacy era that does not
    /// look at versions would carry out a call without a handshake.
    ///
    /// Whoever calls first asks, which may be a user whose login lets in, and nobody else's.
    pub(super) async fn probe(&self, whose: Option<&Arc<Principal>>) -> Result<Era> {
        let wanted = self.client.settings.era;
        if wanted == Choice::Legacy {
            return self.initialize(&ClientAbilities::all(), whose).await;
        }
        let id = self.id();
        let response = self
            .post(
                &Era::Modern,
                &Call::new("server/discover", Params::default()),
                id,
                whose.map(|whose| &**whose),
            )
            .await?;
        let status = response.status();
        let in_by = how_to_get_in(&response);
        match self.read(response, id).await {
            Ok(Answer::Result(result)) => {
                if let Some(about) = message::discovered(&result) {
                    self.about.store(Arc::new(about));
                    return Ok(Era::Modern);
                }
            }
            Ok(Answer::Failure(failure)) if message::is_modern(&failure) => {
                // An unsupported version may still leave the versions of the handshake.
                tracing::debug!(server = %self.host, code = failure.code, "a modern request is refused");
            }
            Ok(Answer::Failure(_)) => {}
            Ok(Answer::Status) if status.is_client_error() && !refuses_caller(status) => {}
            Ok(Answer::Status) => return Err(self.refused(status, in_by)),
            // A success that is no JSON-RPC is not of this era either.
            Err(error) if error.kind() == ErrorKind::Upstream && status.is_success() => {}
            Err(error) => return Err(error),
        }
        if wanted == Choice::Modern {
            return Err(message::not_modern().with("server", &self.host));
        }
        // Lists are read in this session, which shows all that a server has for clients that can be
        // asked.
        self.initialize(&ClientAbilities::all(), whose).await
    }

    /// The handshake of the legacy era (MCP 2025-11-25, Lifecycle), for clients with these
    /// abilities.
    pub(super) async fn initialize(
        &self,
        abilities: &ClientAbilities,
        whose: Option<&Arc<Principal>>,
    ) -> Result<Era> {
        let id = self.id();
        let none = Era::Legacy(Session::new(LEGACY[0], None, None, None));
        let capabilities = abilities.capabilities();
        let call = Call::new("initialize", Params::initialize(&capabilities));
        let user = whose.map(|whose| &**whose);
        let response = self.post(&none, &call, id, user).await?;
        let status = response.status();
        let in_by = how_to_get_in(&response);
        let session = response.headers().get(MCP_SESSION_ID).cloned();
        let result = match self.read(response, id).await? {
            Answer::Result(result) => result,
            Answer::Failure(failure) => return Err(self.failure("initialize", &failure)),
            Answer::Status => return Err(self.refused(status, in_by)),
        };
        let (version, about) =
            message::agreed(&result).map_err(|error| error.with("server", &self.host))?;
        self.about.store(Arc::new(about));
        // What ends it says what every message in it says.
        let agreed = Era::Legacy(Session::new(version, session.clone(), None, None));
        let ending = session.is_some().then(|| self.headers(&agreed, None));
        let ending = ending.transpose()?.map(|headers| Ending {
            client: self.client.clone(),
            url: self.endpoint.url.clone(),
            headers,
            access: self.access.clone(),
            whose: whose.cloned(),
        });
        let era = Era::Legacy(Session::new(version, session, ending, whose.cloned()));
        self.tell(&era, initialized()?, user).await?;
        Ok(era)
    }
}
