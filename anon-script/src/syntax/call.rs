//! [`Expression`]: the parsed text of a rule.
//!
//! ```text
//! rule    = { escape | call | word | plain }
//! escape  = "\" any                             the character itself
//! call    = "@" name "(" [ arg { "," arg } ] ")" [ clauses ]
//! word    = "@" name                            no parenthesis: an operation of the rsna dialect
//! clauses = "{" rule "}" [ "{" rule "}" ]       2 for if and select, 1 for append
//! ```
//!
//! In CTP a name extends to the next parenthesis, and the rest of the rule is dropped if there is
//! none. Here a name consists of letters, digits and `_`, so that both dialects can be
//! distinguished and nothing is dropped without a message.

use super::element::ElementRef;
use crate::diagnostic::{Code, Problems};
use crate::span::{Span, Text};

const BACKSLASH: &str = "write \\\\ for a backslash";

/// The most clauses inside one another.
const MAX_DEPTH: usize = 32;

/// A rule. Its parts are concatenated from left to right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Expression {
    /// The parts.
    pub parts: Vec<Part>,
}

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum Part {
    /// Literal text, with its escapes resolved.
    Literal {
        /// The text.
        text: String,
        /// Where it is in the script.
        span: Span,
    },
    /// `@name` without a parenthesis.
    Word {
        /// The name.
        name: String,
        /// Where it is, including the `@`.
        span: Span,
    },
    /// `@name(…)`.
    Call(Call),
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The name.
    pub name: String,
    /// Where `@name` is.
    pub name_span: Span,
    /// Where the whole call is.
    pub span: Span,
    /// The arguments.
    pub arguments: Vec<Argument>,
    /// The clauses that follow it.
    pub clauses: Vec<Clause>,
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Argument {
    /// Its text, trimmed, with escapes resolved and with its quotation marks.
    pub text: String,
    /// Where it is.
    pub span: Span,
}

impl Argument {
    /// Returns the text without the quotation marks around it.
    pub fn unquoted(&self) -> &str {
        let inner = self
            .text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        inner.unwrap_or(&self.text)
    }

    /// Returns the name of the parameter that it refers to as `@NAME` or `$NAME`.
    pub fn parameter(&self) -> Option<&str> {
        self.text.strip_prefix(['@', '$'])
    }

    /// Returns the element that it refers to. `None` if it is not written as one.
    pub fn element(&self) -> Option<ElementRef> {
        ElementRef::parse(&self.text)
    }
}

/// A clause: `{…}` after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Clause {
    /// Its content.
    pub body: Expression,
    /// Where it is, including the braces.
    pub span: Span,
}

/// Parses a rule. Reports what cannot be parsed, and parses the rest.
pub(crate) fn read(text: &Text, problems: &mut Problems<'_>) -> Expression {
    let mut reader = Reader {
        text,
        at: 0,
        end: text.value().len(),
        depth: 0,
        problems,
    };
    reader.expression()
}

struct Reader<'r, 't> {
    text: &'r Text,
    at: usize,
    end: usize,
    depth: usize,
    problems: &'r mut Problems<'t>,
}

