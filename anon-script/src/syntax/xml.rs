//! The XML form of scripts. Its rows are the direct children `p`, `e`, `k` and `r` of the root.

use std::ops::Range;

use dicom_core::Tag;
use roxmltree::{Document, Error, Node, ParsingOptions};

use super::script::{Enabled, Param, Rule, Script, Switch, Target};
use super::{MAX_BYTES, call, element};
use crate::diagnostic::{Code, Problems};
use crate::span::{Span, Text};

/// Parses the XML from byte `base` of `text` on.
pub(super) fn read<'t>(
    text: &'t str,
    base: usize,
    script: &mut Script,
    problems: &mut Problems<'t>,
) {
    let body = text.get(base..).unwrap_or("");
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: u32::try_from(MAX_BYTES).unwrap_or(u32::MAX),
        ..ParsingOptions::default()
    };
    let document = match Document::parse_with_options(body, options) {
        Ok(document) => document,
        Err(error) => {
            let (at, help) = explain(&error, body);
            let at = base + at;
            let char = text.get(at..).and_then(|rest| rest.chars().next());
            let end = at + char.map_or(0, char::len_utf8);
            problems.push(Code::NotXml, Span::new(at, end), help);
            return;
        }
    };
    let mut reader = Reader {
        text,
        base,
        script,
        problems,
    };
    for node in document.root_element().children().filter(Node::is_element) {
        reader.row(node);
    }
}

/// Returns the byte where the text stops being XML, and why.
fn explain(error: &Error, body: &str) -> (usize, String) {
    match error {
        // The parser reports no position for these.
        Error::UnclosedRootNode | Error::UnexpectedEndOfStream => (
            body.len(),
            String::from("the text ends before its last element is closed"),
        ),
        Error::DtdDetected => {
            let at = body.find("<!DOCTYPE").unwrap_or(0);
            (
                at,
                String::from("a script has no document type: remove the declaration"),
            )
        }
        other => {
            let position = other.pos();
            (offset(body, position.row, position.col), other.to_string())
        }
    }
}

/// Returns the byte of a line and column, both counted from 1, columns in characters.
fn offset(text: &str, row: u32, column: u32) -> usize {
    let row = usize::try_from(row.saturating_sub(1)).unwrap_or(0);
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    let line_at: usize = text.split_inclusive('\n').take(row).map(str::len).sum();
    let line = text.get(line_at..).unwrap_or("");
    line_at
        + line
            .char_indices()
            .nth(column)
            .map_or(line.len(), |(at, _)| at)
}

struct Reader<'r, 't> {
    text: &'t str,
    base: usize,
    script: &'r mut Script,
    problems: &'r mut Problems<'t>,
}

impl Reader<'_, '_> {
    fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.base + range.start, self.base + range.end)
    }

    fn problem(&mut self, code: Code, span: Span, help: impl Into<String>) {
        self.problems.push(code, span, help);
    }

    fn row(&mut self, node: Node<'_, '_>) {
        match node.tag_name().name() {
            "e" => self.rule(node),
            "p" => self.param(node),
            "k" => {
                if let Some(switch) = self.switch(node) {
                    self.script.keeps.push(switch);
                }
            }
            "r" => {
                if let Some(switch) = self.switch(node) {
                    self.script.removes.push(switch);
                }
            }
            _ => {
                let span = self.start_tag(node);
                self.problem(
                    Code::UnknownChild,
                    span,
                    "rows are `e`, `p`, `k` and `r`, in lower case",
                );
            }
        }
    }

    /// Returns the span of `<name …>`, without the content of the element.
    fn start_tag(&self, node: Node<'_, '_>) -> Span {
        let span = self.span(node.range());
        let end = span
            .of(self.text)
            .find('>')
            .map_or(span.end, |at| span.start + at + 1);
        Span::new(span.start, end)
    }

    fn attribute(&mut self, node: Node<'_, '_>, name: &str) -> Option<(String, Span)> {
        let attribute = node.attribute_node(name)?;
        Some((attribute.value().into(), self.span(attribute.range_value())))
    }

    fn tag_attribute(&mut self, node: Node<'_, '_>) -> Option<(String, Span)> {
        let found = self.attribute(node, "t");
        if found.is_none() {
            let span = self.start_tag(node);
            self.problem(Code::NoTag, span, "add t=\"ggggeeee\"");
        }
        found
    }

    fn rule(&mut self, node: Node<'_, '_>) {
        let text = self.content(node);
        let name = self
            .attribute(node, "n")
            .map(|(name, _)| name)
            .filter(|name| !name.is_empty());
        let Some((tag, tag_span)) = self.tag_attribute(node) else {
            return;
        };
        let Some(target) = target(&tag) else {
            self.problem(
                Code::BadTag,
                tag_span,
                "a tag has eight hex digits, such as 00100020",
            );
            return;
        };
        let text = trimmed(&text);
        let comment = node.children().find(Node::is_comment);
        if let Some(comment) = comment.filter(|_| text.value().is_empty()) {
            let help = "write @keep, or put the comment between rows";
            self.problem(Code::Commented, self.span(comment.range()), help);
        }
        let expression = call::read(&text, self.problems);
        self.script.elements.push(Rule {
            span: self.span(node.range()),
            enabled: enabled(node),
            target,
            tag_span,
            name,
            text,
            expression,
        });
    }

    fn param(&mut self, node: Node<'_, '_>) {
        let value = self.content(node);
        if let Some((name, _)) = self.tag_attribute(node) {
            let span = self.span(node.range());
            self.script.params.push(Param { span, name, value });
        }
    }

    fn switch(&mut self, node: Node<'_, '_>) -> Option<Switch> {
        let label = self.content(node);
        let (name, _) = self.tag_attribute(node)?;
        Some(Switch {
            span: self.span(node.range()),
            enabled: enabled(node),
            name,
            label,
        })
    }

    /// Returns the text of a row. As in CTP, it includes the text of elements inside the row.
    fn content(&mut self, node: Node<'_, '_>) -> Text {
        let whole = self.span(node.range());
        let mut text: Option<Text> = None;
        for inner in node.descendants().skip(1) {
            if inner.is_element() {
                let span = self.start_tag(inner);
                self.problem(Code::Nested, span, "a row holds text only");
            } else if inner.is_text() {
                let start = inner.range().start;
                let span = self.span(start..end_of_text(inner, self.text, self.base));
                let text = text.get_or_insert_with(|| Text::at(span.start));
                resolve(
                    text,
                    span.of(self.text),
                    span.start,
                    inner.text().unwrap_or(""),
                );
            }
        }
        text.unwrap_or_else(|| Text::at(whole.end))
    }
}

