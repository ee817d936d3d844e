//! [`CtpScript`]: the rules, parameters and switches of a script.

use std::collections::{HashMap, HashSet};

use dicom_core::Tag;

use super::expression::Expression;
use super::function::Function;
use super::reference::Step;
use crate::span::Lines;
use crate::syntax::script::{Enabled, Script, Target};

/// How a script is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Mode {
    /// Nothing is kept or written by mistake.
    Strict,
    /// As CTP does, with its faults.
    Compatible,
}

/// A rule of a script.
#[derive(Debug, Clone)]
pub struct CtpRule {
    target: Step,
    line: u32,
    text: String,
    pub(super) expression: Expression,
}

impl CtpRule {
    /// Returns the element that it is for.
    pub fn target(&self) -> &Step {
        &self.target
    }

    /// Returns its line in the script, counted from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Returns its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns true if it adds its element where an object has none: its text begins with `@always()`.
    pub fn inserts(&self) -> bool {
        self.text.starts_with("@always()")
    }

    /// Returns what the rule is, as one word: `keep`, `remove`, `empty`, `process`, or `replace` for one whose
    /// result depends on the object.
    pub fn action(&self) -> &'static str {
        if self.text.is_empty() {
            return "empty";
        }
        match self.expression.only_call() {
            Some(Function::Keep) => "keep",
            Some(Function::Remove) => "remove",
            Some(Function::Empty) => "empty",
            Some(Function::Process) => "process",
            Some(Function::Quarantine) => "quarantine",
            _ => "replace",
        }
    }
}

/// The rules of a CTP script, ready to be evaluated.
///
/// ```
/// use anon_script::ctp::{CtpScript, Facts, LookupTable, Mode, Moment, Outcome, Path, Step, Tables};
/// use anon_script::{Tag, parse};
///
/// /// An object with one Patient ID.
/// #[derive(Debug)]
/// struct Object(&'static str);
///
/// impl Facts for Object {
///     fn text(&self, path: &Path) -> Option<String> {
///         (path.steps == [Step::Tag(Tag(0x0010, 0x0020))]).then(|| self.0.into())
///     }
///     fn has(&self, tag: Tag) -> bool {
///         tag == Tag(0x0010, 0x0020)
///     }
///     fn is_item(&self) -> bool {
///         false
///     }
///     fn now(&self) -> Moment {
///         Moment::default()
///     }
/// }
///
/// #[derive(Debug)]
/// struct NoTables;
///
/// impl Tables for NoTables {
///     fn lookup(&self) -> Option<&LookupTable> {
///         None
///     }
///     fn number(&mut self, _: &str, _: &str) -> Option<u64> {
///         None
///     }
/// }
///
/// let (script, _) = parse(r#"<script>
///   <p t="SITEID">99</p>
///   <e en="T" t="00100020" n="PatientID">@hashptid(@SITEID,this,8)</e>
/// </script>"#);
/// let script = CtpScript::new(&script, Mode::Strict);
/// let rule = script.rule(&Step::Tag(Tag(0x0010, 0x0020))).expect("it is there");
/// let done = script.evaluate(rule, &Object("MRN-12345"), &mut NoTables).expect("a value");
/// assert_eq!(done.outcome, Outcome::Value("21539588".into()));
/// ```
#[derive(Debug, Clone)]
pub struct CtpScript {
    mode: Mode,
    parameters: HashMap<String, String>,
    rules: Vec<CtpRule>,
    aliases: HashMap<String, Step>,
    keep_groups: HashSet<u16>,
    switches: Switches,
}

/// The global switches that are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the script has these four")]
struct Switches {
    private_groups: bool,
    unspecified_elements: bool,
    overlays: bool,
    curves: bool,
}

impl CtpScript {
    /// Reads the rules of a script. Rows that are not enabled do not count. Of two rows for one element, and of
    /// two parameters of one name, the later counts.
    pub fn new(script: &Script, mode: Mode) -> Self {
        let lines = Lines::of(&script.source);
        let params = script.params.iter();
        let mut read = Self {
            mode,
            parameters: params
                .map(|param| (param.name.clone(), param.value.value().to_owned()))
                .collect(),
            rules: Vec::new(),
            aliases: HashMap::new(),
            keep_groups: HashSet::new(),
            switches: Switches::default(),
        };
        for rule in script
            .elements
            .iter()
            .filter(|rule| rule.enabled == Enabled::Yes)
        {
            let target = match rule.target.clone() {
                Target::Tag(tag) => Step::Tag(tag),
                Target::Private {
                    group,
                    creator,
                    element,
                } => Step::Private {
                    group,
                    creator,
                    element,
                },
            };
            if let Some(name) = rule.name.as_ref().filter(|_| is_private(&target)) {
                read.aliases.insert(name.to_lowercase(), target.clone());
            }
            read.rules.push(CtpRule {
                target,
                line: lines.line(rule.span.start),
                text: rule.text.value().to_owned(),
                expression: Expression::parse(rule.text.value()),
            });
        }
        for keep in script
            .keeps
            .iter()
            .filter(|keep| keep.enabled == Enabled::Yes)
        {
            read.keep_groups
                .extend(u16::from_str_radix(&keep.name, 16).ok());
        }
        for remove in script
            .removes
            .iter()
            .filter(|remove| remove.enabled == Enabled::Yes)
        {
            match remove.name.as_str() {
                "privategroups" => read.switches.private_groups = true,
                "unspecifiedelements" => read.switches.unspecified_elements = true,
                "overlays" => read.switches.overlays = true,
                "curves" => read.switches.curves = true,
                _ => {}
            }
        }
        read
    }

    /// Returns how the script is read.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns all rules, in the order of the script.
    pub fn rules(&self) -> &[CtpRule] {
        &self.rules
    }

    /// Returns the rule of an element.
    pub fn rule(&self, target: &Step) -> Option<&CtpRule> {
        self.rules.iter().rev().find(|rule| rule.target == *target)
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub(super) fn alias(&self, name: &str) -> Option<Step> {
        self.aliases.get(name).cloned()
    }

    /// Returns true if the switches remove an element of the root data set or of a processed item, whatever its
    /// rule says. Otherwise its rule decides, and without one it stays.
    pub fn removes(&self, tag: Tag, has_rule: bool) -> bool {
        let is_private = tag.0 % 2 == 1;
        let is_overlay = tag.0 & 0xFF00 == 0x6000;
        let is_curve = tag.0 & 0xFF00 == 0x5000;
        let Switches {
            private_groups,
            unspecified_elements,
            overlays,
            curves,
        } = self.switches;
        let is_exempt = |is_one: bool, is_removed: bool| {
            is_one && !is_removed && !(is_private && private_groups)
        };
        let stays = self.keep_groups.contains(&tag.0)
            || matches!(tag, Tag(0x0008, 0x0016 | 0x0018) | Tag(0x0020, 0x000D))
            || matches!(tag.0, 0x0002 | 0x0028 | 0x7FE0)
            || is_exempt(is_overlay, overlays)
            || is_exempt(is_curve, curves);
        let goes = !has_rule && !stays && (unspecified_elements || (private_groups && is_private));
        let is_stray_curve = is_curve && curves && self.mode == Mode::Strict;
        goes || is_stray_curve || (overlays && is_overlay)
    }
}

fn is_private(target: &Step) -> bool {
    match target {
        Step::Tag(tag) => tag.0 % 2 == 1,
        Step::Private { .. } => true,
    }
}
