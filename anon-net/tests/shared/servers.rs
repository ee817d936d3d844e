//! Real servers on loopback, each in a process group and a temporary directory of its own.
//!
//! [`Kind::start`] asks the kernel for a free port, starts a script of `.ci/servers` with it, and
//! returns when the server answers a C-ECHO. Dropping the [`Server`] kills the group; so does the end
//! of the test process, however it comes (the script watches a pipe that we hold). `.ci/run tools`
//! installs what is needed. Where it is absent a test says so and passes, unless
//! `ANON_REQUIRE_SERVERS` is set:
//!
//! ```ignore
//! let setup = Setup::default().knows("ANONYMIZER", our_port);
//! let Some(archive) = Kind::Orthanc.start(&setup)? else { return Ok(()) };
//! dcmtk("echoscu", &archive.called(&[]))?.succeeds()?;
//! ```

pub(crate) mod certificates;
pub(crate) mod corpus;
pub(crate) mod need;
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
use self::need::{Need, here};
use self::process::Process;
use self::tool::dcmtk;
use super::{Test, wait};

/// How long a server may take until it answers. Two cores may be busy with a build.
const START: Duration = Duration::from_mins(1);

/// The scripts, in the repository; a packaged crate has none.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/servers")
}

/// A server that we know how to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An archive.
    Orthanc,
    /// DCMTK's archive.
    Dcmqrscp,
    /// pynetdicom's archive, `qrscp`.
    Pynetdicom,
    /// pynetdicom's `storescp`.
    PynetdicomStore,
    /// DCMTK's `storescp`.
    Storescp,
}

impl Kind {
    /// Those that answer C-FIND, C-MOVE and C-GET.
    pub(crate) const ARCHIVES: [Self; 3] = [Self::Orthanc, Self::Dcmqrscp, Self::Pynetdicom];

    /// Its AE title.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Orthanc => "ORTHANC",
            Self::Dcmqrscp => "QRSCP",
            Self::Pynetdicom => "PYNETQR",
            Self::PynetdicomStore => "PYNETSTORE",
            Self::Storescp => "STORESCP",
        }
    }

    /// Whether it stores objects of a transfer syntax when started without options.
    pub(crate) fn takes(self, transfer_syntax: &str) -> bool {
        match self {
            Self::Orthanc | Self::Pynetdicom | Self::PynetdicomStore => true,
            Self::Dcmqrscp | Self::Storescp => corpus::UNCOMPRESSED.contains(&transfer_syntax),
        }
    }

    /// Starts it. None, and a word about it, if something that it needs is not installed.
    ///
    /// The port is given to the server as a number, so another process can be faster: then the start
    /// is tried again with another port.
    pub(crate) fn start(self, setup: &Setup) -> Test<Option<Server>> {
        if !here(&[Need::Dcmtk, self.need()])? {
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

    fn need(self) -> Need {
        match self {
            Self::Orthanc => Need::Orthanc,
            Self::Dcmqrscp | Self::Storescp => Need::Dcmtk,
            Self::Pynetdicom | Self::PynetdicomStore => Need::Python,
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
            .env("VENV", need::venv());
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

/// How a server is to be.
#[derive(Debug, Default, Clone)]
pub(crate) struct Setup {
    known: Vec<String>,
    arguments: Vec<String>,
    variables: Vec<(&'static str, PathBuf)>,
    health: Health,
}

/// What shows that a server is ready.
#[derive(Debug, Default, Clone)]
enum Health {
    /// It answers a C-ECHO.
    #[default]
    Echo,
    /// It answers a C-ECHO over TLS from the holder of this.
    Tls(Identity),
    /// It takes a connection: its options keep it from answering.
    Listens,
}

impl Setup {
    /// A node that the server may send to, on 127.0.0.1.
    pub(crate) fn knows(mut self, title: &str, port: u16) -> Self {
        self.known.push(format!("{title}={port}"));
        self
    }

    /// An option of the server's own.
    pub(crate) fn with(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A setting that its script reads from the environment.
    pub(crate) fn set(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.push((variable, value.into()));
        self
    }

    /// TLS only: the server presents `server` and demands a certificate of the authority.
    pub(crate) fn tls(mut self, authority: &Authority, server: &str) -> Self {
        let presented = authority.identity(server);
        self.variables.push(("TLS_KEY", presented.key));
        self.variables
            .push(("TLS_CERTIFICATE", presented.certificate));
        self.variables.push(("TLS_CA", authority.trusted()));
        self.health = Health::Tls(authority.identity("client"));
        self
    }

    /// By its options the server answers no C-ECHO, such as storescp with `--refuse`.
    pub(crate) fn mute(mut self) -> Self {
        self.health = Health::Listens;
        self
    }
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    port: u16,
    // Before the directory: it ends before its files go.
    process: Process,
    directory: tempfile::TempDir,
}

/// A test that fails shows what its servers said.
impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // By hand: not every binary that takes this in prints.
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

    /// Of the server itself, not of its script.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it still runs.
    pub(crate) fn lives(&self) -> Test<bool> {
        self.process.lives()
    }

    /// Its settings, its database and its log.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The files of a storescp, by name.
    pub(crate) fn received(&self) -> Test<Vec<PathBuf>> {
        let entries = fs::read_dir(self.directory.path().join("in"))?;
        let mut files = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Test<Vec<_>>>()?;
        files.sort();
        Ok(files)
    }

    /// The arguments of a DCMTK tool that calls this server, and then `more`.
    pub(crate) fn called(&self, more: &[&str]) -> Vec<String> {
        let port = self.port.to_string();
        let peer = ["-aec", self.title(), "127.0.0.1", &port];
        peer.iter().chain(more).map(|&it| it.to_owned()).collect()
    }

    /// Sends instances to it, in the transfer syntaxes they have. (dcmsend would make explicit VR little
    /// endian of all that is not compressed.)
    pub(crate) fn load(&self, instances: &[&Instance]) -> Test {
        for instance in instances {
            let path = instance.path.to_string_lossy();
            let arguments = self.called(&[instance.option, "--required", &path]);
            dcmtk("storescu", &arguments)?.succeeds()?;
        }
        Ok(())
    }

    fn wait(&self, setup: &Setup) -> Test {
        let ready = wait::until("the server is ready", START, || {
            if !self.process.lives()? {
                return Err("the server ended".into());
            }
            self.healthy(&setup.health)
        });
        ready.map_err(|error| format!("{:?}: {error}\n{}", self.kind, self.log()).into())
    }

    fn healthy(&self, health: &Health) -> Test<bool> {
        let mut arguments = self.called(&["-to", "2", "-ta", "3", "-td", "3"]);
        match health {
            Health::Echo => {}
            // Whatever the server presents: this asks only whether it runs.
            Health::Tls(identity) => {
                arguments.extend(identity.dcmtk());
                arguments.push("--ignore-peer-cert".to_owned());
            }
            Health::Listens => return Ok(std::net::TcpStream::connect(self.address()).is_ok()),
        }
        Ok(dcmtk("echoscu", &arguments)?.code == Some(0))
    }
}
