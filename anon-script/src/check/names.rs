//! The names of the operations of the rsna dialect, and of the functions of CTP.

/// Every operation of the rsna dialect.
pub(super) const OPERATIONS: [&str; 8] = [
    "keep", "remove", "empty", "uid", "ptid", "acc", "hashdate", "round",
];

/// Operations that only the rsna dialect writes without parentheses.
pub(super) const RSNA_WORDS: [&str; 4] = ["uid", "ptid", "acc", "hashdate"];

/// Functions that only CTP has.
pub(super) const CTP_CALLS: [&str; 28] = [
    "always",
    "append",
    "blank",
    "call",
    "contents",
    "date",
    "dateinterval",
    "decrypt",
    "encrypt",
    "hash",
    "hashname",
    "hashptid",
    "hashuid",
    "if",
    "incrementdate",
    "initials",
    "integer",
    "lookup",
    "lowercase",
    "modifydate",
    "param",
    "pathelement",
    "process",
    "quarantine",
    "require",
    "select",
    "skip",
    "time",
];

/// Functions that only CTP has, with names so general that a constant may be such a word.
pub(super) const CTP_OTHERS: [&str; 3] = ["truncate", "uppercase", "value"];

/// Functions of CTP whose arguments are literal: they refer to no parameter.
pub(super) const LITERAL_ARGUMENTS: [&str; 11] = [
    "contents",
    "date",
    "hashdate",
    "initials",
    "integer",
    "lookup",
    "pathelement",
    "require",
    "time",
    "truncate",
    "value",
];

/// Returns true if CTP has a function of this name.
pub(super) fn is_ctp(name: &str) -> bool {
    ctp_names().any(|known| known == name)
}

/// The names of all functions of CTP.
pub(super) fn ctp_names() -> impl Iterator<Item = &'static str> {
    CTP_CALLS.into_iter().chain(CTP_OTHERS).chain(OPERATIONS)
}
