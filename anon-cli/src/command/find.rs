//! `anon find`: lists the studies of a server, and how much of each is stored.

use anon_model::{Phi, RetrieveProgress};
use anon_net::service::Cancel;
use anon_net::service::find::StudyMatch;
use serde::Serialize;

use crate::args::Find;
use crate::command::{Context, outcome};
use crate::exit::ExitStatus;
use crate::log;
use crate::node::{self, Keys, ListKey, LocalNode, Peer, Purpose, RefusedEntry, Search};
use crate::project::Project;
use crate::project::{open_project, settings};
use crate::report::{Report, Table};

#[derive(Debug, Serialize)]
struct StudyEvent {
    event: &'static str,
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
    interrupted: bool,
}

#[derive(Debug, Serialize)]
struct FailedEntry {
    #[serde(flatten)]
    key: FailedKey,
    error: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum FailedKey {
    Accession(String),
    PatientId(String),
}

pub(crate) fn run(context: &Context<'_>, args: &Find) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    let settings = settings::load(&project)?;
    log::start_without_file(&context.global)?;
    let peer = Peer::resolve(&settings, &args.node, Purpose::Query)?;
    let keys: Keys = args.keys.clone().into();
    let search = Search::new(&keys)?;
    outcome::warn_of_refused_entries(context, &search.refused);
    let lookups = open_project::read_lookups(&project, &settings)?;
    let local = node::LocalNode::from_settings(&settings);
    let scu = node::scu(&project, &settings, &peer)?;
    let cancel = Cancel::from(context.signals.cancel().shared());
    let mut listing = Listing::new(context.report, &*lookups, args.hide_imported);
    let result = search.run(&scu, &peer.node, &cancel, &mut |study| {
        if let Err(error) = listing.add(study) {
            listing.failure.get_or_insert(error);
            cancel.cancel();
        }
    });
    let mut summary = listing.finish()?;
    summary.refused_entries = search.refused;
    let result = match result {
        Ok(result) => result,
        Err(_) if context.signals.cancel().is_cancelled() => {
            summary.interrupted = true;
            node::SearchResult::default()
        }
        Err(error) => return Err(node::peer_failure(&error, &peer.node, &local)),
    };
    print_result(context, &keys, &local, &peer, result, summary)
}

fn print_result(
    context: &Context<'_>,
    keys: &Keys,
    local: &LocalNode,
    peer: &Peer,
    result: node::SearchResult,
    mut summary: Summary,
) -> anyhow::Result<ExitStatus> {
    let report = context.report;
    let list = keys.list();
    let key = list.map_or(ListKey::AccessionNumber, |(key, _)| key);
    for (entry, error) in result.failed {
        let error = node::failure_message(&error, &peer.node, local);
        report.warn(&format!("the query for {} failed: {error}", key.counted(1)));
        let key = match key {
            ListKey::AccessionNumber => FailedKey::Accession(entry),
            ListKey::PatientId => FailedKey::PatientId(entry),
        };
        summary.failed.push(FailedEntry { key, error });
    }
    if let Some((_, file)) = list
        && !result.missing.is_empty()
    {
        node::write_not_found(file, &result.missing)?;
        report.info(&format!(
            "not found: {}, see <name>_not_found.txt beside the file",
            key.counted(result.missing.len())
        ));
    }
    summary.interrupted |= result.not_asked > 0 && context.signals.caught().is_some();
    let failed =
        !summary.failed.is_empty() || !summary.refused_entries.is_empty() || result.not_asked > 0;
    for entry in &result.missing {
        report.line(&format!("not found: {entry}"))?;
    }
    summary.not_found = result.missing;
    report.summary(&summary)?;
    report.line(&match summary.hidden {
        0 => format!("{} studies", summary.studies),
        hidden => format!("{} studies, and {hidden} hidden", summary.studies),
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
    lookups: &'r dyn RetrieveProgress,
    hide_imported: bool,
    table: Table,
    summary: Summary,
    failure: Option<anyhow::Error>,
}

impl<'r> Listing<'r> {
    fn new(report: &'r Report, lookups: &'r dyn RetrieveProgress, hide_imported: bool) -> Self {
        let headers = [
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
            lookups,
            hide_imported,
            table: Table::new(&headers),
            summary: Summary {
                event: "summary",
                command: "find",
                ..Summary::default()
            },
            failure: None,
        }
    }

    fn add(&mut self, found: StudyMatch) -> anyhow::Result<()> {
        let uid = Phi::new(found.study.expose().to_owned());
        let stored = self.lookups.stored_instances(&uid)?;
        let is_complete = found.instances.is_some_and(|all| stored >= u64::from(all));
        if self.hide_imported && stored > 0 && (is_complete || self.lookups.study_imported(&uid)?) {
            self.summary.hidden += 1;
            return Ok(());
        }
        self.summary.studies += 1;
        let study = StudyEvent {
            event: "study",
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
