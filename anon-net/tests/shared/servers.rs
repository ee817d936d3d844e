//! Real servers on loopback, each in its own process group and temporary directory.
//!
//! [`ServerKind::start`] gets a free port from the kernel, starts a script of `.ci/servers` with
//! it, and returns when the server responds to a C-ECHO. Dropping the [`Server`] kills the process
//! group; so does the end of the test process, however it ends (the script watches a pipe that the
//! test holds). `.ci/run tools` installs what is needed. If something is missing, a test prints a
//! message and passes, unless `ANON_REQUIRE_SERVERS` is set:
//!
//! ```ignore
//! let setup = Setup::default().knows("ANONYMIZER", our_port);
//! let Some(archive) = ServerKind::Orthanc.start(&setup)? else { return Ok(()) };
//! dcmtk("echoscu", &archive.dcmtk_arguments(&[]))?.succeeds()?;
//! ```

pub(crate) mod certificates;
pub(crate) mod corpus;
pub(crate) mod dependency;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod tool;

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use self::certificates::{Authority, Identity};
use self::corpus::Instance;
use self::dependency::{Dependency, are_installed};
use self::process::Process;
use self::tool::dcmtk;
use super::{Test, wait};

/// How long a server may take to start. A build may occupy all cores.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Returns the directory of the scripts, which exists only in the repository.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/servers")
}

/// A kind of server that the tests can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerKind {
    /// The archive Orthanc.
    Orthanc,
    /// DCMTK's archive, `dcmqrscp`.
    Dcmqrscp,
    /// pynetdicom's archive, `qrscp`.
    Pynetdicom,
    /// pynetdicom's `storescp`.
    PynetdicomStore,
    /// DCMTK's `storescp`.
    Storescp,
}

impl ServerKind {
    /// The archives, which support C-FIND, C-MOVE and C-GET.
    pub(crate) const ARCHIVES: [Self; 3] = [Self::Orthanc, Self::Dcmqrscp, Self::Pynetdicom];

    /// Returns its AE title.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Orthanc => "ORTHANC",
            Self::Dcmqrscp => "QRSCP",
            Self::Pynetdicom => "PYNETQR",
            Self::PynetdicomStore => "PYNETSTORE",
            Self::Storescp => "STORESCP",
        }
    }

    /// Returns whether it accepts objects with a transfer syntax when started without options.
    pub(crate) fn accepts(self, transfer_syntax: &str) -> bool {
        match self {
            Self::Orthanc | Self::Pynetdicom | Self::PynetdicomStore => true,
            Self::Dcmqrscp | Self::Storescp => corpus::UNCOMPRESSED.contains(&transfer_syntax),
        }
    }

    /// Starts it. `None`, with a message, if something that it needs is not installed.
    ///
    /// Another process can take the port before the server does. Then it is started again with
    /// another port.
    pub(crate) fn start(self, setup: &Setup) -> Test<Option<Server>> {
        if !are_installed(&[Dependency::Dcmtk, self.dependency()])? {
            return Ok(None);
        }
        let mut last = None;
        for _ in 0..3 {
            match self.try_start(setup) {
                Ok(server) => return Ok(Some(server)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| "not tried".into()))
    }

    fn dependency(self) -> Dependency {
        match self {
            Self::Orthanc => Dependency::Orthanc,
            Self::Dcmqrscp | Self::Storescp => Dependency::Dcmtk,
            Self::Pynetdicom | Self::PynetdicomStore => Dependency::Python,
        }
    }

    fn try_start(self, setup: &Setup) -> Test<Server> {
        let directory = tempfile::tempdir()?;
        let port = port::free()?;
        let mut command = Command::new("bash");
        match self {
            Self::Orthanc => command.arg(scripts().join("orthanc.sh")),
            Self::Dcmqrscp => command.arg(scripts().join("dcmqrscp.sh")),
            Self::Pynetdicom => command.arg(scripts().join("pynetdicom.sh")).arg("qrscp"),
            Self::PynetdicomStore => command.arg(scripts().join("pynetdicom.sh")).arg("storescp"),
            Self::Storescp => command.arg(scripts().join("storescp.sh")),
        };
        command
            .args(&setup.arguments)
            .envs(setup.variables.iter().map(|(name, value)| (name, value)))
            .env("STATE", directory.path())
            .env("PORT", port.to_string())
            .env("AE", self.title())
            .env("KNOWN", setup.known.join(" "))
            .env("VENV", dependency::venv());
        let process = Process::start(&mut command, &directory.path().join("log"))?;
        let server = Server {
            kind: self,
            port,
            process,
            directory,
        };
        server.wait(setup)?;
        Ok(server)
    }
}

