//! Anonymizer scripts of the RSNA Anonymizer and of CTP, parsed, checked and compiled into total
//! rules.
//!
//! A script says what is done with each data element. This crate reads such a text, says everything
//! that is wrong with it at once, and makes rules of it that have an answer for every tag. It is
//! pure: no files, no clock, no threads, and no data set. It does not carry rules out; that is
//! `anon-engine`, which asks through the trait [`Rules`].
//!
//! ```text
//!  text ──► parse ──► Script ──► compile ──► RuleSet ──► action(element) ──► Action
//!             │      (tree with    │       (total, digest,      one look-up in
//!             │       spans)       │        writes itself)      three tables
//!             └────► Diagnostic ◄──┘
//!                    code S001…, line and column, text, help
//! ```
//!
//! # Example
//!
//! ```
//! use anon_script::{Action, Element, Rules as _, Tag, load};
//!
//! let script = r#"<script>
//!   <e en="T" t="00080016" n="SOPClassUID">@keep</e>
//!   <e en="T" t="00080018" n="SOPInstanceUID">@uid</e>
//!   <e en="T" t="00080020" n="StudyDate">@hashdate(this,PatientID)</e>
//!   <e en="T" t="0020000D" n="StudyInstanceUID">@uid</e>
//!   <e en="T" t="0020000E" n="SeriesInstanceUID">@uid</e>
//! </script>"#;
//! let rules = load(script, None).expect("the script is sound").rules;
//! assert_eq!(rules.action(Element::root(Tag(0x0008, 0x0020))), &Action::ShiftDate);
//! // What no row names is removed, at every depth.
//! assert_eq!(rules.action(Element::nested(Tag(0x0010, 0x4000), 3)), &Action::Remove);
//!
//! // A slip of the pen would have V17 keep the value. Here it is refused, with its place.
//! let problems = load(&script.replace("@hashdate", "@hasdate"), None).unwrap_err();
//! assert_eq!(
//!     problems[0].to_string(),
//!     "error[S009]: unknown operation, line 4 column 40: @hasdate\n  help: did you mean `@hashdate`?",
//! );
//!
//! // The default script of V17 is built in.
//! assert_eq!(anon_script::builtin("rsna-v17").expect("it is").rows().len(), 1_467);
//! ```
//!
//! # Dialects
//!
//! Both tools share one file format and not its meaning. Which one a script is in is found by what
//! only one of them has, and never guessed: both, or neither, is an error that asks for a
//! [`Dialect`].
//!
//! | | `rsna` | `ctp` |
//! |---|---|---|
//! | shown by | `@uid @ptid @acc @hashdate` without parentheses | a function only CTP has, a parameter that is referred to, a tag `gggg[creator]ee` |
//! | a row without text | keeps | empties |
//! | an element no row names | is removed | stays, unless the script says otherwise |
//! | here | compiled | parsed as a whole, and refused with the place of each function |
//!
//! The operations of `rsna`, each with or without its parentheses:
//!
//! | written | done |
//! |---|---|
//! | nothing, `@keep` | [`Action::Keep`] |
//! | `@remove` | [`Action::Remove`] |
//! | `@empty` | [`Action::Empty`] |
//! | `@uid`, on UI | [`Action::Uid`] |
//! | `@ptid`, on PN, LO, SH | [`Action::Patient`] |
//! | `@acc`, on SH, LO | [`Action::Accession`] |
//! | `@hashdate`, `@hashdate(this,PatientID)`, on DA, DT | [`Action::ShiftDate`] |
//! | `@round(this,5)`, `@round(5)`, on AS; 1 to 999 | [`Action::RoundAge`] |
//! | any other text the element's VR can hold | [`Action::Replace`], where the element is present |
//! | text on (0012,0063), codes on (0012,0064) | [`Method`] |
//!
//! # What is refused
//!
//! V17 keeps a value when it does not understand its rule. Here nothing is kept by mistake: an
//! unknown operation, text beside an operation, a tag twice with different operations, an operation
//! on an element it is not for, a row that says `en="F"` and has an operation, a private element
//! that is to stay, a commented-out operation, an undefined parameter, an element inside a row are
//! errors. [`Code`] lists them all. A script with an error gives no rules at all.
//!
//! # Limits
//!
//! | | |
//! |---|---|
//! | a script | 8 MiB ([`syntax::MAX_BYTES`]), no document type and so no entities of its own |
//! | clauses within clauses | 32 |
//! | problems listed | 1,000 ([`diagnostic::MAX_PROBLEMS`]); the rest are counted, and still refuse |
//! | groups with a rule | 255 |
//!
//! Time is linear in the length of the text, whatever it holds; nothing here panics.
//!
//! # Stability
//!
//! Codes of diagnostics keep their meaning. [`Rules::digest`] is over what the rules do, so that
//! a script that is only laid out anew keeps its digest. No third party's types are in the public
//! interface but [`Tag`] of `dicom-core`, which is re-exported. There are no features.

pub mod builtin;
pub mod check;
pub mod diagnostic;
pub mod rule_set;
pub mod rules;
pub mod script;
pub mod stays;
pub mod syntax;

pub use builtin::{BUILTINS, builtin};
pub use check::{Compiled, Dialect, load};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use dicom_core::Tag;
pub use rule_set::{Row, RuleSet};
pub use rules::{Action, Element, Method, Rules};
pub use script::Script;
pub use stays::{Stays, keyword};
pub use syntax::{Position, Span, parse};

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
