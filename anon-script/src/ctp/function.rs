//! [`Function`]: the functions of CTP.

/// A function of CTP, or one of the four texts that it reads as a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Always,
    Append,
    Blank,
    Call,
    Contents,
    Date,
    DateInterval,
    Decrypt,
    Empty,
    Encrypt,
    Hash,
    HashDate,
    HashName,
    HashPatientId,
    HashUid,
    If,
    IncrementDate,
    Initials,
    Integer,
    Keep,
    Lookup,
    LowerCase,
    ModifyDate,
    Param,
    PathElement,
    Process,
    Quarantine,
    Remove,
    Require,
    Round,
    Select,
    Skip,
    Time,
    Truncate,
    UpperCase,
    Value,
}

impl Function {
    /// Returns the function of this name. Names are in lower case.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "always" => Self::Always,
            "append" => Self::Append,
            "blank" => Self::Blank,
            "call" => Self::Call,
            "contents" => Self::Contents,
            "date" => Self::Date,
            "dateinterval" => Self::DateInterval,
            "decrypt" => Self::Decrypt,
            "empty" => Self::Empty,
            "encrypt" => Self::Encrypt,
            "hash" => Self::Hash,
            "hashdate" => Self::HashDate,
            "hashname" => Self::HashName,
            "hashptid" => Self::HashPatientId,
            "hashuid" => Self::HashUid,
            "if" => Self::If,
            "incrementdate" => Self::IncrementDate,
            "initials" => Self::Initials,
            "integer" => Self::Integer,
            "keep" => Self::Keep,
            "lookup" => Self::Lookup,
            "lowercase" => Self::LowerCase,
            "modifydate" => Self::ModifyDate,
            "param" => Self::Param,
            "pathelement" => Self::PathElement,
            "process" => Self::Process,
            "quarantine" => Self::Quarantine,
            "remove" => Self::Remove,
            "require" => Self::Require,
            "round" => Self::Round,
            "select" => Self::Select,
            "skip" => Self::Skip,
            "time" => Self::Time,
            "truncate" => Self::Truncate,
            "uppercase" => Self::UpperCase,
            "value" => Self::Value,
            _ => return None,
        })
    }

    /// Returns the number of clauses that follow its arguments.
    pub(super) const fn clauses(self) -> usize {
        match self {
            Self::If | Self::Select => 2,
            Self::Append => 1,
            _ => 0,
        }
    }
}
