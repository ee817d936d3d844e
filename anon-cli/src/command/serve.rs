//! `anon serve`: receives DICOM objects into the project until it is stopped.

mod events;
mod notices;
mod settings_watcher;
mod status_line;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anon_model::ProjectSettings;
use anon_model::settings::Value;
use crossbeam_channel::{Receiver as Channel, RecvTimeoutError};
use serde::Serialize;

use crate::args::Serve;
use crate::command::{Context, outcome};
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::node::{self, Intake, Receiver};
use crate::project::OpenProject;
use crate::project::Project;
use crate::project::lock::Lock;
use crate::project::record::Clashes;
use crate::project::remark::RemarkRecord;
use crate::report;
use crate::work::Jobs;
use crate::work::clashes::NewClashes;
use events::{Association, Event, EventSender};
use notices::Notices;
use settings_watcher::SettingsWatcher;
use status_line::StatusLine;

/// How long a stop waits for the objects that are being received.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the status line is drawn and the settings are checked.
const REFRESH_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Serialize)]
struct Listening<'s> {
    event: &'static str,
    address: SocketAddr,
    aet: &'s str,
}

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    associations: u64,
    rejected: u64,
    /// C-STORE requests.
    offered: u64,
    stored: u64,
    duplicates: u64,
    quarantined: u64,
    refused: u64,
    failed: u64,
    /// Events `rejected` and `object` that were not printed, because too many waited.
    events_dropped: u64,
    /// Objects that were still in progress when the stop timed out.
    unfinished: u64,
    bytes: u64,
    /// Objects stored without a Patient ID, under the shared patient.
    shared_patient: u64,
    /// The remarks on the stored objects.
    remarks: Vec<RemarkRecord>,
    /// Clashes that were found in the run and not before.
    clashes: Clashes,
    seconds: f64,
    /// False if associations were aborted because the stop timed out.
    drained: bool,
}

pub(crate) fn run(context: &Context<'_>, args: &Serve) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    let settings = with_arguments(context.settings(&project)?, args)?;
    node::check_access_list(&settings)?;
    log::start(&project, &settings.log, &context.global)?;
    let lock = Lock::take(&project.lock_file())?;
    let options = context.open_options(args.accept_new_rules, None);
    let open = OpenProject::open(&project, &settings, options, lock)?;
    let (sender, events) = EventSender::new();
    let sender = Arc::new(sender);
    let observer = Arc::clone(&sender) as _;
    let jobs = Arc::new(Jobs::new(
        &project,
        &settings,
        &open,
        context.signals.cancel(),
    ));
    let receiver = node::start(&project, &settings, Arc::clone(&jobs.intake), observer)?;
    jobs.serves_at(receiver.running.local_addr());
    let holder = outcome::listen(context, &project, &jobs);
    // Printed only once it listens.
    outcome::print_who_can_connect(&settings, context.report);
    print_listening(context, &settings, &receiver)?;
    let start = Instant::now();
    let clashes = NewClashes::start(&*open.lookups);
    let mut watcher = SettingsWatcher::new(&project, &settings);
    let mut printer = EventPrinter {
        context,
        notices: Notices::new(context, &settings.scp.aet),
    };
    let served = run_until_signal(&mut printer, &receiver, &jobs.intake, &events, &mut watcher);
    context
        .report
        .info("stopping after the objects that are being received");
    let drained = receiver.stop(STOP_TIMEOUT);
    context.report.end_progress();
    outcome::wait_for_others(context, holder);
    let rest = events
        .try_iter()
        .try_for_each(|event| printer.print(&event));
    let mut summary = Summary::of(&receiver, &jobs.intake, start.elapsed(), drained);
    summary.events_dropped = sender.dropped();
    summary.clashes = clashes.end(&*open.lookups);
    drop((receiver, jobs));
    open.close()?;
    served.and(rest)?;
    summary.print(context)?;
    Ok(context.exit_status(summary.exit_status()))
}

/// Applies the options of the command line to the settings.
fn with_arguments(mut settings: ProjectSettings, args: &Serve) -> anyhow::Result<ProjectSettings> {
    let mut set = |key: &str, value: Value| {
        settings
            .set(key, &value)
            .map_err(|problem| Failure::configuration(problem.to_string()))
    };
    if let Some(port) = args.port {
        set("scp.port", Value::Integer(port.into()))?;
    }
    if let Some(bind) = &args.bind {
        set("scp.bind", Value::Text(bind.clone()))?;
    }
    if let Some(aet) = &args.aet {
        set("scp.aet", Value::Text(aet.clone()))?;
    }
    Ok(settings)
}

