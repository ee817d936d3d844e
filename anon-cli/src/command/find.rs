//! `anon find`: lists the studies of a server, and how much of each is stored.

mod pick;

use anon_model::{Phi, ProjectSettings, RetrieveProgress};
use anon_net::service::Cancel;
use anon_net::service::find::StudyMatch;
use serde::Serialize;

use crate::args::Find;
use crate::command::Context;
use crate::command::outcome::{self, LeftOutCounts};
use crate::command::retrieve::{self, How};
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::node::{
    self, Asked, AskedKey, FoundStudy, Keys, LastFind, ListKey, LocalNode, Peer, Purpose,
    RefusedEntry, Search,
};
use crate::project::Project;
use crate::project::open_project;
use crate::project::record::RetrieveLevel;
use crate::report::{Report, Table, counted};

#[derive(Debug, Serialize)]
struct StudyEvent {
    event: &'static str,
    /// The number for `retrieve --from-last-find`.
    number: u64,
    study_uid: String,
    patient_id: String,
    patient_name: String,
    accession: String,
    study_date: String,
    modalities: Vec<String>,
    description: String,
    series: Option<u32>,
    instances: Option<u32>,
    stored: u64,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    studies: u64,
    hidden: u64,
    not_found: Vec<String>,
    failed: Vec<FailedEntry>,
    refused_entries: Vec<RefusedEntry>,
    /// Answers of the server that cannot be used.
    left_out: LeftOutCounts,
    interrupted: bool,
}

#[derive(Debug, Serialize)]
struct FailedEntry {
    #[serde(flatten)]
    key: Option<AskedKey>,
    error: String,
}

pub(crate) fn run(context: &Context<'_>, args: &Find) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    let settings = context.settings(&project)?;
    if args.pick {
        pick::check(context)?;
        log::start(&project, &settings.log, &context.global)?;
    } else {
        log::start_without_file(&context.global)?;
    }
    let (status, last) = find(context, (&project, &settings), args)?;
    if !args.pick || last.studies.is_empty() || context.signals.caught().is_some() {
        return Ok(status);
    }
    let Some(numbers) = pick::ask(context, &last)? else {
        return Ok(context.exit_status(status));
    };
    let how = How {
        level: RetrieveLevel::Study,
        via: args.via,
        accept_new_rules: false,
    };
    retrieve::of_last_find(context, (&project, &settings), &last, &numbers, how)
}

/// Lists the studies, and writes them down by their numbers.
fn find(
    context: &Context<'_>,
    (project, settings): (&Project, &ProjectSettings),
    args: &Find,
) -> anyhow::Result<(ExitStatus, LastFind)> {
    let peer = Peer::resolve(settings, &args.node, Purpose::Query)?;
    let keys: Keys = args.keys.clone().into();
    let mut search = Search::new(&keys)?;
    outcome::warn_of_refused_entries(context, &search.refused);
    let lookups = open_project::read_lookups(project, settings)?;
    let local = LocalNode::from_settings(settings);
    let scu = node::scu(project, settings, &peer)?;
    let cancel = Cancel::from(context.signals.cancel().shared());
    let mut listing = Listing::new((context.report, project), &*lookups, args.hide_imported);
    let result = search.run(&scu, &peer.node, &cancel, &mut |study, asked| {
        if let Err(error) = listing.add(study, asked) {
            listing.failure.get_or_insert(error);
            cancel.cancel();
        }
    });
    // Also after a failure: people use the numbers that were printed.
    let last = LastFind::new(&args.node, std::mem::take(&mut listing.studies));
    if result.is_ok() || !last.studies.is_empty() {
        write_last(context, project, &last);
    }
    let mut summary = listing.finish()?;
    summary.refused_entries = std::mem::take(&mut search.refused);
    let result = match result {
        Ok(result) => result,
        Err(_) if context.signals.cancel().is_cancelled() => {
            summary.interrupted = true;
            node::SearchResult::default()
        }
        Err(error) => {
            let why = search.failure_message(&error, &peer.node, &local);
            return Err(Failure::Peer(why).into());
        }
    };
    for (asked, error) in &result.failed {
        let error = search.failure_message(error, &peer.node, &local);
        let place = asked.place.words();
        let report = context.report;
        report.warn(&format!("the query for {place} failed: {error}"));
        let key = asked.key.clone();
        summary.failed.push(FailedEntry { key, error });
    }
    let status = print_result(context, &keys, &result, summary)?;
    Ok((status, last))
}

