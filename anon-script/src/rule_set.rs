//! [`RuleSet`]: compiled rules, found by tag in constant time.
//!
//! ```text
//! group ──► index of its table ──► element / 256 ──► page ──► element % 256 ──► code ──► action
//!           0: no rule                0: no rule                0: no rule        actions[code]
//! ```
//!
//! Code 0 is [`Action::Remove`], so that an element that no rule names is removed.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use dicom_core::Tag;
use sha2::{Digest, Sha256};

use crate::builtin::SCRIPT_METHOD;
use crate::rules::{Action, Element, Method, Rules};

const SPAN: usize = 256;
const GROUPS: usize = 1 << 16;

/// One rule as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The element it is for, at every depth.
    pub tag: Tag,
    /// What is done.
    pub action: Action,
    /// The line of the script, from 1; none in a built-in set.
    pub line: Option<u32>,
}

impl Row {
    /// A rule that no script holds.
    pub const fn new(tag: Tag, action: Action) -> Self {
        Self {
            tag,
            action,
            line: None,
        }
    }

    /// A rule from this line of a script, counted from 1.
    #[must_use]
    pub const fn at_line(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }
}

impl Row {
    /// The rule as the rsna dialect writes it, such as `@round(this,5)`; a constant with its
    /// backslashes and `@` escaped.
    pub fn operation(&self) -> String {
        operation(&self.action)
    }
}

/// Compiled rules: total, and found by tag in constant time.
///
/// ```
/// use anon_script::{Action, Element, Rules, Tag};
///
/// let rules = anon_script::builtin("rsna-v17").expect("it is built in");
/// assert_eq!(rules.action(Element::root(Tag(0x0020, 0x000D))), &Action::Uid);
/// assert_eq!(rules.action(Element::nested(Tag(0x0040, 0xA123), 2)), &Action::Remove);
/// ```
#[derive(Clone)]
pub struct RuleSet {
    name: Arc<str>,
    text: Arc<str>,
    method: Method,
    digest: [u8; 32],
    /// Sorted by tag, each tag once.
    rows: Vec<Row>,
    /// By group: which of `groups`; 0 is the table without a rule.
    index: Box<[u8; GROUPS]>,
    /// By the high byte of the element: which of `pages`; 0 is the page without a rule.
    groups: Box<[[u16; SPAN]; SPAN]>,
    /// How many of `groups` have rules.
    used: u8,
    /// By the low byte of the element: which of `actions`.
    pages: Vec<[u16; SPAN]>,
    actions: Vec<Action>,
}

/// More groups have a rule than a rule set can hold (255).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rules for more than 255 groups")]
pub struct TooManyGroups;

impl RuleSet {
    /// Compiles rules. Of two rows for one tag the later counts. Blanks at the ends of a constant
    /// do not count, and a constant of blanks alone is [`Action::Empty`].
    ///
    /// # Errors
    /// [`TooManyGroups`] if the rows name more than 255 different groups.
    pub fn new(name: &str, method: Method, rows: Vec<Row>) -> Result<Self, TooManyGroups> {
        let rows = sorted(rows);
        let mut set = Self {
            name: name.into(),
            text: to_text(&rows, &method).into(),
            digest: digest(&rows, &method),
            method,
            rows: Vec::new(),
            index: table(0),
            groups: table([0; SPAN]),
            used: 0,
            pages: vec![[0; SPAN]],
            actions: vec![Action::Remove],
        };
        let mut codes = HashMap::from([(Action::Remove, 0)]);
        for row in &rows {
            let code = *codes.entry(row.action.clone()).or_insert_with(|| {
                set.actions.push(row.action.clone());
                // A row each at most, and a script holds fewer than 65,535 tags of 255 groups only
                // by naming each once: `sorted` has seen to that, and `place` checks the code.
                set.actions.len() - 1
            });
            set.place(row.tag, code)?;
        }
        set.rows = rows;
        Ok(set)
    }

    fn place(&mut self, tag: Tag, code: usize) -> Result<(), TooManyGroups> {
        let code = u16::try_from(code).map_err(|_| TooManyGroups)?;
        let [high, low] = tag.1.to_be_bytes();
        let Some(slot) = self.index.get_mut(usize::from(tag.0)) else {
            return Err(TooManyGroups);
        };
        if *slot == 0 {
            self.used = self.used.checked_add(1).ok_or(TooManyGroups)?;
            *slot = self.used;
        }
        let group = self
            .groups
            .get_mut(usize::from(*slot))
            .ok_or(TooManyGroups)?;
        let page = group.get_mut(usize::from(high)).ok_or(TooManyGroups)?;
        if *page == 0 {
            *page = u16::try_from(self.pages.len()).map_err(|_| TooManyGroups)?;
            self.pages.push([0; SPAN]);
        }
        let page = self
            .pages
            .get_mut(usize::from(*page))
            .ok_or(TooManyGroups)?;
        if let Some(place) = page.get_mut(usize::from(low)) {
            *place = code;
        }
        Ok(())
    }

