//! Decodes A-ASSOCIATE-RQ and A-ASSOCIATE-AC into the types of dicom-ul (PS3.8 sections 9.3.2 and
//! 9.3.3).
//!
//! dicom-ul's own reader refuses two things that the standard allows: unknown item types, and a
//! rejected context without a transfer syntax. It also does not stop at the length of a sub-item.

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason, RequestorRoles, UserVariableItem,
};

use super::pdu::{AbortReason, Violation};

const APPLICATION_CONTEXT: u8 = 0x10;
const PROPOSED: u8 = 0x20;
const RESULT: u8 = 0x21;
const ABSTRACT_SYNTAX: u8 = 0x30;
const TRANSFER_SYNTAX: u8 = 0x40;
const USER_INFORMATION: u8 = 0x50;
const MAXIMUM_LENGTH: u8 = 0x51;
const IMPLEMENTATION_CLASS_UID: u8 = 0x52;
const ROLE_SELECTION: u8 = 0x54;
const IMPLEMENTATION_VERSION_NAME: u8 = 0x55;

/// Decodes the body of an A-ASSOCIATE-RQ.
pub(super) fn request(body: &[u8]) -> Result<AssociationRQ, Violation> {
    let (fixed, items) = fixed(body)?;
    let mut request = AssociationRQ {
        protocol_version: fixed.protocol_version,
        calling_ae_title: fixed.calling,
        called_ae_title: fixed.called,
        application_context_name: String::new(),
        presentation_contexts: Vec::new(),
        user_variables: Vec::new(),
    };
    for item in items {
        match item? {
            (APPLICATION_CONTEXT, name) => request.application_context_name = text(name),
            (PROPOSED, context) => request.presentation_contexts.push(proposed(context)?),
            (USER_INFORMATION, user) => request.user_variables = variables(user)?,
            (RESULT, _) => return Err(OUT_OF_PLACE),
            // Unknown items are skipped (PS3.8 section 9.3.1).
            _ => {}
        }
    }
    Ok(request)
}

/// Decodes the body of an A-ASSOCIATE-AC. The transfer syntax of a rejected context is empty if the
/// peer leaves it out.
pub(super) fn acceptance(body: &[u8]) -> Result<AssociationAC, Violation> {
    let (fixed, items) = fixed(body)?;
    let mut acceptance = AssociationAC {
        protocol_version: fixed.protocol_version,
        calling_ae_title: fixed.calling,
        called_ae_title: fixed.called,
        application_context_name: String::new(),
        presentation_contexts: Vec::new(),
        user_variables: Vec::new(),
    };
    for item in items {
        match item? {
            (APPLICATION_CONTEXT, name) => acceptance.application_context_name = text(name),
            (RESULT, context) => acceptance.presentation_contexts.push(result(context)?),
            (USER_INFORMATION, user) => acceptance.user_variables = variables(user)?,
            (PROPOSED, _) => return Err(OUT_OF_PLACE),
            _ => {}
        }
    }
    Ok(acceptance)
}

const OUT_OF_PLACE: Violation = Violation::new(
    AbortReason::UnexpectedParameter,
    "it mixes the items of an association request and response",
);

const CUT: Violation = Violation::invalid("it sends an item that is cut short");

/// The fields that both PDUs begin with.
struct FixedFields {
    protocol_version: u16,
    called: String,
    calling: String,
}

