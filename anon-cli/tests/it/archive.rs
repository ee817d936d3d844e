//! A small archive on a loopback port, which serves C-ECHO, C-FIND, C-MOVE and C-GET.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anon_engine::testing::files::{DataSet, Syntax};
use anon_net::association::ul::Acceptor;
use anon_net::dimse::{Body, Command, Incoming, Request, receive_command, send, send_with};
use anon_net::identifier::{Encoding, Identifier, tag};
use anon_net::{
    AeTitle, Association, Cancel, ContextId, Error, Node, Operation, Status, SubOperations,
    SupportedContexts, Uid,
};
use dicom_core::Tag;

use crate::serving::{CT, EXPLICIT, LONG, item, scu, text, uid};
use crate::support::Test;

const TITLE: &str = "ARCHIVE";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const ENCODING: Encoding = Encoding::ImplicitLittle;

/// How this archive differs from a cooperative one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    /// The accepted calling AE titles; all if empty.
    pub(crate) allowed_callers: Vec<&'static str>,
    /// The AE title of the archive; `ARCHIVE` if `None`.
    pub(crate) title: Option<&'static str>,
    /// The status with which it refuses every request of this kind.
    pub(crate) refuses: Option<(Operation, u16)>,
    /// The Error Comment of such a response.
    pub(crate) comment: Option<&'static str>,
    /// The operation to which it sends no response, nor to a C-CANCEL of it.
    pub(crate) is_silent_to: Option<Operation>,
    /// It also answers queries at study level without a Study Instance UID, and with an invalid one.
    pub(crate) has_odd_answers: bool,
    /// The matches after which it ends a query at study level with A700.
    pub(crate) limit: Option<usize>,
    /// How many instances it reports as sent without sending them.
    pub(crate) omits: usize,
    /// It accepts connections and never responds.
    pub(crate) never_responds: bool,
    /// The operation that it interrupts after the first response or instance, to wait for C-CANCEL.
    pub(crate) waits_for_cancel: Option<Operation>,
    /// It processes a C-MOVE only once this many are open.
    pub(crate) concurrent_moves: usize,
}

#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    objects: Vec<DataSet>,
    /// The ports of C-MOVE destinations by AE title.
    sends_to: Mutex<Vec<(String, u16)>>,
    /// The requests it received, as text.
    requests: Mutex<Vec<String>>,
    /// The identifiers of the requests it received.
    keys: Mutex<Vec<Identifier>>,
    /// Connections that it leaves without a response.
    silent: Mutex<Vec<TcpStream>>,
    came: Condvar,
    /// How often it started to wait for C-CANCEL.
    halted: Mutex<usize>,
    /// How many C-MOVE requests were started.
    moves: Mutex<usize>,
    changed: Condvar,
    stop: AtomicBool,
}

