//! What a change costs that is noted in the audit log, in one transaction: the median of each as a
//! multiple of one bare insert through SQLx into the same database, in turns.
//!
//! A server that does not wait for its disk shows what statements cost, and one that does what is
//! waited for in the end: `MCPHUB_TEST_FSYNC=on` asks for the latter. SQLite always waits.
//!
//! `MCPHUB_TEST_FSYNC=on scripts/test-servers.sh run cargo bench -p mcphub-store --features postgres --bench writes`

#![allow(clippy::print_stdout, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use mcphub_core::audit::{Action, AuditNote, Hash};
use mcphub_core::key::{KeyName, NewApiKey};
use mcphub_core::principal::Permissions;
use mcphub_core::role::RoleName;
use mcphub_core::secret::Credentials;
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::Document;
use mcphub_core::store::{ApiKeyStore, AuditStore, Registration, RoleStore, ServerStore, Users};
use mcphub_core::tenant::Actor;
use mcphub_core::tool::{PLAN_VERSION, ToolChoices};
use mcphub_core::user::{UserKind, UserName};
use mcphub_store::{MasterKey, SqlStore, postgres, sqlite};
use serde_json::json;
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use tokio::runtime::Runtime;

/// How often each change is made.
const ROUNDS: u64 = 301;

/// Calls that are noted in one step.
const NOTES: u64 = 500;

/// Tools of a server that is saved.
const TOOLS: u64 = 20;

const TABLE: &str = "CREATE TABLE bare (id BIGINT PRIMARY KEY, name TEXT, detail TEXT)";
const INSERT: &str = "INSERT INTO bare (id, name, detail) VALUES ($1, $2, $3)";

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(on_sqlite());
    match std::env::var("MCPHUB_TEST_POSTGRES") {
        Ok(url) => runtime.block_on(on_postgres(&url)),
        Err(_) => println!("MCPHUB_TEST_POSTGRES is not set: PostgreSQL is not measured"),
    }
}

async fn on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mcphub.db");
    let store = sqlite::open(&path, None).await.expect("a store");
    // Beside it, under the same conditions: two writers of one file would wait for each other.
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full);
    let pool = SqlitePool::connect_with(options).await.expect("a pool");
    let table = sqlx::raw_sql(TABLE).execute(&pool).await;
    table.expect("a table");
    compare("SQLite", &store, Bare::Sqlite(pool)).await;
}

async fn on_postgres(url: &str) {
    let separator = if url.contains('?') { '&' } else { '?' };
    let schema = format!("writes_{}", std::process::id());
    let place = format!("{url}{separator}schema={schema}");
    let settings = postgres::PostgresSettings::from_url(&place).expect("a URL");
    let key = MasterKey::generate().expect("a key");
    let store = postgres::open(&settings, Some(key)).await.expect("a store");
    let pool = PgPool::connect(url).await.expect("a pool");
    let of_schema = |sql: &str| AssertSqlSafe(sql.replace("bare", &format!("{schema}.bare")));
    let table = sqlx::raw_sql(of_schema(TABLE)).execute(&pool).await;
    table.expect("a table");
    let synced: String = sqlx::query_scalar("SELECT current_setting('fsync')")
        .fetch_one(&pool)
        .await
        .expect("a setting");
    let engine = format!("PostgreSQL, fsync {synced}");
    let insert = INSERT.replace("bare", &format!("{schema}.bare"));
    compare(&engine, &store, Bare::Postgres(pool.clone(), insert)).await;
    store.close().await;
    let gone = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
    let gone = sqlx::raw_sql(gone).execute(&pool).await;
    gone.expect("it is dropped");
}

/// What a caller without a store would do.
enum Bare {
    Sqlite(SqlitePool),
    Postgres(PgPool, String),
}

impl Bare {
    /// A row for a server and one for each of its tools, in one transaction.
    async fn insert_server(&self, number: u64) {
        let first = i64::try_from(number * 1_000).expect("a small number");
        let server = registration(number, 0);
        let plan = serde_json::to_string(&server.tools).expect("JSON");
        let tools = server.tools.tools.iter();
        let tools = tools.map(|tool| (tool.name.to_string(), tool.description.clone()));
        let rows = std::iter::once((server.name.to_string(), plan)).chain(tools);
        let rows = (first..).zip(rows);
        match self {
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin().await.expect("a transaction");
                for (id, (name, detail)) in rows {
                    let insert = sqlx::query(INSERT).bind(id).bind(name).bind(detail);
                    let inserted = insert.execute(&mut *transaction).await;
                    inserted.expect("it is inserted");
                }
                transaction.commit().await
            }
            Self::Postgres(pool, insert) => {
                let mut transaction = pool.begin().await.expect("a transaction");
                for (id, (name, detail)) in rows {
                    let insert = sqlx::query(AssertSqlSafe(insert.clone()));
                    let insert = insert.bind(id).bind(name).bind(detail);
                    let inserted = insert.execute(&mut *transaction).await;
                    inserted.expect("it is inserted");
                }
                transaction.commit().await
            }
        }
        .expect("it is inserted");
    }

    async fn insert(&self, number: u64) {
        let id = i64::try_from(number).expect("a small number");
        let (name, detail) = (format!("name-{number}"), "x".repeat(100));
        match self {
            Self::Sqlite(pool) => {
                let insert = sqlx::query(INSERT).bind(id).bind(name).bind(detail);
                insert.execute(pool).await.map(drop)
            }
            Self::Postgres(pool, insert) => {
                let insert = sqlx::query(AssertSqlSafe(insert.clone()));
                let insert = insert.bind(id).bind(name).bind(detail);
                insert.execute(pool).await.map(drop)
            }
        }
        .expect("it is inserted");
    }
}

