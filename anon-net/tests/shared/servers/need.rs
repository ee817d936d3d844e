//! What must be installed, and what a test does where it is not.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::scripts;
use crate::shared::Test;

/// Something that `.ci/servers/install.sh` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Dcmtk,
    Openssl,
    Orthanc,
    /// The virtual environment with pynetdicom, and what writes the corpus.
    Python,
    /// An S3 server.
    Rclone,
    /// S3 and Cognito.
    Moto,
    /// A Secret Service, and what it needs.
    Keyring,
}

impl Need {
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

    fn is_here(self) -> bool {
        match self {
            Self::Dcmtk => on_path("storescp") && on_path("dcmqrscp"),
            Self::Openssl => on_path("openssl"),
            Self::Orthanc => on_path("Orthanc"),
            Self::Python => python_is_here(),
            Self::Rclone => venv().join("bin/rclone").is_file(),
            Self::Moto => venv().join("bin/moto_server").is_file(),
            Self::Keyring => ["dbus-run-session", "gnome-keyring-daemon", "secret-tool"]
                .into_iter()
                .all(on_path),
        }
    }
}

/// Whether all of them are installed. If not, it prints `skipped: … not installed`.
///
/// # Errors
/// If something is not installed and `ANON_REQUIRE_SERVERS` is set.
pub(crate) fn here(needs: &[Need]) -> Test<bool> {
    let missing = if scripts().is_dir() {
        needs
            .iter()
            .find(|need| !need.is_here())
            .map(|need| need.name())
    } else {
        Some(".ci/servers")
    };
    let Some(missing) = missing else {
        return Ok(true);
    };
    if env::var_os("ANON_REQUIRE_SERVERS").is_some_and(|value| !value.is_empty()) {
        return Err(format!("{missing} not installed, and ANON_REQUIRE_SERVERS is set").into());
    }
    // Not by a macro: the test harness would keep it from whoever runs the tests.
    writeln!(io::stderr(), "skipped: {missing} not installed")?;
    Ok(false)
}

/// As `.ci/run` names it.
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

fn python_is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| {
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
    // Debian puts Orthanc where only root looks.
    directories.any(|directory| directory.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}
