//! Changes that are one step, with what follows from it and their entry in the log: all on one way to the
//! engine.
//!
//! PostgreSQL needs no transaction for them. The tenant is read first, and the one statement that makes
//! the change makes sure that nobody has changed the tenant since; whoever did has a transaction made instead,
//! which waits for its turn.

use mcphub_core::Result;
use mcphub_core::audit::{Action, AuditNote};
use serde_json::Value;

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{Dialect, Session, SqlStore};

/// A change that is one step.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// The step, which changes one row at most and gives it, under the condition [`Dialect::held`]; and
    /// what follows from it, each under [`Dialect::made`], and each one row.
    pub(super) steps: Vec<Statement>,
    pub(super) note: AuditNote,
}

impl Dialect {
    /// That the tenant is as it was read. SQLite lets nobody change it in between.
    pub(super) fn held(self) -> &'static str {
        self.choose("TRUE", "EXISTS (SELECT 1 FROM held)")
    }

    /// That the step was made: to SQLite, that the statement before changed a row.
    pub(super) fn made(self) -> &'static str {
        self.choose("changes() > 0", "EXISTS (SELECT 1 FROM made)")
    }
}

impl SqlStore {
    /// A change under the handle's actor.
    pub(super) fn change_of(
        &self,
        steps: Vec<Statement>,
        action: Action,
        target: String,
        detail: &Value,
    ) -> Result<Change> {
        let actor = self.scope.actor.clone();
        let note = Self::note_of(actor, action, target, detail)?;
        Ok(Change { steps, note })
    }

    /// Makes a change, unless there is nothing that it changes: the row that its step gives.
    pub(super) async fn change(&self, change: Change) -> Result<Option<Row>, Failure> {
        if let Some(mut session) = self.engine().look_at(self.tenant_id).await? {
            let note = change.note.clone();
            session.tenant()?.note(&self.scope.tenant, note);
            if let Some(made) = session.make_if_held(change.steps.clone()).await? {
                return Ok(made);
            }
        }
        let session = self.engine().write(self.tenant_id).await?;
        self.change_in(session, change).await
    }

    /// The same in a transaction, with what was changed there before. Nothing of that is left on PostgreSQL
    /// where there is nothing that it changes.
    pub(super) async fn change_in(
        &self,
        mut session: Session,
        change: Change,
    ) -> Result<Option<Row>, Failure> {
        session.tenant()?.note(&self.scope.tenant, change.note);
        session.commit_if(change.steps).await
    }
}
