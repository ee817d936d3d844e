//! A PACS in this process that behaves like real ones.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anon_net::dimse::{
    Body, Command, Incoming, Operation, Request, SubOperations, receive_command, send, send_with,
};
use anon_net::identifier::{Encoding, Identifier, Tag, tag};
use anon_net::service::{Retries, Scu, Timeouts};
use anon_net::testing::MemoryNetwork;
use anon_net::{
    Association, ContextId, Dial, Error, InstanceUid, Node, Status, SupportedContexts, Uid,
};

pub(crate) const LONG: Duration = Duration::from_secs(10);
pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const SR: &str = "1.2.840.10008.5.1.4.1.1.88.22";
pub(crate) const PET: &str = "1.2.840.10008.5.1.4.1.1.128";

/// The information model of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacsRoot {
    Study,
    /// The patient root. A study can be queried without its patient.
    Patient,
    /// The patient root. A study can be queried for one patient only.
    PatientHierarchical,
}

impl PacsRoot {
    /// Returns its component of the UIDs of its SOP classes.
    fn number(self) -> u8 {
        match self {
            Self::Study => 2,
            Self::Patient | Self::PatientHierarchical => 1,
        }
    }
}

/// How a server behaves.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one behavior of a server"
)]
pub(crate) struct PacsBehavior {
    /// Returns requested counts, modalities and descriptions.
    pub(crate) returns_counts: bool,
    /// Filters by modality.
    pub(crate) filters: bool,
    /// Returns one match per instance.
    pub(crate) repeats: bool,
    /// Returns SOP classes.
    pub(crate) classes: bool,
    /// Obeys C-CANCEL.
    pub(crate) cancels: bool,
    /// The encoding of its responses.
    pub(crate) encoding: Encoding,
    /// The final status of a C-MOVE to an unknown destination.
    pub(crate) unknown_destination: Status,
    /// Returns counts of sub-operations.
    pub(crate) counts: bool,
    /// The information model that it offers for C-FIND.
    pub(crate) root: PacsRoot,
    /// The information model that it offers for C-MOVE and C-GET.
    pub(crate) transfers: PacsRoot,
    /// Refuses each C-MOVE with this status, and says why.
    pub(crate) refuses: Option<(Status, &'static str)>,
}

pub(crate) const ORTHANC: PacsBehavior = PacsBehavior {
    returns_counts: true,
    filters: true,
    repeats: false,
    classes: true,
    cancels: false,
    encoding: Encoding::ExplicitLittle,
    unknown_destination: Status::new(0xC000),
    counts: true,
    root: PacsRoot::Study,
    transfers: PacsRoot::Study,
    refuses: None,
};
pub(crate) const DCMQRSCP: PacsBehavior = PacsBehavior {
    returns_counts: false,
    filters: false,
    repeats: false,
    classes: false,
    cancels: false,
    encoding: Encoding::ImplicitLittle,
    unknown_destination: Status::new(0xA801),
    counts: true,
    root: PacsRoot::Study,
    transfers: PacsRoot::Study,
    refuses: None,
};
pub(crate) const PYNETDICOM: PacsBehavior = PacsBehavior {
    returns_counts: false,
    filters: false,
    repeats: true,
    classes: false,
    cancels: true,
    encoding: Encoding::ExplicitBig,
    unknown_destination: Status::new(0xA801),
    counts: false,
    root: PacsRoot::Study,
    transfers: PacsRoot::Study,
    refuses: None,
};

#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) uid: String,
    pub(crate) modality: &'static str,
    pub(crate) class: &'static str,
    pub(crate) instances: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Study {
    pub(crate) uid: String,
    pub(crate) name: &'static str,
    pub(crate) accession: &'static str,
    pub(crate) series: Vec<Series>,
}

/// Creates a study with these series, each with a modality and a number of instances.
pub(crate) fn study(number: usize, accession: &'static str, of: &[(&'static str, usize)]) -> Study {
    let uid = format!("1.2.{number}");
    let series = |(n, (modality, count)): (usize, &(&'static str, usize))| Series {
        uid: format!("{uid}.{n}"),
        modality,
        class: match *modality {
            "SR" => SR,
            "PT" => PET,
            _ => CT,
        },
        instances: (0..*count).map(|i| format!("{uid}.{n}.{i}")).collect(),
    };
    let series = of.iter().enumerate().map(series).collect();
    let name = "M\u{FC}ller^Jane";
    Study {
        uid,
        name,
        accession,
        series,
    }
}

/// Delivers an instance that is sent.
pub(crate) type Deliver = dyn Fn(&str, &InstanceUid) -> bool + Send + Sync;

pub(crate) struct Store {
    pub(crate) behavior: PacsBehavior,
    pub(crate) studies: Vec<Study>,
    /// Gets the level and the UID. Returns false if the destination refuses the instance.
    pub(crate) deliver: Box<Deliver>,
    /// The requests so far.
    pub(crate) requested: Mutex<Vec<String>>,
    pub(crate) associations: AtomicUsize,
    pub(crate) cancelled: AtomicBool,
    stop: AtomicBool,
}

/// A running server. Dropping it ends it.
pub(crate) struct Pacs {
    pub(crate) node: Node,
    pub(crate) network: MemoryNetwork,
    pub(crate) store: Arc<Store>,
    listening: Option<JoinHandle<()>>,
}

impl Pacs {
    pub(crate) fn start(behavior: PacsBehavior, studies: Vec<Study>) -> Self {
        Self::delivering(behavior, studies, Box::new(|_, _| true))
    }

    pub(crate) fn delivering(
        behavior: PacsBehavior,
        studies: Vec<Study>,
        deliver: Box<Deliver>,
    ) -> Self {
        let syntaxes = [behavior.encoding.transfer_syntax().parse().expect("a UID")];
        let mut supported = SupportedContexts::new();
        let (find, transfer) = (behavior.root.number(), behavior.transfers.number());
        for (root, class) in [(find, "1"), (transfer, "2"), (transfer, "3")] {
            let class = format!("1.2.840.10008.5.1.4.1.2.{root}.{class}");
            supported = supported.with(class.parse().expect("a UID"), syntaxes.to_vec());
        }
        for class in [CT, PET] {
            let class: Uid = class.parse().expect("a UID");
            let implicit = "1.2.840.10008.1.2".parse().expect("a UID");
            supported = supported
                .with(class.clone(), vec![implicit])
                .with_scp_role(class);
        }
        let store = Arc::new(Store {
            behavior,
            studies,
            deliver,
            requested: Mutex::default(),
            associations: AtomicUsize::new(0),
            cancelled: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let network = MemoryNetwork::new();
        let node: Node = "PACS@here:104".parse().expect("a node");
        let listener = network
            .listen(&node, supported, 16_384)
            .expect("a listener");
        let shared = Arc::clone(&store);
        let listening = thread::spawn(move || {
            while !shared.stop.load(Ordering::Acquire) {
                if let Ok(mut association) = listener.accept(Duration::from_millis(20)) {
                    shared.associations.fetch_add(1, Ordering::AcqRel);
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || drop(shared.serve(&mut *association)));
                }
            }
        });
        Self {
            node,
            network,
            store,
            listening: Some(listening),
        }
    }

    pub(crate) fn scu(&self) -> Scu {
        scu(Arc::new(self.network.clone()))
    }

    pub(crate) fn requested(&self) -> Vec<String> {
        self.store.requested.lock().expect("requests").clone()
    }
}

pub(crate) fn scu(dial: Arc<dyn Dial>) -> Scu {
    Scu::new(dial, "US".parse().expect("a title"))
        .with_timeouts(Timeouts::all(LONG))
        .with_retries(Retries::new(3, Duration::from_millis(10)))
}

impl Drop for Pacs {
    fn drop(&mut self) {
        self.store.stop.store(true, Ordering::Release);
        if let Some(listening) = self.listening.take() {
            drop(listening.join());
        }
    }
}

/// Starts a node that handles its associations with `serve`, one after the other.
pub(crate) fn hostile_node(
    serve: impl Fn(&mut dyn Association) -> Result<(), Error> + Send + 'static,
) -> (Scu, Node) {
    hostile_node_of(PacsRoot::Study, serve)
}

/// The same, with this information model.
pub(crate) fn hostile_node_of(
    root: PacsRoot,
    serve: impl Fn(&mut dyn Association) -> Result<(), Error> + Send + 'static,
) -> (Scu, Node) {
    let root = root.number();
    let network = MemoryNetwork::new();
    let node: Node = "ROGUE@here:104".parse().expect("a node");
    let syntax: Uid = Encoding::ImplicitLittle
        .transfer_syntax()
        .parse()
        .expect("a UID");
    let mut supported = SupportedContexts::new();
    for class in ["1", "2", "3"] {
        let class = format!("1.2.840.10008.5.1.4.1.2.{root}.{class}");
        supported = supported.with(class.parse().expect("a UID"), vec![syntax.clone()]);
    }
    let class: Uid = CT.parse().expect("a UID");
    supported = supported
        .with(class.clone(), vec![syntax])
        .with_scp_role(class);
    let listener = network
        .listen(&node, supported, 16_384)
        .expect("a listener");
    thread::spawn(move || {
        while let Ok(mut association) = listener.accept(LONG) {
            drop(serve(&mut *association));
        }
    });
    (scu(Arc::new(network)), node)
}

/// Receives the next request, its context and its identifier.
pub(crate) fn request(
    association: &mut dyn Association,
    encoding: Encoding,
) -> Result<(ContextId, Request, Identifier), Error> {
    match receive_command(association, LONG)? {
        Incoming::Message {
            context,
            command: Command::Request(request),
        } => {
            let identifier = identifier(association, context, encoding)?;
            Ok((context, request, identifier))
        }
        _ => Err(Error::Closed),
    }
}

fn identifier(
    association: &mut dyn Association,
    context: ContextId,
    encoding: Encoding,
) -> Result<Identifier, Error> {
    let mut bytes = Vec::new();
    let mut body = Body::new(association, context, LONG);
    std::io::Read::read_to_end(&mut body, &mut bytes).map_err(|_| Error::Lost)?;
    Identifier::decode(&bytes, encoding).map_err(|_| Error::Lost)
}

/// Sends a response with these bytes as its identifier.
pub(crate) fn respond(
    association: &mut dyn Association,
    context: ContextId,
    request: &Request,
    status: Status,
    bytes: Option<&[u8]>,
) -> Result<(), Error> {
    let mut response = request.response(status);
    response.has_data_set = bytes.is_some();
    let command = Command::Response(response);
    match bytes {
        Some(mut bytes) => send_with(association, context, &command, &mut bytes, LONG),
        None => send(association, context, &command, LONG),
    }
}

impl Store {
    fn serve(&self, association: &mut dyn Association) -> Result<(), Error> {
        loop {
            match receive_command(association, LONG)? {
                Incoming::Release => return association.release(LONG),
                Incoming::Message {
                    context,
                    command: Command::Request(request),
                } => {
                    let requested = identifier(association, context, self.behavior.encoding)?;
                    let level = requested.text(tag::LEVEL).unwrap_or_default();
                    let line = format!("{} {level}", request.operation);
                    self.requested.lock().expect("requests").push(line);
                    if self.refuses_keys(&request, &requested) {
                        respond(association, context, &request, Status::new(0xA900), None)?;
                        continue;
                    }
                    match request.operation {
                        Operation::Find => self.find(association, context, &request, &requested)?,
                        _ => self.send(association, context, &request, &requested)?,
                    }
                }
                _ => {}
            }
        }
    }

    /// With the patient root, requests below the patient level name the patient. A C-MOVE or C-GET
    /// has the unique keys of its information model only, and names the patient that has the study.
    fn refuses_keys(&self, request: &Request, requested: &Identifier) -> bool {
        if request.operation != Operation::Find {
            let patient = requested.text(tag::PATIENT_ID);
            let expected = match self.behavior.transfers {
                PacsRoot::Study => None,
                PacsRoot::Patient | PacsRoot::PatientHierarchical => Some("ID 1"),
            };
            return patient.as_deref() != expected || requested.value(tag::PATIENT_NAME).is_some();
        }
        let is_required = self.behavior.root == PacsRoot::PatientHierarchical;
        let is_patient_level = requested.text(tag::LEVEL).as_deref() == Some("PATIENT");
        let has_unique_key_only = requested.text(tag::PATIENT_ID).is_some()
            && requested.value(tag::PATIENT_NAME).is_none();
        is_required && !is_patient_level && !has_unique_key_only
    }

    fn find(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
        requested: &Identifier,
    ) -> Result<(), Error> {
        let mut status = Status::SUCCESS;
        for response in self.responses(requested) {
            if self.behavior.cancels && is_cancelled(association)? {
                self.cancelled.store(true, Ordering::Release);
                status = Status::CANCELLED;
                break;
            }
            let bytes = response
                .encode(self.behavior.encoding)
                .expect("short values");
            respond(association, context, request, Status::PENDING, Some(&bytes))?;
        }
        respond(association, context, request, status, None)
    }

    fn responses(&self, requested: &Identifier) -> Vec<Identifier> {
        let level = requested.text(tag::LEVEL).unwrap_or_default();
        let mut responses = Vec::new();
        if level == "PATIENT" {
            let mut response = Identifier::new();
            response.set(tag::PATIENT_ID, b"ID 1");
            response.set(tag::PATIENT_NAME, b"DOE^JANE");
            return vec![response];
        }
        for study in self
            .studies
            .iter()
            .filter(|study| is_requested(requested, study))
        {
            let modality = requested.text(tag::MODALITIES);
            let has = |modality: &String| study.series.iter().any(|s| s.modality == modality);
            if self.behavior.filters && !modality.as_ref().is_none_or(has) {
                continue;
            }
            let instances: usize = study.series.iter().map(|s| s.instances.len()).sum();
            if level == "STUDY" {
                let times = if self.behavior.repeats { instances } else { 1 };
                responses.extend(std::iter::repeat_n(self.study(requested, study), times));
                continue;
            }
            for series in &study.series {
                if !lists(requested, tag::SERIES_UID, &series.uid) {
                    continue;
                }
                if level == "SERIES" {
                    let times = if self.behavior.repeats {
                        series.instances.len()
                    } else {
                        1
                    };
                    responses.extend(std::iter::repeat_n(self.series(study, series), times));
                    continue;
                }
                responses.extend(series.instances.iter().map(|uid| {
                    let mut response = self.series(study, series);
                    response.set(tag::SOP_INSTANCE, uid.as_bytes());
                    if self.behavior.classes {
                        response.set(tag::SOP_CLASS, series.class.as_bytes());
                    }
                    response
                }));
            }
        }
        responses
    }

    fn study(&self, requested: &Identifier, study: &Study) -> Identifier {
        let mut response = Identifier::new();
        response.set(tag::CHARSET, b"ISO_IR 192");
        response.set(tag::LEVEL, b"STUDY");
        response.set(tag::STUDY_UID, study.uid.as_bytes());
        response.set(tag::PATIENT_NAME, study.name.as_bytes());
        response.set(tag::PATIENT_ID, b"ID 1");
        response.set(tag::ACCESSION, study.accession.as_bytes());
        if self.behavior.returns_counts {
            assert!(
                requested.value(tag::MODALITIES).is_some(),
                "the query requests it"
            );
            let modalities: BTreeSet<_> = study.series.iter().map(|s| s.modality).collect();
            let modalities: Vec<_> = modalities.into_iter().collect();
            let instances: usize = study.series.iter().map(|s| s.instances.len()).sum();
            response.set(tag::MODALITIES, modalities.join("\\").as_bytes());
            number(&mut response, tag::SERIES_IN_STUDY, study.series.len());
            number(&mut response, tag::INSTANCES_IN_STUDY, instances);
        }
        response
    }

    fn series(&self, study: &Study, series: &Series) -> Identifier {
        let mut response = Identifier::new();
        response.set(tag::STUDY_UID, study.uid.as_bytes());
        response.set(tag::SERIES_UID, series.uid.as_bytes());
        response.set(tag::MODALITY, series.modality.as_bytes());
        if self.behavior.returns_counts {
            response.set(tag::SERIES_DESCRIPTION, b"thin ");
            response.set(tag::SERIES_NUMBER, b"7");
            number(
                &mut response,
                tag::INSTANCES_IN_SERIES,
                series.instances.len(),
            );
        }
        response
    }

    /// C-MOVE and C-GET.
    fn send(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
        requested: &Identifier,
    ) -> Result<(), Error> {
        if request
            .destination
            .as_ref()
            .is_some_and(|to| to.as_str() == "NOBODY")
        {
            let status = self.behavior.unknown_destination;
            return respond(association, context, request, status, None);
        }
        if let Some((status, why)) = self.behavior.refuses {
            let mut response = request.response(status);
            response.comment = Some(why.to_owned());
            return send(association, context, &Command::Response(response), LONG);
        }
        let level = requested.text(tag::LEVEL).unwrap_or_default();
        let mut counts = SubOperations::default();
        let mut failed = Vec::new();
        let mut status = Status::SUCCESS;
        for (uid, class) in self.chosen(requested) {
            if self.behavior.cancels && is_cancelled(association)? {
                self.cancelled.store(true, Ordering::Release);
                status = Status::CANCELLED;
                break;
            }
            let instance = InstanceUid::new(&uid).expect("a UID");
            let taken = if request.operation == Operation::Get {
                store(association, class, &instance)?
            } else {
                (self.deliver)(&level, &instance)
            };
            let count = if taken {
                &mut counts.completed
            } else {
                &mut counts.failed
            };
            *count = Some(count.unwrap_or(0) + 1);
            if !taken {
                failed.push(uid);
            }
            let mut response = request.response(Status::PENDING);
            if self.behavior.counts {
                response.counts = counts;
            }
            send(association, context, &Command::Response(response), LONG)?;
        }
        if failed.is_empty() {
            return respond(association, context, request, status, None);
        }
        let mut list = Identifier::new();
        list.set(tag::FAILED_INSTANCES, failed.join("\\").as_bytes());
        let bytes = list.encode(self.behavior.encoding).expect("short values");
        // DCMTK and pynetdicom refuse a C-GET of which nothing could be sent.
        let is_refused = request.operation == Operation::Get && counts.completed.is_none();
        let status = if is_refused { 0xA702 } else { 0xB000 };
        let status = Status::new(status);
        respond(association, context, request, status, Some(&bytes))
    }

    fn chosen(&self, requested: &Identifier) -> Vec<(String, &'static str)> {
        let mut chosen = Vec::new();
        for study in self
            .studies
            .iter()
            .filter(|study| is_requested(requested, study))
        {
            for series in &study.series {
                if lists(requested, tag::SERIES_UID, &series.uid) {
                    let uids = series.instances.iter();
                    let uids = uids.filter(|uid| lists(requested, tag::SOP_INSTANCE, uid));
                    chosen.extend(uids.map(|uid| (uid.clone(), series.class)));
                }
            }
        }
        chosen
    }
}

fn store(
    association: &mut dyn Association,
    class: &str,
    instance: &InstanceUid,
) -> Result<bool, Error> {
    let accepted = association.contexts().iter();
    let accepted = accepted.filter(|c| c.scp && c.abstract_syntax.as_str() == class);
    let Some(context) = accepted.map(|c| c.id).next() else {
        return Ok(false);
    };
    let request = Request::new(Operation::Store, 77, class.parse().expect("a UID"))
        .with_instance(instance.clone());
    let command = Command::Request(request);
    let body = instance.expose().repeat(10_000);
    send_with(association, context, &command, &mut body.as_bytes(), LONG)?;
    match receive_command(association, LONG)? {
        Incoming::Message {
            command: Command::Response(response),
            ..
        } => Ok(response.status == Status::SUCCESS),
        _ => Err(Error::Closed),
    }
}

fn number(response: &mut Identifier, tag: Tag, number: usize) {
    response.set(tag, number.to_string().as_bytes());
}

fn is_requested(requested: &Identifier, study: &Study) -> bool {
    let accession = requested.text(tag::ACCESSION);
    // Matches a prefix, as some servers do.
    let matches = accession.is_none_or(|text| study.accession.starts_with(&text));
    matches && lists(requested, tag::STUDY_UID, &study.uid)
}

fn lists(requested: &Identifier, tag: Tag, uid: &str) -> bool {
    let uids = requested.texts(tag);
    uids.is_empty() || uids.iter().any(|listed| listed == uid)
}

fn is_cancelled(association: &mut dyn Association) -> Result<bool, Error> {
    match receive_command(association, Duration::ZERO) {
        Ok(Incoming::Message {
            command: Command::Cancel { .. },
            ..
        }) => Ok(true),
        Err(Error::TimedOut { .. }) => Ok(false),
        Ok(_) => Err(Error::Closed),
        Err(error) => Err(error),
    }
}
