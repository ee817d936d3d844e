//! Presentation contexts: the SOP classes of an association and their encodings (PS3.8 section
//! 7.1.1.13).

mod storage;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Error, Uid};

pub use crate::context_id::ContextId;
pub use storage::{storage_classes, transfer_syntaxes};

/// A presentation context that the requestor proposes (PS3.8 section 9.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProposedContext {
    /// The id of the context.
    pub id: ContextId,
    /// The abstract syntax: the UID of a SOP class.
    pub abstract_syntax: Uid,
    /// The transfer syntaxes offered, at least one. The standard gives their order no meaning.
    pub transfer_syntaxes: Vec<Uid>,
}

/// The roles that the requestor of an association may take for a SOP class (PS3.7 section D.3.3.4).
/// The acceptor takes the opposite roles.
///
/// By default the requestor is SCU only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the standard has these two")]
pub struct Roles {
    /// The requestor may send requests (SCU).
    pub scu: bool,
    /// The requestor may receive requests (SCP). A C-GET needs this, because the instances arrive
    /// as C-STORE requests.
    pub scp: bool,
}

impl Default for Roles {
    fn default() -> Self {
        Self {
            scu: true,
            scp: false,
        }
    }
}

/// The presentation contexts of a proposal, at most 128. Their ids are 1, 3, 5 and so on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contexts {
    proposed: Vec<ProposedContext>,
    roles: BTreeMap<Uid, Roles>,
}

impl Contexts {
    /// The most contexts of a proposal: ids are the odd numbers of a byte (PS3.8 section 9.3.2.2).
    pub const MAX: usize = 128;

    /// Returns an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a context and returns its id.
    ///
    /// # Errors
    /// [`Error::Limit`] if there are 128 contexts already, or if `transfer_syntaxes` is empty.
    pub fn add(
        &mut self,
        abstract_syntax: Uid,
        transfer_syntaxes: Vec<Uid>,
    ) -> Result<ContextId, Error> {
        let full = || Error::Limit {
            what: "presentation contexts",
            limit: Self::MAX as u64,
            found: self.proposed.len() as u64 + 1,
        };
        let number = u8::try_from(self.proposed.len() * 2 + 1).map_err(|_| full())?;
        if transfer_syntaxes.is_empty() {
            return Err(Error::Limit {
                what: "presentation contexts without a transfer syntax",
                limit: 0,
                found: 1,
            });
        }
        let id = ContextId(number);
        self.proposed.push(ProposedContext {
            id,
            abstract_syntax,
            transfer_syntaxes,
        });
        Ok(id)
    }

    /// Requests the SCP role for a SOP class, in addition to the SCU role. A C-GET needs it (PS3.7
    /// section D.3.3.4). The acceptor may refuse: see [`AcceptedContext::scp`].
    pub fn take_scp_role(&mut self, abstract_syntax: Uid) {
        let both = Roles {
            scu: true,
            scp: true,
        };
        self.roles.insert(abstract_syntax, both);
    }

    /// Returns the requested roles that differ from the default.
    pub fn roles(&self) -> impl Iterator<Item = (&Uid, Roles)> {
        self.roles.iter().map(|(class, roles)| (class, *roles))
    }

    /// Creates the contexts that a peer proposed. Each id occurs once.
    pub(crate) fn of_peer(mut proposed: Vec<ProposedContext>, roles: BTreeMap<Uid, Roles>) -> Self {
        proposed.sort_by_key(|context| context.id);
        Self { proposed, roles }
    }

    /// Returns the contexts in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &ProposedContext> {
        self.proposed.iter()
    }

    /// Returns the number of contexts.
    pub fn len(&self) -> usize {
        self.proposed.len()
    }

    /// Returns true if there is no context.
    pub fn is_empty(&self) -> bool {
        self.proposed.is_empty()
    }
}

