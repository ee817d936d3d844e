//! Shared by the commands that process objects: import, retrieve, serve and `quarantine retry`.

mod advice;
mod left_out;
mod print;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anon_model::ProjectSettings;
use anon_model::settings::ScpTls;

use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::node::{self, RefusedEntry};
use crate::project::record::{Instance, Summary};
use crate::project::{OpenProject, Project};
use crate::report::{Progress, Report};
use crate::work::{Holder, Jobs};

pub(crate) use advice::how_to_accept;
pub(crate) use left_out::{LeftOutCounts, warn_of_left_out, warn_of_places};
pub(crate) use print::{
    remarks as print_remarks, summary as print_summary, warn_of_clashes, warn_of_shared_patient,
};

/// Returns the exit status of an import, or of another command with such a summary.
pub(crate) fn exit_status_of(context: &Context<'_>, summary: &Summary) -> ExitStatus {
    let otherwise = match &summary.error {
        Some(_) => ExitStatus::CannotContinue,
        None if summary.is_clean() => ExitStatus::Done,
        None => ExitStatus::Partial,
    };
    context.exit_status(otherwise)
}

/// Accepts requests from commands that run at the same time as this one.
pub(crate) fn listen(context: &Context<'_>, project: &Project, jobs: &Arc<Jobs>) -> Option<Holder> {
    Jobs::listen(jobs, project, &context.signals)
}

/// Waits until all requests of other commands are done.
pub(crate) fn wait_for_others(context: &Context<'_>, holder: Option<Holder>) {
    let Some(holder) = holder else {
        return;
    };
    if holder.active() > 0 {
        context.report.end_progress();
        let what = "waiting for work that another anon command handed over";
        context.report.info(what);
    }
    holder.finish();
}

/// Closes a project. A failure is added to the summary, so that the work done is reported too.
pub(crate) fn close(project: OpenProject, summary: &mut Summary) {
    if let Err(error) = project.close() {
        tracing::error!("{error:#}");
        summary.error.get_or_insert_with(|| format!("{error:#}"));
    }
}

/// Prints finished instances, and cancels the import if standard output fails.
#[derive(Debug)]
pub(crate) struct InstancePrinter<'c> {
    context: &'c Context<'c>,
    /// Source files that the caller named.
    named: BTreeSet<String>,
    progress: Option<Progress>,
    state: Mutex<PrinterState>,
}

#[derive(Debug, Default)]
struct PrinterState {
    done: u64,
    /// Instances of each outcome and category that people were shown, or would have been.
    listed: BTreeMap<String, u64>,
    error: Option<anyhow::Error>,
}

/// Instances of one outcome and category that people are shown. The summary counts the others.
const SHOWN: u64 = 10;

impl<'c> InstancePrinter<'c> {
    pub(crate) fn new(context: &'c Context<'c>) -> Self {
        Self {
            context,
            named: BTreeSet::new(),
            progress: context.report.start_progress(),
            state: Mutex::default(),
        }
    }

    /// Names these source files by their paths: the caller has typed them. Others are numbered, because
    /// a path can identify.
    pub(crate) fn naming(mut self, paths: &[PathBuf]) -> Self {
        let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
        self.named = paths.collect();
        self
    }

    pub(crate) fn print(&self, instance: &Instance) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += 1;
        if let Some(progress) = &self.progress {
            progress.done(state.done);
        }
        let is_listed = matches!(&*instance.outcome, "quarantined" | "failed") || instance.archive;
        let listed = if is_listed {
            let count = state.listed.entry(print::kind_of(instance)).or_default();
            *count += 1;
            *count
        } else {
            0
        };
        if state.error.is_none()
            && let Err(error) = print::instance(self.context, instance, &self.named, listed)
        {
            // Nobody would see the outcome of the rest.
            self.context.signals.cancel().cancel();
            state.error = Some(error);
        }
    }

    pub(crate) fn result(self) -> anyhow::Result<()> {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match state.error {
            Some(error) => Err(error.context(Failure::CannotRun(
                "cannot print events, so the import was cancelled: run it again".into(),
            ))),
            None => Ok(()),
        }
    }
}

/// Refused entries that people are shown.
const REFUSED_SHOWN: usize = 10;

/// Prints which entries of a list are not searched for, by line. An entry can identify.
pub(crate) fn warn_of_refused_entries(context: &Context<'_>, refused: &[RefusedEntry]) {
    let report = context.report;
    for RefusedEntry { line, reason } in refused.iter().take(REFUSED_SHOWN) {
        report.warn(&format!(
            "line {line} of the list is not searched for: {reason}"
        ));
    }
    if let Some(more @ 1..) = refused.len().checked_sub(REFUSED_SHOWN) {
        report.warn(&format!(
            "{more} more lines of the list are not searched for: see refused_entries with --format json"
        ));
    }
}

/// Prints which machines can connect to our SCP.
pub(crate) fn print_who_can_connect(settings: &ProjectSettings, report: &Report) {
    if node::is_local(settings) {
        report.info(
            "only this machine can reach the receiver; to open it:\n  \
             anon config set scp.bind 0.0.0.0\n  anon config add scp.allow_calling AET",
        );
    } else if settings.scp.tls == ScpTls::Off {
        report.warn("patient data is transferred in clear, without TLS: see scp.tls");
    }
}
