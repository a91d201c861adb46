//! What a change of one server costs, by how many others there are, and a look for where a call goes.
//!
//! `cargo bench -p mcphub-gateway --bench snapshot -- [SERVERS] [TOOLS]`, 10,000 and 100 by default and
//! at most, which takes about 1 GB of memory. One table: a row for 1, 10, 100 … servers, each as it is
//! measured. Each row ends in time: it changes fewer servers where a change is slow, and a size that
//! would take longer than two minutes by the row before it is left out, and said to be.

#![allow(missing_docs, clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcphub_core::server::ServerName;
use mcphub_core::spec::Dialect;
use mcphub_core::tool::{ApiInfo, ToolSet};
use mcphub_gateway::federation::{Listing, Member, Part, Scope, Snapshot};
use mcphub_gateway::upstream::{Down, Upstream, UpstreamTool};
use serde_json::json;
use serde_json::value::RawValue;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many tools as a page of the gateway has.
const PAGE: usize = 2_000;
const ROUNDS: usize = 20;
const LOOKS: usize = 200_000;
const MAX_SERVERS: usize = 10_000;
const MAX_TOOLS: usize = 100;
/// How long the changes of a row are repeated.
const CHANGING: Duration = Duration::from_secs(20);
/// The longest that a row may take.
const ROW: Duration = Duration::from_secs(120);

struct Server {
    name: ServerName,
    /// Most servers list the same, so that what is measured is not the memory of the bench.
    listing: Arc<Listing>,
}

fn listing(tools: usize, revision: usize) -> Listing {
    let tool = |number: usize| {
        let name = format!("get_thing_{number}");
        let definition = json!({
            "name": name, "description": format!("Gets a thing of kind {number}, revision {revision}."),
            "inputSchema": {"type": "object", "properties": {
                "id": {"type": "string", "description": "Which thing."},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100}}, "required": ["id"]},
            "annotations": {"readOnlyHint": true},
        });
        let definition = RawValue::from_string(definition.to_string());
        UpstreamTool {
            name,
            definition: definition.expect("JSON"),
        }
    };
    Listing::new((0..tools).map(tool).collect())
}

fn api() -> ApiInfo {
    ApiInfo {
        title: "Things".to_owned(),
        version: "1".to_owned(),
        dialect: Dialect::default(),
        description: None,
    }
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let mut numbers = std::env::args().filter_map(|text| text.parse::<usize>().ok());
    let most = numbers.next().unwrap_or(MAX_SERVERS).clamp(1, MAX_SERVERS);
    let tools = numbers.next().unwrap_or(MAX_TOOLS).clamp(1, MAX_TOOLS);
    println!("servers  tools       all at once  one changed  first page  a look for a tool");
    let mut servers = 1;
    while servers <= most {
        let begun = Instant::now();
        measure(servers, tools);
        servers *= 10;
        // Making all of them is what grows; a row takes ten times as long as the one before at most.
        if servers <= most && begun.elapsed() * 10 > ROW + CHANGING {
            println!("{servers:>7}  not measured: it would take more than {ROW:?} here");
            break;
        }
    }
}

fn measure(count: usize, tools: usize) {
    let set = Arc::new(ToolSet {
        api: api(),
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools: Vec::new(),
    });
    let api = api();
    let upstream: Arc<dyn Upstream> = Arc::new(Down::new(set, "it is a bench".to_owned()));
    let same = Arc::new(listing(tools, 0));
    let mut servers: Vec<Server> = (0..count)
        .map(|number| Server {
            name: ServerName::new(format!("server-{number:05}")).expect("a name"),
            listing: Arc::clone(&same),
        })
        .collect();
    let begun = Instant::now();
    let mut parts: Vec<Arc<Part>> = Vec::with_capacity(count);
    for server in &servers {
        let member = Member {
            server: &server.name,
            api: &api,
            plan: None,
            listing: &server.listing,
            upstream: &upstream,
        };
        parts.push(Arc::new(Part::new(&member, PAGE)));
    }
    let mut snapshot = Snapshot::of(&parts, &members(&servers, &api, &upstream), &[], PAGE);
    let all = begun.elapsed();
    let (mut swaps, mut pages) = (Vec::new(), Vec::new());
    let changing = Instant::now();
    for round in 1..=ROUNDS {
        if round > 1 && changing.elapsed() > CHANGING {
            break;
        }
        let at = round * 7_919 % count;
        servers[at].listing = Arc::new(listing(tools, round));
        let begun = Instant::now();
        let server = &servers[at];
        let member = Member {
            server: &server.name,
            api: &api,
            plan: None,
            listing: &server.listing,
            upstream: &upstream,
        };
        parts[at] = Arc::new(Part::new(&member, PAGE));
        let next = Snapshot::of(&parts, &members(&servers, &api, &upstream), &[], PAGE);
        drop(std::mem::replace(&mut snapshot, next));
        swaps.push(begun.elapsed());
        let begun = Instant::now();
        let view = snapshot.view(&Scope::All).expect("a view");
        black_box(view.page(mcphub_gateway::federation::Kind::Tools, None));
        pages.push(begun.elapsed());
    }
    let view = snapshot.view(&Scope::All).expect("a view");
    let names: Vec<String> = (0..1_024)
        .map(|number| {
            format!(
                "server-{:05}_get_thing_{}",
                number * 7_919 % count,
                number % tools
            )
        })
        .collect();
    let begun = Instant::now();
    for look in 0..LOOKS {
        black_box(view.route(&names[look % names.len()]).expect("a route"));
    }
    let look = begun.elapsed() / LOOKS as u32;
    println!(
        "{count:>7}  {:>9}  {all:>12.1?}  {:>11.1?}  {:>10.1?}  {look:>17.1?}",
        count * tools,
        middle(swaps),
        middle(pages),
    );
}

fn members<'a>(
    servers: &'a [Server],
    api: &'a ApiInfo,
    upstream: &'a Arc<dyn Upstream>,
) -> Vec<Member<'a>> {
    let servers = servers.iter();
    servers
        .map(|server| Member {
            server: &server.name,
            api,
            plan: None,
            listing: &server.listing,
            upstream,
        })
        .collect()
}
