//! Anonymizer scripts of the RSNA Anonymizer and of CTP, parsed, checked and compiled into total
//! rules.
//!
//! A script says what happens to each data element. This crate reads the text of a script, reports
//! all its problems at once, and compiles it to rules that have an action for every tag. It is
//! pure: it uses no files, clock, threads or data sets. It does not apply the rules; `anon-engine`
//! does, through the trait [`Rules`].
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
//! // An element that no row names is removed, at every depth.
//! assert_eq!(rules.action(Element::nested(Tag(0x0010, 0x4000), 3)), &Action::Remove);
//!
//! // V17 keeps the value if an operation is misspelt. Here the script is refused.
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
//! Both tools share one file format, and give it different meanings. The dialect of a script is
//! detected from what only one of them has. It is never guessed: a script with features of both or
//! of neither needs a stated [`Dialect`].
//!
//! | | `rsna` | `ctp` |
//! |---|---|---|
//! | detected by | `@uid @ptid @acc @hashdate` without parentheses | a function only CTP has, a parameter that is referred to, a tag `gggg[creator]ee` |
//! | a row without text | keeps the element | empties it |
//! | an element no row names | is removed | stays, unless the script says otherwise |
//! | here | compiled to a [`RuleSet`] | read by [`check::strict_ctp`], run as [`ctp::CtpProgram`] |
//!
//! The operations of `rsna`, each with or without its parentheses:
//!
//! | written | action |
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
//! # Profiles
//!
//! [`profile::Profile`] is the profile of PS3.15 annex E with its options, and needs no script. It decides by the SOP
//! class and the sequences around an element, and cleans texts ([`clean`]).
//!
//! # Rules of your own
//!
//! A program can decide by code instead of a script: implement [`Rules`], and pass it to the engine
//! in place of a [`RuleSet`]. [`Element`] says what an implementation is asked, and when; [`Action`]
//! what it can answer; the example of [`Rules`] is complete. Rules that need more than the tag ask to see each object:
//! see [`object`].
//!
//! # Texts
//!
//! [`clean`] takes what identifies out of descriptions (PS3.15 section E.3.5): [`Identifiers`] of the
//! whole header, forms such as dates and telephone numbers, and words outside a vocabulary that is
//! compiled in (140 KB).
//!
//! # What is refused
//!
//! V17 keeps a value if it does not understand its rule. Here that is an error. So are text beside
//! an operation, a tag that is repeated with a different operation, an operation that does not fit
//! the VR of its element, a row with `en="F"` and an operation, a private element to keep, a
//! commented-out operation, an undefined parameter and an element inside a row. [`Code`] lists them
//! all. A script with an error gives no rules.
//!
//! # Limits
//!
//! | | |
//! |---|---|
//! | a script | 8 MiB ([`syntax::MAX_BYTES`]); no document type, so no entities of its own |
//! | nested clauses | 32 |
//! | listed problems | 1,000 ([`diagnostic::MAX_PROBLEMS`]); the rest are counted, and an error among them refuses the script |
//! | groups with a rule | 255 |
//!
//! Time is linear in the length of the text. No text makes this crate panic.
//!
//! # Stability
//!
//! Codes of diagnostics keep their meaning. [`Rules::digest`] covers what the rules do, so a change
//! of layout or comments does not change it. The only type of another crate in the public interface
//! is [`Tag`] of `dicom-core`, which is re-exported. There are no features.

mod action;
pub mod builtin;
pub mod check;
pub mod clean;
pub mod ctp;
pub mod diagnostic;
mod method_codes;
mod moment;
pub mod object;
pub mod profile;
pub mod rule_set;
pub mod rules;
mod span;
pub mod stays;
pub mod syntax;

pub use builtin::{BUILTINS, builtin};
pub use check::{Compiled, Dialect, load};
pub use clean::{Cleaned, Identifiers};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use dicom_core::{Tag, VR};
pub use object::{
    Insert, InsertValue, Look, ObjectHeader, ObjectRules, Place, Refused, SeenElement, SeenValue,
};
pub use rule_set::{Row, RuleSet};
pub use rules::{Action, Element, ItemElement, ItemValue, Method, Rules, State};
pub use stays::{Stays, keyword};
pub use syntax::script::{self, Script};
pub use syntax::{Position, Span, parse};

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
