//! [`Diagnostic`]: a problem of a script, its position, and what to do.

use std::fmt;

use crate::span::{Lines, Position, Span};

/// The most problems that are listed for one script. The rest are only counted.
pub const MAX_PROBLEMS: usize = 1_000;

/// How severe a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Severity {
    /// The script is accepted, but may not do what its author meant.
    Warning,
    /// The script is refused.
    Error,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $code:literal $severity:ident $message:literal;)+) => {
        /// The kinds of problems. Codes are stable: S001 never gets another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the code as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// Returns how severe the problem is.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }

            /// Returns a short description.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)+ }
            }
        }
    };
}

codes! {
    /// The text is not well-formed XML.
    NotXml "S001" Error "the script is not well-formed XML";
    /// The text is longer than a script may be.
    TooLarge "S002" Error "the script is too large";
    /// A child that neither V17 nor CTP reads.
    UnknownChild "S003" Warning "this is no part of a script and has no effect";
    /// A row without the attribute `t`.
    NoTag "S004" Error "a row without the attribute `t`";
    /// An attribute `t` that is not a tag.
    BadTag "S005" Error "this is not a tag";
    /// A tag in lower case, which V17 does not match.
    TagCase "S006" Warning "V17 matches tags in upper case only; it is read as the tag it names";
    /// A tag that is repeated with the same operation.
    Repeated "S007" Warning "this tag is repeated, with the same operation";
    /// A tag that is repeated with a different operation.
    Contradiction "S008" Error "this tag is repeated, with a different operation";
    /// An unknown operation.
    UnknownOperation "S009" Error "unknown operation";
    /// An argument that the operation does not take.
    Arguments "S010" Error "these arguments do not fit the operation";
    /// A row with `en="F"` that V17 would run.
    Disabled "S011" Error "the row is disabled and has an operation, which V17 would run";
    /// A row that keeps a private element.
    Private "S012" Error "private elements are always removed by the rsna dialect";
    /// An operation that does not fit the VR of its element.
    Misfit "S013" Error "the operation does not fit the element";
    /// A call whose argument list never closes.
    OpenCall "S014" Error "the argument list is never closed";
    /// A clause that never closes.
    OpenClause "S015" Error "the clause is never closed";
    /// Clauses that are nested too deep.
    TooDeep "S016" Error "clauses are nested too deep";
    /// A parameter that is not defined.
    UndefinedParameter "S017" Error "this parameter is not defined";
    /// Calls of both dialects.
    BothDialects "S018" Error "the script mixes the dialects of RSNA and CTP";
    /// Calls of neither dialect.
    NoDialect "S019" Error "nothing in the script shows whether its dialect is that of RSNA or of CTP";
    /// A function that is parsed and not supported yet.
    NotExecuted "S020" Error "functions of CTP are not supported yet";
    /// The rules remove one of the four attributes that an output needs.
    RequiredRemoved "S021" Error "an output needs this attribute";
    /// No rule names one of the four attributes that an output needs.
    RequiredUnlisted "S022" Warning "an output needs an attribute that no rule keeps";
    /// A rule keeps an original UID.
    OriginalUid "S023" Warning "the original UID stays in the output";
    /// More than one operation, or text beside one.
    Mixed "S024" Error "an operation must stand alone";
    /// A row without effect.
    NoEffect "S025" Warning "this row has no effect in the rsna dialect";
    /// A constant that the element cannot hold.
    Constant "S026" Error "the element cannot hold this constant";
    /// An element inside a row.
    Nested "S027" Error "an element inside a row";
    /// The name of an operation without its `@`.
    BareOperation "S028" Error "the name of an operation without its `@`";
    /// A backslash at the end.
    LoneEscape "S029" Error "a backslash at the end escapes nothing";
    /// A line of the older form that is no setting.
    BadLine "S030" Error "this line is no setting of a script";
    /// Rules for too many groups.
    TooManyGroups "S031" Error "rules for more than 255 groups";
    /// A quote that never closes.
    OpenQuote "S032" Error "the quotation mark is never closed";
    /// No rule at all.
    NoRules "S033" Error "the script has no rule for any element";
    /// A backslash before a letter or a digit, which is dropped.
    StrayEscape "S034" Warning "a single backslash is not written: it escapes what follows";
    /// A row that holds only a comment.
    Commented "S035" Error "the row holds only a comment, and would keep the element";
    /// More problems than are listed. An error if one of those is an error.
    TooMany "S036" Error "more problems than are listed";
    /// A script of CTP's pixel stage or of a filter.
    OtherStage "S037" Error "this is a script of CTP for another stage: it has no rules for data elements";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The kind of problem.
    pub code: Code,
    /// How severe it is.
    pub severity: Severity,
    /// Where it is, in bytes.
    pub span: Span,
    /// Where it is, in lines and columns.
    pub position: Position,
    /// The text at that position, at most 80 characters.
    pub text: String,
    /// What to do. Empty if the message says it.
    pub help: String,
}

