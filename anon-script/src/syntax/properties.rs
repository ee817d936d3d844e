//! The older form of CTP scripts: Java properties, one setting per line.
//!
//! ```text
//! param.NAME=value
//! set.[gggg,eeee]ElementName=rule        #set.… is a rule that is disabled
//! keep.groupGGGG=                        keep.safeprivateelements=
//! remove.privategroups=                  remove.unspecifiedelements= …
//! ```

use super::call;
use super::script::{Enabled, Param, Rule, Script, Switch};
use super::xml::{target, trimmed};
use crate::diagnostic::{Code, Problems};
use crate::span::{Span, Text};

/// Parses the settings from byte `base` of `text` on.
pub(super) fn read(text: &str, base: usize, script: &mut Script, problems: &mut Problems<'_>) {
    let mut at = base;
    while at < text.len() {
        let end = logical_end(text, at);
        line(text, Span::new(at, end), script, problems);
        at = end;
    }
}

/// Returns the end of the line at `at`, including the lines that a backslash at its end continues.
fn logical_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or("");
    let first = rest.split('\n').next().unwrap_or("").trim_start();
    let is_comment = first.starts_with(['#', '!']);
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        end += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        let slashes = line.len() - line.trim_end_matches('\\').len();
        if slashes % 2 == 0 || is_comment {
            break;
        }
    }
    at + end
}

/// Reads a file of keys and values, as Java does. Returns the line of each pair, counted from 1, its key and
/// its value.
pub(crate) fn pairs(text: &str) -> Vec<(u32, String, String)> {
    let mut pairs = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let end = logical_end(text, at);
        let written = Span::new(at, end).of(text);
        let content = written.trim_start().trim_end_matches(['\n', '\r']);
        if !content.is_empty() && !content.starts_with(['#', '!']) {
            let (key, (value, _)) = split(content, 0);
            let read = |text: &str| unescape(text, 0).value().to_owned();
            pairs.push((line, read(key), read(value)));
        }
        line += u32::try_from(written.matches('\n').count()).unwrap_or(u32::MAX);
        at = end;
    }
    pairs
}

fn line(text: &str, span: Span, script: &mut Script, problems: &mut Problems<'_>) {
    let written = span.of(text);
    let begin = span.start + (written.len() - written.trim_start().len());
    let mut content = Span::new(begin, span.end)
        .of(text)
        .trim_end_matches(['\n', '\r']);
    let whole = Span::new(begin, begin + content.len());
    let mut enabled = Enabled::Yes;
    let mut at = begin;
    if let Some(disabled) = content.strip_prefix('#') {
        if !disabled.starts_with("set.") {
            return;
        }
        (enabled, at, content) = (Enabled::No, at + 1, disabled);
    }
    if content.is_empty() || content.starts_with('!') {
        return;
    }
    let (key, value) = split(content, at);
    let key = unescape(key, at);
    let value = unescape(value.0, value.1);
    if !setting(whole, enabled, key.value(), &value, script, problems) {
        let help = "settings are param.NAME, set.[gggg,eeee], keep.… and remove.…";
        problems.push(Code::BadLine, whole, help);
    }
}

/// Splits a line into its key and its value. Returns the byte where the value begins, too.
fn split(content: &str, at: usize) -> (&str, (&str, usize)) {
    let mut escaped = false;
    for (offset, char) in content.char_indices() {
        if escaped {
            escaped = false;
        } else if char == '\\' {
            escaped = true;
        } else if matches!(char, '=' | ':' | ' ' | '\t') {
            let key = content.get(..offset).unwrap_or("");
            let rest = content.get(offset..).unwrap_or("");
            let blanks = |text: &str| text.len() - text.trim_start_matches([' ', '\t']).len();
            let mut skip = blanks(rest);
            if rest
                .get(skip..)
                .is_some_and(|rest| rest.starts_with(['=', ':']))
            {
                skip += 1;
                skip += blanks(rest.get(skip..).unwrap_or(""));
            }
            let value = rest.get(skip..).unwrap_or("");
            return (key, (value, at + offset + skip));
        }
    }
    (content, ("", at + content.len()))
}

