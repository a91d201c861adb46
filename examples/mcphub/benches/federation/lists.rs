//! `tools/list` of fifty servers with a hundred tools each, beside a file of the same bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::calls::modern;
use crate::client::Client;
use crate::load::{self, Request, Script};
use crate::party::{Duties, Gateway, Party};
use crate::{Turns, median};

const SERVERS: usize = 50;
const CONNECTIONS: usize = 32;
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures the first page of the list, which is as long as a page may be.
pub async fn report(turns: Turns) {
    let upstreams = Party::start(&["servers", "100"]);
    let gateway = Gateway::start(&upstreams, SERVERS, "modern", Duties::Routing).await;
    let list = Script {
        server: gateway.party.address,
        opening: None,
        requests: [modern("/mcp", "tools/list", "", "")].into(),
    };
    let (client, ..) = load::connect(&list, 0).await;
    let answer = load::text(&client);
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let tools = body.matches(r#""inputSchema""#).count();
    println!(
        "`tools/list` of {SERVERS} servers with 100 tools each: {tools} tools, {} bytes a page",
        body.len()
    );
    let Some(nginx) = Nginx::start(body).await else {
        println!("nginx is not installed: there is nothing to compare with\n");
        return;
    };
    let file = Script {
        server: nginx.address,
        opening: None,
        requests: [Request {
            head: "GET /list.json HTTP/1.1\r\nhost: localhost\r\n".to_owned(),
            body: String::new(),
        }]
        .into(),
    };
    let mut ratios = Vec::new();
    for round in 0..=turns.rounds {
        let file = load::run(&file, CONNECTIONS, turns.time).await;
        let list = load::run(&list, CONNECTIONS, turns.time).await;
        if round > 0 {
            ratios.push(list.rate() / file.rate());
        }
    }
    println!(
        "lists a second, nginx with a file of the same bytes: {:.2}\n",
        median(&mut ratios)
    );
}

/// A web server that gives one file, with two workers and without a log.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    async fn start(body: &str) -> Option<Self> {
        let programs = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"];
        let program = programs.into_iter().find(|path| Path::new(path).exists())?;
        let folder = tempfile::tempdir().expect("a folder");
        let address = crate::party::free();
        let root = folder.path().display();
        let config = format!(
            "daemon off; worker_processes 2; pid {root}/pid; error_log stderr crit;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n\
             server {{ listen {address}; root {root}; }} }}\n"
        );
        std::fs::write(folder.path().join("list.json"), body).expect("a file");
        std::fs::write(folder.path().join("nginx.conf"), config).expect("a file");
        // Workers that are not root's read the file, too.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), readable).expect("the folder is ours");
        let child = Command::new(program)
            .args(["-c", &format!("{root}/nginx.conf"), "-p", &root.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "nginx does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut client = Client::connect(address).await;
        client
            .exchange(b"GET /list.json HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        assert!(
            load::text(&client).ends_with(body),
            "nginx gives another file"
        );
        Some(Self {
            child,
            address,
            _folder: folder,
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill};
        // It ends its workers, which a killed one would leave.
        let id = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let _ = kill(id, Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
