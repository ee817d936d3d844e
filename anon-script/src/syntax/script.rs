//! [`Script`]: the syntax tree of a script.

use dicom_core::Tag;

use super::call::Expression;
use crate::span::{Span, Text};

/// The file format of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum ScriptForm {
    /// XML, with the rows `p e k r`.
    Xml,
    /// The older form of CTP: Java properties.
    Properties,
}

/// The attribute `en` of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are all texts there are")]
pub enum Enabled {
    /// Exactly `T`.
    Yes,
    /// Any other text.
    No,
    /// The row has no such attribute.
    Absent,
}

/// A row `p`: a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Param {
    /// Where the row is.
    pub span: Span,
    /// Its name.
    pub name: String,
    /// Its value, with the spaces around it.
    pub value: Text,
}

/// The element of a row `e`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the file format has two")]
pub enum Target {
    /// An element.
    Tag(Tag),
    /// An element of a private block: `gggg[creator]ee`.
    Private {
        /// The group, odd.
        group: u16,
        /// The private creator.
        creator: String,
        /// The low byte of the element.
        element: u8,
    },
}

/// A row `e`: the rule for an element.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Where the row is.
    pub span: Span,
    /// Whether it is enabled.
    pub enabled: Enabled,
    /// The element.
    pub target: Target,
    /// Where its tag is.
    pub tag_span: Span,
    /// The attribute `n`.
    pub name: Option<String>,
    /// The rule's text, trimmed.
    pub text: Text,
    /// The rule.
    pub expression: Expression,
}

/// A row `k` (keep a group) or `r` (a global removal switch).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Switch {
    /// Where the row is.
    pub span: Span,
    /// Whether it is enabled.
    pub enabled: Enabled,
    /// The attribute `t`: a group in hex, `safe…`, or the name of a switch.
    pub name: String,
    /// The label.
    pub label: Text,
}

/// A script as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// The whole text.
    pub source: String,
    /// Its form.
    pub form: ScriptForm,
    /// Rows `p`, in their order.
    pub params: Vec<Param>,
    /// Rows `e`, in their order.
    pub elements: Vec<Rule>,
    /// Rows `k`, in their order.
    pub keeps: Vec<Switch>,
    /// Rows `r`, in their order.
    pub removes: Vec<Switch>,
}

impl Script {
    /// Returns true if it has no rows.
    pub fn is_empty(&self) -> bool {
        let switches = self.keeps.len() + self.removes.len();
        self.elements.len() + self.params.len() + switches == 0
    }

    pub(crate) fn empty(source: &str) -> Self {
        Self {
            source: source.into(),
            form: ScriptForm::Xml,
            params: Vec::new(),
            elements: Vec::new(),
            keeps: Vec::new(),
            removes: Vec::new(),
        }
    }
}
