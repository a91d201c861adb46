//! What users are signed in to, by the digests of their tokens.

use std::net::IpAddr;

use async_trait::async_trait;
use mcphub_core::audit::{Action, Hash};
use mcphub_core::principal::Refusal;
use mcphub_core::sign_in::{
    Account, FoundSignIn, NewSignIn, Refreshed, SignIn, SignInId, SignInListing, SignInPlace,
    TokenDigests,
};
use mcphub_core::store::SignInStore;
use mcphub_core::user::UserName;
use mcphub_core::{Error, Result};
use serde_json::json;

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, now, page_limit, password, role, user};

const ACCOUNT: &str = "
    SELECT account.password, account.disabled_at, role.permissions AS allowed
    FROM account
    LEFT JOIN membership ON membership.tenant_id = $1 AND membership.account = account.name
    LEFT JOIN role ON role.tenant_id = membership.tenant_id AND role.name = membership.role
    WHERE account.name = $2";

/// On PostgreSQL nobody gives the account another password until the transaction ends.
const LOCKED_ACCOUNT: &str = "
    SELECT account.password, account.disabled_at, role.permissions AS allowed
    FROM account
    LEFT JOIN membership ON membership.tenant_id = $1 AND membership.account = account.name
    LEFT JOIN role ON role.tenant_id = membership.tenant_id AND role.name = membership.role
    WHERE account.name = $2
    FOR SHARE OF account";

const SIGN_IN: &str = "
    SELECT sign_in.family, sign_in.account, sign_in.turn, sign_in.access_ends_at,
           sign_in.created_at, sign_in.refreshed_at, sign_in.lapses_at, sign_in.ends_at,
           account.disabled_at, role.permissions AS allowed
    FROM sign_in
    JOIN account ON account.name = sign_in.account
    LEFT JOIN membership ON membership.tenant_id = sign_in.tenant_id
                        AND membership.account = sign_in.account
    LEFT JOIN role ON role.tenant_id = membership.tenant_id AND role.name = membership.role
    WHERE sign_in.tenant_id = $1";

/// Those of a user that are over, or one too many.
const MAKE_ROOM: &str = "
    DELETE FROM sign_in
    WHERE tenant_id = $1 AND account = $2 AND (lapses_at <= $3 OR family IN (
        SELECT family FROM sign_in
        WHERE tenant_id = $1 AND account = $2
        ORDER BY refreshed_at DESC, family
        LIMIT 1000 OFFSET $4))";

#[async_trait]
impl SignInStore for SqlStore {
    async fn account(&self, user: &UserName) -> Result<Option<Account>> {
        let outcome = async {
            let query = self.account_query(ACCOUNT, user);
            let row = self.engine().read().await?.fetch_optional(query).await?;
            row.as_ref().map(account).transpose()
        };
        self.explain("store::account", outcome.await)
    }

    async fn begin_sign_in(&self, sign_in: &NewSignIn) -> Result<bool> {
        let outcome = self.begin(sign_in).await;
        self.explain("store::begin_sign_in", outcome)
    }

    async fn find_sign_in(&self, access: &Hash) -> Result<Option<FoundSignIn>> {
        let outcome = self.find(access).await;
        self.explain("store::find_sign_in", outcome)
    }

    async fn refresh_sign_in(&self, turn: &Hash, next: &TokenDigests) -> Result<Refreshed> {
        let outcome = self.refresh(turn, next).await;
        self.explain("store::refresh_sign_in", outcome)
    }

    async fn end_sign_in(&self, family: &Hash) -> Result<bool> {
        let outcome = self.sign_out(family).await;
        self.explain("store::end_sign_in", outcome)
    }

    async fn end_sign_ins(&self, user: &UserName, id: Option<&SignInId>) -> Result<u64> {
        let outcome = self.end_all(user, id).await;
        self.explain("store::end_sign_ins", outcome)
    }

    async fn sign_ins(
        &self,
        user: &UserName,
        after: Option<&SignInPlace>,
        limit: u32,
    ) -> Result<SignInListing> {
        let outcome = self.lasting(user, after, limit).await;
        self.explain("store::sign_ins", outcome)
    }

    async fn purge_sign_ins(&self, limit: u32) -> Result<u64> {
        let outcome = self.forget_lapsed(limit).await;
        self.explain("store::purge_sign_ins", outcome)
    }

    async fn note_failed_sign_in(&self, user: &UserName, from: Option<IpAddr>) -> Result<()> {
        let outcome = self.note_failure(user, from).await;
        self.explain("store::note_failed_sign_in", outcome)
    }
}

impl SqlStore {
    fn account_query(&self, query: &'static str, user: &UserName) -> Statement {
        Statement::new(query)
            .bind(self.tenant_id)
            .bind(user.as_str())
    }

