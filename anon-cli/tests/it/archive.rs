//! A small archive on a port of this machine: answers C-ECHO, C-FIND, C-MOVE and C-GET.

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
    Supported, Uid,
};
use dicom_core::Tag;

use crate::serving::{CT, EXPLICIT, LONG, item, scu, text, uid};
use crate::support::Test;

const TITLE: &str = "ARCHIVE";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const ENCODING: Encoding = Encoding::ImplicitLittle;

/// What it does in its own way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manners {
    /// Who may call it; everybody if there is none.
    pub(crate) admits: Vec<&'static str>,
    /// The title by which it has to be called, if it is not `ARCHIVE`.
    pub(crate) title: Option<&'static str>,
    /// What it says to every request of this kind.
    pub(crate) refuses: Option<(Operation, u16)>,
    /// How many instances it says it sent and does not.
    pub(crate) withholds: usize,
    /// It does not wait for anybody who reads its answers.
    pub(crate) is_mute: bool,
    /// After the first answer to such a request, and after the first instance, it waits for C-CANCEL.
    pub(crate) halts: Option<Operation>,
    /// It answers a C-MOVE only once so many are open.
    pub(crate) together: usize,
}

#[derive(Debug)]
struct Shared {
    manners: Manners,
    objects: Vec<DataSet>,
    /// Where it sends to, by title.
    knows: Mutex<Vec<(String, u16)>>,
    /// What it was asked.
    asked: Mutex<Vec<String>>,
    /// The keys by which it was asked.
    keys: Mutex<Vec<Identifier>>,
    /// Connections that it does not answer.
    silent: Mutex<Vec<TcpStream>>,
    came: Condvar,
    /// How often it began to wait for C-CANCEL.
    halted: Mutex<usize>,
    /// How many C-MOVE were begun.
    moves: Mutex<usize>,
    changed: Condvar,
    stop: AtomicBool,
}

