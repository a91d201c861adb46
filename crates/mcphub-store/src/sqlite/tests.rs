//! What the conformance suite cannot see: the file, the schema and the ciphertexts.

mod archive;
mod at_rest;
mod check;
mod damage;
mod rotation;
mod schema;
mod sharing;
mod transaction;

use std::sync::Arc;

use bytes::Bytes;
use mcphub_core::secret::{Credentials, ExposeSecret};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::{Dialect, Document};
use mcphub_core::store::{Registration, Store};
use mcphub_core::tool::{ApiInfo, ToolChoices, ToolSet};
use tempfile::TempDir;

use super::Pools;
use crate::sql::{Engine, SqlStore};
use crate::sqlite;

mod in_a_file {
    use super::*;
    mcphub_core::tenants_conformance!(file_store);
    mcphub_core::people_conformance!(file_store);
    mcphub_core::store_conformance!(file_store);
}

mod in_memory {
    use super::*;
    mcphub_core::tenants_conformance!(memory_store);
    mcphub_core::people_conformance!(memory_store);
    mcphub_core::store_conformance!(memory_store);
}

mod of_two_handles {
    use super::*;
    mcphub_core::shared_store_conformance!(two_handles);
}

async fn file_store() -> (Arc<SqlStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    (Arc::new(store), folder)
}

async fn memory_store() -> (Arc<SqlStore>, ()) {
    (Arc::new(sqlite::in_memory(None).await.unwrap()), ())
}

async fn two_handles() -> (Box<[Arc<dyn Store>; 2]>, TempDir) {
    let (one, folder) = file_store().await;
    let other = Arc::new(open(&folder).await);
    (Box::new([one, other]), folder)
}

async fn open(folder: &TempDir) -> SqlStore {
    let path = folder.path().join("mcphub.db");
    sqlite::open(path, None).await.unwrap()
}

fn pools(store: &SqlStore) -> &Pools {
    match store.engine() {
        Engine::Sqlite(pools) => pools,
        #[cfg(feature = "postgres")]
        Engine::Postgres(_) => panic!("the store is in SQLite"),
    }
}

fn name(text: &str) -> ServerName {
    ServerName::new(text).unwrap()
}

fn registration(server: &str) -> Registration {
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
        credentials: Credentials::default(),
        choices: ToolChoices::default(),
    }
}

fn with_bearer(server: &str, secret: &str) -> Registration {
    let mut registration = registration(server);
    registration.credentials.bearer = Some(secret.into());
    registration
}

fn bearer(credentials: &Credentials) -> &str {
    credentials
        .bearer
        .as_ref()
        .map_or("", |secret| secret.expose_secret())
}
