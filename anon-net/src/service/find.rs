//! C-FIND of the study root: which studies there are (PS3.4 sections C.4.1 and C.6.2).
//!
//! Servers differ: some ignore keys, some leave out what they were asked for, some answer a study once
//! for each of its instances. What comes out here is each study once, and only what was asked for.

pub mod accession;
pub mod query;
mod study;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

pub use accession::{AccessionEvent, AccessionOutcome, AccessionReport};
pub use query::Query;
pub use study::StudyMatch;

use super::responses::{self, QueryContext, QueryRequest, ResponseHandler};
use super::scu_association::ScuAssociation;
use super::{Cancel, Scu, ServiceError};
use crate::context::Contexts;
use crate::dimse::{Operation, Response, Status};
use crate::identifier::{Encoding, Identifier, tag};
use crate::{InstanceUid, Node, Uid};

/// Study Root Query/Retrieve Information Model: FIND (PS3.4 section C.6.2.3).
pub(crate) const STUDY_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// The most answers that are taken, if nothing else is said. A server that answers once for each
/// instance may well have some hundred thousand.
const MAX_ANSWERS: u32 = 500_000;

/// How a query went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FindReport {
    /// Studies that were found.
    pub studies: usize,
    /// Answers that the peer gave.
    pub answers: u32,
    /// Answers without a study instance UID, or of studies that were not asked for: they were left
    /// out.
    pub left_out: u32,
}

impl Scu {
    /// Asks a node which studies it has, and gives each to `on_match` once, as it comes.
    ///
    /// Studies of which the peer does not say the modalities, where they were asked for, come last:
    /// their series are asked for first.
    ///
    /// # Errors
    /// [`ServiceError`]. What was found before was given to `on_match`.
    pub fn find(
        &self,
        node: &Node,
        query: &Query,
        cancel: &Cancel,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<FindReport, ServiceError> {
        let mut finder = self
            .finder(node, cancel)?
            .with_max_answers(query.max_answers());
        let result = finder.studies(query, on_match);
        finder.release(result)
    }

    /// Opens an association for queries.
    pub(crate) fn finder<'c>(
        &self,
        node: &Node,
        cancel: &'c Cancel,
    ) -> Result<Finder<'c>, ServiceError> {
        if cancel.is_cancelled() {
            return Err(ServiceError::Cancelled);
        }
        let class = Uid::registered(STUDY_ROOT_FIND);
        let mut contexts = Contexts::new();
        contexts.add(class.clone(), syntaxes())?;
        let association = self.open(cancel, node, contexts)?;
        Finder::new(association, class, cancel)
    }
}

/// The transfer syntaxes of identifiers.
pub(crate) fn syntaxes() -> Vec<Uid> {
    let uid = |encoding: Encoding| Uid::registered(encoding.transfer_syntax());
    Encoding::ALL.into_iter().map(uid).collect()
}

/// An association that queries are made on, one after the other.
#[derive(Debug)]
pub(crate) struct Finder<'c> {
    association: ScuAssociation,
    context: QueryContext,
    class: Uid,
    cancel: &'c Cancel,
    /// The most answers that are taken, of all C-FINDs together.
    max_answers: u32,
    taken: u32,
}

impl<'c> Finder<'c> {
    fn new(
        association: ScuAssociation,
        class: Uid,
        cancel: &'c Cancel,
    ) -> Result<Self, ServiceError> {
        match QueryContext::of(&association, &class) {
            Ok(context) => Ok(Self {
                association,
                context,
                class,
                cancel,
                max_answers: MAX_ANSWERS,
                taken: 0,
            }),
            Err(error) => {
                association.release_unless(cancel);
                Err(error)
            }
        }
    }

    /// Sets the most answers that are taken, from now on, to all C-FINDs together.
    pub(crate) fn with_max_answers(self, max_answers: u32) -> Self {
        Self {
            max_answers,
            taken: 0,
            ..self
        }
    }

