//! What the store costs on top of the database: `save` and `get` as multiples of one bare insert
//! and one bare select of the same bytes, under the same pragmas, in one run.
//!
//! `cargo bench -p mcphub-store` prints both ratios after the times.

#![allow(clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use mcphub_core::secret::Credentials;
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::Document;
use mcphub_core::store::{Registration, ServerStore};
use mcphub_core::tool::{PLAN_VERSION, ToolChoices, ToolSet};
use mcphub_store::{SqlStore, sqlite};
use serde_json::json;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::runtime::Runtime;

/// Tools of the measured server, and about so many KiB of document and of plan.
const TOOLS: usize = 30;

/// What a series took, each.
#[derive(Default)]
struct Series {
    total: Duration,
    runs: u64,
}

impl Series {
    fn add(&mut self, total: Duration, runs: u64) -> Duration {
        self.total += total;
        self.runs += runs;
        total
    }

    fn each(&self) -> f64 {
        self.total.as_secs_f64() / self.runs as f64
    }
}

fn save(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = runtime.block_on(store(folder.path()));
    let pool = runtime.block_on(bare(folder.path()));
    let (mut ours, mut theirs) = (Series::default(), Series::default());
    let mut number = 0;
    let mut group = criterion.benchmark_group("save");
    group.bench_function("one insert", |bencher| {
        bencher.iter_custom(|runs| {
            let start = Instant::now();
            for _ in 0..runs {
                number += 1;
                runtime.block_on(insert(&pool, &registration(number)));
            }
            theirs.add(start.elapsed(), runs)
        });
    });
    group.bench_function("store", |bencher| {
        bencher.iter_custom(|runs| {
            let start = Instant::now();
            for _ in 0..runs {
                number += 1;
                let saved = runtime.block_on(store.save(&registration(number)));
                assert!(saved.unwrap().changed);
            }
            ours.add(start.elapsed(), runs)
        });
    });
    group.finish();
    println!(
        "save: {:.2} times one bare insert",
        ours.each() / theirs.each()
    );
}

fn get(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = runtime.block_on(store(folder.path()));
    let pool = runtime.block_on(bare(folder.path()));
    let wanted = registration(1);
    runtime.block_on(store.save(&wanted)).unwrap();
    runtime.block_on(insert(&pool, &wanted));
    let (mut ours, mut theirs) = (Series::default(), Series::default());
    let mut group = criterion.benchmark_group("get");
    group.bench_function("one select, and its JSON", |bencher| {
        bencher.iter_custom(|runs| {
            let start = Instant::now();
            for _ in 0..runs {
                assert_eq!(runtime.block_on(select(&pool)).tools.len(), TOOLS);
            }
            theirs.add(start.elapsed(), runs)
        });
    });
    group.bench_function("store", |bencher| {
        bencher.iter_custom(|runs| {
            let start = Instant::now();
            for _ in 0..runs {
                let record = runtime.block_on(store.get(&wanted.name)).unwrap();
                assert_eq!(record.unwrap().tools.tools.len(), TOOLS);
            }
            ours.add(start.elapsed(), runs)
        });
    });
    group.bench_function("registry version", |bencher| {
        bencher.iter(|| runtime.block_on(store.registry_version()).unwrap());
    });
    group.finish();
    println!(
        "get: {:.2} times one bare select and its JSON",
        ours.each() / theirs.each()
    );
}

async fn store(folder: &Path) -> SqlStore {
    sqlite::open(folder.join("mcphub.db"), None).await.unwrap()
}

async fn bare(folder: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let table = "CREATE TABLE bare (name TEXT PRIMARY KEY, tools TEXT, document BLOB) STRICT";
    sqlx::raw_sql(table).execute(&pool).await.unwrap();
    pool
}

async fn insert(pool: &SqlitePool, registration: &Registration) {
    sqlx::query("INSERT INTO bare VALUES (?1, ?2, ?3)")
        .bind(registration.name.as_str())
        .bind(serde_json::to_string(&registration.tools).unwrap())
        .bind(registration.document.bytes.as_ref())
        .execute(pool)
        .await
        .unwrap();
}

async fn select(pool: &SqlitePool) -> ToolSet {
    let json: String = sqlx::query_scalar("SELECT tools FROM bare WHERE name = ?1")
        .bind("api-1")
        .fetch_one(pool)
        .await
        .unwrap();
    serde_json::from_str(&json).unwrap()
}

fn registration(number: u32) -> Registration {
    Registration {
        name: ServerName::new(format!("api-{number}")).unwrap(),
        document: Document {
            source: format!("/apis/{number}.yaml"),
            bytes: Bytes::from(format!("openapi: 3.0.4 # {number:>10}\n").repeat(1_000)),
        },
        serve: Serve::Native,
        base_url: None,
        tools: Arc::new(tools()),
        artifact: None,
        credentials: Credentials {
            headers: vec![("X-Tenant".into(), "t1".into())],
            bearer: Some("a-token-of-some-length".into()),
            ..Credentials::default()
        },
        choices: ToolChoices::default(),
    }
}

fn tools() -> ToolSet {
    let tool = |number: usize| {
        json!({
            "name": format!("tool_{number}"),
            "description": "Gets one of the things that this API knows. ".repeat(8),
            "input": {"root": {"type": "object", "properties": {
                "id": {"type": "string", "description": "Which."},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100},
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
    serde_json::from_value(plan).unwrap()
}

criterion_group!(benches, save, get);
criterion_main!(benches);
