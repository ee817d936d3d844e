//! The words of output: counts, sizes, commands to paste, and lines that fit a terminal.

use std::path::Path;

use clap::builder::styling::{AnsiColor, Style};

use crate::platform::shell_quoted;

/// Returns a number with its noun, in singular or plural: `1 study`, `2 studies`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        _ if count == 1 || noun.ends_with("series") => noun.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None if noun.ends_with('s') || noun.ends_with('x') => format!("{noun}es"),
        None => format!("{noun}s"),
    };
    format!("{count} {plural}")
}

/// Formats a number of bytes with a unit of 1024.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} {}", UNITS[0]);
    }
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).unwrap_or(&"TiB");
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// Returns `anon`, with the project that a command line names.
pub(super) fn command(project: Option<&Path>) -> String {
    match project {
        Some(project) => format!("anon -p {}", shell_quoted(&project.to_string_lossy())),
        None => "anon".to_owned(),
    }
}

/// Adds the project to each line that is a command: `  anon …`. Modules that know no arguments write
/// such lines, and the process that holds a project may know it under another path.
pub(super) fn with_project(text: &str, command: &str) -> String {
    let lines = text.split('\n').map(|line| {
        match line.strip_prefix("  anon ") {
            // It names a project of its own.
            Some(words) if words.starts_with("-p ") || words.starts_with("init ") => {
                line.to_owned()
            }
            Some(words) => format!("  {command} {words}"),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Splits a line at blanks so that each part has at most `columns` characters, and indents each part
/// as the line. A longer word stays whole, and so does a command to paste, or a line with two blanks
/// in a row, which is the row of a table.
pub(super) fn wrapped(line: &str, columns: Option<usize>) -> Vec<String> {
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    match columns {
        Some(columns) if !line.starts_with("  anon ") && !text.contains("  ") => {
            let room = columns.saturating_sub(indent).max(1);
            let parts = wrapped_to(text, room, room).into_iter();
            parts.map(|part| format!("{:indent$}{part}", "")).collect()
        }
        _ => vec![line.to_owned()],
    }
}

/// Splits a text at blanks: `first` characters in the first line, `others` in each other one.
pub(super) fn wrapped_to(text: &str, first: usize, others: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    let mut columns = first;
    while let Some(end) = byte_after(rest, columns) {
        let (head, tail) = rest.split_at(end);
        // The blank behind the last word that fits, else the one behind the first word.
        let blank = match head.rfind(' ') {
            _ if tail.starts_with(' ') => Some(end),
            Some(at @ 1..) => Some(at),
            _ => tail.find(' ').map(|at| end + at),
        };
        let Some(blank) = blank else { break };
        let (line, more) = rest.split_at(blank);
        lines.push(line.trim_end());
        rest = more.trim_start();
        columns = others;
    }
    if !rest.is_empty() || lines.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Returns the parts of a status line that fit: they end at a comma or at two blanks.
pub(super) fn cut(line: &str, columns: usize) -> &str {
    let Some(end) = byte_after(line, columns) else {
        return line;
    };
    let parts = [", ", "  "];
    let ends = parts.iter().filter_map(|part| line.get(..end)?.rfind(part));
    let end = ends.max().unwrap_or(end);
    line.get(..end).unwrap_or_default().trim_end()
}

/// Returns the position of the character behind the first `count` ones. `None` if there is none.
fn byte_after(text: &str, count: usize) -> Option<usize> {
    text.char_indices().nth(count).map(|(at, _)| at)
}

/// Returns the colour of a kind of message, that of clap's own errors.
pub(super) fn colour(kind: &str) -> Style {
    match kind {
        "error" => AnsiColor::Red.on_default().bold(),
        "warning" => AnsiColor::Yellow.on_default().bold(),
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular_and_more_are_plural() {
        for (count, noun, text) in [
            (1, "study", "1 study"),
            (0, "study", "0 studies"),
            (2, "series", "2 series"),
            (1, "series", "1 series"),
            (3, "storage class", "3 storage classes"),
            (2, "entry", "2 entries"),
            (2, "object", "2 objects"),
        ] {
            assert_eq!(counted(count, noun), text);
        }
    }

    #[test]
    fn a_command_in_a_message_gets_the_project_of_the_run() {
        let text = "no such patient; see:\n  anon patients\n  anon init NEW --from OLD";
        let command = command(Some(Path::new("my trial")));
        assert_eq!(
            with_project(text, &command),
            "no such patient; see:\n  anon -p 'my trial' patients\n  anon init NEW --from OLD"
        );
    }

    #[test]
    fn a_long_line_breaks_between_words_only() {
        let line = "the settings hold no such node: see them";
        assert_eq!(
            wrapped(line, Some(20)),
            ["the settings hold no", "such node: see them"]
        );
        assert_eq!(wrapped(line, None), [line]);
        assert_eq!(wrapped("  anon -p trial status", Some(10)).len(), 1);
        assert_eq!(
            wrapped("1.2.840.10008.5 a", Some(5)),
            ["1.2.840.10008.5", "a"]
        );
        assert_eq!(wrapped("Zü ßé ñö", Some(5)), ["Zü ßé", "ñö"]);
        assert_eq!(wrapped("", Some(5)), [""]);
        let help = wrapped("  help: one two", Some(12));
        assert_eq!(help, ["  help: one", "  two"]);
    }

    #[test]
    fn a_status_line_is_cut_between_its_parts() {
        let line = "3 associations  10 objects/s, 2 waiting  30 stored";
        assert_eq!(cut(line, 80), line);
        assert_eq!(cut(line, 45), "3 associations  10 objects/s, 2 waiting");
        assert_eq!(cut(line, 30), "3 associations  10 objects/s");
        assert_eq!(cut(line, 9), "3 associa");
    }

    #[test]
    fn byte_counts_have_a_unit() {
        for (count, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