/// Splits the fixed fields from the items: version (2 bytes), reserved (2), called and calling
/// title (16 each), reserved (32).
fn fixed(body: &[u8]) -> Result<(FixedFields, Items<'_>), Violation> {
    let short = Violation::invalid("its association request or response is cut short");
    let (version, rest) = body.split_first_chunk::<2>().ok_or(short)?;
    let (_, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
    let (called, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
    let (calling, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
    let (_, items) = rest.split_first_chunk::<32>().ok_or(short)?;
    let fixed = FixedFields {
        protocol_version: u16::from_be_bytes(*version),
        called: text(called),
        calling: text(calling),
    };
    Ok((fixed, Items(items)))
}

/// Iterates over items: type, reserved byte, length, value.
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u8, &'a [u8]), Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self
            .0
            .split_first_chunk::<4>()
            .and_then(|(&[kind, _, a, b], rest)| {
                let length = usize::from(u16::from_be_bytes([a, b]));
                let (value, rest) = rest.split_at_checked(length)?;
                Some(((kind, value), rest))
            });
        let Some((item, rest)) = item else {
            self.0 = &[];
            return Some(Err(CUT));
        };
        self.0 = rest;
        Some(Ok(item))
    }
}

/// Decodes a presentation context item of a request (PS3.8 section 9.3.2.2).
fn proposed(item: &[u8]) -> Result<PresentationContextProposed, Violation> {
    let (&[id, _, _, _], syntaxes) = item.split_first_chunk::<4>().ok_or(CUT)?;
    let mut abstract_syntax = None;
    let mut transfer_syntaxes = Vec::new();
    for syntax in Items(syntaxes) {
        match syntax? {
            (ABSTRACT_SYNTAX, name) => abstract_syntax = Some(text(name)),
            (TRANSFER_SYNTAX, name) => transfer_syntaxes.push(text(name)),
            _ => {}
        }
    }
    let abstract_syntax = abstract_syntax.ok_or(Violation::invalid(
        "it proposes a presentation context without an abstract syntax",
    ))?;
    Ok(PresentationContextProposed {
        id,
        abstract_syntax,
        transfer_syntaxes,
    })
}

/// Decodes a presentation context item of a response (PS3.8 section 9.3.3.2).
fn result(item: &[u8]) -> Result<PresentationContextResult, Violation> {
    let (&[id, _, code, _], syntaxes) = item.split_first_chunk::<4>().ok_or(CUT)?;
    let reason = match code {
        0 => PresentationContextResultReason::Acceptance,
        1 => PresentationContextResultReason::UserRejection,
        3 => PresentationContextResultReason::AbstractSyntaxNotSupported,
        4 => PresentationContextResultReason::TransferSyntaxesNotSupported,
        // Code 2 and undefined codes: none of them accepts the context.
        _ => PresentationContextResultReason::NoReason,
    };
    let mut transfer_syntax = String::new();
    for syntax in Items(syntaxes) {
        if let (TRANSFER_SYNTAX, name) = syntax? {
            transfer_syntax = text(name);
        }
    }
    Ok(PresentationContextResult {
        id,
        reason,
        transfer_syntax,
    })
}

/// Decodes the user information (PS3.8 section D.1, PS3.7 section D.3.3). Skips the sub-items that
/// we do not answer: asynchronous operations, extended negotiation, user identity.
fn variables(item: &[u8]) -> Result<Vec<UserVariableItem>, Violation> {
    let mut variables = Vec::new();
    for variable in Items(item) {
        variables.push(match variable? {
            (MAXIMUM_LENGTH, value) => {
                let bytes = value
                    .try_into()
                    .map_err(|_| Violation::invalid("its maximum length is not four bytes long"))?;
                UserVariableItem::MaxLength(u32::from_be_bytes(bytes))
            }
            (IMPLEMENTATION_CLASS_UID, value) => {
                UserVariableItem::ImplementationClassUID(text(value))
            }
            (IMPLEMENTATION_VERSION_NAME, value) => {
                UserVariableItem::ImplementationVersionName(text(value))
            }
            (ROLE_SELECTION, value) => role(value)?,
            _ => continue,
        });
    }
    Ok(variables)
}

/// Decodes a role selection sub-item (PS3.7 section D.3.3.4).
fn role(value: &[u8]) -> Result<UserVariableItem, Violation> {
    let (length, rest) = value.split_first_chunk::<2>().ok_or(CUT)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (class, roles) = rest.split_at_checked(length).ok_or(CUT)?;
    let &[scu, scp] = roles.first_chunk::<2>().ok_or(CUT)?;
    let roles = RequestorRoles {
        scu: scu != 0,
        scp: scp != 0,
    };
    Ok(UserVariableItem::ScuScpRoleSelectionSubItem(
        text(class),
        roles,
    ))
}

/// Converts each byte to one character, so that no byte is lost.
fn text(bytes: &[u8]) -> String {
    let text: String = bytes.iter().copied().map(char::from).collect();
    text.trim_matches([' ', '\0']).to_owned()
}