/// A running archive, which stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl Archive {
    pub(crate) fn start(behaviour: Behaviour, objects: Vec<DataSet>) -> Test<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let acceptor = acceptor(&behaviour)?;
        let shared = Arc::new(Shared {
            behaviour,
            objects,
            sends_to: Mutex::default(),
            requests: Mutex::default(),
            keys: Mutex::default(),
            silent: Mutex::default(),
            came: Condvar::new(),
            halted: Mutex::default(),
            moves: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let listening = thread::spawn(move || listen(&listener, &acceptor, &of_thread));
        Ok(Self {
            port,
            shared,
            listening: Some(listening),
        })
    }

    /// Returns its name as a command-line argument.
    pub(crate) fn node(&self) -> String {
        format!("{TITLE}@127.0.0.1:{}", self.port)
    }

    /// Makes this title a known C-MOVE destination.
    pub(crate) fn sends_to(&self, title: &str, port: u16) {
        let mut sends_to = lock(&self.shared.sends_to);
        sends_to.push((title.to_owned(), port));
    }

    /// Makes this title the only known C-MOVE destination.
    pub(crate) fn sends_only_to(&self, title: &str, port: u16) {
        lock(&self.shared.sends_to).clear();
        self.sends_to(title, port);
    }

    /// Waits for a connection that gets no response, and keeps it open.
    pub(crate) fn wait_for_connection(&self) -> Test {
        let silent = lock(&self.shared.silent);
        let waited = self
            .shared
            .came
            .wait_timeout_while(silent, LONG, |silent| silent.is_empty());
        let (mut silent, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err("no connection came".into());
        }
        // Leaked, so that the connection stays open while the client waits.
        silent.drain(..).for_each(std::mem::forget);
        Ok(())
    }

    /// Waits until the archive waits for C-CANCEL.
    pub(crate) fn wait_until_cancellable(&self) -> Test {
        if !wait_for(&self.shared.changed, lock(&self.shared.halted), 1) {
            return Err("the request did not come".into());
        }
        Ok(())
    }

    /// Waits for a request, written as in [`requests`](Self::requests).
    pub(crate) fn wait_for_request(&self, line: &str) -> Test {
        let requests = lock(&self.shared.requests);
        let is_new = |requests: &mut Vec<String>| !requests.iter().any(|requests| requests == line);
        let waited = self
            .shared
            .changed
            .wait_timeout_while(requests, LONG, is_new);
        let (requests, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(format!("no {line} among {requests:?}").into());
        }
        Ok(())
    }

    /// Returns the identifiers of all requests, in order.
    pub(crate) fn keys(&self) -> Vec<Identifier> {
        lock(&self.shared.keys).clone()
    }

    /// Returns the requests in order, such as `C-FIND STUDY`, `C-CANCEL`, `release`.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(listening) = self.listening.take() {
            drop(listening.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until a number is at least `least`; false after a timeout.
fn wait_for(changed: &Condvar, number: MutexGuard<'_, usize>, least: usize) -> bool {
    let waited = changed.wait_timeout_while(number, LONG, |number| *number < least);
    let (number, _) = waited.unwrap_or_else(PoisonError::into_inner);
    *number >= least
}

fn acceptor(behaviour: &Behaviour) -> Test<Acceptor> {
    let implicit = || Ok::<_, Box<dyn std::error::Error>>(vec![uid(IMPLICIT)?]);
    let mut supported = SupportedContexts::new().with(uid("1.2.840.10008.1.1")?, implicit()?);
    for class in ["1", "2", "3"] {
        let class = uid(&format!("1.2.840.10008.5.1.4.1.2.2.{class}"))?;
        supported = supported.with(class, implicit()?);
    }
    for class in [CT, "1.2.840.10008.5.1.4.1.1.7"] {
        supported = supported
            .with(uid(class)?, vec![uid(EXPLICIT)?])
            .with_scp_role(uid(class)?);
    }
    let mut acceptor = Acceptor::new(behaviour.title.unwrap_or(TITLE).parse()?, supported);
    if !behaviour.allowed_callers.is_empty() {
        let titles = behaviour
            .allowed_callers
            .iter()
            .map(|title| AeTitle::new(title));
        acceptor = acceptor.with_calling_titles(titles.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(acceptor)
}

fn listen(listener: &TcpListener, acceptor: &Acceptor, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if shared.behaviour.never_responds {
            lock(&shared.silent).push(stream);
            shared.came.notify_all();
        } else if let Ok(mut association) = acceptor.accept(stream) {
            let shared = Arc::clone(shared);
            thread::spawn(move || drop(shared.serve(&mut association)));
        }
    }
}

impl Shared {
    fn serve(&self, association: &mut dyn Association) -> Result<(), Error> {
        loop {
            match receive_command(association, LONG)? {
                Incoming::Release => {
                    self.note("release");
                    return association.release(LONG);
                }
                Incoming::Message {
                    context,
                    command: Command::Request(request),
                } => self.answer(association, context, &request)?,
                Incoming::Message {
                    command: Command::Cancel { .. },
                    ..
                } => self.note("C-CANCEL"),
                _ => {}
            }
        }
    }

    fn note(&self, line: &str) {
        lock(&self.requests).push(line.to_owned());
        self.changed.notify_all();
    }

    /// Waits for C-CANCEL and responds, if so configured; true if it did.
    fn halt(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<bool, Error> {
        if self.behaviour.waits_for_cancel != Some(request.operation) {
            return Ok(false);
        }
        *lock(&self.halted) += 1;
        self.changed.notify_all();
        match receive_command(association, LONG)? {
            Incoming::Message {
                command: Command::Cancel { responded_to },
                ..
            } if responded_to == request.message_id => self.note("C-CANCEL"),
            _ => return Err(Error::Closed),
        }
        respond(association, context, request, Status::CANCELLED, None)?;
        Ok(true)
    }

    fn answer(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<(), Error> {
        let requests = if request.has_data_set {
            let mut bytes = Vec::new();
            let mut body = Body::new(association, context, LONG);
            body.read_to_end(&mut bytes).map_err(|_| Error::Lost)?;
            let keys = Identifier::decode(&bytes, ENCODING).map_err(|_| Error::Lost)?;
            lock(&self.keys).push(keys.clone());
            keys
        } else {
            Identifier::new()
        };
        let level = requests.text(tag::LEVEL).unwrap_or_default();
        self.note(&format!("{} {level}", request.operation));
        if let Some((operation, status)) = self.behaviour.refuses
            && operation == request.operation
        {
            let mut response = request.response(Status::new(status));
            response.comment = self.behaviour.comment.map(str::to_owned);
            return send(association, context, &Command::Response(response), LONG);
        }
        if self.behaviour.is_silent_to == Some(request.operation) {
            *lock(&self.halted) += 1;
            self.changed.notify_all();
            return Ok(());
        }
        match request.operation {
            Operation::Find => {
                let mut answers = self.found(&requests);
                if level == "STUDY" && self.behaviour.has_odd_answers {
                    for uid in ["", "1..2"] {
                        let mut odd = Identifier::new();
                        odd.set(tag::STUDY_UID, uid.as_bytes());
                        answers.push(odd);
                    }
                }
                let limit = self.behaviour.limit.filter(|_| level == "STUDY");
                let is_over = limit.is_some_and(|limit| answers.len() > limit);
                answers.truncate(limit.unwrap_or(usize::MAX));
                for answer in answers {
                    respond(
                        association,
                        context,
                        request,
                        Status::PENDING,
                        Some(&answer),
                    )?;
                    if self.halt(association, context, request)? {
                        return Ok(());
                    }
                }
                let status = if is_over { 0xA700 } else { 0x0000 };
                respond(association, context, request, Status::new(status), None)
            }
            Operation::Move | Operation::Get => {
                self.transfer(association, context, request, &requests)
            }
            _ => respond(association, context, request, Status::SUCCESS, None),
        }
    }

    fn chosen<'s>(&'s self, requests: &'s Identifier) -> impl Iterator<Item = &'s DataSet> {
        self.objects.iter().filter(|object| {
            // Matches by prefix, as some servers do.
            let accession = requests.text(tag::ACCESSION).unwrap_or_default();
            let patient = requests.text(tag::PATIENT_ID).unwrap_or_default();
            let lists = |key, element| {
                let uids = requests.texts(key);
                uids.is_empty() || uids.contains(&text(object, element))
            };
            let date = requests.text(tag::STUDY_DATE).unwrap_or_default();
            text(object, Tag(0x0008, 0x0050)).starts_with(&accession)
                && is_in(&text(object, Tag(0x0008, 0x0020)), &date)
                && (patient.is_empty() || text(object, Tag(0x0010, 0x0020)) == patient)
                && lists(tag::STUDY_UID, Tag(0x0020, 0x000D))
                && lists(tag::SERIES_UID, Tag(0x0020, 0x000E))
                && lists(tag::SOP_INSTANCE, Tag(0x0008, 0x0018))
        })
    }

    fn found(&self, requests: &Identifier) -> Vec<Identifier> {
        let level = requests.text(tag::LEVEL).unwrap_or_default();
        let key = match level.as_str() {
            "STUDY" => Tag(0x0020, 0x000D),
            "SERIES" => Tag(0x0020, 0x000E),
            _ => Tag(0x0008, 0x0018),
        };
        let mut seen = BTreeSet::new();
        let mut answers = Vec::new();
        for object in self.chosen(requests) {
            if !seen.insert(text(object, key)) {
                continue;
            }
            let of_study = self.chosen(requests);
            let of_study = of_study.filter(|other| {
                text(other, Tag(0x0020, 0x000D)) == text(object, Tag(0x0020, 0x000D))
            });
            let series: Vec<_> = of_study.map(|o| text(o, Tag(0x0020, 0x000E))).collect();
            let of_series = series
                .iter()
                .filter(|s| **s == text(object, Tag(0x0020, 0x000E)));
            let mut answer = Identifier::new();
            let mut put = |to, value: &str| answer.set(to, value.as_bytes());
            put(tag::CHARSET, "ISO_IR 192");
            put(tag::LEVEL, &level);
            for (to, from) in [
                (tag::STUDY_UID, Tag(0x0020, 0x000D)),
                (tag::PATIENT_NAME, Tag(0x0010, 0x0010)),
                (tag::PATIENT_ID, Tag(0x0010, 0x0020)),
                (tag::ACCESSION, Tag(0x0008, 0x0050)),
                (tag::STUDY_DATE, Tag(0x0008, 0x0020)),
                (tag::STUDY_DESCRIPTION, Tag(0x0008, 0x1030)),
            ] {
                put(to, &text(object, from));
            }
            if level == "STUDY" {
                let distinct: BTreeSet<_> = series.iter().collect();
                put(tag::MODALITIES, &text(object, Tag(0x0008, 0x0060)));
                put(tag::SERIES_IN_STUDY, &distinct.len().to_string());
                put(tag::INSTANCES_IN_STUDY, &series.len().to_string());
            } else {
                put(tag::SERIES_UID, &text(object, Tag(0x0020, 0x000E)));
                put(tag::MODALITY, &text(object, Tag(0x0008, 0x0060)));
                put(tag::INSTANCES_IN_SERIES, &of_series.count().to_string());
            }
            if level == "IMAGE" {
                put(tag::SOP_INSTANCE, &text(object, Tag(0x0008, 0x0018)));
                put(tag::SOP_CLASS, &text(object, Tag(0x0008, 0x0016)));
            }
            answers.push(answer);
        }
        answers
    }

    fn transfer(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
        requests: &Identifier,
    ) -> Result<(), Error> {
        let to = request.destination.as_ref().map(AeTitle::as_str);
        let sends_to = lock(&self.sends_to).clone();
        let to = match to {
            None => None,
            Some(title) => match sends_to.iter().find(|(known, _)| known == title) {
                Some((title, port)) => Some(format!("{title}@127.0.0.1:{port}")),
                None => {
                    return respond(association, context, request, Status::new(0xA801), None);
                }
            },
        };
        if request.operation == Operation::Move {
            *lock(&self.moves) += 1;
            self.changed.notify_all();
            if !wait_for(
                &self.changed,
                lock(&self.moves),
                self.behaviour.concurrent_moves,
            ) {
                return respond(association, context, request, Status::new(0xA702), None);
            }
        }
        let mut counts = SubOperations::default();
        for (n, object) in self.chosen(requests).enumerate() {
            let is_taken = n < self.behaviour.omits
                || match &to {
                    Some(to) => sent(to, object),
                    None => stored(association, object)?,
                };
            let count = if is_taken {
                &mut counts.completed
            } else {
                &mut counts.failed
            };
            *count = Some(count.unwrap_or(0) + 1);
            if self.halt(association, context, request)? {
                return Ok(());
            }
        }
        let status = if counts.failed.is_some() {
            0xB000
        } else {
            0x0000
        };
        let mut response = request.response(Status::new(status));
        response.counts = counts;
        send(association, context, &Command::Response(response), LONG)
    }
}

/// Returns true if a date is the requested one, or in the requested range.
fn is_in(date: &str, requested: &str) -> bool {
    match requested.split_once('-') {
        _ if requested.is_empty() => true,
        Some((first, last)) => date >= first && (last.is_empty() || date <= last),
        None => date == requested,
    }
}

fn respond(
    association: &mut dyn Association,
    context: ContextId,
    request: &Request,
    status: Status,
    identifier: Option<&Identifier>,
) -> Result<(), Error> {
    let mut response = request.response(status);
    response.has_data_set = identifier.is_some();
    let command = Command::Response(response);
    let Some(identifier) = identifier else {
        return send(association, context, &command, LONG);
    };
    let bytes = identifier.encode(ENCODING).map_err(|_| Error::Closed)?;
    send_with(association, context, &command, &mut &*bytes, LONG)
}

/// Sends an object on a new association; true if it was stored.
fn sent(to: &str, object: &DataSet) -> bool {
    let send = || -> Test<bool> {
        let node: Node = to.parse()?;
        let mut items = std::iter::once(item(object, Syntax::ExplicitLittle)?);
        let report = scu(TITLE)?.send(&node, &mut items, &Cancel::new(), &mut |_| {});
        Ok(report.map_err(|error| error.error)?.stored == 1)
    };
    send().unwrap_or(false)
}

/// Sends an object on the requesting association (C-GET); true if it was stored.
fn stored(association: &mut dyn Association, object: &DataSet) -> Result<bool, Error> {
    let class = text(object, Tag(0x0008, 0x0016));
    let accepted = association.contexts().iter();
    let accepted = accepted.filter(|c| c.scp && c.abstract_syntax.as_str() == class);
    let Some(context) = accepted.map(|context| context.id).next() else {
        return Ok(false);
    };
    let class = Uid::new(&class).map_err(|_| Error::Closed)?;
    let instance = text(object, Tag(0x0008, 0x0018))
        .parse()
        .map_err(|_| Error::Closed)?;
    let request = Request::new(Operation::Store, 77, class).with_instance(instance);
    let bytes = object.write_data_set(Syntax::ExplicitLittle);
    let command = Command::Request(request);
    send_with(association, context, &command, &mut &*bytes, LONG)?;
    match receive_command(association, LONG)? {
        Incoming::Message {
            command: Command::Response(response),
            ..
        } => Ok(response.status == Status::SUCCESS),
        _ => Err(Error::Closed),
    }
}