fn write_last(context: &Context<'_>, project: &Project, last: &LastFind) {
    if let Err(error) = last.write(project) {
        // The studies were listed: only their numbers cannot be used later.
        context.report.warn(&format!(
            "retrieve --from-last-find cannot name these studies: {error:#}"
        ));
    }
}

fn print_result(
    context: &Context<'_>,
    keys: &Keys,
    result: &node::SearchResult,
    mut summary: Summary,
) -> anyhow::Result<ExitStatus> {
    let report = context.report;
    let key = keys.list().map_or(ListKey::AccessionNumber, |(key, _)| key);
    let missing = result.missing.iter().filter(|asked| asked.is_of_list());
    let missing: Vec<&str> = missing.filter_map(Asked::text).collect();
    if let Some((_, file)) = keys.list()
        && !missing.is_empty()
    {
        let written = node::write_not_found(file, &missing)?;
        report.info(&format!(
            "not found: {}, see {}",
            key.counted(missing.len()),
            written.display()
        ));
    }
    outcome::warn_of_left_out(context, &result.left_out);
    summary.left_out = result.left_out.into();
    summary.interrupted |= result.not_asked > 0 && context.signals.caught().is_some();
    let failed =
        !summary.failed.is_empty() || !summary.refused_entries.is_empty() || result.not_asked > 0;
    for entry in &missing {
        report.line(&format!("not found: {entry}"))?;
    }
    summary.not_found = missing.into_iter().map(str::to_owned).collect();
    report.summary(&summary)?;
    report.line(&match summary.hidden {
        0 => counted(summary.studies, "study"),
        hidden => format!("{}, and {hidden} hidden", counted(summary.studies, "study")),
    })?;
    Ok(context.exit_status(if failed {
        ExitStatus::Partial
    } else {
        ExitStatus::Done
    }))
}

/// Prints studies as they arrive.
struct Listing<'r> {
    report: &'r Report,
    project: &'r Project,
    lookups: &'r dyn RetrieveProgress,
    hide_imported: bool,
    table: Table,
    summary: Summary,
    /// The studies by their numbers.
    studies: Vec<FoundStudy>,
    failure: Option<anyhow::Error>,
}

impl<'r> Listing<'r> {
    fn new(
        (report, project): (&'r Report, &'r Project),
        lookups: &'r dyn RetrieveProgress,
        hide_imported: bool,
    ) -> Self {
        let headers = [
            "#",
            "patient",
            "id",
            "date",
            "modality",
            "accession",
            "description",
            "series",
            "instances",
            "stored",
            "study",
        ];
        Self {
            report,
            project,
            lookups,
            hide_imported,
            table: Table::new(&headers),
            summary: Summary {
                event: "summary",
                command: "find",
                ..Summary::default()
            },
            studies: Vec::new(),
            failure: None,
        }
    }

    fn add(&mut self, found: StudyMatch, asked: &Asked) -> anyhow::Result<()> {
        let uid = Phi::new(found.study.expose().to_owned());
        let stored = self.lookups.stored_instances(&uid)?;
        let is_complete = found.instances.is_some_and(|all| stored >= u64::from(all));
        if self.hide_imported && stored > 0 && (is_complete || self.lookups.study_imported(&uid)?) {
            self.summary.hidden += 1;
            return Ok(());
        }
        if self.studies.is_empty() {
            // From now on a number is one of this find, or of none.
            LastFind::remove(self.project)?;
        }
        self.summary.studies += 1;
        self.studies.push(FoundStudy {
            study_uid: found.study.expose().to_owned(),
            key: asked.key.clone(),
        });
        let study = StudyEvent {
            event: "study",
            number: self.summary.studies,
            study_uid: found.study.expose().to_owned(),
            patient_id: found.patient_id,
            patient_name: found.patient_name,
            accession: found.accession,
            study_date: found.date,
            modalities: found.modalities,
            description: found.description,
            series: found.series,
            instances: found.instances,
            stored,
        };
        self.report.json(&study)?;
        if self.report.is_json() {
            return Ok(());
        }
        let count = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let lines = self.table.row([
            study.number.to_string(),
            study.patient_name,
            study.patient_id,
            study.study_date,
            study.modalities.join(","),
            study.accession,
            study.description,
            count(study.series),
            count(study.instances),
            study.stored.to_string(),
            study.study_uid,
        ]);
        lines
            .unwrap_or_default()
            .iter()
            .try_for_each(|line| self.report.line(line))
    }

    fn finish(mut self) -> anyhow::Result<Summary> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        if self.summary.studies > 0 {
            for line in self.table.finish() {
                self.report.line(&line)?;
            }
        }
        Ok(self.summary)
    }
}