    async fn begin(&self, new: &NewSignIn) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let query = session.dialect().choose(ACCOUNT, LOCKED_ACCOUNT);
        let query = self.account_query(query, &new.user);
        let row = session.fetch_optional(query).await?;
        let account = row.as_ref().map(account).transpose()?;
        let may = account.is_some_and(|account| {
            account.standing.allowed().is_ok() && account.password.as_ref() == Some(&new.password)
        });
        if !may {
            return Ok(false);
        }
        let (now, tokens) = (now(), &new.tokens);
        let room = Statement::new(MAKE_ROOM)
            .bind(self.tenant_id)
            .bind(new.user.as_str())
            .bind(now)
            .bind(SignIn::MAX - 1);
        session.execute(room).await?;
        let begin = "INSERT INTO sign_in (family, tenant_id, account, turn, access, access_ends_at,
                                          created_at, refreshed_at, lapses_at, ends_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)";
        let begin = Statement::new(begin)
            .bind(tokens.family.0.as_slice())
            .bind(self.tenant_id)
            .bind(new.user.as_str())
            .bind(tokens.turn.0.as_slice())
            .bind(tokens.access.0.as_slice())
            .bind(tokens.access_ends_at)
            .bind(now)
            .bind(tokens.lapses_at.min(new.ends_at))
            .bind(new.ends_at);
        session.execute(begin).await?;
        let detail = json!({
            "signIn": SignInId::of(&tokens.family),
            "from": new.from,
            "endsAt": new.ends_at,
        });
        let (actor, target) = (new.user.actor(), user::target(&new.user));
        self.record_by(actor, &mut session, Action::SIGN_IN_BEGIN, target, detail)
            .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn find(&self, access: &Hash) -> Result<Option<FoundSignIn>, Failure> {
        let query = Statement::new(SIGN_IN)
            .bind(self.tenant_id)
            .then_with(" AND sign_in.access = $?", access.0.as_slice());
        let row = self.engine().read().await?.fetch_optional(query).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(FoundSignIn {
            sign_in: sign_in(&row)?,
            access_ends_at: row.get("access_ends_at")?,
            standing: role::standing(&row)?,
        }))
    }

    async fn refresh(&self, turn: &Hash, next: &TokenDigests) -> Result<Refreshed, Failure> {
        if !self.is_known(&next.family).await? {
            return Ok(Refreshed::Refused(Refusal::Unknown));
        }
        let mut session = self.engine().write(self.tenant_id).await?;
        let query = Statement::new(SIGN_IN)
            .bind(self.tenant_id)
            .then_with(" AND sign_in.family = $?", next.family.0.as_slice());
        let Some(row) = session.fetch_optional(query).await? else {
            return Ok(Refreshed::Refused(Refusal::Unknown));
        };
        let (mut sign_in, now) = (sign_in(&row)?, now());
        if sign_in.lapses_at <= now {
            return Ok(Refreshed::Refused(Refusal::Expired));
        }
        if row.get::<Vec<u8>>("turn")? != turn.0 {
            remove(&mut session, &next.family).await?;
            let detail = json!({ "signIn": sign_in.id });
            let target = user::target(&sign_in.user);
            self.record(&mut session, Action::SIGN_IN_REUSE, target, detail)
                .await?;
            session.commit().await?;
            return Ok(Refreshed::Refused(Refusal::Reused));
        }
        if let Err(refusal) = role::standing(&row)?.allowed() {
            return Ok(Refreshed::Refused(refusal));
        }
        sign_in.refreshed_at = now;
        sign_in.lapses_at = next.lapses_at.min(sign_in.ends_at);
        let renew = "UPDATE sign_in
            SET turn = $2, access = $3, access_ends_at = $4, refreshed_at = $5, lapses_at = $6
            WHERE family = $1";
        let renew = Statement::new(renew)
            .bind(next.family.0.as_slice())
            .bind(next.turn.0.as_slice())
            .bind(next.access.0.as_slice())
            .bind(next.access_ends_at)
            .bind(now)
            .bind(sign_in.lapses_at);
        // Another password may have ended it meanwhile, in another tenant.
        if session.execute(renew).await? == 0 {
            return Ok(Refreshed::Refused(Refusal::Unknown));
        }
        session.commit().await?;
        Ok(Refreshed::Renewed(sign_in))
    }

    /// Whether there is such a sign-in: whoever makes tokens up keeps no writer busy.
    async fn is_known(&self, family: &Hash) -> Result<bool, Failure> {
        let query = "SELECT family FROM sign_in WHERE tenant_id = $1 AND family = $2";
        let query = Statement::new(query)
            .bind(self.tenant_id)
            .bind(family.0.as_slice());
        let row = self.engine().read().await?.fetch_optional(query).await?;
        Ok(row.is_some())
    }

    async fn sign_out(&self, family: &Hash) -> Result<bool, Failure> {
        if !self.is_known(family).await? {
            return Ok(false);
        }
        let mut session = self.engine().write(self.tenant_id).await?;
        let query = Statement::new(SIGN_IN)
            .bind(self.tenant_id)
            .then_with(" AND sign_in.family = $?", family.0.as_slice());
        let Some(row) = session.fetch_optional(query).await? else {
            return Ok(false);
        };
        let sign_in = sign_in(&row)?;
        remove(&mut session, family).await?;
        let detail = json!({ "signIn": sign_in.id });
        let (actor, target) = (sign_in.user.actor(), user::target(&sign_in.user));
        self.record_by(actor, &mut session, Action::SIGN_IN_END, target, detail)
            .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn end_all(&self, user: &UserName, id: Option<&SignInId>) -> Result<u64, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let query = "SELECT family FROM sign_in WHERE tenant_id = $1 AND account = $2 LIMIT 1000";
        let rows = session.fetch_all(self.account_query(query, user)).await?;
        let mut ended = 0;
        for row in rows {
            let family = hash(&row, "family")?;
            let found = SignInId::of(&family);
            if id.is_some_and(|id| *id != found) {
                continue;
            }
            remove(&mut session, &family).await?;
            let detail = json!({ "signIn": found });
            let target = user::target(user);
            self.record(&mut session, Action::SIGN_IN_END, target, detail)
                .await?;
            ended += 1;
        }
        session.commit().await?;
        Ok(ended)
    }

    async fn lasting(
        &self,
        user: &UserName,
        after: Option<&SignInPlace>,
        limit: u32,
    ) -> Result<SignInListing, Failure> {
        page_limit(limit)?;
        let mut query = Statement::new(SIGN_IN)
            .bind(self.tenant_id)
            .then_with(" AND sign_in.account = $?", user.as_str())
            .then_with(" AND sign_in.lapses_at > $?", now());
        if let Some(place) = after {
            let family = place.id.last_family();
            query = query
                .then_with(" AND sign_in.created_at <= $?", place.began_at)
                .then_with(" AND (sign_in.created_at < $?", place.began_at)
                .then_with(" OR sign_in.family > $?)", family.0.as_slice());
        }
        // One more than asked for tells whether there is a next page.
        let query = query
            .then(" ORDER BY sign_in.created_at DESC, sign_in.family")
            .then_with(" LIMIT $?", limit + 1);
        let rows = self.engine().read().await?.fetch_all(query).await?;
        let sign_ins = rows.iter().take(limit as usize).map(sign_in);
        let sign_ins: Vec<_> = sign_ins.collect::<Result<_, Failure>>()?;
        let last = sign_ins.last().filter(|_| rows.len() > limit as usize);
        let next = last.map(SignIn::place);
        Ok(SignInListing { sign_ins, next })
    }

    async fn forget_lapsed(&self, limit: u32) -> Result<u64, Failure> {
        page_limit(limit)?;
        let lapsed = || {
            let lapsed = "SELECT family FROM sign_in
                WHERE lapses_at <= $1 AND tenant_id = $2 ORDER BY lapses_at LIMIT $3";
            Statement::new(lapsed)
                .bind(now())
                .bind(self.tenant_id)
                .bind(limit)
        };
        // Most of the time there is none, and then no writer has to wait.
        let rows = self.engine().read().await?.fetch_all(lapsed()).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut session = self.engine().write(self.tenant_id).await?;
        let rows = session.fetch_all(lapsed()).await?;
        for row in &rows {
            remove(&mut session, &hash(row, "family")?).await?;
        }
        session.commit().await?;
        Ok(rows.len() as u64)
    }

    async fn note_failure(&self, user: &UserName, from: Option<IpAddr>) -> Result<(), Failure> {
        let known = Statement::new("SELECT name FROM account WHERE name = $1").bind(user.as_str());
        let known = self.engine().read().await?.fetch_optional(known).await?;
        if known.is_none() {
            return Ok(());
        }
        let mut session = self.engine().write(self.tenant_id).await?;
        let (target, detail) = (user::target(user), json!({ "from": from }));
        self.record(&mut session, Action::SIGN_IN_FAIL, target, detail)
            .await?;
        session.commit().await
    }
}

async fn remove(session: &mut Session, family: &Hash) -> Result<(), Failure> {
    let remove = "DELETE FROM sign_in WHERE family = $1";
    let remove = Statement::new(remove).bind(family.0.as_slice());
    session.execute(remove).await?;
    Ok(())
}

fn account(row: &Row) -> Result<Account, Failure> {
    Ok(Account {
        password: password::stored(row)?,
        standing: role::standing(row)?,
    })
}

fn sign_in(row: &Row) -> Result<SignIn, Failure> {
    Ok(SignIn {
        id: SignInId::of(&hash(row, "family")?),
        user: user::name(row, "account")?,
        began_at: row.get("created_at")?,
        refreshed_at: row.get("refreshed_at")?,
        lapses_at: row.get("lapses_at")?,
        ends_at: row.get("ends_at")?,
    })
}

fn hash(row: &Row, column: &str) -> Result<Hash, Failure> {
    let bytes = <[u8; 32]>::try_from(row.get::<Vec<u8>>(column)?);
    let wrong = |_| Error::internal("a stored sign-in cannot be read: a digest has another length");
    Ok(bytes.map(Hash).map_err(wrong)?)
}
