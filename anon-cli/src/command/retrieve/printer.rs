//! [`StudyPrinter`]: prints the studies of a retrieve as they are done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Serialize;

use super::Wanted;
use crate::command::Context;
use crate::exit::Failure;
use crate::node::{Asked, AskedKey};
use crate::project::record::{FetchProgress, Fetched, StudyEvent};
use crate::report::Progress;

/// The event of a study.
#[derive(Debug, Serialize)]
struct Line<'e> {
    event: &'static str,
    /// The position of the study in what is retrieved, from 1.
    number: u64,
    /// The key that it was found by.
    key: Option<&'e AskedKey>,
    #[serde(flatten)]
    fields: &'e Fetched,
}

/// Shows how far the retrieve is.
fn how_far(progress: &FetchProgress) -> String {
    format!(
        "{} of {} studies  {} of {} instances",
        progress.done, progress.studies, progress.here, progress.expected
    )
}

/// Prints each study when it is done.
pub(super) struct StudyPrinter<'c> {
    context: &'c Context<'c>,
    live: Option<Progress>,
    /// The number of each study, and what it was found by.
    names: BTreeMap<&'c str, (u64, &'c Asked)>,
    /// Keys for which at least one instance was stored or quarantined.
    came: BTreeSet<&'c Asked>,
    failure: Option<anyhow::Error>,
}

impl<'c> StudyPrinter<'c> {
    pub(super) fn new(context: &'c Context<'c>, wanted: &'c Wanted) -> Self {
        let studies = (1..).zip(&wanted.studies);
        let names = studies.map(|(number, study)| (study.uid.as_str(), (number, &study.asked)));
        Self {
            context,
            live: context.report.start_live(),
            names: names.collect(),
            came: BTreeSet::new(),
            failure: None,
        }
    }

    pub(super) fn on_event(&mut self, event: &StudyEvent) {
        let study = match event {
            StudyEvent::Study(study) => study,
            StudyEvent::Progress(progress) => {
                if let Some(live) = &self.live {
                    live.set_message(how_far(progress));
                }
                return;
            }
        };
        let name = self.names.get(study.study_uid.as_str()).copied();
        if study.stored + study.quarantined > 0
            && let Some((_, asked)) = name
        {
            self.came.insert(asked);
        }
        if self.failure.is_none()
            && let Err(error) = self.print(study, name)
        {
            // Ends the retrieve, because nobody sees its events.
            self.context.signals.cancel().cancel();
            self.failure = Some(error);
        }
    }

    fn print(&self, study: &Fetched, name: Option<(u64, &Asked)>) -> anyhow::Result<()> {
        let report = self.context.report;
        let number = name.map_or(0, |(number, _)| number);
        report.json(&Line {
            event: "study",
            number,
            key: name.and_then(|(_, asked)| asked.key.as_ref()),
            fields: study,
        })?;
        let place = match name {
            Some((number, asked)) => format!("study {number} ({})", asked.place.words()),
            None => "a study".to_owned(),
        };
        let shown = if report.shows_phi() {
            &study.study_uid
        } else {
            &place
        };
        let mut why = String::new();
        if let Some(error) = &study.error {
            report.warn(&format!("{place}: {error}"));
            let _ = write!(why, ": {error}");
        }
        if let Some(comment) = &study.comment {
            let _ = write!(why, "; the server says: {comment}");
        }
        if study.unusable > 0 {
            report.warn(&format!(
                "{place}: {} of the server have no valid UID, and their instances may be missing",
                counted(study.unusable, "answer")
            ));
        }
        report.line(&format!(
            "{shown}: {} of {} stored, {} quarantined, {} excluded{why}",
            study.stored, study.expected, study.quarantined, study.excluded
        ))?;
        if report.shows_phi() {
            for uid in &study.missing {
                report.line(&format!("  missing: {uid}"))?;
            }
        }
        Ok(())
    }

    /// Returns true if at least one instance was stored or quarantined for every key that has a
    /// study.
    pub(super) fn result(self) -> anyhow::Result<bool> {
        match self.failure {
            Some(error) => Err(error).context(Failure::CannotRun(
                "the retrieve ended early, because its events cannot be printed".into(),
            )),
            None => Ok(self
                .names
                .values()
                .all(|(_, asked)| self.came.contains(*asked))),
        }
    }
}

fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is() {
        let progress = FetchProgress {
            studies: 4,
            done: 1,
            expected: 12,
            here: 7,
        };
        assert_eq!(how_far(&progress), "1 of 4 studies  7 of 12 instances");
    }
}
