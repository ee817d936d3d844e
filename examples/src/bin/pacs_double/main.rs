//! A test double of a PACS. Loads the objects of a directory into memory, accepts more by C-STORE, and
//! performs C-ECHO, and C-FIND, C-MOVE and C-GET of the study root. Ends at the end of standard input: press
//! Ctrl-D.
//!
//! ```text
//! cargo run -p anon-examples --bin pacs_double [DIRECTORY] [ADDRESS] [TITLE@HOST:PORT]...
//! findscu -S -aec PACS -k QueryRetrieveLevel=STUDY -k StudyInstanceUID 127.0.0.1 11112
//! ```
//!
//! The nodes after the address are the possible destinations of C-MOVE.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

mod object;

use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anon_net::association::ul::{Acceptor, UlDial};
use anon_net::context::storage_classes;
use anon_net::dimse::{Body, Request, receive_command, refuse, send, send_with};
use anon_net::dimse::{Command, Incoming, SubOperations};
use anon_net::identifier::Encoding;
use anon_net::service::SendItem;
use anon_net::{
    Association, Cancel, ContextId, Node, Operation, Scu, Status, SupportedContexts, Uid,
};
use anyhow::{Context as _, bail};
use object::{Object, Query};

const TITLE: &str = "PACS";
const TIMEOUT: Duration = Duration::from_secs(30);

/// C-FIND, C-MOVE and C-GET of the study root (PS3.4 section C.6.2).
const QUERY_RETRIEVE: [&str; 3] = [
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
];

