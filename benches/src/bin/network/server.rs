//! The measured servers, each in a fresh directory.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anon_benches::baseline;
use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::process;

/// The kind of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerKind {
    /// `storescp` of DCMTK, which stores each object unchanged.
    StorescpStoring,
    /// `storescp` of DCMTK, which drops each object.
    StorescpIgnoring,
    /// `anon serve` with this durability. It de-identifies each object.
    Anon(&'static str),
}

impl ServerKind {
    pub(crate) fn name(self) -> String {
        match self {
            Self::StorescpStoring => "storescp --fork +B".to_owned(),
            Self::StorescpIgnoring => "storescp --ignore".to_owned(),
            Self::Anon(durability) => format!("anon serve ({durability})"),
        }
    }
}

/// A running server. Dropping it kills the process and removes the stored files.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    stored_files: PathBuf,
    _directory: TempDir,
}

impl Server {
    pub(crate) fn start(kind: ServerKind, parent: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(parent)?;
        let path = directory.path();
        let (child, port, stored_files) = match kind {
            ServerKind::StorescpStoring => {
                let options = ["--fork", "+B", "--output-directory"];
                let (child, port) = storescp(&options, Some(path))?;
                (child, port, path.to_owned())
            }
            ServerKind::StorescpIgnoring => {
                let (child, port) = storescp(&["--fork", "--ignore"], None)?;
                (child, port, path.to_owned())
            }
            ServerKind::Anon(durability) => {
                let project = path.join("project");
                let (child, port) = anon(&project, durability)?;
                (child, port, project.join("public"))
            }
        };
        Ok(Self {
            child,
            port,
            stored_files,
            _directory: directory,
        })
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of stored objects.
    pub(crate) fn stored(&self) -> anyhow::Result<u64> {
        Ok(baseline::files_below(&self.stored_files)?.len() as u64)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server has nothing to finish.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts DCMTK's receiver. `path` is the value of the last option.
fn storescp(options: &[&str], path: Option<&Path>) -> anyhow::Result<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let child = Command::new("storescp")
        .args(["--aetitle", "ANONYMIZER"])
        .args(options)
        .args(path)
        .arg(port.to_string())
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start storescp")?;
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

/// Starts our receiver on a new project that accepts all modalities.
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
        // All senders are on one machine.
        &["config", "set", "scp.max_associations_per_peer", "32"],
    ] {
        let output = run(arguments).output().context("cannot start anon")?;
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
    let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
    output.read_line(&mut line)?;
    // Drains the output: the server blocks at the end of an association if nobody reads it.
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
