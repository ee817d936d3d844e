//! Real S3 servers and a Cognito server on loopback, each in its own process group and directory.
//!
//! Included by path, together with `anon-net/tests/shared`, which decides whether the servers are
//! required.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::shared::servers::certificates::Identity;
use crate::shared::servers::dependency::{self, Dependency, are_installed};
use crate::shared::servers::port;
use crate::shared::servers::process::Process;
use crate::shared::servers::scripts;
use crate::shared::{Test, wait};

/// How long a server may take to start. A build may occupy all cores.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// The bucket of every server.
pub(crate) const BUCKET: &str = "trials";

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct S3Server {
    port: u16,
    scheme: &'static str,
    // Declared before `directory`, so that the process ends before its files are removed.
    _process: Process,
    directory: tempfile::TempDir,
}

impl S3Server {
    /// Starts rclone, which verifies signatures with these keys. `None`, with a message, if it is
    /// not installed.
    pub(crate) fn rclone(access_key: &str, secret_key: &str) -> Test<Option<Self>> {
        Self::rclone_with(access_key, secret_key, &[])
    }

    /// Starts rclone with additional variables for its script.
    pub(crate) fn rclone_with(
        access_key: &str,
        secret_key: &str,
        more: &[(&str, &str)],
    ) -> Test<Option<Self>> {
        let mut variables = vec![
            ("KEY", access_key),
            ("SECRET", secret_key),
            ("BUCKET", BUCKET),
        ];
        variables.extend(more);
        Self::start(&[Dependency::Rclone], "rclone.sh", &variables)
    }

    /// Starts rclone with TLS and this certificate.
    pub(crate) fn rclone_tls(
        access_key: &str,
        secret_key: &str,
        identity: &Identity,
    ) -> Test<Option<Self>> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (key, certificate) = (text(&identity.key), text(&identity.certificate));
        let more = [("TLS_KEY", &*key), ("TLS_CERTIFICATE", &*certificate)];
        let server = Self::rclone_with(access_key, secret_key, &more)?;
        Ok(server.map(|server| Self {
            scheme: "https",
            ..server
        }))
    }

    /// Starts moto, which accepts any signature and has a Cognito.
    pub(crate) fn moto() -> Test<Option<Self>> {
        Self::start(&[Dependency::Moto], "moto.sh", &[])
    }

    fn start(needs: &[Dependency], script: &str, variables: &[(&str, &str)]) -> Test<Option<Self>> {
        if !are_installed(needs)? {
            return Ok(None);
        }
        let mut last = None;
        for _ in 0..3 {
            match Self::try_start(script, variables) {
                Ok(server) => return Ok(Some(server)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| "not tried".into()))
    }

    fn try_start(script: &str, variables: &[(&str, &str)]) -> Test<Self> {
        let directory = tempfile::tempdir()?;
        let port = port::free()?;
        let mut command = Command::new("bash");
        command
            .arg(scripts().join(script))
            .envs(variables.iter().copied())
            .env("STATE", directory.path())
            .env("PORT", port.to_string())
            .env("VENV", dependency::venv());
        let log = directory.path().join("log");
        let process = Process::start(&mut command, &log)?;
        let ready = wait::until("the server is ready", START_TIMEOUT, || {
            if !process.is_running()? {
                return Err("the server ended".into());
            }
            Ok(request(port, "GET", "/").is_ok())
        });
        if let Err(error) = ready {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("{script}: {error}\n{log}").into());
        }
        Ok(Self {
            port,
            scheme: "http",
            _process: process,
            directory,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// Returns the directory where rclone stores the objects of the bucket.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.path().join("data").join(BUCKET)
    }

    /// Returns the output of the server. moto prints a line for each request.
    pub(crate) fn log(&self) -> Test<String> {
        Ok(std::fs::read_to_string(self.directory.path().join("log"))?)
    }

    /// Creates the bucket, pools and users in moto. Returns their ids.
    pub(crate) fn cognito(&self) -> Test<BTreeMap<String, String>> {
        self.run_moto_script("cognito.py", &[])
    }

    /// Creates the bucket in moto, and keys (`ACCESS` and `SECRET`) that may put everything except
    /// names that match this pattern.
    pub(crate) fn keys_that_deny(&self, pattern: &str) -> Test<BTreeMap<String, String>> {
        self.run_moto_script("policy.py", &[pattern])
    }

    fn run_moto_script(&self, script: &str, more: &[&str]) -> Test<BTreeMap<String, String>> {
        let made = Command::new(dependency::python())
            .arg(scripts().join(script))
            .args([&self.endpoint(), BUCKET])
            .args(more)
            .output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into());
        }
        let lines = String::from_utf8(made.stdout)?;
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        Ok(pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// Creates the bucket in moto.
    pub(crate) fn make_bucket(&self) -> Test {
        request(self.port, "PUT", &format!("/{BUCKET}"))?;
        Ok(())
    }

    /// Returns the number of unfinished multipart uploads in moto.
    pub(crate) fn uploads(&self) -> Test<usize> {
        let list = request(self.port, "GET", &format!("/{BUCKET}?uploads"))?;
        let list = String::from_utf8(list)?;
        if !list.contains("<ListMultipartUploadsResult") {
            return Err(format!("no list of uploads: {list}").into());
        }
        Ok(list.matches("<Upload>").count())
    }

    /// Returns the bytes of an object in moto. `name` is the URL path below the bucket.
    pub(crate) fn object(&self, name: &str) -> Test<Vec<u8>> {
        request(self.port, "GET", &format!("/{BUCKET}/{name}"))
    }
}

/// Sends a request with an invalid signature, which only moto accepts, and returns the body of the
/// response.
fn request(port: u16, method: &str, target: &str) -> Test<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(START_TIMEOUT))?;
    write!(
        stream,
        "{method} {target} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n"
    )?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    let end = response.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or("no HTTP response")?;
    Ok(response.split_off(end + 4))
}