    /// One C-FIND. `on_answer` sees each identifier; how many they were.
    ///
    /// # Errors
    /// [`ServiceError`]. After [`ServiceError::Refused`], [`ServiceError::TooMany`] and
    /// [`ServiceError::Cancelled`] the association is still open.
    pub(crate) fn ask(
        &mut self,
        identifier: &Identifier,
        on_answer: &mut dyn FnMut(&Identifier),
    ) -> Result<u32, ServiceError> {
        let operation = Operation::Find;
        let mut answers = MatchCollector {
            on_answer,
            count: 0,
            limit: self.max_answers.saturating_sub(self.taken),
        };
        let query = QueryRequest {
            context: self.context,
            request: self.association.request(operation, self.class.clone()),
            identifier,
        };
        let silence = self.association.timeouts().dimse;
        let last = responses::run(
            &mut self.association,
            self.cancel,
            silence,
            query,
            &mut answers,
        )?;
        let (count, is_over) = (answers.count, answers.count > answers.limit);
        self.taken = self.taken.saturating_add(count);
        if is_over {
            let limit = self.max_answers;
            return Err(ServiceError::TooMany { operation, limit });
        }
        match last.status {
            Status::SUCCESS => Ok(count),
            status => Err(ServiceError::Refused { operation, status }),
        }
    }

    /// The studies that a query has, each once.
    pub(crate) fn studies(
        &mut self,
        query: &Query,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<FindReport, ServiceError> {
        let mut report = FindReport::default();
        let mut seen = BTreeSet::new();
        let mut undecided = Vec::new();
        report.answers = self.ask(&query.identifier(), &mut |identifier| {
            let Some(study) = StudyMatch::of(identifier) else {
                report.left_out += 1;
                return;
            };
            if !seen.insert(study.study.clone()) {
                return;
            }
            match query.has(&study) {
                Some(true) => {
                    report.studies += 1;
                    on_match(study);
                }
                Some(false) => report.left_out += 1,
                None => undecided.push(study),
            }
        })?;
        for mut study in undecided {
            study.modalities = self.modalities(&study.study)?;
            if query.has(&study) == Some(true) {
                report.studies += 1;
                on_match(study);
            } else {
                report.left_out += 1;
            }
        }
        Ok(report)
    }

    /// The modalities of a study's series.
    fn modalities(&mut self, study: &InstanceUid) -> Result<Vec<String>, ServiceError> {
        let mut identifier = Identifier::new();
        identifier.set(tag::LEVEL, b"SERIES");
        identifier.set(tag::STUDY_UID, study.expose().as_bytes());
        identifier.set(tag::SERIES_UID, b"");
        identifier.set(tag::MODALITY, b"");
        let mut modalities = BTreeSet::new();
        self.ask(&identifier, &mut |answer| {
            if is_of(answer, tag::STUDY_UID, study) {
                modalities.extend(answer.text(tag::MODALITY));
            }
        })?;
        Ok(modalities.into_iter().collect())
    }

    /// Ends the association in order.
    pub(crate) fn release<T>(self, result: Result<T, ServiceError>) -> Result<T, ServiceError> {
        self.association.release_unless(self.cancel);
        result
    }
}

/// False if the answer says that it belongs to another one than was asked for.
pub(crate) fn is_of(answer: &Identifier, tag: tag::Tag, uid: &InstanceUid) -> bool {
    answer
        .text(tag)
        .is_none_or(|text| text.trim_end_matches(['\0', ' ']) == uid.expose())
}

struct MatchCollector<'a> {
    on_answer: &'a mut dyn FnMut(&Identifier),
    count: u32,
    limit: u32,
}

impl ResponseHandler for MatchCollector<'_> {
    fn on_response(
        &mut self,
        response: &Response,
        identifier: Option<Identifier>,
    ) -> ControlFlow<()> {
        // The final response has none (PS3.4 section C.4.1.1.4): one that is there is no match.
        let is_pending = response.status.class() == crate::StatusClass::Pending;
        if !is_pending {
            return ControlFlow::Continue(());
        }
        self.count = self.count.saturating_add(1);
        if self.count > self.limit {
            return ControlFlow::Break(());
        }
        if let Some(identifier) = identifier {
            (self.on_answer)(&identifier);
        }
        ControlFlow::Continue(())
    }
}