/// Returns the byte of `body` where a text node ends. The parser's own range of a node with CDATA
/// ends at the first section.
fn end_of_text(node: Node<'_, '_>, text: &str, base: usize) -> usize {
    if let Some(next) = node.next_sibling() {
        return next.range().start;
    }
    let Some(parent) = node.parent() else {
        return node.range().end;
    };
    let range = parent.range();
    let whole = text.get(base + range.start..base + range.end).unwrap_or("");
    whole.rfind("</").map_or(range.end, |at| range.start + at)
}

/// Appends `decoded`, which is the parser's decoding of `written`, and finds the position of each
/// character by reading `written` in parallel. If the two disagree, every character gets the
/// position of the whole text.
fn resolve(text: &mut Text, written: &str, at: usize, decoded: &str) {
    let mut pieces = Vec::new();
    let mut rest = written;
    let mut in_cdata = false;
    for char in decoded.chars() {
        // Several empty CDATA sections may follow one another.
        while let Some(inner) = rest.strip_prefix(if in_cdata { "]]>" } else { "<![CDATA[" }) {
            (rest, in_cdata) = (inner, !in_cdata);
        }
        let len = match rest.as_bytes() {
            [b'&', ..] if !in_cdata => rest.find(';').map_or(0, |end| end + 1),
            [b'\r', b'\n', ..] => 2,
            _ => rest.chars().next().map_or(0, char::len_utf8),
        };
        if len == 0 {
            text.push(decoded, at, at + written.len());
            return;
        }
        let start = at + (written.len() - rest.len());
        pieces.push((char, start, start + len));
        rest = rest.get(len..).unwrap_or("");
    }
    let mut buffer = [0; 4];
    for (char, start, end) in pieces {
        text.push(char.encode_utf8(&mut buffer), start, end);
    }
}

/// Returns the text without white space at its ends.
pub(super) fn trimmed(text: &Text) -> Text {
    let value = text.value();
    let begin = value.len() - value.trim_start().len();
    let end = begin + value.trim().len();
    let mut out = Text::at(text.span(Span::new(begin, end)).start);
    for (at, char) in value
        .char_indices()
        .filter(|(at, _)| (begin..end).contains(at))
    {
        let span = text.span(Span::new(at, at + char.len_utf8()));
        out.push(
            value.get(at..at + char.len_utf8()).unwrap_or(""),
            span.start,
            span.end,
        );
    }
    out
}

fn enabled(node: Node<'_, '_>) -> Enabled {
    match node.attribute("en") {
        Some("T") => Enabled::Yes,
        Some(_) => Enabled::No,
        None => Enabled::Absent,
    }
}

/// Parses eight hexadecimal digits, or the form of a private block.
pub(super) fn target(tag: &str) -> Option<Target> {
    if let Some((group, creator, element)) = element::private(tag) {
        return Some(Target::Private {
            group,
            creator,
            element,
        });
    }
    if tag.len() != 8 || !tag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let group = u16::from_str_radix(tag.get(..4)?, 16).ok()?;
    let element = u16::from_str_radix(tag.get(4..)?, 16).ok()?;
    Some(Target::Tag(Tag(group, element)))
}