fn print_listening(
    context: &Context<'_>,
    settings: &ProjectSettings,
    receiver: &Receiver,
) -> anyhow::Result<()> {
    let address = receiver.running.local_addr();
    let aet = &settings.scp.aet;
    let event = "listening";
    context.report.json(&Listening {
        event,
        address,
        aet,
    })?;
    context.report.line(&format!("{aet} listens on {address}"))
}

/// Prints events and the status line until a signal arrives.
fn run_until_signal(
    printer: &mut EventPrinter<'_>,
    receiver: &Receiver,
    intake: &Intake,
    events: &Channel<Event>,
    watcher: &mut SettingsWatcher<'_>,
) -> anyhow::Result<()> {
    let context = printer.context;
    let bar = context.report.start_live();
    let mut status_line = StatusLine::default();
    let mut last_check = Instant::now();
    while !context.signals.cancel().is_cancelled() {
        match events.recv_timeout(REFRESH_INTERVAL) {
            Ok(event) => printer.print(&event)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if last_check.elapsed() >= REFRESH_INTERVAL {
            watcher.check(context, receiver);
            last_check = Instant::now();
        }
        if let Some(bar) = &bar {
            let totals = receiver.running.totals();
            bar.set_message(status_line.line(&totals, intake.waiting(), Instant::now()));
        }
    }
    Ok(())
}

/// Prints events: as JSON, or a line for each association. Warnings go to standard error.
struct EventPrinter<'c> {
    context: &'c Context<'c>,
    notices: Notices<'c>,
}

impl EventPrinter<'_> {
    fn print(&mut self, event: &Event) -> anyhow::Result<()> {
        self.context.report.json(event)?;
        self.notices.print(event);
        match event {
            Event::Association(association) => self.context.report.line(&line(association)),
            Event::Rejected(_) | Event::Object(_) => Ok(()),
        }
    }
}

fn line(association: &Association) -> String {
    format!(
        "{}: {} stored, {} duplicates, {} quarantined, {} refused, {} failed; {} in {:.1} s; {}",
        association.calling,
        association.stored,
        association.duplicates,
        association.quarantined,
        association.refused,
        association.failed,
        report::bytes(association.bytes),
        association.seconds,
        association.end
    )
}

impl Summary {
    fn of(receiver: &Receiver, intake: &Intake, lasted: Duration, drained: bool) -> Self {
        let totals = receiver.running.totals();
        let notes = intake.notes();
        Self {
            event: "summary",
            command: "serve",
            associations: totals.opened,
            rejected: totals.rejected,
            offered: totals.instances.offered,
            stored: totals.instances.stored,
            duplicates: totals.instances.duplicates,
            quarantined: totals.instances.quarantined,
            refused: totals.instances.refused,
            failed: totals.instances.failed,
            unfinished: totals
                .instances
                .offered
                .saturating_sub(totals.instances.handled()),
            events_dropped: 0,
            bytes: totals.instances.bytes,
            shared_patient: notes.shared_patient,
            remarks: RemarkRecord::all_of(&notes.remarks),
            clashes: Clashes::default(),
            seconds: lasted.as_secs_f64(),
            drained,
        }
    }

    /// Returns the exit status if no signal ended it.
    fn exit_status(&self) -> ExitStatus {
        if self.drained && self.quarantined == 0 && self.failed == 0 {
            ExitStatus::Done
        } else {
            ExitStatus::Partial
        }
    }

    fn print(&self, context: &Context<'_>) -> anyhow::Result<()> {
        context.report.summary(self)?;
        context.report.line(&format!(
            "{} associations: {} stored, {} duplicates, {} quarantined, {} refused, {} failed",
            self.associations,
            self.stored,
            self.duplicates,
            self.quarantined,
            self.refused,
            self.failed
        ))?;
        if !self.drained {
            let what =
                "associations were aborted: their senders got no response for the last objects";
            context.report.warn(what);
        }
        if self.events_dropped > 0 {
            let what = report::counted(self.events_dropped, "event");
            context.report.warn(&format!(
                "{what} of rejected connections and objects that were not stored are counted and not \
                 printed: output was slower than they came"
            ));
        }
        outcome::print_remarks(context, &self.remarks)?;
        outcome::warn_of_shared_patient(context, self.shared_patient);
        outcome::warn_of_clashes(context, self.clashes);
        Ok(())
    }
}
