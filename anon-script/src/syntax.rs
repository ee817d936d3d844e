//! The parser: [`parse`].
//!
//! Parsing never fails. A part that cannot be parsed becomes a [`Diagnostic`], and the rest of the
//! text is still read, so that all problems are reported at once.

pub mod call;
mod element;
mod other_stage;
pub(crate) mod properties;
pub mod script;
mod xml;

pub use call::{Argument, Call, Clause, Expression, Part};
pub use element::{ElementRef, Id};
pub(crate) use element::{hex_tag, private as private_tag};
pub use script::Script;

pub use crate::span::{Position, Span, Text};

use crate::diagnostic::{Code, Diagnostic, Problems};
use script::ScriptForm;

/// The longest script that is read, in bytes.
pub const MAX_BYTES: usize = 8 << 20;

/// Parses a script in either form. As in CTP, a text is XML if one of its lines begins with `<`.
///
/// The tree holds what could be parsed. The diagnostics report what could not.
///
/// ```
/// let (script, problems) = anon_script::parse(r#"<script><e en="T" t="00100010">@ptid</e></script>"#);
/// assert!(problems.is_empty());
/// assert_eq!(script.elements.len(), 1);
/// ```
pub fn parse(text: &str) -> (Script, Vec<Diagnostic>) {
    if text.len() > MAX_BYTES {
        let mut problems = Problems::new("");
        let help = format!("a script has at most {} MiB", MAX_BYTES >> 20);
        problems.push(Code::TooLarge, Span::default(), help);
        return (Script::empty(""), problems.finish());
    }
    let mut problems = Problems::new(text);
    let mut script = Script::empty(text);
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let base = text.len() - body.len();
    if body.lines().any(|line| line.trim_start().starts_with('<')) {
        xml::read(text, base, &mut script, &mut problems);
    } else if let Some((span, help)) = other_stage::find(text) {
        problems.push(Code::OtherStage, span, help);
    } else {
        script.form = ScriptForm::Properties;
        properties::read(text, base, &mut script, &mut problems);
    }
    (script, problems.finish())
}
