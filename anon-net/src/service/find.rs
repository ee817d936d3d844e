//! C-FIND with the study root: lists studies (PS3.4 sections C.4.1 and C.6.2).
//!
//! Some servers ignore keys, some leave out requested elements, and some send one response for each
//! instance of a study. This module returns each study once, and only studies that match the query.

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

/// The default limit of responses. A server that sends one response for each instance can send some
/// hundred thousand.
const MAX_RESPONSES: u32 = 500_000;

/// The result of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FindReport {
    /// Studies that were found.
    pub studies: usize,
    /// Responses of the peer.
    pub responses: u32,
    /// Responses without a study instance UID, and responses for studies that do not match the
    /// query. They were left out.
    pub left_out: u32,
}

impl Scu {
    /// Queries the studies of a node, and passes each to `on_match` once, as it arrives.
    ///
    /// If the query has modalities and the peer does not return those of a study, that study comes
    /// last: its series are queried first.
    ///
    /// # Errors
    /// [`ServiceError`]. The studies found before the error were passed to `on_match`.
    pub fn find(
        &self,
        node: &Node,
        query: &Query,
        cancel: &Cancel,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<FindReport, ServiceError> {
        let mut finder = self
            .finder(node, cancel)?
            .with_max_responses(query.max_responses());
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
        contexts.add(class.clone(), identifier_syntaxes())?;
        let association = self.open(cancel, node, contexts)?;
        Finder::new(association, class, cancel)
    }
}

/// Returns the transfer syntaxes for identifiers.
pub(crate) fn identifier_syntaxes() -> Vec<Uid> {
    let uid = |encoding: Encoding| Uid::registered(encoding.transfer_syntax());
    Encoding::ALL.into_iter().map(uid).collect()
}

/// An association for one query after the other.
#[derive(Debug)]
pub(crate) struct Finder<'c> {
    association: ScuAssociation,
    context: QueryContext,
    class: Uid,
    cancel: &'c Cancel,
    /// The limit of responses to all C-FIND requests together.
    max_responses: u32,
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
                max_responses: MAX_RESPONSES,
                taken: 0,
            }),
            Err(error) => {
                association.release_unless(cancel);
                Err(error)
            }
        }
    }

    /// Sets the limit of responses to all later C-FIND requests together.
    pub(crate) fn with_max_responses(self, max_responses: u32) -> Self {
        Self {
            max_responses,
            taken: 0,
            ..self
        }
    }

    /// Sends a C-FIND request, passes each identifier to `on_identifier`, and returns the number of
    /// responses.
    ///
    /// # Errors
    /// [`ServiceError`]. After [`ServiceError::Refused`], [`ServiceError::TooMany`] and
    /// [`ServiceError::Cancelled`] the association is still open.
    pub(crate) fn find(
        &mut self,
        identifier: &Identifier,
        on_identifier: &mut dyn FnMut(&Identifier),
    ) -> Result<u32, ServiceError> {
        let operation = Operation::Find;
        let mut responses = MatchCollector {
            on_identifier,
            count: 0,
            limit: self.max_responses.saturating_sub(self.taken),
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
            &mut responses,
        )?;
        let (count, is_over) = (responses.count, responses.count > responses.limit);
        self.taken = self.taken.saturating_add(count);
        if is_over {
            let limit = self.max_responses;
            return Err(ServiceError::TooMany { operation, limit });
        }
        match last.status {
            Status::SUCCESS => Ok(count),
            status => Err(ServiceError::Refused { operation, status }),
        }
    }

    /// Runs a query, and passes each study to `on_match` once.
    pub(crate) fn studies(
        &mut self,
        query: &Query,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<FindReport, ServiceError> {
        let mut report = FindReport::default();
        let mut seen = BTreeSet::new();
        let mut undecided = Vec::new();
        report.responses = self.find(&query.identifier(), &mut |identifier| {
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

    /// Queries the modalities of a study's series.
    fn modalities(&mut self, study: &InstanceUid) -> Result<Vec<String>, ServiceError> {
        let mut identifier = Identifier::new();
        identifier.set(tag::LEVEL, b"SERIES");
        identifier.set(tag::STUDY_UID, study.expose().as_bytes());
        identifier.set(tag::SERIES_UID, b"");
        identifier.set(tag::MODALITY, b"");
        let mut modalities = BTreeSet::new();
        self.find(&identifier, &mut |response| {
            if belongs_to(response, tag::STUDY_UID, study) {
                modalities.extend(response.text(tag::MODALITY));
            }
        })?;
        Ok(modalities.into_iter().collect())
    }

    /// Releases the association.
    pub(crate) fn release<T>(self, result: Result<T, ServiceError>) -> Result<T, ServiceError> {
        self.association.release_unless(self.cancel);
        result
    }
}

/// Returns false if the response says that it belongs to another entity. A missing UID counts as a
/// match.
pub(crate) fn belongs_to(response: &Identifier, tag: tag::Tag, uid: &InstanceUid) -> bool {
    response
        .text(tag)
        .is_none_or(|text| text.trim_end_matches(['\0', ' ']) == uid.expose())
}

struct MatchCollector<'a> {
    on_identifier: &'a mut dyn FnMut(&Identifier),
    count: u32,
    limit: u32,
}

impl ResponseHandler for MatchCollector<'_> {
    fn on_response(
        &mut self,
        response: &Response,
        identifier: Option<Identifier>,
    ) -> ControlFlow<()> {
        // The final response has no identifier (PS3.4 section C.4.1.1.4). One that is sent
        // nevertheless is not a match.
        let is_pending = response.status.class() == crate::StatusClass::Pending;
        if !is_pending {
            return ControlFlow::Continue(());
        }
        self.count = self.count.saturating_add(1);
        if self.count > self.limit {
            return ControlFlow::Break(());
        }
        if let Some(identifier) = identifier {
            (self.on_identifier)(&identifier);
        }
        ControlFlow::Continue(())
    }
}