struct Pacs {
    objects: Mutex<Vec<Object>>,
    acceptor: Acceptor,
    destinations: Vec<Node>,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map(PathBuf::from);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:11112".into());
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(directory.unwrap_or_else(anon_examples::directory))? {
        objects.push(Object::from_file(&std::fs::read(entry?.path())?)?);
    }
    let listener = TcpListener::bind(address)?;
    println!(
        "{TITLE} listens on {}, {} objects",
        listener.local_addr()?,
        objects.len()
    );
    let pacs = Arc::new(Pacs {
        objects: Mutex::new(objects),
        acceptor: Acceptor::new(TITLE.parse()?, supported()?),
        destinations: arguments
            .map(|node| node.parse())
            .collect::<Result<_, _>>()?,
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let pacs = Arc::clone(&pacs);
            thread::spawn(move || {
                if let Err(error) = pacs.serve(stream) {
                    println!("an association failed: {error:#}");
                }
            });
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn supported() -> anyhow::Result<SupportedContexts> {
    let encodings = Encoding::ALL.map(|encoding| Uid::new(encoding.transfer_syntax()));
    let encodings: Vec<Uid> = encodings.into_iter().collect::<Result<_, _>>()?;
    let mut supported = SupportedContexts::storage();
    for class in QUERY_RETRIEVE {
        supported = supported.with(Uid::new(class)?, encodings.clone());
    }
    // C-GET sends to requestors that also act as SCP.
    Ok(storage_classes().fold(supported, SupportedContexts::with_scp_role))
}

impl Pacs {
    fn serve(&self, stream: TcpStream) -> anyhow::Result<()> {
        let association = &mut self.acceptor.accept(stream)?;
        loop {
            match receive_command(association, TIMEOUT)? {
                Incoming::Release => return Ok(association.release(TIMEOUT)?),
                Incoming::NotUnderstood { context, malformed } => {
                    refuse(association, context, &malformed, TIMEOUT)?;
                }
                Incoming::Message {
                    context,
                    command: Command::Request(request),
                } => {
                    self.perform(association, context, &request)?;
                }
                // Every request is already complete.
                Incoming::Message {
                    command: Command::Cancel { .. },
                    ..
                } => {}
                Incoming::Message { .. } => bail!("a response without a request"),
            }
        }
    }

    /// Performs a request and sends its responses.
    fn perform(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> anyhow::Result<()> {
        let mut body = Vec::new();
        if request.has_data_set {
            Body::new(association, context, TIMEOUT).read_to_end(&mut body)?;
        }
        let accepted = association
            .contexts()
            .get(context)
            .context("the context is not accepted")?;
        let syntax = accepted.transfer_syntax.clone();
        let encoding = Encoding::of(&syntax);
        let mut response = request.response(Status::SUCCESS);
        match (request.operation, encoding) {
            (Operation::Echo, _) => {}
            (Operation::Store, _) => {
                match Object::from_data_set(&body, &request.sop_class, &syntax) {
                    Ok(object) => self.insert(object),
                    Err(_) => response.status = Status::CANNOT_UNDERSTAND,
                }
            }
            (Operation::Find, Some(encoding)) => {
                for found in Query::decode(&body, encoding)?.matches(&self.objects()) {
                    let mut pending = request.response(Status::PENDING);
                    pending.has_data_set = true;
                    let bytes = found.encode(encoding)?;
                    let pending = Command::Response(pending);
                    send_with(association, context, &pending, &mut &*bytes, TIMEOUT)?;
                }
            }
            (Operation::Move, Some(encoding)) => {
                let query = Query::decode(&body, encoding)?;
                (response.status, response.counts) = self.move_to(request, &query)?;
            }
            (Operation::Get, Some(encoding)) => {
                let query = Query::decode(&body, encoding)?;
                (response.status, response.counts) = self.get(association, &query)?;
            }
            _ => response.status = Status::PROCESSING_FAILURE,
        }
        Ok(send(
            association,
            context,
            &Command::Response(response),
            TIMEOUT,
        )?)
    }

    fn objects(&self) -> Vec<Object> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.clone()
    }

    fn select(&self, query: &Query) -> Vec<Object> {
        let mut objects = self.objects();
        objects.retain(|object| query.selects(object));
        objects
    }

    fn insert(&self, object: Object) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.retain(|known| known.instance != object.instance);
        objects.push(object);
    }

    fn move_to(&self, request: &Request, query: &Query) -> anyhow::Result<(Status, SubOperations)> {
        let known = self.destinations.iter();
        let mut known = known.filter(|node| Some(node.title()) == request.destination.as_ref());
        let Some(node) = known.next() else {
            return Ok((Status::new(0xA801), SubOperations::default()));
        };
        let found = self.select(query);
        let count = found.len();
        let mut items = found.into_iter().map(|object| {
            let Object {
                class,
                instance,
                syntax,
                data_set,
                ..
            } = object;
            SendItem::data_set(class, instance, syntax, data_set)
        });
        let scu = Scu::new(Arc::new(UlDial::new()), TITLE.parse()?);
        let sent = scu.send(node, &mut items, &Cancel::new(), &mut |_| {});
        let report = sent.unwrap_or_else(|error| error.report);
        Ok(final_status(
            count,
            usize::try_from(report.stored + report.warnings)?,
        ))
    }

    fn get(
        &self,
        association: &mut dyn Association,
        query: &Query,
    ) -> anyhow::Result<(Status, SubOperations)> {
        let found = self.select(query);
        let mut completed = 0;
        for (number, object) in (1..).zip(&found) {
            let contexts = association.contexts();
            let accepted = contexts.find(&object.class, &object.syntax);
            let Some(context) = accepted.filter(|it| it.scp).map(|it| it.id) else {
                continue;
            };
            let request = Request::new(Operation::Store, number, object.class.clone());
            let request = request.with_instance(object.instance.clone());
            let command = Command::Request(request);
            send_with(
                association,
                context,
                &command,
                &mut &*object.data_set,
                TIMEOUT,
            )?;
            match receive_command(association, TIMEOUT)? {
                Incoming::Message {
                    command: Command::Response(response),
                    ..
                } => {
                    completed += usize::from(response.status == Status::SUCCESS);
                }
                _ => bail!("no response to a C-STORE"),
            }
        }
        Ok(final_status(found.len(), completed))
    }
}

/// Returns the final status and counts of a C-MOVE or C-GET (PS3.4 Tables C.4-2 and C.4-3).
fn final_status(count: usize, completed: usize) -> (Status, SubOperations) {
    let status = match completed {
        _ if completed == count => Status::SUCCESS,
        0 => Status::new(0xA702),
        _ => Status::new(0xB000),
    };
    let number = |count: usize| Some(u16::try_from(count).unwrap_or(u16::MAX));
    let counts = SubOperations {
        remaining: Some(0),
        completed: number(completed),
        failed: number(count - completed),
        warning: Some(0),
    };
    (status, counts)
}
