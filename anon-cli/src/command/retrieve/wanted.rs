//! [`Wanted`]: the studies to retrieve, and what was not found.

use std::collections::BTreeSet;

use anon_model::ProjectSettings;
use anon_net::service::Cancel;

use crate::command::Context;
use crate::command::outcome::{self, LeftOutCounts};
use crate::exit::Failure;
use crate::node::{
    self, Asked, AskedKey, Keys, LastFind, LocalNode, Peer, Place, RefusedEntry, Search,
};
use crate::project::Project;

/// A study to retrieve, and the key that it was found by.
#[derive(Debug)]
pub(super) struct WantedStudy {
    pub(super) uid: String,
    pub(super) asked: Asked,
}

/// What to retrieve.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The studies, each once.
    pub(super) studies: Vec<WantedStudy>,
    /// The keys without a study.
    missing: Vec<Asked>,
    /// The entries of the list that cannot be searched for.
    pub(super) refused: Vec<RefusedEntry>,
    pub(super) left_out: LeftOutCounts,
    /// The number of keys whose query failed or was not sent.
    not_answered: u64,
    /// A signal ended the search.
    pub(super) is_interrupted: bool,
}

impl Wanted {
    /// Returns studies of the last find by their numbers.
    pub(super) fn of_last_find(last: &LastFind, numbers: &str) -> anyhow::Result<Self> {
        let studies = last.choose(numbers)?.into_iter();
        let studies = studies.map(|(number, study)| WantedStudy {
            uid: study.study_uid.clone(),
            asked: Asked {
                place: Place::LastFind(number),
                key: study.key.clone(),
            },
        });
        Ok(Self {
            studies: studies.collect(),
            ..Self::default()
        })
    }

    /// Returns the accession numbers and patient ids without a study.
    pub(super) fn not_found(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().filter_map(Asked::text)
    }

    /// Returns true if each key was searched for and has a study.
    pub(super) fn is_found_completely(&self) -> bool {
        self.missing.is_empty() && self.refused.is_empty() && self.not_answered == 0
    }
}

/// Searches the server for the studies to retrieve.
pub(super) fn search(
    context: &Context<'_>,
    (project, settings): (&Project, &ProjectSettings),
    peer: &Peer,
    keys: &Keys,
    search: Search,
) -> anyhow::Result<Wanted> {
    let scu = node::scu(project, settings, peer)?;
    let local = LocalNode::from_settings(settings);
    let cancel = Cancel::from(context.signals.cancel().shared());
    let mut wanted = Wanted::default();
    let mut seen = BTreeSet::new();
    let found = search.run(&scu, &peer.node, &cancel, &mut |study, asked| {
        let uid = study.study.expose().to_owned();
        if seen.insert(uid.clone()) {
            let asked = asked.clone();
            wanted.studies.push(WantedStudy { uid, asked });
        }
    });
    let found = match found {
        _ if context.signals.caught().is_some() => {
            wanted.is_interrupted = true;
            wanted.refused = search.refused;
            return Ok(wanted);
        }
        Ok(found) => found,
        Err(error) => {
            let why = search.failure_message(&error, &peer.node, &local);
            return Err(Failure::Peer(why).into());
        }
    };
    wanted.left_out = found.left_out.into();
    outcome::warn_of_left_out(context, &found.left_out);
    wanted.missing = found.missing;
    name_missing_studies(&mut wanted, keys);
    if let Some((_, file)) = keys.list()
        && !wanted.missing.is_empty()
    {
        let entries: Vec<&str> = wanted.not_found().collect();
        node::write_not_found(file, &entries)?;
    }
    outcome::warn_of_places(context, "not found", &wanted.missing);
    for (asked, error) in &found.failed {
        let why = search.failure_message(error, &peer.node, &local);
        let place = asked.place.words();
        context
            .report
            .warn(&format!("the query for {place} failed: {why}"));
    }
    wanted.not_answered = u64::try_from(found.failed.len()).unwrap_or(u64::MAX) + found.not_asked;
    wanted.refused = search.refused;
    Ok(wanted)
}

/// A study that was named by its UID and not found is reported like any other study that does not
/// arrive.
fn name_missing_studies(wanted: &mut Wanted, keys: &Keys) {
    let named = node::studies_by_uid(keys);
    let missing = std::mem::take(&mut wanted.missing);
    let (studies, rest): (Vec<Asked>, Vec<Asked>) = missing.into_iter().partition(
        |asked| matches!(&asked.key, Some(AskedKey::StudyUid(uid)) if named.contains(uid)),
    );
    wanted.missing = rest;
    wanted
        .studies
        .extend(studies.into_iter().filter_map(|asked| {
            let uid = asked.text()?.to_owned();
            Some(WantedStudy { uid, asked })
        }));
}
