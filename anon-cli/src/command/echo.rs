//! `anon echo`: checks that a server responds and accepts our AE title.

use std::time::Instant;

use anon_net::dimse::{Operation, StatusClass};
use anon_net::service::{Cancel, ServiceError};
use serde::Serialize;

use crate::args::Echo;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::node::{self, Peer, Purpose};
use crate::project::Project;

#[derive(Debug, Serialize)]
struct Summary<'p> {
    event: &'static str,
    command: &'static str,
    node: &'p str,
    /// `None` if the command was cancelled before the response.
    status: Option<String>,
    milliseconds: u128,
}

pub(crate) fn run(context: &Context<'_>, args: &Echo) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    let settings = context.settings(&project)?;
    log::start_without_file(&context.global)?;
    let peer = Peer::resolve(&settings, &args.node, Purpose::Any)?;
    let local = node::LocalNode::from_settings(&settings);
    let scu = node::scu(&project, &settings, &peer)?;
    let start = Instant::now();
    let failure = |error: ServiceError| node::peer_failure(&error, &peer.node, &local);
    let cancel = Cancel::from(context.signals.cancel().shared());
    let status = match scu.echo(&peer.node, &cancel) {
        Err(ServiceError::Cancelled) => None,
        result => Some(result.map_err(failure)?),
    };
    if let Some(status) = status
        && status.class() != StatusClass::Success
    {
        let operation = Operation::Echo;
        return Err(failure(ServiceError::Refused { operation, status }));
    }
    let milliseconds = start.elapsed().as_millis();
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
        report.line(&format!("{name} responded in {milliseconds} ms"))?;
    }
    Ok(context.exit_status(ExitStatus::Done))
}
