//! What the store's reads cost when it is large: the median of each at a size and at one hundredth
//! of it, side by side in one run, and as a multiple of a read by primary key.
//!
//! The whole size is 100,000 servers, 2 million tools and 10 million audit entries on PostgreSQL, and
//! a tenth of each on SQLite; `--size` is a part of it. What it prints is a table for
//! `docs/performance.md`.
//!
//! `MCPHUB_TEST_BUFFERS=4GB scripts/test-servers.sh run cargo bench -p mcphub-store --features postgres --bench scale -- --size 0.1`

#![allow(clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use mcphub_core::audit::{Action, AuditQuery, Order};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::store::{AuditStore, Page, ServerStatus, ServerStore, ToolSearch};
use mcphub_core::tenant::Actor;
use mcphub_core::tool::{PLAN_VERSION, ToolKind, ToolName};
use mcphub_store::{MasterKey, OptimizeOptions, SqlStore, postgres, sqlite};
use sqlx::{AssertSqlSafe, Connection};
use tokio::runtime::Runtime;

const SERVERS: f64 = 100_000.0;
const TOOLS_EACH: u64 = 20;
const ENTRIES_EACH: u64 = 100;

/// How often each read is made on each side.
const ROUNDS: u64 = 301;

/// The time of the first audit entry; one follows in each second.
const BEGAN: i64 = 1_700_000_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |option: &str| {
        let place = arguments.iter().position(|argument| argument == option)?;
        arguments.get(place + 1).cloned()
    };
    let size: f64 = after("--size").map_or(0.01, |size| size.parse().expect("a part, such as 0.1"));
    let engine = after("--engine");
    let runtime = Runtime::new().expect("a runtime");
    if engine.as_deref() != Some("postgres") {
        runtime.block_on(on_sqlite(count(size / 10.0)));
    }
    if engine.as_deref() != Some("sqlite") {
        match std::env::var("MCPHUB_TEST_POSTGRES") {
            Ok(url) => runtime.block_on(on_postgres(&url, count(size))),
            Err(_) => println!("MCPHUB_TEST_POSTGRES is not set: PostgreSQL is not measured"),
        }
    }
}

/// How many servers, at least as many that a hundredth of them fills a page.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number"
)]
fn count(part: f64) -> u64 {
    ((SERVERS * part) as u64).max(1_000)
}

async fn on_sqlite(servers: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stores = Vec::new();
    for servers in [servers / 100, servers] {
        let path = folder.path().join(format!("{servers}.db"));
        sqlite::open(&path, None)
            .await
            .expect("a store")
            .close()
            .await;
        fill_sqlite(&path, servers).await;
        let store = sqlite::open(&path, None).await.expect("a store");
        stores.push((ready(store).await, servers));
    }
    compare("SQLite", &stores).await;
}

async fn on_postgres(url: &str, servers: u64) {
    let mut stores = Vec::new();
    let key = MasterKey::generate().expect("a key");
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut schemas = Vec::new();
    for servers in [servers / 100, servers] {
        let schema = format!("scale_{servers}");
        let place = format!("{url}{separator}schema={schema}&statement_timeout=3600");
        let settings = postgres::PostgresSettings::from_url(&place).expect("a URL");
        let store = postgres::open(&settings, Some(key.clone()))
            .await
            .expect("a store");
        fill_postgres(url, &schema, servers).await;
        stores.push((ready(store).await, servers));
        schemas.push(schema);
    }
    compare("PostgreSQL", &stores).await;
    for (store, _) in &stores {
        store.close().await;
    }
    let mut connection = sqlx::PgConnection::connect(url)
        .await
        .expect("a connection");
    for schema in schemas {
        let gone = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
        sqlx::raw_sql(gone)
            .execute(&mut connection)
            .await
            .expect("it is dropped");
    }
}

/// As `mcphub db optimize` leaves it.
async fn ready(store: SqlStore) -> SqlStore {
    store
        .optimize(OptimizeOptions::default())
        .await
        .expect("it is optimized");
    store
}

