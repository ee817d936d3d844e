//! Encodes A-ASSOCIATE-RQ and A-ASSOCIATE-AC with dicom-ul (PS3.8 sections 9.3.2 and 9.3.3).

use std::collections::BTreeMap;

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, Pdu, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason, RequestorRoles, UserVariableItem, write_pdu,
};

use super::Implementation;
use super::pdu::APPLICATION_CONTEXT;
use crate::association::Proposal;
use crate::context::{ContextResult, ProposedContext, Roles};
use crate::{AeTitle, ContextId, Error, Uid};

/// Version 1 is bit 0 (PS3.8 section 9.3.2).
const PROTOCOL_VERSION: u16 = 1;
/// Implicit VR little endian. A rejected context must carry a transfer syntax, although it has no
/// meaning (PS3.8 section 9.3.3.2).
const IMPLICIT: &str = "1.2.840.10008.1.2";

/// The user information that we send.
#[derive(Debug)]
pub(super) struct LocalSettings<'a> {
    pub(super) implementation: &'a Implementation,
    pub(super) max_pdu_bytes: u32,
}

impl LocalSettings<'_> {
    fn variables<'a>(
        &self,
        roles: impl Iterator<Item = (&'a Uid, Roles)>,
    ) -> Vec<UserVariableItem> {
        let mut variables = vec![
            UserVariableItem::MaxLength(self.max_pdu_bytes),
            UserVariableItem::ImplementationClassUID(
                self.implementation.class_uid().as_str().to_owned(),
            ),
        ];
        variables.extend(roles.map(|(class, Roles { scu, scp })| {
            UserVariableItem::ScuScpRoleSelectionSubItem(
                class.as_str().to_owned(),
                RequestorRoles { scu, scp },
            )
        }));
        let name = self.implementation.version_name().to_owned();
        variables.push(UserVariableItem::ImplementationVersionName(name));
        variables
    }
}

/// Encodes an A-ASSOCIATE-RQ.
pub(super) fn request(
    called: &AeTitle,
    proposal: &Proposal,
    settings: &LocalSettings<'_>,
) -> Result<Vec<u8>, Error> {
    let contexts = &proposal.contexts;
    if contexts.is_empty() {
        return Err(Error::Limit {
            what: "proposals without a presentation context",
            limit: 0,
            found: 1,
        });
    }
    let presentation_contexts = contexts.iter().map(proposed).collect::<Result<_, _>>()?;
    let roles = contexts
        .roles()
        .filter(|(class, _)| contexts.iter().any(|c| c.abstract_syntax == **class));
    encode(&Pdu::AssociationRQ(AssociationRQ {
        protocol_version: PROTOCOL_VERSION,
        calling_ae_title: proposal.calling.as_str().to_owned(),
        called_ae_title: called.as_str().to_owned(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts,
        user_variables: settings.variables(roles),
    }))
}

fn proposed(context: &ProposedContext) -> Result<PresentationContextProposed, Error> {
    // An item has at most 65,535 bytes, and a transfer syntax takes up to 4 + 64 of them.
    const MOST: usize = 900;
    if context.transfer_syntaxes.len() > MOST {
        return Err(Error::Limit {
            what: "transfer syntaxes of a presentation context",
            limit: MOST as u64,
            found: context.transfer_syntaxes.len() as u64,
        });
    }
    let syntaxes = context.transfer_syntaxes.iter();
    Ok(PresentationContextProposed {
        id: context.id.get(),
        abstract_syntax: context.abstract_syntax.as_str().to_owned(),
        transfer_syntaxes: syntaxes.map(|uid| uid.as_str().to_owned()).collect(),
    })
}

/// Encodes an A-ASSOCIATE-AC.
pub(super) fn acceptance(
    called: &str,
    calling: &AeTitle,
    results: &BTreeMap<ContextId, ContextResult>,
    roles: &[(Uid, Roles)],
    settings: &LocalSettings<'_>,
) -> Result<Vec<u8>, Error> {
    let results = results.iter().map(|(id, result)| {
        let (reason, syntax) = match result {
            ContextResult::Accepted(syntax) => {
                (PresentationContextResultReason::Acceptance, syntax.as_str())
            }
            ContextResult::UserRejection => {
                (PresentationContextResultReason::UserRejection, IMPLICIT)
            }
            ContextResult::NoReason => (PresentationContextResultReason::NoReason, IMPLICIT),
            ContextResult::AbstractSyntaxNotSupported => (
                PresentationContextResultReason::AbstractSyntaxNotSupported,
                IMPLICIT,
            ),
            ContextResult::TransferSyntaxesNotSupported => (
                PresentationContextResultReason::TransferSyntaxesNotSupported,
                IMPLICIT,
            ),
        };
        PresentationContextResult {
            id: id.get(),
            reason,
            transfer_syntax: syntax.to_owned(),
        }
    });
    let roles = roles.iter().map(|(class, roles)| (class, *roles));
    encode(&Pdu::AssociationAC(AssociationAC {
        protocol_version: PROTOCOL_VERSION,
        calling_ae_title: calling.as_str().to_owned(),
        called_ae_title: called.to_owned(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results.collect(),
        user_variables: settings.variables(roles),
    }))
}

fn encode(pdu: &Pdu) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // All fields were checked, so this does not fail. The source error is dropped, because it can
    // quote the PDU.
    write_pdu(&mut bytes, pdu).map_err(|_| Error::Limit {
        what: "fields that an association PDU cannot hold",
        limit: 0,
        found: 1,
    })?;
    Ok(bytes)
}
