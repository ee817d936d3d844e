//! Evaluates rules: [`Evaluator`].

mod dates;
mod hashes;

use super::expression::{Call, Expression, Part, trim, unquoted};
use super::function::Function;
use super::java_regex::JavaRegex;
use super::reference::{From, Path, Step};
use super::script::{CtpRule, CtpScript, Mode};
use super::{Facts, Tables, words};

/// The longest number that `@integer` writes.
const MAX_WIDTH: usize = 64;

/// The most blanks that `@blank(n)` writes.
const MAX_BLANKS: usize = 55;

/// Why an object is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "CTP has these two")]
pub enum Stop {
    /// It is quarantined. The words hold no value of the object.
    #[error("{0}")]
    Quarantine(&'static str),
    /// CTP passes it on as it is.
    #[error("the script passes the object on as it is")]
    Skip,
}

/// What is to be done with the element of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The element stays.
    Keep,
    /// The element stays, and the rules are applied to each of its items.
    Items,
    /// The element goes.
    Remove,
    /// The element stays without a value.
    Empty,
    /// The element gets this text.
    Value(String),
}

/// The result of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluated {
    /// The text of the rule, before commands such as `@remove()` are obeyed.
    pub text: String,
    /// What it means for the element.
    pub outcome: Outcome,
}

impl CtpScript {
    /// Evaluates a rule for one object.
    ///
    /// # Errors
    /// [`Stop`] if the object is not to be stored. Its words hold no value of the object.
    pub fn evaluate(
        &self,
        rule: &CtpRule,
        facts: &dyn Facts,
        tables: &mut dyn Tables,
    ) -> Result<Evaluated, Stop> {
        Evaluator::new(self, facts, tables).rule(rule)
    }
}

/// Evaluates the rules of one element.
#[derive(Debug)]
struct Evaluator<'e> {
    script: &'e CtpScript,
    facts: &'e dyn Facts,
    tables: &'e mut dyn Tables,
    /// The element of the rule.
    this: Step,
    depth: usize,
    /// How many rules of other elements were evaluated.
    asked: usize,
    /// The commands that the rule itself gave, not the values that it read.
    commands: Vec<Function>,
}

type Text = Result<String, Stop>;

impl<'e> Evaluator<'e> {
    fn new(script: &'e CtpScript, facts: &'e dyn Facts, tables: &'e mut dyn Tables) -> Self {
        Self {
            script,
            facts,
            tables,
            this: Step::Tag(dicom_core::Tag(0, 0)),
            depth: 0,
            asked: 0,
            commands: Vec::new(),
        }
    }

    fn rule(mut self, rule: &CtpRule) -> Result<Evaluated, Stop> {
        self.this = rule.target().clone();
        let text = self.expression(&rule.expression)?;
        let outcome = self.outcome(&text)?;
        Ok(Evaluated { text, outcome })
    }

    fn is_strict(&self) -> bool {
        self.script.mode() == Mode::Strict
    }

    /// Returns what a result means. In strict mode only commands of the rule itself count.
    fn outcome(&self, result: &str) -> Result<Outcome, Stop> {
        let text = trim(result);
        let gave = |command| !self.is_strict() || self.commands.contains(&command);
        if text.contains("@remove()") && gave(Function::Remove) {
            return Ok(Outcome::Remove);
        }
        if text == "@keep()" && gave(Function::Keep) {
            let is_processed = self.commands.contains(&Function::Process);
            return Ok(if is_processed {
                Outcome::Items
            } else {
                Outcome::Keep
            });
        }
        if let Some(blanks) = text
            .strip_prefix("@blank(")
            .filter(|_| gave(Function::Blank))
        {
            let digits: String = blanks
                .chars()
                .take_while(|char| *char != ')')
                .filter(char::is_ascii_digit)
                .collect();
            let count = digits
                .parse()
                .map_or(0, |count: usize| count.min(MAX_BLANKS));
            return Ok(match count {
                0 => Outcome::Empty,
                count => Outcome::Value(" ".repeat(count)),
            });
        }
        let is_empty = text == "@empty()" && gave(Function::Empty);
        if is_empty || text.is_empty() {
            return Ok(Outcome::Empty);
        }
        let is_mixed = [Function::Keep, Function::Empty, Function::Blank]
            .iter()
            .any(|command| self.commands.contains(command));
        if self.is_strict() && is_mixed {
            return Err(Stop::Quarantine(
                "a rule of the script has a text beside @keep(), @empty() or @blank()",
            ));
        }
        Ok(Outcome::Value(text.to_owned()))
    }