impl Diagnostic {
    /// Returns true if the script is refused because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    /// Writes `error[S009]: unknown operation, line 3 column 20: @UID` and, on a second line, the
    /// help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let Position { line, column } = self.position;
        let message = self.code.message();
        write!(
            f,
            "{severity}[{}]: {message}, line {line} column {column}",
            self.code
        )?;
        if !self.text.is_empty() {
            write!(f, ": {}", self.text.replace(char::is_control, " "))?;
        }
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

/// Collects the problems of one text.
#[derive(Debug)]
pub(crate) struct Problems<'t> {
    text: &'t str,
    lines: Lines,
    found: Vec<Diagnostic>,
    /// The number of problems beyond [`MAX_PROBLEMS`], and the worst severity among them.
    beyond: Option<(Severity, usize)>,
}

impl<'t> Problems<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            lines: Lines::of(text),
            found: Vec::new(),
            beyond: None,
        }
    }

    /// Returns the line of a byte of the text, counted from 1.
    pub(crate) fn line(&self, byte: usize) -> u32 {
        self.lines.line(byte)
    }

    /// Returns true if further problems are only counted. Their help is not worth making.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_PROBLEMS
    }

    /// Returns true if a problem so far refuses the script.
    pub(crate) fn has_error(&self) -> bool {
        self.found.iter().any(Diagnostic::is_error)
            || self
                .beyond
                .is_some_and(|(worst, _)| worst == Severity::Error)
    }

    pub(crate) fn push(&mut self, code: Code, span: Span, help: impl Into<String>) {
        let severity = code.severity();
        if self.is_full() {
            let (worst, count) = self.beyond.get_or_insert((severity, 0));
            *worst = severity.max(*worst);
            *count += 1;
            return;
        }
        self.found.push(Diagnostic {
            code,
            severity,
            span,
            position: self.lines.position(self.text, span.start),
            text: span.of(self.text).chars().take(80).collect(),
            help: help.into(),
        });
    }

    /// Returns the problems in the order of the text. The last one counts those that are not
    /// listed.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        order(&mut self.found);
        if let Some((severity, count)) = self.beyond {
            let end = Span::new(self.text.len(), self.text.len());
            self.found.push(Diagnostic {
                code: Code::TooMany,
                severity,
                span: end,
                position: self.lines.position(self.text, end.start),
                text: String::new(),
                help: format!("{count} more problems: correct the listed ones first"),
            });
        }
        self.found
    }
}

/// Sorts problems in the order of the text, and removes repeated ones.
pub(crate) fn order(problems: &mut Vec<Diagnostic>) {
    problems.sort_by_key(|problem| (problem.span, problem.code));
    problems.dedup();
}

/// Returns the nearest of `names` to a word. `None` if none is near enough to have been meant.
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.to_ascii_lowercase();
    names
        .into_iter()
        .map(|name| (distance(&word, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= 2.min(name.len() / 2).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Returns the Levenshtein distance of the first 24 characters of each word. No misspelt name is
/// longer, and a script can hold a word of megabytes.
fn distance(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|word| word.chars().take(24).collect::<String>());
    strsim::levenshtein(&a, &b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_problems_share_a_code() {
        let mut seen: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), Code::ALL.len());
    }

    /// An error beyond the limit must refuse the script, however many warnings stand before it.
    #[test]
    fn unlisted_problems_are_counted_and_still_refuse_the_script() {
        let mut problems = Problems::new("x");
        for _ in 0..MAX_PROBLEMS + 3 {
            problems.push(Code::TagCase, Span::new(0, 1), "");
        }
        let warnings = problems.finish();
        let last = warnings.last().expect("one problem counts the rest");
        assert_eq!((last.code, last.is_error()), (Code::TooMany, false));
        assert_eq!(last.help, "3 more problems: correct the listed ones first");

        let mut problems = Problems::new("x");
        for _ in 0..MAX_PROBLEMS {
            problems.push(Code::TagCase, Span::new(0, 1), "");
        }
        problems.push(Code::Contradiction, Span::new(0, 1), "");
        problems.push(Code::TagCase, Span::new(0, 1), "");
        assert!(problems.finish().iter().any(Diagnostic::is_error));
    }

    #[test]
    fn a_misspelt_name_suggests_the_nearest_one() {
        let names = ["uid", "ptid", "hashdate"];
        assert_eq!(nearest("UID", names), Some("uid"));
        assert_eq!(nearest("hasdate", names), Some("hashdate"));
        assert_eq!(nearest("lookup", names), None);
    }
}
