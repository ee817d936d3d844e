//! `anon echo`: is a server there, and does it know us?

use std::thread;
use std::time::Instant;

use anon_net::Node;
use anon_net::dimse::{Operation, Status, StatusClass};
use anon_net::service::{Scu, ServiceError};
use crossbeam_channel::bounded;
use serde::Serialize;

use crate::args::Echo;
use crate::command::Context;
use crate::exit::Ended;
use crate::node::{self, Peer, Purpose};
use crate::project::Project;
use crate::{log, settings};

#[derive(Debug, Serialize)]
struct Summary<'p> {
    event: &'static str,
    command: &'static str,
    node: &'p str,
    /// None if it was ended before there was an answer.
    status: Option<String>,
    milliseconds: u128,
}

pub(crate) fn run(context: &Context<'_>, args: &Echo) -> anyhow::Result<Ended> {
    let project = Project::existing(&context.global)?;
    let settings = settings::load(&project)?;
    log::start_without_file(&context.global)?;
    let peer = Peer::typed(&settings, &args.node, Purpose::Any)?;
    let us = node::us(&settings);
    let scu = node::scu(&project, &settings, &peer)?;
    let began = Instant::now();
    let told = |error: ServiceError| node::failure(&error, &peer.node, &us);
    let answer = ask(context, scu, &peer.node)?;
    let status = answer.transpose().map_err(told)?;
    if let Some(status) = status
        && status.class() != StatusClass::Success
    {
        let operation = Operation::Echo;
        return Err(told(ServiceError::Refused { operation, status }));
    }
    let milliseconds = began.elapsed().as_millis();
    let name = peer.node.to_string();
    context.report.summary(&Summary {
        event: "summary",
        command: "echo",
        node: &name,
        status: status.map(|status| status.to_string()),
        milliseconds,
    })?;
    let report = context.report;
    if status.is_some() {
        report.line(&format!("{name} answers, in {milliseconds} ms"))?;
    }
    Ok(context.ended(Ended::Done))
}

/// Asks, and does not wait for the answer any more when a signal comes.
fn ask(
    context: &Context<'_>,
    scu: Scu,
    node: &Node,
) -> anyhow::Result<Option<Result<Status, ServiceError>>> {
    let (tell, answer) = bounded(2);
    let stop = tell.clone();
    let _waiting = context.signals.on_cancel(move || {
        // There is room for two.
        let _ = stop.send(None);
    });
    let node = node.clone();
    let echo = move || {
        // Nobody listens any more if a signal came.
        let _ = tell.send(Some(scu.echo(&node)));
    };
    thread::Builder::new().name("echo".into()).spawn(echo)?;
    Ok(answer.recv()?)
}