impl Reader<'_, '_> {
    fn peek(&self) -> Option<char> {
        self.text.value().get(self.at..self.end)?.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn slice(&self, start: usize, end: usize) -> &str {
        self.text.value().get(start..end).unwrap_or("")
    }

    fn span(&self, start: usize, end: usize) -> Span {
        self.text.span(Span::new(start, end))
    }

    fn problem(&mut self, code: Code, start: usize, end: usize, help: &str) {
        let span = self.span(start, end);
        self.problems.push(code, span, help);
    }

    fn expression(&mut self) -> Expression {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut literal_at = self.at;
        while let Some(char) = self.peek() {
            if char == '@' {
                let span = self.span(literal_at, self.at);
                push_literal(&mut parts, &mut literal, span);
                parts.push(self.call());
                literal_at = self.at;
                continue;
            }
            self.at += char.len_utf8();
            if char != '\\' {
                literal.push(char);
            } else if let Some(escaped) = self.take() {
                literal.push(escaped);
                if escaped.is_alphanumeric() {
                    let start = self.at - escaped.len_utf8() - 1;
                    self.problem(Code::StrayEscape, start, self.at, BACKSLASH);
                }
            } else {
                self.problem(Code::LoneEscape, self.at - 1, self.at, BACKSLASH);
            }
        }
        let span = self.span(literal_at, self.at);
        push_literal(&mut parts, &mut literal, span);
        Expression { parts }
    }

    /// Parses from an `@`.
    fn call(&mut self) -> Part {
        let start = self.at;
        self.at += 1;
        self.skip_blanks();
        let name_at = self.at;
        while self
            .peek()
            .is_some_and(|char| char.is_alphanumeric() || char == '_')
        {
            self.take();
        }
        let name = self.slice(name_at, self.at).to_owned();
        let name_end = self.at;
        self.skip_blanks();
        if self.peek() != Some('(') {
            self.at = name_end;
            let span = self.span(start, name_end);
            return Part::Word { name, span };
        }
        self.at += 1;
        let arguments = self.arguments(start);
        let clauses = self.clauses(&name);
        Part::Call(Call {
            name,
            name_span: self.span(start, name_end),
            span: self.span(start, self.at),
            arguments,
            clauses,
        })
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.take();
        }
    }

    /// Parses from behind the opening parenthesis of the call that begins at `call`.
    fn arguments(&mut self, call: usize) -> Vec<Argument> {
        let mut arguments = Vec::new();
        loop {
            self.skip_blanks();
            if self.peek() == Some(')') {
                self.at += 1;
                return arguments;
            }
            let (argument, closed_by) = self.argument();
            arguments.push(argument);
            match closed_by {
                Some(',') => {}
                Some(_) => return arguments,
                None => {
                    self.problem(Code::OpenCall, call, self.end, "add the missing `)`");
                    return arguments;
                }
            }
        }
    }

    /// Parses one argument. Returns the character that ends it: `,`, `)`, or `None` at the end of
    /// the text.
    fn argument(&mut self) -> (Argument, Option<char>) {
        let start = self.at;
        let mut collected = String::new();
        let (mut quoted, mut square, mut round) = (None::<usize>, 0_u32, 0_u32);
        let mut closed_by = None;
        while let Some(written) = self.take() {
            // An escaped character cannot end the argument. It still counts as a bracket or a
            // quote.
            let (char, is_escaped) = match written {
                '\\' => match self.take() {
                    Some(escaped) => (escaped, true),
                    None => break,
                },
                char => (char, false),
            };
            match char {
                '"' => quoted = quoted.xor(Some(self.at - 1)),
                _ if quoted.is_some() => {}
                ',' | ')' if !is_escaped && square == 0 && round == 0 => {
                    closed_by = Some(char);
                    break;
                }
                '[' => square += 1,
                ']' => square = square.saturating_sub(1),
                '(' => round += 1,
                ')' => round = round.saturating_sub(1),
                _ => {}
            }
            collected.push(char);
        }
        if let Some(at) = quoted {
            self.problem(Code::OpenQuote, at, self.at, "add the missing `\"`");
        }
        let end = self.at - closed_by.map_or(0, char::len_utf8);
        let argument = Argument {
            text: collected.trim().into(),
            span: self.span(start, end),
        };
        (argument, closed_by)
    }

    fn clauses(&mut self, name: &str) -> Vec<Clause> {
        let most = match name {
            "if" | "select" => 2,
            "append" => 1,
            _ => 0,
        };
        let mut clauses = Vec::new();
        for _ in 0..most {
            let before = self.at;
            self.skip_blanks();
            if self.peek() != Some('{') {
                self.at = before;
                break;
            }
            clauses.push(self.clause());
        }
        clauses
    }