/// The acceptor's result for one context (PS3.8 Table 9-18).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these five")]
pub enum ContextResult {
    /// Accepted, with this transfer syntax. Code 0.
    Accepted(Uid),
    /// Rejected by the application. Code 1.
    UserRejection,
    /// Rejected without a reason. Code 2.
    NoReason,
    /// The abstract syntax is not supported. Code 3.
    AbstractSyntaxNotSupported,
    /// None of the transfer syntaxes is supported. Code 4.
    TransferSyntaxesNotSupported,
}

impl ContextResult {
    /// Returns the code of the result field.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Accepted(_) => 0,
            Self::UserRejection => 1,
            Self::NoReason => 2,
            Self::AbstractSyntaxNotSupported => 3,
            Self::TransferSyntaxesNotSupported => 4,
        }
    }
}

/// The acceptor's response for one context (PS3.8 section 9.3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the standard has these two")]
pub struct ContextResponse {
    /// The id of the context.
    pub id: ContextId,
    /// The result.
    pub result: ContextResult,
}

/// The SOP classes that an acceptor supports, each with its transfer syntaxes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SupportedContexts {
    classes: BTreeMap<Uid, Vec<Uid>>,
    scp_roles: BTreeSet<Uid>,
}

impl SupportedContexts {
    /// Returns an acceptor's list that supports nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an abstract syntax, or replaces its transfer syntaxes. The most preferred transfer
    /// syntax comes first.
    #[must_use]
    pub fn with(mut self, abstract_syntax: Uid, transfer_syntaxes: Vec<Uid>) -> Self {
        self.classes.insert(abstract_syntax, transfer_syntaxes);
        self
    }

    /// Lets the requestor take the SCP role for this abstract syntax if it asks for it (PS3.7
    /// section D.3.3.4). An acceptor that serves C-GET needs this for the classes it sends.
    #[must_use]
    pub fn with_scp_role(mut self, abstract_syntax: Uid) -> Self {
        self.scp_roles.insert(abstract_syntax);
        self
    }

    /// Answers the requested roles, for the SOP classes that are supported.
    pub fn answer_roles(&self, contexts: &Contexts) -> Vec<(Uid, Roles)> {
        contexts
            .roles()
            .filter(|(class, _)| self.classes.contains_key(class))
            .map(|(class, requested)| {
                let scp = requested.scp && self.scp_roles.contains(class);
                (class.clone(), Roles { scp, ..requested })
            })
            .collect()
    }

    /// Answers a proposal: one response for each context, in the same order.
    ///
    /// Of the transfer syntaxes offered, it accepts the one that comes first in the acceptor's
    /// list. Transfer syntaxes unknown to this crate are allowed, because nothing is decoded here.
    pub fn answer(&self, contexts: &Contexts) -> Vec<ContextResponse> {
        contexts
            .iter()
            .map(|proposed| ContextResponse {
                id: proposed.id,
                result: self.result(proposed),
            })
            .collect()
    }

    fn result(&self, proposed: &ProposedContext) -> ContextResult {
        let Some(ours) = self.classes.get(&proposed.abstract_syntax) else {
            return ContextResult::AbstractSyntaxNotSupported;
        };
        ours.iter()
            .find(|syntax| proposed.transfer_syntaxes.contains(syntax))
            .map_or(ContextResult::TransferSyntaxesNotSupported, |syntax| {
                ContextResult::Accepted(syntax.clone())
            })
    }
}

/// A presentation context that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedContext {
    /// The id of the context.
    pub id: ContextId,
    /// The abstract syntax.
    pub abstract_syntax: Uid,
    /// The transfer syntax of data sets.
    pub transfer_syntax: Uid,
    /// The requestor may send requests in it (SCU role). Has the same value on both sides (PS3.7
    /// section D.3.3.4).
    pub scu: bool,
    /// The requestor may receive requests in it (SCP role). Has the same value on both sides.
    pub scp: bool,
}

