//! [`RulesHistory`]: which rules made the stored instances.

use std::fmt;

use crate::BackendError;

/// The rules that outputs were made with, as a store keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RulesRecord {
    /// SHA-256 of what the rules do.
    pub digest: [u8; 32],
    /// The name by which people know them.
    pub name: String,
    /// The text they were made from.
    pub text: String,
    /// When they were accepted: RFC 3339, by the caller's clock.
    pub accepted: String,
}

/// Records which rules were in force, and whether the project's identity can still change.
pub trait RulesHistory: Send + Sync + fmt::Debug {
    /// Returns the rules accepted last, which are in force. `None` in a new store.
    ///
    /// # Errors
    /// If the store fails.
    fn rules(&self) -> Result<Option<RulesRecord>, BackendError>;

    /// Returns all rules ever accepted, oldest first.
    ///
    /// # Errors
    /// If the store fails.
    fn rules_history(&self) -> Result<Vec<RulesRecord>, BackendError>;

    /// Records, durably, that these rules are in force from now on. Accepting rules with the digest
    /// of [`rules`](RulesHistory::rules) again changes nothing.
    ///
    /// # Errors
    /// If the store fails.
    fn accept_rules(&self, rules: &RulesRecord) -> Result<(), BackendError>;

    /// Returns true once a pseudonym was assigned or adopted. From then on `site_id`, `uid_root` and the
    /// schemes cannot change.
    ///
    /// # Errors
    /// If the store fails.
    fn is_frozen(&self) -> Result<bool, BackendError>;
}