    /// Parses from a `{`. As in CTP, braces count even inside quotes and after a backslash.
    fn clause(&mut self) -> Clause {
        let start = self.at;
        let mut open = 0_u32;
        while let Some(char) = self.take() {
            match char {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        if open > 0 {
            self.problem(Code::OpenClause, start, self.at, "add the missing `}`");
        }
        let close = self.at - usize::from(open == 0);
        let body = self.slice(start + 1, close);
        let begin = start + 1 + (body.len() - body.trim_start().len());
        let end = begin + body.trim().len();
        Clause {
            body: self.body(begin, end),
            span: self.span(start, self.at),
        }
    }

    fn body(&mut self, begin: usize, end: usize) -> Expression {
        if self.depth == MAX_DEPTH {
            let help = format!("at most {MAX_DEPTH} clauses inside one another");
            self.problem(Code::TooDeep, begin, end, &help);
            return Expression::default();
        }
        let mut inner = Reader {
            text: self.text,
            at: begin,
            end,
            depth: self.depth + 1,
            problems: &mut *self.problems,
        };
        inner.expression()
    }
}

fn push_literal(parts: &mut Vec<Part>, literal: &mut String, span: Span) {
    if !literal.is_empty() {
        let text = std::mem::take(literal);
        parts.push(Part::Literal { text, span });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Vec<Part>, Vec<Code>) {
        let mut problems = Problems::new(text);
        let expression = read(&Text::verbatim(text, 0), &mut problems);
        let problems = problems.finish();
        (
            expression.parts,
            problems.iter().map(|problem| problem.code).collect(),
        )
    }

    #[track_caller]
    fn arguments(text: &str, expect: &[&str]) {
        let (parts, problems) = parts(text);
        assert_eq!(problems, [], "{text}");
        let [Part::Call(call)] = parts.as_slice() else {
            panic!("{text} is not one call: {parts:?}");
        };
        let found: Vec<_> = call
            .arguments
            .iter()
            .map(|argument| argument.text.as_str())
            .collect();
        assert_eq!(found, expect, "{text}");
        assert_eq!(call.span.of(text), text);
    }

    #[test]
    fn arguments_end_where_ctp_ends_them() {
        arguments("@f()", &[]);
        arguments("@f( )", &[]);
        arguments("@f(a,)", &["a"]);
        arguments("@f(,a)", &["", "a"]);
        arguments("@f(a, b ,\"c,d\")", &["a", "b", "\"c,d\""]);
        arguments("@f([0008,0020],(x,y))", &["[0008,0020]", "(x,y)"]);
        arguments(r"@f(a\,b)", &["a,b"]);
        arguments(
            r#"@contents(PatientName,"\\^"," ")"#,
            &["PatientName", r#""\^""#, "\" \""],
        );
        arguments("@ f (this)", &["this"]);
        // An escaped quotation mark still opens and closes a quotation.
        arguments(r#"@f("a\"b,c)"#, &[r#""a"b"#, "c"]);
        arguments(r"@f(\(a,b),c)", &["(a,b)", "c"]);
    }

    #[test]
    fn a_word_splits_the_text_around_it() {
        let (found, problems) = parts(r"a\@b @uid c");
        assert_eq!(problems, []);
        let [
            Part::Literal { text, .. },
            Part::Word { name, .. },
            Part::Literal { text: rest, .. },
        ] = found.as_slice()
        else {
            panic!("{found:?}");
        };
        assert_eq!(
            (text.as_str(), name.as_str(), rest.as_str()),
            ("a@b ", "uid", " c")
        );
    }

    #[test]
    fn clauses_nest() {
        let text = "@if(X,exists){ @if(Y,isblank){a}{b} }{c} tail";
        let (found, problems) = parts(text);
        assert_eq!(problems, []);
        let [Part::Call(call), Part::Literal { text: tail, .. }] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(tail, " tail");
        assert_eq!(call.clauses.len(), 2);
        assert!(matches!(
            call.clauses[0].body.parts.as_slice(),
            [Part::Call(_)]
        ));
    }

    #[test]
    fn unclosed_calls_quotes_and_clauses_are_reported() {
        assert_eq!(parts("@f(a").1, [Code::OpenCall]);
        assert_eq!(parts("@f(\"a)").1, [Code::OpenCall, Code::OpenQuote]);
        assert_eq!(parts("@if(a,b){c").1, [Code::OpenClause]);
        assert_eq!(parts("a\\").1, [Code::LoneEscape]);
        let deep = format!("{}x{}", "@append(){".repeat(200), "}".repeat(200));
        assert_eq!(parts(&deep).1, [Code::TooDeep]);
    }
}
