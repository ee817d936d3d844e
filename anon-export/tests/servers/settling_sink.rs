//! [`SettlingSink`]: works around a bug of dcmqrscp.
//!
//! dcmqrscp serves each association in its own process. A process whose association is aborted
//! deletes the file that it was going to write. File names consist of the second and of what
//! exists, so another process may meanwhile have written an object under that name. That object is
//! then rejected with C000, or accepted and lost.

use std::io::Read;
use std::ops::ControlFlow;

use anon_export::{
    Capabilities, DicomSink, EntityTag, Error, KeyPart, ListedObject, ObjectKey, Sink, Stored,
};

use crate::shared::Test;
use crate::shared::servers::{Server, ServerKind};

/// A sink that returns a failed put only after the server has finished with it too.
#[derive(Debug)]
pub(crate) struct SettlingSink {
    sink: DicomSink,
    waits_for: Option<DcmqrscpProcesses>,
}

/// The processes of a dcmqrscp.
#[derive(Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "used on Linux only")
)]
struct DcmqrscpProcesses {
    pid: u32,
    port: u16,
}

impl SettlingSink {
    pub(crate) fn new(sink: DicomSink, server: &Server) -> Self {
        let forks = server.title() == ServerKind::Dcmqrscp.title();
        let waits_for = forks.then(|| DcmqrscpProcesses {
            pid: server.pid(),
            port: server.address().port(),
        });
        Self { sink, waits_for }
    }
}

#[cfg(target_os = "linux")]
impl DcmqrscpProcesses {
    /// Waits until each child process has an open connection.
    fn settle(&self) -> Test {
        use std::time::Duration;

        use crate::shared::servers::process::group;
        use crate::shared::wait;

        wait::until(
            "no process without a connection is left",
            Duration::from_secs(20),
            || {
                let alive = group(self.pid)?;
                let alive = alive.iter().filter(|it| *it == "dcmqrscp").count();
                Ok(alive == 1 + self.connections()?)
            },
        )
    }

    /// Returns the number of established connections (proc(5): the second field ends with the port,
    /// the fourth is 01).
    fn connections(&self) -> Test<usize> {
        let port = format!(":{:04X}", self.port);
        let table = std::fs::read_to_string("/proc/net/tcp")?;
        let open = table.lines().filter(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|it| it.ends_with(&port)) && fields.nth(1) == Some("01")
        });
        Ok(open.count())
    }
}

#[cfg(not(target_os = "linux"))]
impl DcmqrscpProcesses {
    #[expect(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
    #[expect(clippy::unused_self, reason = "it is used on Linux")]
    fn settle(&self) -> Test {
        Ok(())
    }
}

impl Sink for SettlingSink {
    fn capabilities(&self) -> Capabilities {
        self.sink.capabilities()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let put = self.sink.put(key, len, body);
        if let (Err(_), Some(server)) = (&put, &self.waits_for) {
            server.settle().expect("dcmqrscp ends its processes");
        }
        put
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.sink.list(patient, each)
    }

    fn tag_of(&self, len: u64, body: &mut dyn Read) -> Result<Option<EntityTag>, Error> {
        self.sink.tag_of(len, body)
    }

    fn is_tag_of(
        &self,
        tag: &EntityTag,
        len: u64,
        body: &mut dyn Read,
    ) -> Result<Option<bool>, Error> {
        self.sink.is_tag_of(tag, len, body)
    }

    fn check(&self) -> Result<(), Error> {
        self.sink.check()
    }
}
