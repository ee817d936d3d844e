//! A running `anon serve`, and helpers to send to it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anon_engine::testing::files::{DataSet, Place, Syntax, Value as Of, ct_small};
use anon_net::association::ul::UlDial;
use anon_net::service::{Retries, Scu, SendItem, SendOutcome, Timeouts};
use anon_net::{Cancel, Node, ServiceError, Status, Uid};
use dicom_core::Tag;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Run, Scene, Test};

/// Upper limit for any wait, generous for busy machines.
pub(crate) const LONG: Duration = Duration::from_mins(1);

pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// `anon serve` while it runs. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    lines: Receiver<String>,
    /// The lines printed so far.
    said: Vec<String>,
    errors: PathBuf,
    pub(crate) port: u16,
    pub(crate) listening: Value,
}

impl Serving {
    /// Starts it on a free port, with `--format json` and these options.
    pub(crate) fn start(scene: &Scene, options: &[&str]) -> Test<Self> {
        let mut args = vec!["-p", "project", "--format", "json", "serve", "--port", "0"];
        args.extend(options);
        Self::of(scene, scene.command(&args))
    }

    pub(crate) fn of(scene: &Scene, mut command: Command) -> Test<Self> {
        let errors = scene.path().join("serve.err");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()?;
        let out = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let mut serving = Self {
            child,
            lines,
            said: Vec::new(),
            errors,
            port: 0,
            listening: Value::Null,
        };
        let first = serving.next()?;
        assert_eq!(first["event"], "listening", "{first}");
        let address = first["address"].as_str().ok_or("no address")?;
        let port = address.rsplit(':').next().ok_or("no port")?;
        serving.port = port.parse()?;
        serving.listening = first;
        Ok(serving)
    }

    /// Waits for the next event.
    pub(crate) fn next(&mut self) -> Test<Value> {
        let Ok(line) = self.lines.recv_timeout(LONG) else {
            return Err(format!("no event; {}", self.errors()?).into());
        };
        let event = serde_json::from_str(&line)?;
        self.said.push(line);
        Ok(event)
    }

    /// Returns standard error so far.
    pub(crate) fn errors(&self) -> Test<String> {
        Ok(fs::read_to_string(&self.errors)?)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn node(&self) -> Node {
        self.called("ANONYMIZER")
    }

    /// Returns its address with another AE title.
    pub(crate) fn called(&self, title: &str) -> Node {
        let node = format!("{title}@127.0.0.1:{}", self.port);
        node.parse().expect("a node")
    }

    pub(crate) fn signal(&self, signal: Signal) -> Test {
        kill_process(Pid::from_child(&self.child), signal)?;
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) -> Test {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it with SIGTERM.
    pub(crate) fn stop(self) -> Test<Run> {
        self.signal(Signal::TERM)?;
        self.finish()
    }

    /// Waits until it ends.
    pub(crate) fn finish(mut self) -> Test<Run> {
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            self.said.push(line);
        }
        let code = self.child.wait()?.code();
        let mut out = self.said.join("\n");
        out.push('\n');
        let err = self.errors()?;
        Ok(Run { code, out, err })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn uid(text: &str) -> Test<Uid> {
    Ok(Uid::new(text)?)
}

/// Returns an SCU with this AE title.
pub(crate) fn scu(title: &str) -> Test<Scu> {
    Ok(Scu::new(Arc::new(UlDial::new()), title.parse()?)
        .with_timeouts(Timeouts::all(LONG))
        .with_retries(Retries::new(1, Duration::ZERO)))
}

/// Returns an object to send; the command agrees with the data set.
pub(crate) fn item(object: &DataSet, syntax: Syntax) -> Test<SendItem> {
    let class = text(object, Tag(0x0008, 0x0016));
    let instance = text(object, Tag(0x0008, 0x0018));
    announced(
        &class,
        &instance,
        syntax.uid(),
        object.write_data_set(syntax),
    )
}

/// Returns any bytes to send, with the given UIDs in the command.
pub(crate) fn announced(
    class: &str,
    instance: &str,
    syntax: &str,
    bytes: Vec<u8>,
) -> Test<SendItem> {
    let (class, syntax) = (uid(class)?, uid(syntax)?);
    Ok(SendItem::data_set(class, instance.parse()?, syntax, bytes))
}

/// Returns `count` small CT images of several patients.
pub(crate) fn cts(seed: u64, count: u32) -> Test<Vec<SendItem>> {
    let object = |n| ct_small(&Place::nth(seed, n, 5));
    let items = (0..count).map(|n| item(&object(n), Syntax::ExplicitLittle));
    items.collect()
}

/// Returns the value of a text element.
pub(crate) fn text(object: &DataSet, tag: Tag) -> String {
    match object.get(tag).map(|element| &element.value) {
        Some(Of::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

/// Sends the items and returns the result of each.
pub(crate) fn statuses(scu: &Scu, node: &Node, items: Vec<SendItem>) -> Test<Vec<StoreResult>> {
    let mut answers = Vec::new();
    let mut items = items.into_iter();
    let sent = scu.send(node, &mut items, &Cancel::new(), &mut |event| {
        answers.push(match event.outcome {
            SendOutcome::Stored { .. } => StoreResult::Status(Status::SUCCESS),
            SendOutcome::StoredWithWarning { status, .. }
            | SendOutcome::Failed(ServiceError::Refused { status, .. }) => {
                StoreResult::Status(status)
            }
            SendOutcome::Failed(ServiceError::ContextRefused { .. }) => StoreResult::ContextRefused,
            SendOutcome::Failed(_) => StoreResult::Lost,
        });
    });
    sent.map_err(|error| error.error)?;
    Ok(answers)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreResult {
    Status(Status),
    ContextRefused,
    Lost,
}

pub(crate) const STORED: StoreResult = StoreResult::Status(Status::SUCCESS);