/// A read, of the store and of a number that makes each one another.
type Read = (&'static str, fn(u64, u64) -> Asked);

enum Asked {
    Get(ServerName),
    Source(String),
    List(Box<Page>),
    Search(ToolSearch),
    Audit(Box<AuditQuery>),
    Version,
}

/// Each with what it is called in the table.
const READS: [Read; 20] = [
    ("a server by name (primary key)", |turn, servers| {
        Asked::Get(server(turn % servers))
    }),
    ("the registry's version", |_, _| Asked::Version),
    ("a server by source", |turn, servers| {
        Asked::Source(source(turn % servers))
    }),
    ("a page of servers", |turn, servers| {
        page(turn, servers, |_| {})
    }),
    ("… by how they are served (1 of 50)", |turn, servers| {
        page(turn, servers, |page| {
            page.filter.serve = Some(Serve::Process)
        })
    }),
    ("… that were removed (1 of 50)", |turn, servers| {
        page(turn, servers, |page| {
            page.filter.status = ServerStatus::Removed
        })
    }),
    ("… with a tool of a name (each)", |turn, servers| {
        page(turn, servers, |page| {
            page.filter.tool = ToolName::new("get_thing_7").ok()
        })
    }),
    ("… with a tool of a kind (1 of 50)", |turn, servers| {
        page(turn, servers, |page| {
            page.filter.kind = Some(ToolKind::Destructive)
        })
    }),
    ("… by a word of the title (10 of all)", |turn, servers| {
        page(0, servers, |page| {
            page.filter.text = Some(format!("title{}", turn % (servers / 10)))
        })
    }),
    (
        "tools by a word that 10 have, far apart",
        |turn, servers| {
            Asked::Search(ToolSearch::new(format!(
                "rare{}x",
                turn % (servers * TOOLS_EACH / 10)
            )))
        },
    ),
    (
        "tools by a word that 10 have, one after another",
        |turn, servers| {
            Asked::Search(ToolSearch::new(format!(
                "near{}x",
                turn % (servers * TOOLS_EACH / 10)
            )))
        },
    ),
    ("tools by two words, one that all have", |turn, servers| {
        let rare = turn % (servers * TOOLS_EACH / 10);
        Asked::Search(ToolSearch::new(format!("thing rare{rare}x")))
    }),
    ("tools by a word that all have", |_, _| {
        Asked::Search(ToolSearch::new("thing"))
    }),
    ("… by the beginning of one", |_, _| {
        Asked::Search(ToolSearch::new("th"))
    }),
    ("… by the beginning of a tenth of all words", |_, _| {
        Asked::Search(ToolSearch::new("rare"))
    }),
    ("… by a word that all descriptions have", |_, _| {
        Asked::Search(ToolSearch::new("returned"))
    }),
    ("the newest audit entries", |_, _| audit(|_, _| {}, 0)),
    ("… of an actor", |turn, _| {
        audit(
            |query, turn| query.actor = Some(Actor::of("cli", &format!("a{}", turn % 100))),
            turn,
        )
    }),
    ("… on a target", |turn, servers| {
        let target = turn % servers;
        audit(
            |query, target| query.target = Some(format!("server:api-{target}")),
            target,
        )
    }),
    ("… of a kind and a time", |turn, servers| {
        let entry = turn % (servers * ENTRIES_EACH);
        audit(
            |query, entry| {
                let since = BEGAN + i64::try_from(entry).unwrap_or(0) * 1_000;
                query.action = Some(Action::SERVER_SAVE);
                (query.since, query.until) = (Some(since), Some(since + 3_600_000));
            },
            entry,
        )
    }),
];

/// A full page, at either size: what is asked for comes after names that are among the first.
fn page(turn: u64, servers: u64, change: impl FnOnce(&mut Page)) -> Asked {
    let first = 10_u64.pow((servers - 1).ilog10());
    let mut page = Page {
        after: (turn % 2 == 1).then(|| server(first + turn % first)),
        limit: 20,
        ..Page::default()
    };
    change(&mut page);
    Asked::List(Box::new(page))
}

fn audit(change: impl FnOnce(&mut AuditQuery, u64), turn: u64) -> Asked {
    let mut query = AuditQuery::default();
    (query.limit, query.order) = (50, Order::NewestFirst);
    change(&mut query, turn);
    Asked::Audit(Box::new(query))
}

fn server(number: u64) -> ServerName {
    ServerName::new(format!("api-{number}")).expect("a legal name")
}

fn source(number: u64) -> String {
    format!("/apis/{number}.yaml")
}

async fn read(store: &SqlStore, asked: &Asked) -> usize {
    let answer = match asked {
        Asked::Get(name) => store
            .get(name)
            .await
            .map(|found| usize::from(found.is_some())),
        Asked::Source(source) => store
            .find_by_source(source)
            .await
            .map(|it| usize::from(it.is_some())),
        Asked::List(page) => store.list(page).await.map(|listing| listing.servers.len()),
        Asked::Search(search) => store.search(search).await.map(|page| page.tools.len()),
        Asked::Audit(query) => store.audit(query).await.map(|page| page.entries.len()),
        Asked::Version => store.registry_version().await.map(|_| 1),
    };
    answer.expect("an answer")
}

async fn compare(engine: &str, stores: &[(SqlStore, u64)]) {
    let sizes: Vec<_> = stores
        .iter()
        .map(|(_, servers)| servers.to_string())
        .collect();
    println!("\n{engine}: {} servers\n", sizes.join(" and "));
    println!("| {engine} | p50 small | p50 large | large : small | large : primary key |");
    println!("|---|---:|---:|---:|---:|");
    let mut key = 0.0;
    for (name, ask) in READS {
        let mut times = vec![Vec::new(); stores.len()];
        let mut found = 0;
        // Both in turns, so that whatever else the machine does happens to both.
        for turn in 0..ROUNDS {
            let turn = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            for ((store, servers), times) in stores.iter().zip(&mut times) {
                let asked = ask(turn, *servers);
                let begun = Instant::now();
                found += read(store, &asked).await;
                times.push(begun.elapsed());
            }
        }
        assert!(found > 0, "{name}: nothing was ever found");
        let medians: Vec<f64> = times.into_iter().map(median).collect();
        if key == 0.0 {
            key = medians[1];
        }
        println!(
            "| {name} | {:.0} µs | {:.0} µs | {:.2} | {:.1} |",
            medians[0] * 1e6,
            medians[1] * 1e6,
            medians[1] / medians[0],
            medians[1] / key,
        );
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn plan() -> String {
    format!(
        r#"{{"planVersion":{PLAN_VERSION},"api":{{"title":"Things","version":"1","dialect":"openapi-3.0"}},"servers":[],"securitySchemes":{{}},"definitions":[],"tools":[]}}"#
    )
}

/// One server in so many is a process, one was removed and one has a destructive tool: few, but
/// enough for a page.
fn one_in(servers: u64) -> u64 {
    (servers / 25).clamp(4, 50)
}

/// What all tools have, as `mcphub` finds them; the tools' other words follow.
const TERMS: &str =
    "('@read-only'), ('hthing'), ('Hg'), ('Hge'), ('Hget'), ('Ht'), ('Hth'), ('Hthi'),
    ('bgets'), ('breturned'), ('Ba'), ('Br'), ('Bre'), ('Bret'), ('Bra'), ('Brar'), ('Bn'), ('Bne'),
    ('Bnea')";

/// The bits of a block in which all are tools, as a condition of its number.
fn all_of(tools: u64) -> String {
    let (last, rest) = (tools / 64, tools % 64);
    let bits = if rest == 63 {
        -1
    } else {
        (1_i64 << (rest + 1)) - 1
    };
    format!("CASE block WHEN 0 THEN -2 WHEN {last} THEN {bits} ELSE -1 END")
}

/// Servers of which a few are unlike the rest; tools, of which each shares a word with nine others
/// beside it, and one with nine others far away; audit entries of 100 actors.
async fn fill_sqlite(path: &Path, servers: u64) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .expect("a connection");
    let (tools, entries, plan) = (servers * TOOLS_EACH, servers * ENTRIES_EACH, plan());
    let (few, words, all, last) = (one_in(servers), tools / 10, all_of(tools), tools / 64);
    let fill = format!(
        "BEGIN;
        CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS
            (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {entries}) SELECT i FROM n;
        INSERT INTO document SELECT 1, printf('%064d', i), 0, x'00' FROM n WHERE i < {servers};
        INSERT INTO server (id, tenant_id, name, title, source, serve, tools, plan_version, revision,
                indexed, fingerprint, created_at, updated_at, removed_at, read_only, destructive)
            SELECT i + 1, 1, 'api-' || i, 'Title' || (i / 10), '/apis/' || i || '.yaml',
                   CASE WHEN i % {few} = 1 THEN 'process' ELSE 'native' END, {TOOLS_EACH},
                   {PLAN_VERSION}, i + 1, i + 1, 'f', 0, 0, CASE WHEN i % {few} = 2 THEN 1 END,
                   {TOOLS_EACH}, i % {few} = 3
            FROM n WHERE i < {servers};
        INSERT INTO tool_set SELECT i + 1, '{plan}' FROM n WHERE i < {servers};
        INSERT INTO document_version SELECT i + 1, i + 1, 1, printf('%064d', i),
            '/apis/' || i || '.yaml', 0, 1 FROM n WHERE i < {servers};
        INSERT INTO server_text (rowid, words)
            SELECT i + 1, 't1 hapi h' || i || ' htitle' || (i / 10) FROM n WHERE i < {servers};
        INSERT INTO tool (id, tenant_id, server_id, server, name, kind, description)
            SELECT i + 1, 1, i / {TOOLS_EACH} + 1, 'api-' || (i / {TOOLS_EACH}),
                   'get_thing_' || (i % {TOOLS_EACH}), 'read-only',
                   'Gets a thing, returned near' || (i / 10) || 'x rare' || (i % {words}) || 'x'
            FROM n WHERE i < {tools};
        INSERT INTO tool_posting
            SELECT 1, column1, block, {all}
            FROM (VALUES {TERMS}) CROSS JOIN (SELECT i AS block FROM n WHERE i <= {last})
            ORDER BY 2, 3;
        INSERT INTO tool_posting
            SELECT 1, 'H' || substr(i % {TOOLS_EACH}, 1, 1), (i + 1) / 64, sum(1 << (i + 1) % 64)
            FROM n WHERE i < {tools} GROUP BY 2, 3;
        INSERT INTO tool_posting
            SELECT 1, 'H' || (i % {TOOLS_EACH}), (i + 1) / 64, sum(1 << (i + 1) % 64)
            FROM n WHERE i < {tools} AND i % {TOOLS_EACH} >= 10 GROUP BY 2, 3;
        INSERT INTO tool_posting
            SELECT 1, 'bnear' || (i / 10) || 'x', (i + 1) / 64, sum(1 << (i + 1) % 64)
            FROM n WHERE i < {tools} GROUP BY 2, 3;
        INSERT INTO tool_posting
            SELECT 1, 'brare' || (i % {words}) || 'x', (i + 1) / 64, sum(1 << (i + 1) % 64)
            FROM n WHERE i < {tools} GROUP BY 2, 3;
        INSERT INTO audit SELECT 1, i + 1, {BEGAN} + i * 1000, 'cli:a' || (i % 100),
            CASE WHEN i % 10 = 0 THEN 'server.remove' ELSE 'server.save' END,
            'server:api-' || (i % {servers}), '{{}}', zeroblob(32) FROM n;
        UPDATE tenant SET version = {servers}, audit_sequence = {entries};
        DROP TABLE n;
        COMMIT;"
    );
    sqlx::raw_sql(AssertSqlSafe(fill))
        .execute(&mut connection)
        .await
        .expect("it is filled");
    connection.close().await.expect("it is closed");
}

async fn fill_postgres(url: &str, schema: &str, servers: u64) {
    let mut connection = sqlx::PgConnection::connect(url)
        .await
        .expect("a connection");
    let (tools, entries, plan) = (servers * TOOLS_EACH - 1, servers * ENTRIES_EACH - 1, plan());
    let (few, words, all) = (one_in(servers), (tools + 1) / 10, all_of(tools + 1));
    let (last, last_block) = (servers - 1, (tools + 1) / 64);
    // `(i + 1) % 64` and what is made of it, of all tools.
    let bits = "bit_or(1::bigint << ((i + 1) % 64)::int)";
    let fill = format!(
        "SET search_path = {schema};
        SET synchronous_commit = off;
        SET work_mem = '256MB';
        DROP INDEX audit_action, audit_actor, audit_at, audit_target;
        INSERT INTO document (tenant_id, digest, stored_at, bytes)
            SELECT 1, lpad(i::text, 64, '0'), 0, '' FROM generate_series(0, {last}) AS i;
        INSERT INTO server (id, tenant_id, name, title, source, serve, tools, plan_version, revision,
                indexed, fingerprint, created_at, updated_at, removed_at, read_only, destructive,
                words)
            OVERRIDING SYSTEM VALUE
            SELECT i + 1, 1, 'api-' || i, 'Title' || (i / 10), '/apis/' || i || '.yaml',
                   CASE WHEN i % {few} = 1 THEN 'process' ELSE 'native' END, {TOOLS_EACH},
                   {PLAN_VERSION}, i + 1, i + 1, 'f', 0, 0, CASE WHEN i % {few} = 2 THEN 1 END,
                   {TOOLS_EACH}, (i % {few} = 3)::int,
                   ('''@1'' api:1A ' || i || ':1A title' || (i / 10) || ':1A')::tsvector
            FROM generate_series(0, {last}) AS i;
        INSERT INTO tool_set SELECT i + 1, '{plan}' FROM generate_series(0, {last}) AS i;
        INSERT INTO document_version
                (server_id, revision, tenant_id, digest, source, uploaded_at, current)
            SELECT i + 1, i + 1, 1, lpad(i::text, 64, '0'), '/apis/' || i || '.yaml', 0, 1
            FROM generate_series(0, {last}) AS i;
        INSERT INTO tool (id, tenant_id, server_id, server, name, kind, description)
            OVERRIDING SYSTEM VALUE
            SELECT i + 1, 1, i / {TOOLS_EACH} + 1, 'api-' || (i / {TOOLS_EACH}),
                   'get_thing_' || (i % {TOOLS_EACH}), 'read-only',
                   'Gets a thing, returned near' || (i / 10) || 'x rare' || (i % {words}) || 'x'
            FROM generate_series(0, {tools}) AS i;
        INSERT INTO tool_posting
            SELECT 1, word, block, {all}
            FROM (VALUES {TERMS}) AS all_have (word), generate_series(0, {last_block}) AS block
            ORDER BY 2, 3;
        INSERT INTO tool_posting
            SELECT 1, 'H' || left((i % {TOOLS_EACH})::text, 1), (i + 1) / 64, {bits}
            FROM generate_series(0, {tools}) AS i GROUP BY 2, 3 ORDER BY 2, 3;
        INSERT INTO tool_posting
            SELECT 1, 'H' || (i % {TOOLS_EACH}), (i + 1) / 64, {bits}
            FROM generate_series(0, {tools}) AS i WHERE i % {TOOLS_EACH} >= 10
            GROUP BY 2, 3 ORDER BY 2, 3;
        INSERT INTO tool_posting
            SELECT 1, 'bnear' || (i / 10) || 'x', (i + 1) / 64, {bits}
            FROM generate_series(0, {tools}) AS i GROUP BY 2, 3 ORDER BY 2, 3;
        INSERT INTO tool_posting
            SELECT 1, 'brare' || (i % {words}) || 'x', (i + 1) / 64, {bits}
            FROM generate_series(0, {tools}) AS i GROUP BY 2, 3 ORDER BY 2, 3;
        INSERT INTO audit SELECT 1, i + 1, {BEGAN} + i * 1000, 'cli:a' || (i % 100),
            CASE WHEN i % 10 = 0 THEN 'server.remove' ELSE 'server.save' END,
            'server:api-' || (i % {servers}), '{{}}', decode(repeat('00', 32), 'hex')
            FROM generate_series(0::bigint, {entries}) AS i;
        UPDATE tenant SET version = {servers}, audit_sequence = {entries} + 1;
        VACUUM ANALYZE;
        CHECKPOINT;"
    );
    for statement in fill.split(";\n") {
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .expect("it is filled");
    }
    connection.close().await.expect("it is closed");
}