#[derive(Clone, Copy)]
enum Change {
    Note,
    Notes,
    Role,
    User,
    Key,
    Server,
    Tool,
}

impl Change {
    const ALL: [(Self, &str, u64); 7] = [
        (Self::Note, "a call is noted", 1),
        (Self::Notes, "500 calls are noted in one step, each", NOTES),
        (Self::Role, "a role is made", 1),
        (Self::User, "a user is made", 1),
        (Self::Key, "an API key is made, with its token", 1),
        (
            Self::Server,
            "a server with 20 tools is saved, to its rows",
            1,
        ),
        (Self::Tool, "… saved anew, with one tool changed", 1),
    ];

    /// What it is held against.
    async fn make_bare(self, bare: &Bare, number: u64) {
        match self {
            Self::Server | Self::Tool => bare.insert_server(number).await,
            _ => bare.insert(number).await,
        }
    }

    async fn make(self, store: &SqlStore, number: u64) {
        let name = format!("name-{number}");
        match self {
            Self::Note => store.note(&notes(1)).await,
            Self::Notes => store.note(&notes(NOTES)).await,
            Self::Role => {
                let role = RoleName::new(name).expect("a legal name");
                let everything = Permissions::default();
                store.save_role(&role, &everything, None).await.map(drop)
            }
            Self::User => {
                let user = UserName::new(name).expect("a legal name");
                store.create_user(&user, UserKind::Person).await.map(drop)
            }
            Self::Key => {
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&number.to_be_bytes());
                let name = KeyName::new(name).expect("a legal name");
                let key = NewApiKey::new(name, Hash(digest));
                store.create_api_key(&key).await.map(drop)
            }
            Self::Server => store.save(&registration(number, 0)).await.map(drop),
            Self::Tool => {
                let server = registration(0, number + 1);
                store.save(&server).await.map(drop)
            }
        }
        .expect("it is changed");
    }
}

/// A server, of which one tool is another in each version.
fn registration(number: u64, version: u64) -> Registration {
    let tool = |tool: u64| {
        let version = if tool == 0 { version } else { 0 };
        json!({
            "name": format!("get_thing_{tool}"),
            "description": format!(
                "Gets one of the things that this API knows, by its number, in version{version}, with \
                 all that belongs to thing{tool} and was changed since it was last looked at."
            ),
            "input": {"root": {"type": "object", "properties": {
                "id": {"type": "string", "description": "Which."},
            }, "required": ["id"], "additionalProperties": false}},
            "annotations": {"readOnlyHint": true, "destructiveHint": false,
                            "idempotentHint": true, "openWorldHint": true},
            "binding": {"method": "GET", "path": "/things/{id}", "accept": "application/json"},
        })
    };
    let plan = json!({
        "planVersion": PLAN_VERSION,
        "api": {"title": "Things", "version": "1", "dialect": "openapi-3.0"},
        "servers": ["https://api.example.com"], "securitySchemes": {}, "definitions": [],
        "tools": (0..TOOLS).map(tool).collect::<Vec<_>>(),
    });
    Registration {
        name: ServerName::new(format!("api-{number}")).expect("a legal name"),
        document: Document {
            source: format!("/apis/{number}.yaml"),
            bytes: format!("openapi: 3.0.4 # {number}\n").into(),
        },
        serve: Serve::Native,
        base_url: None,
        tools: Arc::new(serde_json::from_value(plan).expect("a plan")),
        artifact: None,
        credentials: Credentials::default(),
        choices: ToolChoices::default(),
    }
}

fn notes(count: u64) -> Vec<AuditNote> {
    let at = UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let note = |number| AuditNote {
        at: i64::try_from(at).unwrap_or(i64::MAX),
        actor: Actor::of("key", "ci"),
        action: Action::TOOL_CALL,
        target: format!("tool:shop/tool-{number}"),
        detail: RawValue::from_string(r#"{"outcome":"ok","millis":12}"#.to_owned())
            .expect("it is JSON"),
    };
    (0..count).map(note).collect()
}

async fn compare(engine: &str, store: &SqlStore, bare: Bare) {
    println!("\n| {engine} | p50 | bare insert | ratio |");
    println!("|---|---:|---:|---:|");
    let mut row = 0;
    for (change, name, parts) in Change::ALL {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            row += 1;
            let begun = Instant::now();
            change.make_bare(&bare, row).await;
            theirs.push(begun.elapsed());
            let begun = Instant::now();
            change.make(store, round).await;
            ours.push(begun.elapsed());
        }
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let ours = median(ours) / parts as f64;
        let theirs = median(theirs);
        println!(
            "| {name} | {:.0} µs | {:.0} µs | {:.2} |",
            ours * 1e6,
            theirs * 1e6,
            ours / theirs
        );
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
