//! Generated servers in every language, running.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_codegen::targets::rust::RustTarget;
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::artifact::Builder;
use mcphub_core::deployment::{Deployer, DeploymentSpec, Endpoint};
use mcphub_core::project::{Project, Purpose, RenderOptions, Runtime, Target};
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
    Rust,
}

impl Language {
    /// Those whose tests are asked for; says which are not.
    pub fn wanted() -> Vec<Self> {
        let all = [
            (Self::Python, "MCPHUB_TEST_PYTHON"),
            (Self::TypeScript, "MCPHUB_TEST_CLIENTS"),
            (Self::Rust, "MCPHUB_TEST_RUST"),
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
            // What is compiled is the same each time; its environment says where the recorder is.
            base_url: (self != Self::Rust).then(|| recorder.url.clone()),
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
            Self::Rust => {
                let project = RustTarget::default().render(tools, &options).unwrap();
                rust(&project, recorder, credentials).await
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
    Process(Process),
}

impl Generated {
    /// Ends the server.
    pub async fn stop(self) {
        match self.running {
            Running::Python(name, deployer) => assert!(deployer.remove(&name).await.unwrap()),
            Running::Process(process) => drop(process),
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
        // One as text, the other as a file.
        Purpose::Identity => credentials.identity.clone(),
        Purpose::Authorities => credentials.authorities.as_deref().map(file),
        _ => None,
    };
    let variables = project.environment.iter();
    variables
        .filter_map(|variable| Some((variable.name.clone(), value(&variable.purpose)?)))
        .collect()
}

/// The path of a file with this in it.
fn file(authorities: &str) -> SecretString {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authorities.pem");
    std::fs::write(&path, authorities).unwrap();
    path.to_str().unwrap().into()
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
struct Process {
    child: Child,
    _project: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
    let mut command = Command::new(environment_of_tests.join("node/node"));
    command
        .args(["--disallow-code-generation-from-strings", "src/main.ts"])
        .current_dir(folder.path())
        .env_remove("NODE_OPTIONS")
        .envs(exposed(project, recorder, credentials));
    listening(command, folder).await
}

/// Builds and starts a project, beside all others: what they depend on is built once.
async fn rust(
    project: &Project,
    recorder: &Recorder,
    credentials: &Credentials,
) -> (Endpoint, Running) {
    let Runtime::Cargo { program } = &project.runtime else {
        panic!("{:?}", project.runtime);
    };
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = root.join("rust-projects/differential").join(program);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    write(project, &folder, &WriteOptions::default()).unwrap();
    // Projects of other tests have the same names.
    let built = TempDir::new().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "--locked", "--target-dir"])
        .arg(root.join("rust"))
        .current_dir(&folder)
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    let status = tokio::task::spawn_blocking(move || build.status());
    assert!(status.await.unwrap().unwrap().success(), "{program}");
    let copy = built.path().join(program);
    std::fs::copy(root.join("rust/debug").join(program), &copy).unwrap();
    let mut command = Command::new(copy);
    command.envs(exposed(project, recorder, credentials));
    listening(command, built).await
}

fn exposed(
    project: &Project,
    recorder: &Recorder,
    credentials: &Credentials,
) -> Vec<(String, String)> {
    let variables = environment(project, recorder, credentials).into_iter();
    variables
        .map(|(name, value)| (name, value.expose_secret().to_owned()))
        .collect()
}

/// Starts a server, and waits until it listens.
async fn listening(mut command: Command, project: TempDir) -> (Endpoint, Running) {
    let port = free_port();
    command
        .env("MCP_TRANSPORT", "http")
        .env("MCP_PORT", port.to_string())
        .stdin(Stdio::null());
    let mut process = Process {
        child: command.spawn().unwrap(),
        _project: project,
    };
    let deadline = Instant::now() + START;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .is_err()
    {
        let ended = process.child.try_wait().unwrap();
        assert!(ended.is_none(), "the server ended: {ended:?}");
        assert!(Instant::now() < deadline, "the server does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let endpoint = Endpoint {
        url: format!("http://127.0.0.1:{port}/mcp").parse().unwrap(),
        headers: Vec::new(),
    };
    (endpoint, Running::Process(process))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
