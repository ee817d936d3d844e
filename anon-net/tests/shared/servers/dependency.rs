//! Programs that tests need, and skipping tests without them.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::scripts;
use crate::shared::Test;

/// A program that `.ci/servers/install.sh` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dependency {
    Dcmtk,
    Openssl,
    Orthanc,
    /// The virtual environment with pynetdicom and the packages that write the corpus.
    Python,
    /// An S3 server.
    Rclone,
    /// An S3 and Cognito server.
    Moto,
    /// A Secret Service and its tools.
    Keyring,
}

impl Dependency {
    fn name(self) -> &'static str {
        match self {
            Self::Dcmtk => "dcmtk",
            Self::Openssl => "openssl",
            Self::Orthanc => "orthanc",
            Self::Python => "pynetdicom",
            Self::Rclone => "rclone",
            Self::Moto => "moto",
            Self::Keyring => "gnome-keyring",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::Dcmtk => on_path("storescp") && on_path("dcmqrscp"),
            Self::Openssl => on_path("openssl"),
            Self::Orthanc => on_path("Orthanc"),
            Self::Python => python_is_installed(),
            Self::Rclone => venv().join("bin/rclone").is_file(),
            Self::Moto => venv().join("bin/moto_server").is_file(),
            Self::Keyring => ["dbus-run-session", "gnome-keyring-daemon", "secret-tool"]
                .into_iter()
                .all(on_path),
        }
    }
}

/// Returns whether all of them are installed. If not, prints `skipped: … not installed`.
///
/// # Errors
/// If one of them is not installed and `ANON_REQUIRE_SERVERS` is set.
pub(crate) fn are_installed(dependencies: &[Dependency]) -> Test<bool> {
    let missing = if scripts().is_dir() {
        dependencies
            .iter()
            .find(|dependency| !dependency.is_installed())
            .map(|dependency| dependency.name())
    } else {
        Some(".ci/servers")
    };
    let Some(missing) = missing else {
        return Ok(true);
    };
    if env::var_os("ANON_REQUIRE_SERVERS").is_some_and(|value| !value.is_empty()) {
        return Err(format!("{missing} not installed, and ANON_REQUIRE_SERVERS is set").into());
    }
    // Not `eprintln!`: the test harness would capture the message.
    writeln!(io::stderr(), "skipped: {missing} not installed")?;
    Ok(false)
}

/// Returns the virtual environment that `.ci/run` uses.
pub(crate) fn venv() -> PathBuf {
    let of = |variable: &str| env::var_os(variable).map(PathBuf::from);
    let cache = || of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")));
    of("VENV")
        .or_else(|| Some(of("ANON_CI_TOOLS")?.join("venv")))
        .or_else(|| Some(cache()?.join("anon-ci/venv")))
        .unwrap_or_default()
}

pub(crate) fn python() -> PathBuf {
    venv().join("bin/python")
}

fn python_is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let status = Command::new(python())
            .args([
                "-c",
                "import pynetdicom, sqlalchemy, numpy, openjpeg, jpeg_ls",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    })
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = env::split_paths(&path);
    // Debian installs Orthanc in a directory that only root's PATH contains.
    directories.any(|directory| directory.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}
