//! [`Expression`]: a rule as CTP reads it.
//!
//! ```text
//! rule    = { escape | call | plain }
//! escape  = "\" any                          that character; alone at the end it is dropped
//! call    = "@" name "(" args ")" [ clauses ]
//! name    = everything up to the next "("    blanks in it are dropped
//! clauses = "{" rule "}" [ "{" rule "}" ]    2 for if and select, 1 for append
//! ```
//!
//! The parser of [`syntax`](crate::syntax) reports what is not well written. This one reads it as CTP does: a
//! call without its parentheses drops the rest of the rule, and an unknown name is a text.

use super::function::Function;
use super::java_regex::JavaRegex;

/// The most clauses inside one another. Deeper ones are empty.
const MAX_DEPTH: usize = 32;

/// A parsed rule. Its parts are concatenated from left to right.
#[derive(Debug, Clone, Default)]
pub(super) struct Expression {
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(String),
    Call(Box<Call>),
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) function: Function,
    /// Trimmed, without backslashes, with their quotation marks.
    pub(super) arguments: Vec<String>,
    pub(super) clauses: Vec<Expression>,
    /// The regular expression among the arguments, compiled once. `None`: there is none, it is invalid, or a
    /// parameter has it.
    pub(super) regex: Option<JavaRegex>,
}

impl Expression {
    /// Returns true if a function is called, in clauses too.
    pub(super) fn calls(&self, function: Function) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text(_) => false,
            Part::Call(call) => {
                call.function == function || call.clauses.iter().any(|inner| inner.calls(function))
            }
        })
    }
}

impl Call {
    pub(super) fn argument(&self, at: usize) -> Option<&str> {
        self.arguments.get(at).map(String::as_str)
    }

    /// Returns an argument without the quotation marks around it.
    pub(super) fn unquoted(&self, at: usize) -> Option<&str> {
        self.argument(at).map(unquoted)
    }

    /// Returns the argument list as CTP writes it into an element if it does not fit.
    pub(super) fn list(&self) -> String {
        format!("({})", self.arguments.join(","))
    }
}

/// Returns a text without the quotation marks around it.
pub(super) fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or(text)
}

/// Removes blanks as Java's `String.trim` does.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|char| char <= ' ')
}

impl Expression {
    /// Parses a rule. Every text is a rule.
    pub(super) fn parse(text: &str) -> Self {
        Reader {
            text,
            at: 0,
            depth: 0,
        }
        .expression()
    }

    /// Returns the function of a rule that is one call and nothing else.
    pub(super) fn only_call(&self) -> Option<Function> {
        match self.parts.as_slice() {
            [Part::Call(call)] => Some(call.function),
            _ => None,
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.take();
        }
    }

    fn expression(mut self) -> Expression {
        let mut parts = Vec::new();
        let mut text = String::new();
        while let Some(char) = self.take() {
            match char {
                '\\' => text.extend(self.take()),
                '@' => {
                    let Some((name, arguments)) = self.call() else {
                        break;
                    };
                    let Some(function) = Function::named(&name) else {
                        text.extend(["@", &name, "(", &arguments.join(","), ")"]);
                        continue;
                    };
                    push(&mut parts, &mut text);
                    let clauses = self.clauses(function.clauses());
                    let is_whole = clauses.len() == function.clauses();
                    parts.push(Part::Call(Box::new(Call {
                        function,
                        regex: regex(function, &arguments),
                        arguments,
                        clauses,
                    })));
                    if !is_whole {
                        break;
                    }
                }
                char => text.push(char),
            }
        }
        push(&mut parts, &mut text);
        Expression { parts }
    }

    /// Parses a name and its arguments. `None` if one of the parentheses is missing.
    fn call(&mut self) -> Option<(String, Vec<String>)> {
        let (name, _) = self.rest().split_once('(')?;
        let length = name.len() + 1;
        let name = name.chars().filter(|char| !char.is_whitespace()).collect();
        self.at += length;
        let mut arguments = Vec::new();
        loop {
            self.skip_blanks();
            if self.peek()? == ')' {
                self.at += 1;
                return Some((name, arguments));
            }
            let (argument, is_last) = self.argument()?;
            arguments.push(argument);
            if is_last {
                return Some((name, arguments));
            }
        }
    }

    /// Parses one argument. `None` if nothing ends it.
    fn argument(&mut self) -> Option<(String, bool)> {
        let mut argument = String::new();
        let (mut is_quoted, mut square, mut round) = (false, 0_u32, 0_u32);
        loop {
            let written = self.take()?;
            // A backslash protects from ending the argument. The character still counts as a bracket or quotation mark.
            let (char, is_escaped) = match written {
                '\\' => (self.take()?, true),
                char => (char, false),
            };
            match char {
                '"' => is_quoted = !is_quoted,
                _ if is_quoted => {}
                ',' | ')' if !is_escaped && square == 0 && round == 0 => {
                    return Some((trim(&argument).to_owned(), char == ')'));
                }
                '[' => square += 1,
                ']' => square = square.saturating_sub(1),
                '(' => round += 1,
                ')' => round = round.saturating_sub(1),
                _ => {}
            }
            argument.push(char);
        }
    }

    fn clauses(&mut self, most: usize) -> Vec<Expression> {
        let mut clauses = Vec::new();
        while clauses.len() < most {
            self.skip_blanks();
            let Some(clause) = self.clause() else { break };
            clauses.push(clause);
        }
        clauses
    }

    /// Parses `{…}`. Braces count even inside quotation marks and behind a backslash.
    fn clause(&mut self) -> Option<Expression> {
        let mut open = 0_u32;
        let mut end = None;
        for (at, char) in self.rest().char_indices() {
            match char {
                '{' => open += 1,
                '}' => open = open.saturating_sub(1),
                _ => {}
            }
            if open == 0 {
                end = (char == '}').then_some(at);
                break;
            }
        }
        let end = end?;
        let body = trim(self.rest().get(1..end)?).to_owned();
        self.at += end + 1;
        if self.depth == MAX_DEPTH {
            return Some(Expression::default());
        }
        let inner = Reader {
            text: &body,
            at: 0,
            depth: self.depth + 1,
        };
        Some(inner.expression())
    }
}

fn push(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text)));
    }
}

/// Compiles the regular expression among the arguments of a call.
fn regex(function: Function, arguments: &[String]) -> Option<JavaRegex> {
    let at = |at: usize| arguments.get(at).map(|text| unquoted(text));
    match function {
        Function::Contents => JavaRegex::compile(at(1)?),
        Function::Lookup if at(2) == Some("ignore") => JavaRegex::compile(at(3)?),
        Function::If if at(1) == Some("matches") => {
            let pattern = at(2).filter(|pattern| !pattern.starts_with('@'))?;
            JavaRegex::compile(trim(pattern))
        }
        _ => None,
    }
}