    /// The rules as written, in the order of their tags.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rule for a tag, if one names it.
    pub fn row(&self, tag: Tag) -> Option<&Row> {
        let found = self.rows.binary_search_by_key(&tag, |row| row.tag).ok()?;
        self.rows.get(found)
    }

    /// The same rules under another name, such as that of the file they came from.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }
}

impl Rules for RuleSet {
    #[inline]
    fn action(&self, element: Element) -> &Action {
        let [high, low] = element.tag.1.to_be_bytes();
        self.index
            .get(usize::from(element.tag.0))
            .and_then(|group| self.groups.get(usize::from(*group)))
            .and_then(|group| group.get(usize::from(high)))
            .and_then(|page| self.pages.get(usize::from(*page)))
            .and_then(|page| page.get(usize::from(low)))
            .and_then(|code| self.actions.get(usize::from(*code)))
            .unwrap_or(&Action::Remove)
    }

    fn method(&self) -> &Method {
        &self.method
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleSet({}, {} rules)", self.name, self.rows.len())
    }
}

/// A table of this value, made on the heap.
#[expect(clippy::unnecessary_box_returns, reason = "too large for a stack")]
fn table<T: Clone, const N: usize>(value: T) -> Box<[T; N]> {
    let table: Result<Box<[T; N]>, _> = vec![value; N].into_boxed_slice().try_into();
    table.unwrap_or_else(|_| unreachable!("N values"))
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    for row in &mut rows {
        // In a script's text such blanks would be lost, and a row without text keeps the element.
        if let Action::Replace(text) = &row.action {
            let text = text.trim();
            row.action = if text.is_empty() {
                Action::Empty
            } else {
                Action::Replace(text.into())
            };
        }
    }
    rows.sort_by_key(|row| row.tag);
    // Stable: the later of two stands behind.
    let mut unique: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match unique.last_mut() {
            Some(last) if last.tag == row.tag => *last = row,
            _ => unique.push(row),
        }
    }
    unique
}

/// The operation as the rsna dialect writes it.
pub(crate) fn operation(action: &Action) -> String {
    match action {
        Action::Keep => "@keep".into(),
        Action::Remove => "@remove()".into(),
        Action::Empty => "@empty()".into(),
        Action::Uid => "@uid".into(),
        Action::Patient => "@ptid".into(),
        Action::Accession => "@acc".into(),
        Action::ShiftDate => "@hashdate(this,PatientID)".into(),
        Action::RoundAge { width } => format!("@round(this,{width})"),
        Action::Replace(text) | Action::Computed(text) | Action::Cleaned(text) => escaped(text),
        // No script says these.
        Action::Item(_) | Action::Decide => String::new(),
    }
}

/// A constant with what the expression language would read as its own set apart (`\` before it).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '\\' | '@') {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// A script that makes the rules again, row by row in the order of the tags; what the method says
/// stands at the end.
fn to_text(rows: &[Row], method: &Method) -> String {
    let codes: Vec<&str> = method.codes.iter().map(|(code, _)| &**code).collect();
    let said = [
        (Tag(0x0012, 0x0063), &*method.text, SCRIPT_METHOD),
        (Tag(0x0012, 0x0064), &*codes.join("/"), ""),
    ]
    .into_iter()
    .filter(|(_, text, usual)| text != usual)
    .map(|(tag, text, _)| (tag, escaped(text)))
    .collect::<Vec<_>>();
    let rows = rows.iter().map(|row| (row.tag, operation(&row.action)));
    let mut out = String::from("<script>\n");
    for (tag, operation) in rows.chain(said) {
        out.push_str("<e en=\"T\" t=\"");
        let Tag(group, element) = tag;
        // Writing to a String cannot fail.
        let _ = write!(out, "{group:04X}{element:04X}");
        out.push_str("\">");
        for char in operation.chars() {
            match char {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                other => out.push(other),
            }
        }
        out.push_str("</e>\n");
    }
    out.push_str("</script>\n");
    out
}

/// SHA-256 over a form in which every field has its length, so that no two rule sets share one.
fn digest(rows: &[Row], method: &Method) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(b"anon rules 1");
    field(method.text.as_bytes());
    for (code, meaning) in &method.codes {
        field(code.as_bytes());
        field(meaning.as_bytes());
    }
    field(b"rows");
    // A rule that removes says what no rule says.
    for row in rows.iter().filter(|row| row.action != Action::Remove) {
        let Tag(group, element) = row.tag;
        field(&group.to_le_bytes());
        field(&element.to_le_bytes());
        field(operation(&row.action).as_bytes());
    }
    hash.finalize().into()
}
