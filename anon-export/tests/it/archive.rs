//! A DICOM archive in memory: C-STORE, C-FIND of the study root, C-ECHO.

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
/// As long as that of CT.
pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";

const PATIENCE: Duration = Duration::from_secs(30);

type Error = Box<dyn std::error::Error>;

pub(crate) fn uid(text: &str) -> Uid {
    Uid::new(text).expect("a UID")
}

/// A file of this class with the UIDs of `key`.
pub(crate) fn image(key: &ObjectKey, class: &str, len: usize) -> Vec<u8> {
    let mut file = conformance::image(key, len, 0);
    let padded = |class: &str| [class.as_bytes(), &[0]].concat();
    let (ct, class) = (padded(CT), padded(class));
    for at in 0..file.len() {
        if let Some(uid) = file.get_mut(at..at + ct.len()).filter(|uid| **uid == *ct) {
            uid.copy_from_slice(&class);
        }
    }
    file
}

/// What servers differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryBehavior {
    Plain,
    /// Answers everything it has, whatever is asked for.
    IgnoresKeys,
    /// Answers once for each instance, at every level.
    Repeats,
}

/// What it does with an instance that it does not simply keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFault {
    /// Keeps it, and answers with this warning.
    Warns(u16),
    /// Does not keep it, and answers with this status.
    Refuses(u16),
    /// Aborts the association.
    Aborts,
    /// Ends the association without a word.
    Cuts,
    /// Never answers.
    Silent,
}

/// The fault of an instance.
pub(crate) type Faults = dyn Fn(&str) -> Option<StoreFault> + Send + Sync;

#[derive(Debug, Clone)]
pub(crate) struct Archive {
    exchange: MemoryNetwork,
    shared: Arc<ArchiveState>,
}

struct ArchiveState {
    behavior: QueryBehavior,
    faults: Box<Faults>,
    /// The elements before the pixels, and all of the data set, by SOP instance UID.
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

    /// One that fails with the instances that `faults` names.
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
            .expect("a place");
        let shared = Arc::new(ArchiveState {
            behavior,
            faults: Box::new(faults),
            objects: Mutex::default(),
        });
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok(mut association) = listener.accept(PATIENCE) {
                let shared = Arc::clone(&all);
                thread::spawn(move || {
                    // An association that is aborted ends so.
                    drop(shared.serve(&mut *association));
                });
            }
        });
        Self { exchange, shared }
    }

    pub(crate) fn sink(&self, associations: usize) -> DicomSink {
        self.sink_with(Timeouts::default(), associations)
    }

    /// With this patience.
    pub(crate) fn sink_with(&self, timeouts: Timeouts, associations: usize) -> DicomSink {
        let scu = Scu::new(
            Arc::new(self.exchange.clone()),
            "US".parse().expect("a title"),
        )
        .with_timeouts(timeouts);
        DicomSink::new(scu, node(), NonZeroUsize::new(associations).expect("some"))
    }

    /// The network it is in.
    pub(crate) fn exchange(&self) -> MemoryNetwork {
        self.exchange.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.shared.objects.lock().expect("the objects").len()
    }

    /// The data set of an instance.
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
            match receive_command(association, PATIENCE)? {
                Incoming::Message {
                    context,
                    command: Command::Request(request),
                } => self.answer(association, context, &request)?,
                Incoming::Release => return Ok(association.release(PATIENCE)?),
                Incoming::Message { .. } => {}
                Incoming::NotUnderstood { .. } => return Err("not understood".into()),
            }
        }
    }

    fn answer(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<(), Error> {
        let mut body = Vec::new();
        if request.has_data_set {
            Body::new(association, context, PATIENCE).read_to_end(&mut body)?;
        }
        let mut status = Status::SUCCESS;
        match request.operation {
            Operation::Store => {
                let instance = request.sop_instance.as_ref().ok_or("no instance")?;
                match (self.faults)(instance.expose()) {
                    None => self.keep(body)?,
                    Some(StoreFault::Warns(code)) => {
                        self.keep(body)?;
                        status = Status::new(code);
                    }
                    Some(StoreFault::Refuses(code)) => status = Status::new(code),
                    Some(StoreFault::Aborts) => {
                        association.abort();
                        return Err("aborted".into());
                    }
                    Some(StoreFault::Cuts) => return Err("cut".into()),
                    Some(StoreFault::Silent) => {
                        // Until the other side has had enough.
                        while receive_command(association, PATIENCE).is_ok() {}
                        return Err("it gave up".into());
                    }
                }
            }
            Operation::Find => {
                let asked = Identifier::decode(&body, Encoding::ImplicitLittle)?;
                for found in self.find(&asked) {
                    let mut pending = request.response(Status::PENDING);
                    pending.has_data_set = true;
                    let bytes = found.encode(Encoding::ImplicitLittle)?;
                    let command = Command::Response(pending);
                    send_with(association, context, &command, &mut &*bytes, PATIENCE)?;
                }
            }
            _ => {}
        }
        let last = Command::Response(request.response(status));
        Ok(send(association, context, &last, PATIENCE)?)
    }

    fn keep(&self, data_set: Vec<u8>) -> Result<(), Error> {
        let pixels = [0xE0, 0x7F, 0x10, 0x00];
        let at = data_set.windows(4).position(|tag| tag == pixels);
        let before = data_set.get(..at.ok_or("no pixels")?).unwrap_or_default();
        let elements = Identifier::decode(before, Encoding::ExplicitLittle)?;
        let instance = elements.text(tag::SOP_INSTANCE).ok_or("no UID")?;
        let mut objects = self.objects.lock().expect("the objects");
        objects.insert(instance, (elements, data_set));
        Ok(())
    }

    fn find(&self, asked: &Identifier) -> Vec<Identifier> {
        const KEYS: [tag::Tag; 4] = [
            tag::SOP_INSTANCE,
            tag::PATIENT_ID,
            tag::STUDY_UID,
            tag::SERIES_UID,
        ];
        let level = asked.text(tag::LEVEL).unwrap_or_default();
        let unique = match level.as_str() {
            "STUDY" => tag::STUDY_UID,
            "SERIES" => tag::SERIES_UID,
            _ => tag::SOP_INSTANCE,
        };
        let matches = |object: &Identifier| {
            self.behavior == QueryBehavior::IgnoresKeys
                || KEYS.iter().all(|key| {
                    let wanted = asked.text(*key).unwrap_or_default();
                    wanted.is_empty() || object.text(*key) == Some(wanted)
                })
        };
        let objects = self.objects.lock().expect("the objects");
        let mut seen = BTreeSet::new();
        let mut answers = Vec::new();
        for (object, _) in objects.values().filter(|(object, _)| matches(object)) {
            if !seen.insert(object.text(unique)) && self.behavior != QueryBehavior::Repeats {
                continue;
            }
            let mut answer = Identifier::new();
            answer.set(tag::LEVEL, level.as_bytes());
            for key in KEYS {
                if asked.value(key).is_some() {
                    answer.set(key, object.value(key).unwrap_or_default());
                }
            }
            answers.push(answer);
        }
        answers
    }
}
