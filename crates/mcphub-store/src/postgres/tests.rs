//! Against a real server: the one that `MCPHUB_TEST_POSTGRES` names, in a schema for each test.
//! Without the variable the tests say so and pass; `scripts/test.sh` sets it.

#[cfg(feature = "sqlite")]
mod archive;
mod rotation;
mod schema;
mod sharing;

use std::sync::Arc;

use bytes::Bytes;
use mcphub_core::secret::{Credentials, ExposeSecret};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::{Dialect, Document};
use mcphub_core::store::{Registration, Store};
use mcphub_core::tool::{ApiInfo, ToolChoices, ToolSet};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::PostgresSettings;
use crate::MasterKey;
use crate::postgres;
use crate::sql::{Engine, SqlStore};

/// A schema of its own, dropped with the test.
struct Place {
    settings: PostgresSettings,
    url: String,
    key: MasterKey,
}

impl Place {
    /// `None` when this run was given no server.
    #[allow(clippy::print_stdout, reason = "a test has no other way to say it")]
    fn new() -> Option<Self> {
        let Ok(server) = std::env::var("MCPHUB_TEST_POSTGRES") else {
            println!("NOT RUN: set MCPHUB_TEST_POSTGRES, as `scripts/test-servers.sh run` does");
            return None;
        };
        let id = MasterKey::generate().unwrap();
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!(
            "{server}{separator}schema=test_{}&max_connections=4",
            id.id()
        );
        Some(Self {
            settings: PostgresSettings::from_url(&url).unwrap(),
            url,
            key: MasterKey::generate().unwrap(),
        })
    }

    async fn open(&self) -> SqlStore {
        postgres::open(&self.settings, Some(self.key.clone()))
            .await
            .unwrap()
    }

    /// Runs statements behind the store's back.
    async fn tamper(&self, statements: impl Into<String>) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(statements.into()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.settings.connect_options())
            .await
            .unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let settings = self.settings.clone();
        let drop = async move {
            let mut connection = PgConnection::connect_with(&settings.connect_options()).await?;
            let schema = settings.schema();
            // The pool of a test rolls back what was left open on the test's runtime, which stands
            // still meanwhile.
            let end = "SELECT pg_terminate_backend(pid)
                       FROM pg_locks JOIN pg_class ON pg_class.oid = relation
                       WHERE relnamespace = to_regnamespace($1) AND pid <> pg_backend_pid()";
            let end = sqlx::query(end).bind(schema).execute(&mut connection);
            end.await?;
            let drop = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
            sqlx::raw_sql(drop).execute(&mut connection).await
        };
        // A runtime cannot wait inside of another one.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            // A test that failed early has not made it.
            let _ = runtime.block_on(drop);
        });
        thread.join().unwrap();
    }
}

mod on_a_server {
    use super::*;
    mcphub_core::tenants_conformance!(fresh);
    mcphub_core::people_conformance!(fresh);
    mcphub_core::store_conformance!(fresh);
}

mod of_two_nodes {
    use super::*;
    mcphub_core::shared_store_conformance!(two_nodes);
}

async fn fresh() -> Option<(Arc<SqlStore>, Place)> {
    let place = Place::new()?;
    Some((Arc::new(place.open().await), place))
}

async fn two_nodes() -> Option<(Box<[Arc<dyn Store>; 2]>, Place)> {
    let (one, place) = fresh().await?;
    let other = Arc::new(place.open().await);
    Some((Box::new([one, other]), place))
}

fn pool(store: &SqlStore) -> &PgPool {
    match store.engine() {
        Engine::Postgres(server) => server.pool(),
        #[cfg(feature = "sqlite")]
        Engine::Sqlite(_) => panic!("the store is on a server"),
    }
}

fn name(text: &str) -> ServerName {
    ServerName::new(text).unwrap()
}

fn registration(server: &str, secret: &str) -> Registration {
    let tools = ToolSet {
        api: ApiInfo {
            title: server.to_owned(),
            version: "1".to_owned(),
            dialect: Dialect::OpenApi30,
            description: None,
        },
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools: Vec::new(),
    };
    Registration {
        name: name(server),
        document: Document {
            source: format!("/apis/{server}.yaml"),
            bytes: Bytes::from(format!("openapi: 3.0.4 # {server}")),
        },
        serve: Serve::Native,
        base_url: None,
        tools: Arc::new(tools),
        artifact: None,
        credentials: Credentials {
            bearer: Some(secret.into()),
            ..Credentials::default()
        },
        choices: ToolChoices::default(),
    }
}

fn bearer(credentials: &Credentials) -> &str {
    credentials
        .bearer
        .as_ref()
        .map_or("", |secret| secret.expose_secret())
}