/// A presentation context that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedContext {
    /// The id of the context.
    pub id: ContextId,
    /// The abstract syntax.
    pub abstract_syntax: Uid,
    /// The transfer syntaxes that were offered.
    pub transfer_syntaxes: Vec<Uid>,
    /// Why. Never [`ContextResult::Accepted`].
    pub result: ContextResult,
}

/// The presentation contexts of an association: those accepted, and those refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NegotiatedContexts {
    accepted: Vec<AcceptedContext>,
    refused: Vec<RefusedContext>,
}

impl NegotiatedContexts {
    /// Combines a proposal with its responses. A context without a response counts as rejected.
    ///
    /// # Errors
    /// [`Error::Protocol`] if a response names a context that was not proposed, if two responses
    /// name the same context, or if one accepts a transfer syntax that was not offered.
    pub fn new(contexts: &Contexts, responses: &[ContextResponse]) -> Result<Self, Error> {
        let mut results = BTreeMap::new();
        for response in responses {
            if results.insert(response.id, &response.result).is_some() {
                return Err(Error::Protocol {
                    problem: "it answers the same presentation context twice",
                });
            }
        }
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for proposed in contexts.iter() {
            let result = results.remove(&proposed.id);
            let Some(ContextResult::Accepted(syntax)) = result else {
                refused.push(RefusedContext {
                    id: proposed.id,
                    abstract_syntax: proposed.abstract_syntax.clone(),
                    transfer_syntaxes: proposed.transfer_syntaxes.clone(),
                    result: result.cloned().unwrap_or(ContextResult::NoReason),
                });
                continue;
            };
            if !proposed.transfer_syntaxes.contains(syntax) {
                return Err(Error::Protocol {
                    problem: "it accepts a transfer syntax that was not offered",
                });
            }
            accepted.push(AcceptedContext {
                id: proposed.id,
                abstract_syntax: proposed.abstract_syntax.clone(),
                transfer_syntax: syntax.clone(),
                scu: true,
                scp: false,
            });
        }
        if results.is_empty() {
            Ok(Self { accepted, refused })
        } else {
            Err(Error::Protocol {
                problem: "it answers a presentation context that was not proposed",
            })
        }
    }

    /// Sets the roles that were both requested and granted. A response for a role that was not
    /// requested is ignored. Without a response the default applies (PS3.7 section D.3.3.4).
    #[must_use]
    pub fn with_roles(mut self, contexts: &Contexts, responses: &[(Uid, Roles)]) -> Self {
        for accepted in &mut self.accepted {
            let class = &accepted.abstract_syntax;
            let granted = responses.iter().find(|(answered, _)| answered == class);
            if let (Some(requested), Some((_, granted))) = (contexts.roles.get(class), granted) {
                accepted.scu = requested.scu && granted.scu;
                accepted.scp = requested.scp && granted.scp;
            }
        }
        self
    }

    /// Returns the accepted context with this id.
    pub fn get(&self, id: ContextId) -> Option<&AcceptedContext> {
        self.accepted.iter().find(|accepted| accepted.id == id)
    }

    /// Returns the first accepted context with this abstract syntax and transfer syntax.
    pub fn find(&self, abstract_syntax: &Uid, transfer_syntax: &Uid) -> Option<&AcceptedContext> {
        self.accepted.iter().find(|accepted| {
            accepted.abstract_syntax == *abstract_syntax
                && accepted.transfer_syntax == *transfer_syntax
        })
    }

    /// Returns the accepted contexts, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &AcceptedContext> {
        self.accepted.iter()
    }

    /// Returns the contexts that were not accepted, in the order of their ids.
    pub fn refused(&self) -> impl Iterator<Item = &RefusedContext> {
        self.refused.iter()
    }

    /// Returns the number of accepted contexts.
    pub fn len(&self) -> usize {
        self.accepted.len()
    }

    /// Returns true if no context was accepted.
    pub fn is_empty(&self) -> bool {
        self.accepted.is_empty()
    }
}
