//! The processes that take part, and what they cost.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;
use crate::load::{self, Request};
use crate::seed::Seed;

/// The first argument of this program when it is started as one of the parties.
pub const MARK: &str = "--party";
const MCPHUB: &str = env!("CARGO_BIN_EXE_mcphub");
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const PATIENCE: Duration = Duration::from_secs(300);

/// A process, which ends when this is dropped.
pub struct Party {
    child: Child,
    pub address: SocketAddr,
}

impl Party {
    /// This program as the party of that name, which prints its address.
    pub fn start(args: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let child = Command::new(program)
            .arg(MARK)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        Self::said(child, |line| line.trim().parse().ok())
    }

    /// A process that says in a line where it is.
    fn said(mut child: Child, address: fn(&str) -> Option<SocketAddr>) -> Self {
        let stdout = child.stdout.take().expect("a pipe was asked for");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let address = lines.find_map(|line| address(&line));
        let address = address.expect("a party says where it is");
        // What it says besides is read, so that it can go on.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// The processor time that it has used, in seconds, to a hundredth.
    pub fn work(&self) -> f64 {
        let stat = self.proc("stat");
        let (_, fields) = stat.rsplit_once(')').expect("the name in brackets");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().expect("a number");
        // utime and stime, the fields 14 and 15 of proc(5), in ticks of which Linux has 100 a second.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// The memory that it has now, in KiB.
    pub fn memory(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let line = line.expect("a process has memory").trim();
        let number = line.strip_suffix("kB").expect("its unit").trim();
        number.parse().expect("a number")
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).expect("the process runs")
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `mcphub serve` in front of MCP servers.
pub struct Gateway {
    pub party: Party,
    /// Where metrics are read.
    operators: SocketAddr,
    /// The header that lets in, with the end of its line; or nothing.
    pub key: String,
    servers: usize,
    folder: TempDir,
}

/// What a gateway has to do besides routing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Duties {
    /// Nothing.
    Routing,
    /// Keys with rules, a rate, and every call in the audit log.
    All,
}

impl Gateway {
    /// Starts one with so many servers of `upstreams`, named `s0`, `s1`, and so on, of which it knows
    /// the tools.
    pub async fn start(upstreams: &Party, servers: usize, era: &str, duties: Duties) -> Self {
        let mut config = match duties {
            Duties::Routing => String::new(),
            Duties::All => {
                "auth = \"keys\"\nrate_limit = \"1000000/s\"\n[audit]\ncalls = \"all\"\n".to_owned()
            }
        };
        for server in 0..servers {
            config.push_str(&at(upstreams, era, server));
        }
        Self::with(&config, servers, duties).await
    }

    /// Starts one with this configuration, which has so many servers.
    pub async fn with(config: &str, servers: usize, duties: Duties) -> Self {
        let folder = folder();
        std::fs::write(folder.path().join("mcphub.toml"), config).expect("a file");
        let key = match duties {
            Duties::Routing => String::new(),
            Duties::All => {
                let made = mcphub(&folder)
                    .args(["key", "create", "bench", "--allow", "s*"])
                    .output()
                    .expect("mcphub starts");
                assert!(made.status.success(), "{made:?}");
                let token = String::from_utf8(made.stdout).expect("a token");
                format!("authorization: Bearer {}\r\n", token.trim())
            }
        };
        let mut gateway = serve(folder, servers, key);
        gateway.ready().await;
        // From here on the servers are registered: a start that finds them does not ask them first.
        gateway.again();
        gateway.ready().await;
        gateway
    }

    /// Starts one with so many servers of `upstreams`, named `s0`, `s1`, and so on, which it meets first.
    pub async fn seeded(upstreams: &Party, servers: usize) -> (Self, Seed) {
        let folder = folder();
        std::fs::write(folder.path().join("mcphub.toml"), "").expect("a file");
        let seed = Seed::open(&folder.path().join("mcphub.db"), MASTER_KEY).await;
        for server in 0..servers {
            seed.save(server, upstreams.address, 0).await;
        }
        let gateway = serve(folder, servers, String::new());
        gateway.ready().await;
        (gateway, seed)
    }

    /// A counter, or a gauge without labels.
    pub async fn count(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name}"))
    }

    async fn metrics(&self) -> String {
        let request = Request {
            head: "GET /metrics HTTP/1.1\r\nhost: localhost\r\n".to_owned(),
            body: String::new(),
        };
        let mut client = Client::connect(self.operators).await;
        client.exchange(&request.bytes("")).await;
        load::text(&client)
    }

    /// Ends it and starts it anew.
    pub fn again(&mut self) {
        let (party, operators) = process(&self.folder);
        (self.party, self.operators) = (party, operators);
    }

    /// Waits until all servers are met.
    async fn ready(&self) {
        let wanted = format!("mcphub_servers{{state=\"ready\"}} {}", self.servers);
        let begun = Instant::now();
        loop {
            if tokio::net::TcpStream::connect(self.operators).await.is_ok()
                && self.metrics().await.lines().any(|line| line == wanted)
            {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not ready: {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The configuration of a server of `upstreams`.
pub fn at(upstreams: &Party, era: &str, server: usize) -> String {
    let address = upstreams.address;
    format!("[servers.s{server}]\nurl = \"http://{address}/{era}/{server}/mcp\"\n")
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn mcphub(folder: &TempDir) -> Command {
    let mut command = Command::new(MCPHUB);
    command
        .current_dir(folder.path())
        .env("MCPHUB_MASTER_KEY", MASTER_KEY)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn serve(folder: TempDir, servers: usize, key: String) -> Gateway {
    let (party, operators) = process(&folder);
    Gateway {
        party,
        operators,
        key,
        servers,
        folder,
    }
}

fn process(folder: &TempDir) -> (Party, SocketAddr) {
    let (address, operators) = (free(), free());
    let child = mcphub(folder)
        .args(["serve", "--listen", &address.to_string()])
        .args(["--metrics-listen", &operators.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("mcphub starts");
    (Party { child, address }, operators)
}

/// `mcphub up` with a document in this folder.
pub fn up(folder: &TempDir, document: &str) -> Party {
    let child = mcphub(folder)
        .args(["up", document, "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("mcphub starts");
    Party::said(child, |line| {
        let rest = line.strip_prefix("Serving MCP at http://")?;
        rest.split('/').next()?.parse().ok()
    })
}

pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}
