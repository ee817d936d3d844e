//! Scripts of CTP: [`CtpScript`], which evaluates their rules.
//!
//! ```text
//!  Script ──► CtpScript ──► evaluate(rule, Facts, Tables) ──► Evaluated { text, outcome }
//!  (syntax)   expressions    values of the object, lookup       or Stop: quarantine, skip
//!             and switches   tables, the time
//! ```
//!
//! A rule is an expression: literal text and calls of functions, which read elements, hash and replace. Its text
//! is a new value, or a command such as `@remove()`.
//!
//! [`CtpProgram`] makes rules of a script in strict mode.
//!
//! # Two modes
//!
//! [`Mode::Compatible`] gives what CTP gives, with its faults. [`Mode::Strict`] differs where CTP lets a
//! value through that nobody meant to keep, or writes what nobody meant to write:
//!
//! | | compatible | strict |
//! |---|---|---|
//! | arguments that do not fit a function | are written into the element | quarantine |
//! | a parameter that is not defined | `null`, or the arguments as text | quarantine |
//! | a value that holds `@remove()` or another command | is the command | is a text |
//! | `@keep()` beside a text | is written into the element | quarantine |
//! | `@skip()` | the object is passed on as it is | quarantine |
//! | `curves` | removes nothing | removes group 50xx |
//!
//! Dates whose year would have more than four digits are emptied in both.
//!
//! # Limits
//! Rules that the third argument of `@hashuid` names are evaluated up to 8 inside one another, and up to 1,000 for
//! one element. A regular expression takes 100,000 steps at most. Beyond, the object is quarantined. Clauses that
//! are nested deeper than 32 are empty.

mod date;
mod digest;
mod evaluate;
mod expression;
mod function;
mod header_facts;
mod java_regex;
mod lookup;
mod names;
mod private_elements;
mod program;
mod reference;
mod script;
mod values;
mod words;

pub use crate::moment::Moment;
pub use evaluate::{Evaluated, Outcome, Stop};
pub use lookup::LookupTable;
pub use private_elements::PrivateElement;
pub use program::{CtpProgram, NotApplied};
pub use reference::{From, Path, Step};
pub use script::{CtpRule, CtpScript, Mode};

use std::fmt;

use dicom_core::Tag;

/// What a rule can ask of an object.
///
/// A value is always that of the object as it was read, whatever other rules do.
pub trait Facts: fmt::Debug {
    /// Returns the text of an element: its values, decoded, with backslashes between them. `None` if there is no
    /// such element, or if it is a sequence or pixel data. A value of zero length is an empty text.
    fn text(&self, path: &Path) -> Option<String>;

    /// Returns true if the data set that holds the element of the rule has an element of this tag.
    fn has(&self, tag: Tag) -> bool;

    /// Returns true if that data set is an item of a sequence.
    fn is_item(&self) -> bool;

    /// Returns the time at which the object is processed, in local time.
    fn now(&self) -> Moment;
}

/// The tables that a rule can ask.
pub trait Tables: fmt::Debug {
    /// Returns the lookup table, if there is one.
    fn lookup(&self) -> Option<&LookupTable>;

    /// Returns the number of a text: 1 for the first text of this type, 2 for the second, and so on. `None`
    /// without a table of numbers.
    fn number(&mut self, kind: &str, text: &str) -> Option<u64>;
}
