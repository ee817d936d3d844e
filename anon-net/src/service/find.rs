//! C-FIND: lists studies (PS3.4 sections C.4.1 and C.6). The study root is used if the peer accepts
//! it, otherwise the patient root.
//!
//! Some servers ignore keys, some leave out requested elements, and some send one response for each
//! instance of a study. This module returns each study once, and only studies that match the query.

pub mod accession;
mod left_out;
mod patients;
pub mod query;
mod study;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

pub use accession::{AccessionEvent, AccessionOutcome, AccessionReport};
pub use left_out::LeftOut;
pub use query::Query;
pub use study::StudyMatch;

use super::responses::{self, QueryContext, QueryRequest, ResponseHandler};
use super::root::Root;
use super::scu_association::ScuAssociation;
use super::transfer::PatientId;
use super::{Cancel, Scu, ServiceError};
use crate::context::Contexts;
use crate::dimse::{Operation, Response, Status};
use crate::identifier::{Identifier, tag};
use crate::{InstanceUid, Node};
use left_out::LeftOutReason;

/// The character set of the responses that a peer can choose. Keys in ASCII are valid in it.
const REPLY_CHARSET: &str = "ISO_IR 192";

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
    /// Responses that were left out, and why.
    pub left_out: LeftOut,
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
        self.find_each(node, std::slice::from_ref(query), cancel, on_match)
    }

    /// Sends queries one after the other on one association, and passes each study to `on_match`
    /// once. Splits a query that has more matches than the server returns.
    ///
    /// # Errors
    /// Those of [`find`](Self::find). The first query that fails ends the search.
    pub fn find_each(
        &self,
        node: &Node,
        queries: &[Query],
        cancel: &Cancel,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<FindReport, ServiceError> {
        let mut finder = self.finder(node, cancel)?;
        let mut seen = BTreeSet::new();
        let mut report = FindReport::default();
        let mut result = Ok(());
        for query in queries {
            finder = finder.with_max_responses(query.max_responses());
            let found = finder.studies(query, &mut |study| {
                if seen.insert(study.study.clone()) {
                    on_match(study);
                }
            });
            match found {
                Ok(found) => {
                    report.responses = report.responses.saturating_add(found.responses);
                    report.left_out.add(&found.left_out);
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        report.studies = seen.len();
        finder.release(result.map(|()| report))
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
        let mut contexts = Contexts::new();
        for root in Root::ALL {
            contexts.add(root.class(Operation::Find), Root::transfer_syntaxes())?;
        }
        let association = self.open(cancel, node, contexts)?;
        Finder::new(association, cancel)
    }
}

/// An association for one query after the other.
#[derive(Debug)]
pub(crate) struct Finder<'c> {
    association: ScuAssociation,
    context: QueryContext,
    root: Root,
    cancel: &'c Cancel,
    /// The limit of responses to all C-FIND requests together.
    max_responses: u32,
    taken: u32,
    /// The patient of the study that is queried below the study level. With the patient root each
    /// such request names it.
    patient: Option<PatientId>,
    patients: patients::KnownPatients,
}

impl<'c> Finder<'c> {
    fn new(association: ScuAssociation, cancel: &'c Cancel) -> Result<Self, ServiceError> {
        match Root::accepted(&association, Operation::Find) {
            Ok((root, context)) => Ok(Self {
                association,
                context,
                root,
                cancel,
                max_responses: MAX_RESPONSES,
                taken: 0,
                patient: None,
                patients: patients::KnownPatients::default(),
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
    /// responses. A pending response without an identifier counts as an empty one.
    ///
    /// Adds the Specific Character Set (0008,0005) if `identifier` has none, so that the peer knows
    /// in which one to answer.
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
        let identifier = self.completed(identifier);
        let class = self.root.class(operation);
        let query = QueryRequest {
            context: self.context,
            request: self.association.request(operation, class),
            identifier: &identifier,
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

    /// Returns an identifier with the elements that every request needs.
    fn completed(&self, identifier: &Identifier) -> Identifier {
        let mut identifier = identifier.clone();
        if identifier.value(tag::CHARSET).is_none() {
            identifier.set(tag::CHARSET, REPLY_CHARSET.as_bytes());
        }
        if let (Root::Patient, Some(patient), None) =
            (self.root, &self.patient, identifier.value(tag::PATIENT_ID))
        {
            identifier.set(tag::PATIENT_ID, patient.expose().as_bytes());
        }
        identifier
    }

    /// Runs a query, and passes each study to `on_match` once.
    pub(crate) fn studies(
        &mut self,
        query: &Query,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<FindReport, ServiceError> {
        match self.root {
            Root::Study => self.studies_of_request(query, &query.identifier(), on_match),
            Root::Patient => self.studies_of_patients(query, on_match),
        }
    }

    /// Sends a query as one request, and passes each study to `on_match` once.
    fn studies_of_request(
        &mut self,
        query: &Query,
        identifier: &Identifier,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<FindReport, ServiceError> {
        let mut report = FindReport::default();
        let mut seen = BTreeSet::new();
        let mut undecided = Vec::new();
        report.responses = self.find(identifier, &mut |identifier| {
            let study = match StudyMatch::of(identifier) {
                Ok(study) => study,
                Err(reason) => return report.left_out.count(reason),
            };
            if !seen.insert(study.study.clone()) {
                return;
            }
            match query.has(&study) {
                Ok(true) => {
                    report.studies += 1;
                    on_match(study);
                }
                Ok(false) => undecided.push(study),
                Err(reason) => report.left_out.count(reason),
            }
        })?;
        for mut study in undecided {
            let patient = match study.patient_id.as_str() {
                "" => identifier.text(tag::PATIENT_ID).unwrap_or_default(),
                id => id.to_owned(),
            };
            self.set_patient(&patient);
            study.modalities = self.modalities(&study.study)?;
            match query.has(&study) {
                Ok(true) => {
                    report.studies += 1;
                    on_match(study);
                }
                Ok(false) => report.left_out.count(LeftOutReason::OtherModality),
                Err(reason) => report.left_out.count(reason),
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
        (self.on_identifier)(&identifier.unwrap_or_default());
        ControlFlow::Continue(())
    }
}
