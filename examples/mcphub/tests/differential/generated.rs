//! Generated servers in every language, running.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::artifact::Builder;
use mcphub_core::deployment::{Deployer, DeploymentSpec, Endpoint};
use mcphub_core::project::{Project, Purpose, RenderOptions, Target};
use mcphub_core::secret::{Credentials, ExposeSecret, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolSet;
use mcphub_deploy::process::{ProcessDeployer, ProcessSettings, PythonBuilder, PythonSettings};
use mcphub_gateway::upstream::streamable_http::{McpClient, McpHttp, McpSettings};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::recorder::Recorder;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(60);

/// A language that servers are generated in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Python,
    TypeScript,
}

impl Language {
    /// Those whose tests are asked for; says which are not.
    pub fn wanted() -> Vec<Self> {
        let all = [
            (Self::Python, "MCPHUB_TEST_PYTHON"),
            (Self::TypeScript, "MCPHUB_TEST_CLIENTS"),
        ];
        let wanted = all.into_iter().filter(|(language, variable)| {
            let asked = std::env::var_os(variable).is_some();
            if !asked {
                eprintln!("{language:?}: not run: {variable} is not set; scripts/test.sh sets it");
            }
            asked
        });
        wanted.map(|(language, _)| language).collect()
    }

    /// A running server for these tools, whose API is the recorder.
    pub async fn start(
        self,
        name: &str,
        tools: &ToolSet,
        recorder: &Recorder,
        credentials: &Credentials,
    ) -> Generated {
        let name = ServerName::from_title(name);
        let options = RenderOptions {
            name: name.to_string(),
            base_url: Some(recorder.url.clone()),
        };
        let (endpoint, running) = match self {
            Self::Python => {
                let project = PythonTarget::default().render(tools, &options).unwrap();
                python(name, &project, recorder, credentials).await
            }
            Self::TypeScript => {
                let project = TypeScriptTarget::default().render(tools, &options).unwrap();
                typescript(&project, recorder, credentials).await
            }
        };
        let client = McpClient::new(McpSettings::default()).unwrap();
        Generated {
            language: self,
            upstream: McpHttp::new(endpoint, client),
            running,
        }
    }
}

/// A generated server.
pub struct Generated {
    pub language: Language,
    pub upstream: McpHttp,
    running: Running,
}

enum Running {
    Python(ServerName, ProcessDeployer),
    TypeScript(Node),
}

impl Generated {
    /// Ends the server.
    pub async fn stop(self) {
        match self.running {
            Running::Python(name, deployer) => assert!(deployer.remove(&name).await.unwrap()),
            Running::TypeScript(node) => drop(node),
        }
    }
}

fn environment(
    project: &Project,
    recorder: &Recorder,
    credentials: &Credentials,
) -> Vec<(String, SecretString)> {
    let value = |purpose: &Purpose| match purpose {
        Purpose::BaseUrl => Some(recorder.url.to_string().into()),
        Purpose::Headers => Some(r#"{"X-Every-Call": "yes"}"#.to_owned().into()),
        Purpose::Bearer => credentials.bearer.clone(),
        Purpose::Scheme(scheme) => credentials.schemes.get(scheme).cloned(),
        _ => None,
    };
    let variables = project.environment.iter();
    variables
        .filter_map(|variable| Some((variable.name.clone(), value(&variable.purpose)?)))
        .collect()
}

async fn python(
    name: ServerName,
    project: &Project,
    recorder: &Recorder,
    credentials: &Credentials,
) -> (Endpoint, Running) {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("differential");
    let builder = PythonBuilder::new(PythonSettings::new(root));
    let artifact = builder.build(project).await.unwrap();
    let mut spec = DeploymentSpec::new(name.clone(), artifact);
    spec.environment
        .extend(environment(project, recorder, credentials));
    let deployer = ProcessDeployer::new(ProcessSettings::default());
    let deployment = deployer.apply(spec).await.unwrap();
    (
        deployment.endpoint.unwrap(),
        Running::Python(name, deployer),
    )
}

/// A process, and the project that it runs; both end with this.
struct Node {
    process: Child,
    _project: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a project from its sources, as its tests do: Node.js takes the types out.
async fn typescript(
    project: &Project,
    recorder: &Recorder,
    credentials: &Credentials,
) -> (Endpoint, Running) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let environment_of_tests = target.join("test-env");
    let modules = environment_of_tests.join("typescript");
    assert!(
        modules.join("node_modules").is_dir(),
        "{} is not there: run scripts/install-test-clients.sh",
        modules.display()
    );
    // Modules are looked up from where a program lies, upwards.
    let folder = TempDir::new_in(&modules).unwrap();
    write(project, folder.path(), &WriteOptions::default()).unwrap();
    let port = free_port();
    let mut command = Command::new(environment_of_tests.join("node/node"));
    command
        .args(["--disallow-code-generation-from-strings", "src/main.ts"])
        .current_dir(folder.path())
        .env_remove("NODE_OPTIONS")
        .env("MCP_TRANSPORT", "http")
        .env("MCP_PORT", port.to_string())
        .stdin(Stdio::null());
    for (name, value) in environment(project, recorder, credentials) {
        command.env(name, value.expose_secret());
    }
    let mut node = Node {
        process: command.spawn().unwrap(),
        _project: folder,
    };
    let deadline = Instant::now() + START;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .is_err()
    {
        let ended = node.process.try_wait().unwrap();
        assert!(ended.is_none(), "the server ended: {ended:?}");
        assert!(Instant::now() < deadline, "the server does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let endpoint = Endpoint {
        url: format!("http://127.0.0.1:{port}/mcp").parse().unwrap(),
        headers: Vec::new(),
    };
    (endpoint, Running::TypeScript(node))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