/// Options of a server.
#[derive(Debug, Default, Clone)]
pub(crate) struct Setup {
    known: Vec<String>,
    arguments: Vec<String>,
    variables: Vec<(&'static str, PathBuf)>,
    health: Health,
}

/// How to tell that a server is ready.
#[derive(Debug, Default, Clone)]
enum Health {
    /// It responds to a C-ECHO.
    #[default]
    Echo,
    /// It responds to a C-ECHO over TLS with this identity.
    Tls(Identity),
    /// It accepts a connection: its options prevent a response to a C-ECHO.
    AcceptsConnection,
}

impl Setup {
    /// Adds a node on 127.0.0.1 that the server may send to.
    pub(crate) fn knows(mut self, title: &str, port: u16) -> Self {
        self.known.push(format!("{title}={port}"));
        self
    }

    /// Adds a command line option of the server.
    pub(crate) fn with(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable of its script.
    pub(crate) fn set(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.push((variable, value.into()));
        self
    }

    /// Enables TLS: the server presents the certificate `server` and requires one of the authority.
    pub(crate) fn tls(mut self, authority: &Authority, server: &str) -> Self {
        let presented = authority.identity(server);
        self.variables.push(("TLS_KEY", presented.key));
        self.variables
            .push(("TLS_CERTIFICATE", presented.certificate));
        self.variables.push(("TLS_CA", authority.trusted()));
        self.health = Health::Tls(authority.identity("client"));
        self
    }

    /// Declares that the server does not respond to C-ECHO, such as storescp with `--refuse`.
    pub(crate) fn without_echo(mut self) -> Self {
        self.health = Health::AcceptsConnection;
        self
    }
}

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Server {
    kind: ServerKind,
    port: u16,
    // Declared before `directory`, so that the process ends before its files are removed.
    process: Process,
    directory: tempfile::TempDir,
}

/// Prints the server's output if the test failed.
impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Not `eprintln!`: some binaries that include this file forbid printing.
            let _ = writeln!(io::stderr(), "{:?} printed:\n{}", self.kind, self.log());
        }
    }
}

impl Server {
    pub(crate) fn title(&self) -> &'static str {
        self.kind.title()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the process id of the server itself, not of its script.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns true while it runs.
    pub(crate) fn is_running(&self) -> Test<bool> {
        self.process.is_running()
    }

    /// Returns the directory of its settings, database and log.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns its output.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Returns the files that a storescp received, sorted by name.
    pub(crate) fn received(&self) -> Test<Vec<PathBuf>> {
        let entries = fs::read_dir(self.directory.path().join("in"))?;
        let mut files = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Test<Vec<_>>>()?;
        files.sort();
        Ok(files)
    }

    /// Returns the arguments of a DCMTK tool that calls this server, followed by `more`.
    pub(crate) fn dcmtk_arguments(&self, more: &[&str]) -> Vec<String> {
        let port = self.port.to_string();
        let peer = ["-aec", self.title(), "127.0.0.1", &port];
        peer.iter().chain(more).map(|&it| it.to_owned()).collect()
    }

    /// Sends instances to it without changing their transfer syntaxes. (dcmsend would convert all
    /// uncompressed ones to explicit VR little endian.)
    pub(crate) fn load(&self, instances: &[&Instance]) -> Test {
        for instance in instances {
            let path = instance.path.to_string_lossy();
            let arguments = self.dcmtk_arguments(&[instance.option, "--required", &path]);
            dcmtk("storescu", &arguments)?.succeeds()?;
        }
        Ok(())
    }

    fn wait(&self, setup: &Setup) -> Test {
        let ready = wait::until("the server is ready", START_TIMEOUT, || {
            if !self.process.is_running()? {
                return Err("the server ended".into());
            }
            self.healthy(&setup.health)
        });
        ready.map_err(|error| format!("{:?}: {error}\n{}", self.kind, self.log()).into())
    }

    fn healthy(&self, health: &Health) -> Test<bool> {
        let mut arguments = self.dcmtk_arguments(&["-to", "2", "-ta", "3", "-td", "3"]);
        match health {
            Health::Echo => {}
            // Accepts any server certificate: this only checks that the server runs.
            Health::Tls(identity) => {
                arguments.extend(identity.dcmtk());
                arguments.push("--ignore-peer-cert".to_owned());
            }
            Health::AcceptsConnection => {
                return Ok(std::net::TcpStream::connect(self.address()).is_ok());
            }
        }
        Ok(dcmtk("echoscu", &arguments)?.code == Some(0))
    }
}
