//! A DICOM archive in memory: C-STORE, study root C-FIND, C-ECHO.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anon_export::{DicomSink, ObjectKey, conformance};
use anon_net::dimse::{Body, Command, Incoming, Request, receive_command, send, send_with};
use anon_net::identifier::{Encoding, Identifier, tag};
use anon_net::service::{Scu, Timeouts};
use anon_net::testing::MemoryNetwork;
use anon_net::{Association, ContextId, Node, Operation, Status, SupportedContexts, Uid};

pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
/// The MR image storage class. It is as long as that of CT.
pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";

const TIMEOUT: Duration = Duration::from_secs(30);

type Error = Box<dyn std::error::Error>;

pub(crate) fn uid(text: &str) -> Uid {
    Uid::new(text).expect("a UID")
}

/// Returns a file of this SOP class with the UIDs of `key`.
pub(crate) fn image(key: &ObjectKey, class: &str, len: usize) -> Vec<u8> {
    let mut file = conformance::image(key, len, 0);
    let with_nul = |class: &str| [class.as_bytes(), &[0]].concat();
    let (ct, class) = (with_nul(CT), with_nul(class));
    for at in 0..file.len() {
        if let Some(uid) = file.get_mut(at..at + ct.len()).filter(|uid| **uid == *ct) {
            uid.copy_from_slice(&class);
        }
    }
    file
}

/// How an archive matches queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryBehavior {
    /// As PS3.4 Annex C says.
    Plain,
    /// Ignores query keys and returns everything.
    IgnoresKeys,
    /// Returns one match per instance at every level.
    Repeats,
}

/// How the archive fails to store an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFault {
    /// Stores it and responds with this warning status.
    Warns(u16),
    /// Does not store it and responds with this status.
    Refuses(u16),
    /// Aborts the association.
    Aborts,
    /// Closes the connection.
    Cuts,
    /// Never responds.
    Silent,
}

/// Returns the fault of an instance.
pub(crate) type Faults = dyn Fn(&str) -> Option<StoreFault> + Send + Sync;

#[derive(Debug, Clone)]
pub(crate) struct Archive {
    exchange: MemoryNetwork,
    shared: Arc<ArchiveState>,
}

struct ArchiveState {
    behavior: QueryBehavior,
    faults: Box<Faults>,
    /// The elements before the pixel data, and the whole data set, by SOP Instance UID.
    objects: Mutex<BTreeMap<String, (Identifier, Vec<u8>)>>,
}

impl std::fmt::Debug for ArchiveState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.behavior.fmt(f)
    }
}

impl Archive {
    pub(crate) fn new(behavior: QueryBehavior) -> Self {
        Self::with_faults(behavior, |_| None)
    }

    /// Creates an archive that fails for the instances for which `faults` returns a fault.
    pub(crate) fn with_faults(
        behavior: QueryBehavior,
        faults: impl Fn(&str) -> Option<StoreFault> + Send + Sync + 'static,
    ) -> Self {
        let implicit = uid("1.2.840.10008.1.2");
        let supported = SupportedContexts::new()
            .with(uid(CT), vec![uid(EXPLICIT)])
            .with(uid(MR), vec![uid(EXPLICIT)])
            .with(uid("1.2.840.10008.1.1"), vec![implicit.clone()])
            .with(uid("1.2.840.10008.5.1.4.1.2.2.1"), vec![implicit]);
        let exchange = MemoryNetwork::new();
        let listener = exchange
            .listen(&node(), supported, 16_384)
            .expect("listening in memory");
        let shared = Arc::new(ArchiveState {
            behavior,
            faults: Box::new(faults),
            objects: Mutex::default(),
        });
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok(mut association) = listener.accept(TIMEOUT) {
                let shared = Arc::clone(&all);
                thread::spawn(move || {
                    // An aborted association returns an error here.
                    drop(shared.serve(&mut *association));
                });
            }
        });
        Self { exchange, shared }
    }

    pub(crate) fn sink(&self, associations: usize) -> DicomSink {
        self.sink_with(Timeouts::default(), associations)
    }

    /// Returns a sink with these timeouts.
    pub(crate) fn sink_with(&self, timeouts: Timeouts, associations: usize) -> DicomSink {
        let scu = Scu::new(
            Arc::new(self.exchange.clone()),
            "US".parse().expect("a title"),
        )
        .with_timeouts(timeouts);
        DicomSink::new(
            scu,
            node(),
            NonZeroUsize::new(associations).expect("not zero"),
        )
    }

    /// Returns the network of the archive.
    pub(crate) fn exchange(&self) -> MemoryNetwork {
        self.exchange.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.shared.objects.lock().expect("the objects").len()
    }

    /// Returns the data set of an instance.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Vec<u8>> {
        let [.., instance] = key.parts();
        let objects = self.shared.objects.lock().expect("the objects");
        objects
            .get(instance.as_str())
            .map(|(_, bytes)| bytes.clone())
    }
}

