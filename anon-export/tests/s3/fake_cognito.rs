//! [`FakeCognito`]: a Cognito service in this process that responds as a test demands and counts
//! requests.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anon_export::cognito::{Login, Pools};
use serde_json::Value;

use crate::setup::text;
use crate::shared::Test;

type Script = dyn Fn(&CognitoRequest) -> (u16, Value) + Send + Sync;

/// A request: its name, the number of earlier requests with that name, and its body.
#[derive(Debug)]
pub(crate) struct CognitoRequest {
    pub(crate) name: String,
    pub(crate) before: usize,
    pub(crate) body: Value,
}

impl CognitoRequest {
    /// Returns true for an `InitiateAuth` with a refresh token.
    pub(crate) fn is_refresh(&self) -> bool {
        self.body.get("AuthFlow").and_then(Value::as_str) == Some("REFRESH_TOKEN_AUTH")
    }
}

#[derive(Clone)]
pub(crate) struct FakeCognito {
    address: SocketAddr,
    counts: Arc<Mutex<BTreeMap<String, usize>>>,
    script: Arc<Script>,
}

impl fmt::Debug for FakeCognito {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl FakeCognito {
    pub(crate) fn start(
        script: impl Fn(&CognitoRequest) -> (u16, Value) + Send + Sync + 'static,
    ) -> Test<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self {
            address: listener.local_addr()?,
            counts: Arc::default(),
            script: Arc::new(script),
        };
        let of_thread = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = of_thread.clone();
                // Errors of the connection are ignored: the client is under test.
                thread::spawn(move || drop(server.serve(stream)));
            }
        });
        Ok(server)
    }

    pub(crate) fn login(&self) -> Login {
        self.login_with(None)
    }

    /// Returns a login to a pool of this account.
    pub(crate) fn login_with(&self, account: Option<&str>) -> Login {
        let pools = Pools::new("eu-central-1_pool", "client", "eu-central-1:identities");
        let mut pools = pools.with_endpoint(format!("http://{}", self.address));
        if let Some(account) = account {
            pools = pools.with_account_id(account);
        }
        Login::new(pools, "tester", text("CANARY-Passw0rd!"))
    }

    /// Returns the number of requests with this name.
    pub(crate) fn request_count(&self, name: &str) -> usize {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(name).copied().unwrap_or(0)
    }

    fn serve(&self, stream: TcpStream) -> Test {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut name, mut len) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let Some((header, value)) = line.trim_end().split_once(": ") else {
                    if line.trim_end().is_empty() {
                        break;
                    }
                    continue;
                };
                match header.to_ascii_lowercase().as_str() {
                    "x-amz-target" => {
                        value
                            .rsplit('.')
                            .next()
                            .unwrap_or_default()
                            .clone_into(&mut name);
                    }
                    "content-length" => len = value.parse()?,
                    _ => {}
                }
            }
            let mut body = vec![0; len];
            reader.read_exact(&mut body)?;
            let before = {
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counts.entry(name.clone()).or_default();
                *count += 1;
                *count - 1
            };
            let body = serde_json::from_slice(&body)?;
            let (status, response) = (self.script)(&CognitoRequest { name, before, body });
            let response = match response {
                Value::String(page) => page,
                json => json.to_string(),
            };
            let len = response.len();
            let stream = reader.get_mut();
            write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-length: {len}\r\n\r\n{response}"
            )?;
        }
    }
}
