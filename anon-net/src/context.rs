//! Presentation contexts: what may be sent, and in which encoding (PS3.8 section 7.1.1.13).

use std::collections::{BTreeMap, BTreeSet};

use crate::{Error, Uid};

pub use crate::context_id::ContextId;

/// A context that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProposedContext {
    /// Its id.
    pub id: ContextId,
    /// What is to be done: a SOP class.
    pub abstract_syntax: Uid,
    /// The encodings offered, at least one. Their order means nothing to the standard.
    pub transfer_syntaxes: Vec<Uid>,
}

/// Which roles the requestor of an association may take for a SOP class (PS3.7 section D.3.3.4). The
/// acceptor takes the others.
///
/// By default a requestor is SCU and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the standard has these two")]
pub struct Roles {
    /// It may send requests.
    pub scu: bool,
    /// It may be sent requests, as in a C-GET it is sent the instances.
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

/// The contexts of a proposal, 128 at most, with ids 1, 3, 5 and so on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contexts {
    proposed: Vec<ProposedContext>,
    roles: BTreeMap<Uid, Roles>,
}

impl Contexts {
    /// The most there can be: the odd numbers of a byte.
    pub const MAX: usize = 128;

    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a context and gives its id.
    ///
    /// # Errors
    /// [`Error::Limit`] if there are 128 already, or if no transfer syntax is offered.
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

    /// Says that the requestor wants to be SCP of a SOP class too, as it must for a C-GET (PS3.7
    /// section D.3.3.4). The acceptor may say no: see [`AcceptedContext::scp`].
    pub fn take_scp_role(&mut self, abstract_syntax: Uid) {
        let both = Roles {
            scu: true,
            scp: true,
        };
        self.roles.insert(abstract_syntax, both);
    }

    /// The roles that are asked for, where they are not the default.
    pub fn roles(&self) -> impl Iterator<Item = (&Uid, Roles)> {
        self.roles.iter().map(|(class, roles)| (class, *roles))
    }

    /// What a peer proposed: its own ids, each once.
    pub(crate) fn of_peer(mut proposed: Vec<ProposedContext>, roles: BTreeMap<Uid, Roles>) -> Self {
        proposed.sort_by_key(|context| context.id);
        Self { proposed, roles }
    }

    /// The contexts in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &ProposedContext> {
        self.proposed.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.proposed.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.proposed.is_empty()
    }
}

/// What an acceptor says to one context (PS3.8 Table 9-18).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these five")]
pub enum ContextResult {
    /// Yes, in this transfer syntax. Code 0.
    Accepted(Uid),
    /// No, says the application. Code 1.
    UserRejection,
    /// No, without a reason. Code 2.
    NoReason,
    /// It does not do that. Code 3.
    AbstractSyntaxNotSupported,
    /// It does that, but in none of these encodings. Code 4.
    TransferSyntaxesNotSupported,
}

impl ContextResult {
    /// The code of the result field.
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

/// An acceptor's answer to one context.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an id and what is said to it")]
pub struct ContextResponse {
    /// The context.
    pub id: ContextId,
    /// What is said to it.
    pub result: ContextResult,
}

/// What an acceptor does, and in which encodings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SupportedContexts {
    classes: BTreeMap<Uid, Vec<Uid>>,
    scp_roles: BTreeSet<Uid>,
}

impl SupportedContexts {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an abstract syntax, or replaces what was said of it. The transfer syntax it likes best
    /// comes first.
    #[must_use]
    pub fn with(mut self, abstract_syntax: Uid, transfer_syntaxes: Vec<Uid>) -> Self {
        self.classes.insert(abstract_syntax, transfer_syntaxes);
        self
    }

    /// Lets the requestor be SCP of this abstract syntax, if it asks for it (PS3.7 section D.3.3.4):
    /// an acceptor that serves C-GET says so for what it sends.
    #[must_use]
    pub fn with_scp_role(mut self, abstract_syntax: Uid) -> Self {
        self.scp_roles.insert(abstract_syntax);
        self
    }

    /// Answers the roles that are asked for, of SOP classes that are supported.
    pub fn answer_roles(&self, contexts: &Contexts) -> Vec<(Uid, Roles)> {
        contexts
            .roles()
            .filter(|(class, _)| self.classes.contains_key(class))
            .map(|(class, asked)| {
                let scp = asked.scp && self.scp_roles.contains(class);
                (class.clone(), Roles { scp, ..asked })
            })
            .collect()
    }

    /// Answers a proposal: one answer a context, in the same order.
    ///
    /// Of the transfer syntaxes offered, the one that stands first in the acceptor's list is taken. A
    /// syntax need not be one that this crate knows: nothing is decoded here.
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

/// A context that both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedContext {
    /// Its id.
    pub id: ContextId,
    /// What may be done.
    pub abstract_syntax: Uid,
    /// How data sets are encoded.
    pub transfer_syntax: Uid,
    /// The requestor may send requests in it. The same on both sides (PS3.7 section D.3.3.4).
    pub scu: bool,
    /// The requestor may be sent requests in it. The same on both sides.
    pub scp: bool,
}

/// The contexts that both sides agreed on, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NegotiatedContexts {
    accepted: Vec<AcceptedContext>,
}

impl NegotiatedContexts {
    /// What comes of a proposal and its answers. A context without an answer is not accepted.
    ///
    /// # Errors
    /// [`Error::Protocol`] if an answer is for a context that was not proposed, if two are for the
    /// same, or if one accepts a transfer syntax that was not offered.
    pub fn new(contexts: &Contexts, answers: &[ContextResponse]) -> Result<Self, Error> {
        let mut results = BTreeMap::new();
        for answer in answers {
            if results.insert(answer.id, &answer.result).is_some() {
                return Err(Error::Protocol {
                    problem: "it answers a presentation context twice",
                });
            }
        }
        let mut accepted = Vec::new();
        for proposed in contexts.iter() {
            let Some(ContextResult::Accepted(syntax)) = results.remove(&proposed.id) else {
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
            Ok(Self { accepted })
        } else {
            Err(Error::Protocol {
                problem: "it answers a presentation context that was not proposed",
            })
        }
    }

    /// With the roles that were asked for and granted. An answer that nobody asked for means nothing;
    /// without an answer the default holds (PS3.7 section D.3.3.4).
    #[must_use]
    pub fn with_roles(mut self, contexts: &Contexts, answers: &[(Uid, Roles)]) -> Self {
        for accepted in &mut self.accepted {
            let class = &accepted.abstract_syntax;
            let granted = answers.iter().find(|(answered, _)| answered == class);
            if let (Some(asked), Some((_, granted))) = (contexts.roles.get(class), granted) {
                accepted.scu = asked.scu && granted.scu;
                accepted.scp = asked.scp && granted.scp;
            }
        }
        self
    }

    /// The context with this id.
    pub fn get(&self, id: ContextId) -> Option<&AcceptedContext> {
        self.accepted.iter().find(|accepted| accepted.id == id)
    }

    /// The first context to do this in this encoding.
    pub fn find(&self, abstract_syntax: &Uid, transfer_syntax: &Uid) -> Option<&AcceptedContext> {
        self.accepted.iter().find(|accepted| {
            accepted.abstract_syntax == *abstract_syntax
                && accepted.transfer_syntax == *transfer_syntax
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &AcceptedContext> {
        self.accepted.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.accepted.len()
    }

    /// True if the sides agreed on none.
    pub fn is_empty(&self) -> bool {
        self.accepted.is_empty()
    }
}