    fn expression(&mut self, expression: &Expression) -> Text {
        let mut text = String::new();
        for part in &expression.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Call(call) => text.push_str(&self.call(call)?),
            }
        }
        Ok(text)
    }

    fn call(&mut self, call: &Call) -> Text {
        match call.function {
            Function::Keep => Ok(self.command(call.function, &format!("@keep{}", call.list()))),
            Function::Remove => Ok(self.command(call.function, &format!("@remove{}", call.list()))),
            Function::Empty => Ok(self.command(call.function, &format!("@empty{}", call.list()))),
            Function::Blank => Ok(self.command(call.function, &format!("@blank{}", call.list()))),
            Function::Quarantine => Err(Stop::Quarantine("the script quarantines the object")),
            Function::Skip if self.is_strict() => Err(Stop::Quarantine(
                "the script would pass the object on as it is",
            )),
            Function::Skip => Err(Stop::Skip),
            Function::Call => Err(Stop::Quarantine("the script calls a plug-in of CTP")),
            Function::Always => Ok(String::new()),
            Function::Process => self.process(),
            Function::If | Function::Select => self.choose(call),
            Function::Append => self.append(call),
            Function::Require => Ok(self.require(call)),
            Function::Date | Function::Time => Ok(self.now(call)),
            Function::Param => self.param(call),
            Function::Lookup => self.lookup(call),
            Function::Integer => self.integer(call),
            Function::Hash | Function::HashName | Function::HashPatientId | Function::HashUid => {
                self.hash(call)
            }
            Function::HashDate | Function::IncrementDate | Function::ModifyDate => self.date(call),
            Function::DateInterval => self.date_interval(call),
            Function::Encrypt | Function::Decrypt => self.encrypt(call),
            Function::Contents
            | Function::Value
            | Function::Truncate
            | Function::LowerCase
            | Function::UpperCase
            | Function::Initials
            | Function::Round
            | Function::PathElement => self.words(call),
        }
    }

    /// Notes a command of the rule, and returns its text.
    fn command(&mut self, command: Function, text: &str) -> String {
        self.commands.push(command);
        text.to_owned()
    }

    /// What CTP writes if the arguments of a function do not fit it.
    fn misfit(&self, call: &Call) -> Text {
        if self.is_strict() {
            Err(Stop::Quarantine(
                "the arguments of a function of the script do not fit it",
            ))
        } else {
            Ok(call.list())
        }
    }

    /// Returns an argument that a function cannot do without.
    fn required(call: &Call, at: usize) -> Result<&str, Stop> {
        let missing = Stop::Quarantine("a function of the script lacks an argument");
        call.argument(at).ok_or(missing)
    }

    fn path(&self, reference: &str) -> Option<Path> {
        Path::parse(reference, &self.this, |name| self.script.alias(name))
    }

    /// Returns the text of an element. `None` if the object has no such element, or if the name is unknown.
    fn read(&self, reference: &str) -> Option<String> {
        self.facts.text(&self.path(reference)?)
    }

    /// Resolves `@NAME` and `$NAME`. `None` if the parameter is not defined.
    fn resolve<'s>(&'s self, argument: &'s str) -> Option<&'s str> {
        match argument.strip_prefix(['@', '$']) {
            Some(name) => self.script.parameter(name),
            None => Some(argument),
        }
    }

    /// Returns an integer argument. `None` if there is none or if it is none.
    fn number(&self, call: &Call, at: usize) -> Option<i32> {
        words::integer(self.resolve(call.argument(at)?)?)
    }

    /// Returns true if the data set at hand has the element that the rule is for.
    fn has_this(&self) -> bool {
        match &self.this {
            Step::Tag(tag) => self.facts.has(*tag),
            step @ Step::Private { .. } => {
                let path = Path {
                    from: From::Here,
                    steps: vec![step.clone()],
                };
                self.facts.text(&path).is_some()
            }
        }
    }

    fn process(&mut self) -> Text {
        if !self.has_this() {
            return Err(Stop::Quarantine(
                "the script processes a sequence that is not there",
            ));
        }
        self.commands.push(Function::Process);
        Ok(self.command(Function::Keep, "@keep()"))
    }

    fn choose(&mut self, call: &Call) -> Text {
        let is_first = match call.function {
            Function::Select => !self.facts.is_item(),
            _ => self.test(call)?,
        };
        match call.clauses.get(usize::from(!is_first)) {
            Some(clause) => self.expression(clause),
            None => Ok(String::new()),
        }
    }

    fn test(&self, call: &Call) -> Result<bool, Stop> {
        let reference = call.unquoted(0).unwrap_or("");
        let Some(test) = call.argument(1) else {
            return Ok(false);
        };
        let value = self.read(reference).unwrap_or_default();
        match test {
            "isblank" => return Ok(trim(&value).is_empty()),
            "exists" => {
                let tag = self.path(reference).and_then(|path| path.plain());
                // Elements of the file meta information are not in the data set.
                return Ok(tag.is_some_and(|tag| tag.0 >= 8 && self.facts.has(tag)));
            }
            _ => {}
        }
        let Some(other) = call.argument(2).map(|other| self.compared(unquoted(other))) else {
            return Ok(false);
        };
        Ok(match test {
            "equals" => value.to_lowercase() == other.to_lowercase(),
            "contains" => value.to_lowercase().contains(&other.to_lowercase()),
            "greaterthan" => words::is_greater(&value, other),
            "matches" => is_match(call, trim(other), &value)?,
            _ => false,
        })
    }

    /// Resolves a parameter, if there is one of this name.
    fn compared<'s>(&'s self, other: &'s str) -> &'s str {
        let parameter = other.strip_prefix('@');
        parameter
            .and_then(|name| self.script.parameter(name))
            .unwrap_or(other)
    }

    fn append(&mut self, call: &Call) -> Text {
        let Some(clause) = call.clauses.first() else {
            return Ok(String::new());
        };
        let added = self.expression(clause)?;
        let path = Path {
            from: From::Here,
            steps: vec![self.this.clone()],
        };
        let value = self.facts.text(&path).filter(|value| !value.is_empty());
        Ok(value.map_or(added.clone(), |value| format!("{value}\\{added}")))
    }

    fn require(&mut self, call: &Call) -> String {
        if self.has_this() {
            return self.command(Function::Keep, "@keep()");
        }
        let Some(reference) = call.argument(0) else {
            return String::new();
        };
        let default = call.unquoted(1).unwrap_or("");
        let value = self.read(reference).unwrap_or_else(|| default.to_owned());
        if trim(&value).is_empty() {
            let text = format!("@blank({})", value.chars().count());
            return self.command(Function::Blank, &text);
        }
        value
    }

    fn now(&self, call: &Call) -> String {
        let separator = call.unquoted(0).unwrap_or("");
        let now = self.facts.now();
        let (first, second, third) = match call.function {
            Function::Date => (format!("{:04}", now.year), now.month, now.day),
            _ => (format!("{:02}", now.hour), now.minute, now.second),
        };
        format!("{first}{separator}{second:02}{separator}{third:02}")
    }

    fn param(&self, call: &Call) -> Text {
        match self.resolve(Self::required(call, 0)?) {
            Some(value) => Ok(value.to_owned()),
            None if self.is_strict() => {
                Err(Stop::Quarantine("a parameter of the script is not defined"))
            }
            None => Ok("null".to_owned()),
        }
    }

    /// Returns the values of the elements of a list `A|B`, as the key of a lookup.
    fn key(&self, references: &str) -> String {
        let values: Vec<String> = references
            .split('|')
            .map(|reference| self.read(reference).unwrap_or_default())
            .collect();
        trim(&values.join("|").replace('\\', "")).to_owned()
    }

    fn lookup(&mut self, call: &Call) -> Text {
        let mut key = self.key(Self::required(call, 0)?);
        let kind = Self::required(call, 1)?;
        if call.argument(2) == Some("UC") {
            key = key.to_uppercase();
        }
        let table = self.tables.lookup();
        if let Some(found) = table.and_then(|table| table.find(kind, &key)) {
            return Ok(found.to_owned());
        }
        let failed = Err(Stop::Quarantine("a value has no entry in the lookup table"));
        match call.unquoted(2) {
            Some("keep") => Ok(self.command(Function::Keep, "@keep()")),
            Some("remove") => Ok(self.command(Function::Remove, "@remove()")),
            Some("empty") => Ok(self.command(Function::Empty, "@empty()")),
            Some("default") => call.unquoted(3).map_or(failed, |text| Ok(text.to_owned())),
            Some("ignore") => match call.unquoted(3) {
                Some(pattern) if is_match(call, pattern, &key)? => Ok(key),
                _ => failed,
            },
            _ => failed,
        }
    }

    fn integer(&mut self, call: &Call) -> Text {
        let text = self.read(Self::required(call, 0)?).unwrap_or_default();
        let kind = Self::required(call, 1)?;
        let number = self.tables.number(trim(kind), trim(&text));
        let number = number.ok_or(Stop::Quarantine("there is no table of numbers"))?;
        let width = call.argument(2).and_then(words::integer);
        let width = width
            .and_then(|width| usize::try_from(width).ok())
            .unwrap_or(0);

        Ok(format!("{number:0>width$}", width = width.min(MAX_WIDTH)))
    }

    /// The functions that change the text of one element.
    fn words(&self, call: &Call) -> Text {
        let read = self.read(Self::required(call, 0)?);
        let is_missing = read.is_none();
        let value = read.unwrap_or_default();
        Ok(match call.function {
            Function::Value if is_missing || value.is_empty() => {
                call.unquoted(1).unwrap_or("").to_owned()
            }
            Function::Contents => return contents(call, value),
            Function::LowerCase => value.to_lowercase(),
            Function::UpperCase => value.to_uppercase(),
            Function::Initials => {
                let offset = call.argument(1).and_then(words::integer);
                words::initials(&value, offset.unwrap_or(0))
            }
            Function::Truncate => match words::integer(Self::required(call, 1)?) {
                Some(count) => words::truncate(&value, count),
                None => value,
            },
            Function::Round if trim(&value).is_empty() => String::new(),
            Function::Round => {
                let size = self.number(call, 1);
                let rounded = size.and_then(|size| words::round(&value, size));
                return rounded.map_or_else(|| self.misfit(call), Ok);
            }
            Function::PathElement => {
                words::path_element(&value, call.argument(1).and_then(words::integer))
            }
            _ => value,
        })
    }
}

fn contents(call: &Call, value: String) -> Text {
    let replacement = match call.arguments.len() {
        1 => return Ok(value),
        2 => "",
        3 => call.unquoted(2).unwrap_or(""),
        _ => return Ok(String::new()),
    };
    let regex = call.regex.as_ref();
    let replaced = regex.and_then(|regex| regex.replace_all(&value, replacement));
    replaced.ok_or(Stop::Quarantine(
        "a regular expression of the script is invalid",
    ))
}

/// Returns true if a pattern matches the whole text.
fn is_match(call: &Call, pattern: &str, text: &str) -> Result<bool, Stop> {
    let compiled;
    let regex = if call.regex.is_some() {
        call.regex.as_ref()
    } else {
        compiled = JavaRegex::compile(pattern);
        compiled.as_ref()
    };
    let found = regex.and_then(|regex| regex.is_whole(text));
    found.ok_or(Stop::Quarantine(
        "a regular expression of the script is invalid",
    ))
}
