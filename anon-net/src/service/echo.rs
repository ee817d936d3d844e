//! C-ECHO: verifies that a peer answers and accepts our AE title (PS3.4 Annex A, PS3.7 section
//! 9.1.5).

use super::{Cancel, Scu, ServiceError};
use crate::context::Contexts;
use crate::dimse::{Operation, Status};
use crate::{Node, Uid};

/// The Verification SOP class (PS3.4 section A.4).
const VERIFICATION: &str = "1.2.840.10008.1.1";
/// Implicit VR little endian: every peer supports it (PS3.5 section 10.1).
const IMPLICIT: &str = "1.2.840.10008.1.2";

impl Scu {
    /// Verifies a node: opens an association, sends a C-ECHO request and releases the association.
    /// Returns the status of the response, usually [`Status::SUCCESS`]. `cancel` ends the call
    /// without waiting for the response.
    ///
    /// # Errors
    /// [`ServiceError::Association`] if the node cannot be reached, rejects the association or does
    /// not answer correctly; [`ServiceError::ContextRefused`] if it does not support verification;
    /// [`ServiceError::Cancelled`].
    pub fn echo(&self, node: &Node, cancel: &Cancel) -> Result<Status, ServiceError> {
        let verification = Uid::registered(VERIFICATION);
        let mut contexts = Contexts::new();
        contexts.add(verification.clone(), vec![Uid::registered(IMPLICIT)])?;
        let mut association = self.open(cancel, node, contexts)?;
        let Some(context) = association
            .contexts()
            .iter()
            .next()
            .map(|accepted| accepted.id)
        else {
            association.release_unless(cancel);
            return Err(ServiceError::ContextRefused {
                sop_class: verification,
                transfer_syntax: None,
            });
        };
        let request = association.request(Operation::Echo, verification);
        let pending = association.send_request(context, request, cancel)?;
        let response = association.receive_response(pending, cancel)?;
        association.release_unless(cancel);
        tracing::debug!(%node, status = %response.status, "verified");
        Ok(response.status)
    }
}
