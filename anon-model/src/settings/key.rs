//! [`KeyDoc`]: what there is to know about a key. The keys themselves are in [`super::table`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Bool(bool),
    /// Texts.
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// Writes the value as a command line takes it: the items of a list with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Bool,
    /// A list of texts.
    List,
    /// A list of texts, or the word `all`.
    ListOrAll,
}

impl Kind {
    /// The type in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Bool => "true or false",
            Self::List => "a list of texts",
            Self::ListOrAll => "a list of texts, or \"all\"",
        }
    }

    /// Reads a word of a command line. The items of a list are separated by commas.
    pub fn parse(self, word: &str) -> Option<Value> {
        let items = || {
            let items = word
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Value::List(items.map(str::to_owned).collect())
        };
        match self {
            Self::Text => Some(Value::Text(word.to_owned())),
            Self::Integer => word.trim().parse().ok().map(Value::Integer),
            Self::Bool => word.trim().parse().ok().map(Value::Bool),
            Self::ListOrAll if word.trim() == "all" => Some(Value::Text("all".to_owned())),
            Self::List | Self::ListOrAll => Some(items()),
        }
    }

    /// Returns true if a value has this type.
    pub(super) fn fits(self, value: &Value) -> bool {
        match value {
            Value::Text(text) => self == Self::Text || self == Self::ListOrAll && text == "all",
            Value::Integer(_) => self == Self::Integer,
            Value::Bool(_) => self == Self::Bool,
            Value::List(_) => matches!(self, Self::List | Self::ListOrAll),
        }
    }
}

/// When a changed key takes effect in a process that holds the project, such as `anon serve`.
///
/// The weakest statement counts: a key has the effect [`Effect::Restart`] if any part of the
/// process keeps the old value until it ends. Commands that are started after the change use the
/// new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Effect {
    /// Everything that begins after the change uses the new value. A retrieve or an export that is
    /// under way ends with the old one.
    AtOnce,
    /// Associations that are opened after the change use the new value.
    NextAssociation,
    /// The process keeps the old value until it is started again.
    Restart,
}

impl Effect {
    /// The effect in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::NextAssociation => "next association",
            Self::Restart => "restart",
        }
    }
}

/// What there is to know about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDoc {
    /// The dotted key. `<name>` stands for a name that the user chooses.
    pub key: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default as a command line takes it. Empty if there is none.
    pub default: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
    /// What it does.
    pub about: &'static str,
    /// When a change takes effect in a process that holds the project.
    pub effect: Effect,
    /// When items that are removed from a list take effect there. The same as `effect` if the key
    /// is no list.
    pub effect_of_removal: Effect,
}

impl KeyDoc {
    /// Returns true if this describes a dotted key, such as `node.PACS.port`.
    pub(super) fn matches(&self, key: &str) -> bool {
        let Some((before, after)) = self.key.split_once("<name>") else {
            return self.key == key;
        };
        key.strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|name| !name.is_empty() && !name.contains('.'))
    }

    /// The name in a dotted key that this describes, such as `PACS`. Empty if it has none.
    pub(super) fn name_in<'k>(&self, key: &'k str) -> &'k str {
        let Some((before, after)) = self.key.split_once("<name>") else {
            return "";
        };
        key.strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .unwrap_or("")
    }
}