/// Resolves one level of backslashes, as Java does when it loads properties.
fn unescape(written: &str, at: usize) -> Text {
    let mut text = Text::at(at);
    let mut buffer = [0; 4];
    let mut rest = written;
    while let Some(char) = rest.chars().next() {
        let (value, len) = match (char, rest.as_bytes()) {
            ('\\', [_, b'u', ..]) => unicode(rest),
            ('\\', [_, b'\r' | b'\n', ..]) => (None, joined(rest)),
            ('\\', [_, b't', ..]) => (Some('\t'), 2),
            ('\\', [_, b'n', ..]) => (Some('\n'), 2),
            ('\\', [_, b'r', ..]) => (Some('\r'), 2),
            ('\\', [_, b'f', ..]) => (Some('\u{c}'), 2),
            ('\\', [_, _, ..]) => {
                let next = rest.chars().nth(1);
                (next, 1 + next.map_or(0, char::len_utf8))
            }
            ('\\', _) => (None, 1),
            _ => (Some(char), char.len_utf8()),
        };
        let start = at + (written.len() - rest.len());
        let value = value.map_or("", |char| &*char.encode_utf8(&mut buffer));
        text.push(value, start, start + len);
        rest = rest.get(len..).unwrap_or("");
    }
    text
}

/// Reads the escape `\uXXXX` at the start of `rest`, or two that form a UTF-16 surrogate pair.
/// Returns the character and the length of the escape. An escape without four digits is read as the
/// letter u; half of a pair gives the replacement character.
fn unicode(rest: &str) -> (Option<char>, usize) {
    let Some(first) = utf16(rest) else {
        return (Some('u'), 2);
    };
    let second = rest.get(6..).and_then(utf16);
    let units = [Some(first), second].into_iter().flatten();
    match char::decode_utf16(units).next() {
        Some(Ok(char)) => (Some(char), 6 * char.len_utf16()),
        _ => (Some(char::REPLACEMENT_CHARACTER), 6),
    }
}

/// Returns the UTF-16 unit of the escape `\uXXXX` at the start of `text`, if there is one.
fn utf16(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    // `from_str_radix` would accept a sign.
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Returns the length of a backslash, the line end and the blanks at the start of the next line.
fn joined(rest: &str) -> usize {
    let next = rest
        .get(1..)
        .unwrap_or("")
        .trim_start_matches(['\r', '\n', ' ', '\t']);
    rest.len() - next.len()
}

/// Adds the setting of a line to the script. Returns false if the key is no setting.
fn setting(
    span: Span,
    enabled: Enabled,
    key: &str,
    value: &Text,
    script: &mut Script,
    problems: &mut Problems<'_>,
) -> bool {
    let switch = |name: &str| Switch {
        span,
        enabled,
        name: name.into(),
        label: value.clone(),
    };
    if let Some(name) = key.strip_prefix("param.") {
        let (name, value) = (name.into(), value.clone());
        script.params.push(Param { span, name, value });
    } else if let Some(group) = key.strip_prefix("keep.group") {
        script.keeps.push(switch(group));
    } else if let Some(name) = key.strip_prefix("keep.") {
        script.keeps.push(switch(name));
    } else if let Some(name) = key.strip_prefix("remove.") {
        script.removes.push(switch(name));
    } else if let Some((tag, name)) = key
        .strip_prefix("set.[")
        .and_then(|set| set.rsplit_once(']'))
    {
        set(span, enabled, (tag, name), value, script, problems);
    } else {
        return false;
    }
    true
}

/// Adds the rule of a line `set.[tag]name=value`.
fn set(
    span: Span,
    enabled: Enabled,
    (tag, name): (&str, &str),
    value: &Text,
    script: &mut Script,
    problems: &mut Problems<'_>,
) {
    let Some(target) = target(&tag.replacen(',', "", 1)) else {
        problems.push(Code::BadTag, span, "a tag is written [gggg,eeee]");
        return;
    };
    let text = trimmed(value);
    let expression = call::read(&text, problems);
    script.elements.push(Rule {
        span,
        enabled,
        target,
        tag_span: span,
        name: (!name.is_empty()).then(|| name.into()),
        text,
        expression,
    });
}
