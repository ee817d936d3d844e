//! The servers that are measured, each in a fresh directory.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anon_benches::baseline;
use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::process;

/// What serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// DCMTK's, each object kept as it came.
    StorescpStoring,
    /// DCMTK's, each object dropped.
    StorescpIgnoring,
    /// Ours, de-identifying, with this durability.
    Anon(&'static str),
}

impl Kind {
    pub(crate) fn name(self) -> String {
        match self {
            Self::StorescpStoring => "storescp --fork +B".to_owned(),
            Self::StorescpIgnoring => "storescp --ignore".to_owned(),
            Self::Anon(durability) => format!("anon serve ({durability})"),
        }
    }
}

/// A server that runs. Dropping it ends it, and removes what it stored.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    stores: PathBuf,
    _directory: TempDir,
}

impl Server {
    pub(crate) fn start(kind: Kind, parent: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(parent)?;
        let path = directory.path();
        let (child, port, stores) = match kind {
            Kind::StorescpStoring => {
                let options = ["--fork", "+B", "--output-directory"];
                let (child, port) = storescp(&options, Some(path))?;
                (child, port, path.to_owned())
            }
            Kind::StorescpIgnoring => {
                let (child, port) = storescp(&["--fork", "--ignore"], None)?;
                (child, port, path.to_owned())
            }
            Kind::Anon(durability) => {
                let project = path.join("project");
                let (child, port) = anon(&project, durability)?;
                (child, port, project.join("public"))
            }
        };
        Ok(Self {
            child,
            port,
            stores,
            _directory: directory,
        })
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many objects it has stored.
    pub(crate) fn stored(&self) -> anyhow::Result<u64> {
        Ok(baseline::files_below(&self.stores)?.len() as u64)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to finish.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts DCMTK's receiver with these options, the last of which takes this path.
fn storescp(options: &[&str], path: Option<&Path>) -> anyhow::Result<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let child = Command::new("storescp")
        .args(["--aetitle", "ANONYMIZER"])
        .args(options)
        .args(path)
        .arg(port.to_string())
        .stdin(Stdio::null())
        .spawn()
        .context("storescp does not start")?;
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(
            began.elapsed() < Duration::from_secs(5),
            "storescp does not listen"
        );
        process::pause();
    }
    Ok((child, port))
}

/// Starts our receiver on a new project that takes everything.
fn anon(project: &Path, durability: &str) -> anyhow::Result<(Child, u16)> {
    let program = std::env::current_exe()?.with_file_name("anon");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .arg("--quiet")
            .arg("-p")
            .arg(project)
            .args(arguments);
        command.stdin(Stdio::null());
        command
    };
    for arguments in [
        &["init", "--modalities", "all"][..],
        &["config", "set", "durability", durability],
        // All senders are on this machine.
        &["config", "set", "scp.max_associations_per_peer", "32"],
    ] {
        let output = run(arguments).output().context("anon does not start")?;
        ensure!(
            output.status.success(),
            "anon {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut child = run(&["--format", "json", "serve", "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().context("it is piped")?);
    output.read_line(&mut line)?;
    // It waits for whoever reads what it prints at the end of an association.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let listening: serde_json::Value =
        serde_json::from_str(&line).context("anon does not listen")?;
    let address = listening.get("address").and_then(|it| it.as_str());
    let port = address
        .and_then(|it| it.rsplit_once(':'))
        .context("no address")?
        .1;
    Ok((child, port.parse()?))
}
