//! [`Root`]: the information model of queries and retrieves (PS3.4 section C.6).

use super::ServiceError;
use super::responses::QueryContext;
use super::scu_association::ScuAssociation;
use crate::Uid;
use crate::dimse::Operation;
use crate::identifier::Encoding;

/// A Query/Retrieve information model (PS3.4 sections C.6.1 and C.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// Study root: a study is found and retrieved by its own attributes.
    Study,
    /// Patient root: each request below the patient level names its patient.
    Patient,
}

impl Root {
    /// Both query models. Study Root is tried first.
    pub(crate) const ALL: [Self; 2] = [Self::Study, Self::Patient];

    /// Returns the SOP class of a C-FIND, C-MOVE or C-GET (PS3.4 sections C.6.1.3 and C.6.2.3).
    pub(crate) fn class(self, operation: Operation) -> Uid {
        Uid::registered(match (self, operation) {
            (Self::Study, Operation::Move) => "1.2.840.10008.5.1.4.1.2.2.2",
            (Self::Study, Operation::Get) => "1.2.840.10008.5.1.4.1.2.2.3",
            (Self::Study, _) => "1.2.840.10008.5.1.4.1.2.2.1",
            (Self::Patient, Operation::Move) => "1.2.840.10008.5.1.4.1.2.1.2",
            (Self::Patient, Operation::Get) => "1.2.840.10008.5.1.4.1.2.1.3",
            (Self::Patient, _) => "1.2.840.10008.5.1.4.1.2.1.1",
        })
    }

    /// Returns the transfer syntaxes of identifiers, the most preferred first.
    pub(crate) fn transfer_syntaxes() -> Vec<Uid> {
        let uid = |encoding: Encoding| Uid::registered(encoding.transfer_syntax());
        Encoding::ALL.into_iter().map(uid).collect()
    }

    /// Returns the preferred root that the peer accepted for an operation, and its context.
    ///
    /// # Errors
    /// [`ServiceError::ContextRefused`] of the study root if the peer accepted neither.
    pub(crate) fn accepted(
        association: &ScuAssociation,
        operation: Operation,
    ) -> Result<(Self, QueryContext), ServiceError> {
        let context = |root: Self| QueryContext::of(association, &root.class(operation));
        match context(Self::Study) {
            Ok(accepted) => Ok((Self::Study, accepted)),
            Err(refused) => match context(Self::Patient) {
                Ok(accepted) => Ok((Self::Patient, accepted)),
                Err(_) => Err(refused),
            },
        }
    }
}
