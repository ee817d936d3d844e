//! dcmqrscp, without one fault of it.
//!
//! It serves each association in a process of its own. One whose association is aborted removes the file that
//! it would have written, and by then another may have written an object under that name: names are made of
//! the second and of what is there. That object is refused with C000, or is taken and lost.

use std::io::Read;
use std::ops::ControlFlow;

use anon_export::{
    Capabilities, DicomSink, EntityTag, Error, KeyPart, ListedObject, ObjectKey, Sink, Stored,
};

use crate::shared::Test;
use crate::shared::servers::{Kind, Server};

/// A sink that says that an object was not put once the server is done with it too.
#[derive(Debug)]
pub(crate) struct SettlingSink {
    sink: DicomSink,
    waits_for: Option<DcmqrscpProcesses>,
}

/// A dcmqrscp.
#[derive(Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "looked into on Linux")
)]
struct DcmqrscpProcesses {
    pid: u32,
    port: u16,
}

impl SettlingSink {
    pub(crate) fn new(sink: DicomSink, server: &Server) -> Self {
        let forks = server.title() == Kind::Dcmqrscp.title();
        let waits_for = forks.then(|| DcmqrscpProcesses {
            pid: server.pid(),
            port: server.address().port(),
        });
        Self { sink, waits_for }
    }
}

#[cfg(target_os = "linux")]
impl DcmqrscpProcesses {
    /// Waits until each of its processes has somebody to talk to.
    fn settle(&self) -> Test {
        use std::time::Duration;

        use crate::shared::servers::process::group;
        use crate::shared::wait;

        wait::until("no process is left over", Duration::from_secs(20), || {
            let alive = group(self.pid)?;
            let alive = alive.iter().filter(|it| *it == "dcmqrscp").count();
            Ok(alive == 1 + self.connections()?)
        })
    }

    /// Those that are open at both ends (proc(5): the second field ends in the port, the fourth is 01).
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
    #[expect(clippy::unnecessary_wraps, reason = "it can fail where it waits")]
    #[expect(clippy::unused_self, reason = "it is asked where it waits")]
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
            server.settle().expect("dcmqrscp ends what was aborted");
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