fn node() -> Node {
    "ARCHIVE@there:104".parse().expect("a node")
}

impl ArchiveState {
    fn serve(&self, association: &mut dyn Association) -> Result<(), Error> {
        loop {
            match receive_command(association, TIMEOUT)? {
                Incoming::Message {
                    context,
                    command: Command::Request(request),
                } => self.respond(association, context, &request)?,
                Incoming::Release => return Ok(association.release(TIMEOUT)?),
                Incoming::Message { .. } => {}
                Incoming::NotUnderstood { .. } => return Err("not understood".into()),
            }
        }
    }

    fn respond(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<(), Error> {
        let mut body = Vec::new();
        if request.has_data_set {
            Body::new(association, context, TIMEOUT).read_to_end(&mut body)?;
        }
        let mut status = Status::SUCCESS;
        match request.operation {
            Operation::Store => {
                let instance = request.sop_instance.as_ref().ok_or("no instance")?;
                match (self.faults)(instance.expose()) {
                    None => self.store(body)?,
                    Some(StoreFault::Warns(code)) => {
                        self.store(body)?;
                        status = Status::new(code);
                    }
                    Some(StoreFault::Refuses(code)) => status = Status::new(code),
                    Some(StoreFault::Aborts) => {
                        association.abort();
                        return Err("aborted".into());
                    }
                    Some(StoreFault::Cuts) => return Err("cut".into()),
                    Some(StoreFault::Silent) => {
                        // Until the peer gives up.
                        while receive_command(association, TIMEOUT).is_ok() {}
                        return Err("it gave up".into());
                    }
                }
            }
            Operation::Find => {
                let query = Identifier::decode(&body, Encoding::ImplicitLittle)?;
                for found in self.find(&query) {
                    let mut pending = request.response(Status::PENDING);
                    pending.has_data_set = true;
                    let bytes = found.encode(Encoding::ImplicitLittle)?;
                    let command = Command::Response(pending);
                    send_with(association, context, &command, &mut &*bytes, TIMEOUT)?;
                }
            }
            _ => {}
        }
        let last = Command::Response(request.response(status));
        Ok(send(association, context, &last, TIMEOUT)?)
    }

    fn store(&self, data_set: Vec<u8>) -> Result<(), Error> {
        let pixels = [0xE0, 0x7F, 0x10, 0x00];
        let at = data_set.windows(4).position(|tag| tag == pixels);
        let before = data_set.get(..at.ok_or("no pixels")?).unwrap_or_default();
        let elements = Identifier::decode(before, Encoding::ExplicitLittle)?;
        let instance = elements.text(tag::SOP_INSTANCE).ok_or("no UID")?;
        let mut objects = self.objects.lock().expect("the objects");
        objects.insert(instance, (elements, data_set));
        Ok(())
    }

    fn find(&self, query: &Identifier) -> Vec<Identifier> {
        const KEYS: [tag::Tag; 4] = [
            tag::SOP_INSTANCE,
            tag::PATIENT_ID,
            tag::STUDY_UID,
            tag::SERIES_UID,
        ];
        let level = query.text(tag::LEVEL).unwrap_or_default();
        let unique = match level.as_str() {
            "STUDY" => tag::STUDY_UID,
            "SERIES" => tag::SERIES_UID,
            _ => tag::SOP_INSTANCE,
        };
        let matches = |object: &Identifier| {
            self.behavior == QueryBehavior::IgnoresKeys
                || KEYS.iter().all(|key| {
                    let value = query.text(*key).unwrap_or_default();
                    value.is_empty() || object.text(*key) == Some(value)
                })
        };
        let objects = self.objects.lock().expect("the objects");
        let mut seen = BTreeSet::new();
        let mut matches_found = Vec::new();
        for (object, _) in objects.values().filter(|(object, _)| matches(object)) {
            if !seen.insert(object.text(unique)) && self.behavior != QueryBehavior::Repeats {
                continue;
            }
            let mut found = Identifier::new();
            found.set(tag::LEVEL, level.as_bytes());
            for key in KEYS {
                if query.value(key).is_some() {
                    found.set(key, object.value(key).unwrap_or_default());
                }
            }
            matches_found.push(found);
        }
        matches_found
    }
}