/// It runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl Archive {
    pub(crate) fn start(manners: Manners, objects: Vec<DataSet>) -> Test<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let acceptor = acceptor(&manners)?;
        let shared = Arc::new(Shared {
            manners,
            objects,
            knows: Mutex::default(),
            asked: Mutex::default(),
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

    /// As it is typed.
    pub(crate) fn node(&self) -> String {
        format!("{TITLE}@127.0.0.1:{}", self.port)
    }

    /// Has it send there when it is asked to send to this title.
    pub(crate) fn knows(&self, title: &str, port: u16) {
        let mut knows = lock(&self.shared.knows);
        knows.push((title.to_owned(), port));
    }

    /// The same, in the place of where it sent before.
    pub(crate) fn knows_now(&self, title: &str, port: u16) {
        lock(&self.shared.knows).clear();
        self.knows(title, port);
    }

    /// Waits until somebody connected to whom it says nothing, and forgets who it was.
    pub(crate) fn wait_for_another(&self) -> Test {
        let silent = lock(&self.shared.silent);
        let waited = self
            .shared
            .came
            .wait_timeout_while(silent, LONG, |silent| silent.is_empty());
        let (mut silent, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err("nobody came".into());
        }
        // It stays open: who waits for an answer shall wait.
        silent.drain(..).for_each(std::mem::forget);
        Ok(())
    }

    /// Waits until it waits for C-CANCEL.
    pub(crate) fn wait_until_halted(&self) -> Test {
        if !wait_for(&self.shared.changed, lock(&self.shared.halted), 1) {
            return Err("it was not asked".into());
        }
        Ok(())
    }

    /// Waits until it was told something, as [`asked`](Self::asked) says it.
    pub(crate) fn wait_until_asked(&self, line: &str) -> Test {
        let asked = lock(&self.shared.asked);
        let is_new = |asked: &mut Vec<String>| !asked.iter().any(|asked| asked == line);
        let waited = self.shared.changed.wait_timeout_while(asked, LONG, is_new);
        let (asked, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(format!("no {line} among {asked:?}").into());
        }
        Ok(())
    }

    /// The keys of every request that had some, in order.
    pub(crate) fn keys(&self) -> Vec<Identifier> {
        lock(&self.shared.keys).clone()
    }

    /// What it was asked, as `C-FIND STUDY`, `C-CANCEL`, `release`.
    pub(crate) fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
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

/// Waits until a number is at least so large; false if that takes too long.
fn wait_for(changed: &Condvar, number: MutexGuard<'_, usize>, least: usize) -> bool {
    let waited = changed.wait_timeout_while(number, LONG, |number| *number < least);
    let (number, _) = waited.unwrap_or_else(PoisonError::into_inner);
    *number >= least
}

fn acceptor(manners: &Manners) -> Test<Acceptor> {
    let implicit = || Ok::<_, Box<dyn std::error::Error>>(vec![uid(IMPLICIT)?]);
    let mut supported = Supported::new().with(uid("1.2.840.10008.1.1")?, implicit()?);
    for class in ["1", "2", "3"] {
        let class = uid(&format!("1.2.840.10008.5.1.4.1.2.2.{class}"))?;
        supported = supported.with(class, implicit()?);
    }
    for class in [CT, "1.2.840.10008.5.1.4.1.1.7"] {
        supported = supported
            .with(uid(class)?, vec![uid(EXPLICIT)?])
            .with_scp_role(uid(class)?);
    }
    let mut acceptor = Acceptor::new(manners.title.unwrap_or(TITLE).parse()?, supported);
    if !manners.admits.is_empty() {
        let titles = manners.admits.iter().map(|title| AeTitle::new(title));
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
        if shared.manners.is_mute {
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
        lock(&self.asked).push(line.to_owned());
        self.changed.notify_all();
    }

    /// Waits for C-CANCEL, if that is its manner, and answers it; true if it did.
    fn halt(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<bool, Error> {
        if self.manners.halts != Some(request.operation) {
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
        let asked = if request.has_data_set {
            let mut bytes = Vec::new();
            let mut body = Body::new(association, context, LONG);
            body.read_to_end(&mut bytes).map_err(|_| Error::Lost)?;
            let keys = Identifier::decode(&bytes, ENCODING).map_err(|_| Error::Lost)?;
            lock(&self.keys).push(keys.clone());
            keys
        } else {
            Identifier::new()
        };
        let level = asked.text(tag::LEVEL).unwrap_or_default();
        self.note(&format!("{} {level}", request.operation));
        if let Some((operation, status)) = self.manners.refuses
            && operation == request.operation
        {
            return respond(association, context, request, Status::new(status), None);
        }
        match request.operation {
            Operation::Find => {
                for answer in self.found(&asked) {
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
                respond(association, context, request, Status::SUCCESS, None)
            }
            Operation::Move | Operation::Get => {
                self.transfer(association, context, request, &asked)
            }
            _ => respond(association, context, request, Status::SUCCESS, None),
        }
    }

    fn chosen<'s>(&'s self, asked: &'s Identifier) -> impl Iterator<Item = &'s DataSet> {
        self.objects.iter().filter(|object| {
            // As some servers do: a beginning is enough.
            let accession = asked.text(tag::ACCESSION).unwrap_or_default();
            let patient = asked.text(tag::PATIENT_ID).unwrap_or_default();
            let lists = |key, element| {
                let uids = asked.texts(key);
                uids.is_empty() || uids.contains(&text(object, element))
            };
            text(object, Tag(0x0008, 0x0050)).starts_with(&accession)
                && (patient.is_empty() || text(object, Tag(0x0010, 0x0020)) == patient)
                && lists(tag::STUDY_UID, Tag(0x0020, 0x000D))
                && lists(tag::SERIES_UID, Tag(0x0020, 0x000E))
                && lists(tag::SOP_INSTANCE, Tag(0x0008, 0x0018))
        })
    }

    fn found(&self, asked: &Identifier) -> Vec<Identifier> {
        let level = asked.text(tag::LEVEL).unwrap_or_default();
        let key = match level.as_str() {
            "STUDY" => Tag(0x0020, 0x000D),
            "SERIES" => Tag(0x0020, 0x000E),
            _ => Tag(0x0008, 0x0018),
        };
        let mut seen = BTreeSet::new();
        let mut answers = Vec::new();
        for object in self.chosen(asked) {
            if !seen.insert(text(object, key)) {
                continue;
            }
            let of_study = self.chosen(asked);
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
        asked: &Identifier,
    ) -> Result<(), Error> {
        let to = request.destination.as_ref().map(AeTitle::as_str);
        let knows = lock(&self.knows).clone();
        let to = match to {
            None => None,
            Some(title) => match knows.iter().find(|(known, _)| known == title) {
                Some((title, port)) => Some(format!("{title}@127.0.0.1:{port}")),
                None => {
                    return respond(association, context, request, Status::new(0xA801), None);
                }
            },
        };
        if request.operation == Operation::Move {
            *lock(&self.moves) += 1;
            self.changed.notify_all();
            if !wait_for(&self.changed, lock(&self.moves), self.manners.together) {
                return respond(association, context, request, Status::new(0xA702), None);
            }
        }
        let mut counts = SubOperations::default();
        for (n, object) in self.chosen(asked).enumerate() {
            let is_taken = n < self.manners.withholds
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

/// By an association of its own.
fn sent(to: &str, object: &DataSet) -> bool {
    let send = || -> Test<bool> {
        let node: Node = to.parse()?;
        let mut items = std::iter::once(item(object, Syntax::ExplicitLittle)?);
        let report = scu(TITLE)?.send(&node, &mut items, &Cancel::new(), &mut |_| {});
        Ok(report.map_err(|error| error.error)?.stored == 1)
    };
    send().unwrap_or(false)
}

/// On the association that asked.
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
