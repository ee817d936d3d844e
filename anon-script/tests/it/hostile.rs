//! Scripts that are made to hang the parser, crash it, or use up memory. Each gets a result within
//! limits.

use std::fmt::Write as _;

use anon_script::diagnostic::MAX_PROBLEMS;
use anon_script::{Code, Dialect, load, parse};

/// The most problems of a step: the listed ones, and one that counts the rest.
const LISTED: usize = MAX_PROBLEMS + 1;

#[track_caller]
fn finishes(name: &str, text: &str) -> Vec<Code> {
    let (_, problems) = parse(text);
    assert!(problems.len() <= LISTED, "{name}: {}", problems.len());
    for dialect in [None, Some(Dialect::Rsna), Some(Dialect::Ctp)] {
        // Either result is allowed. Parsing and checking each list up to `LISTED` problems.
        let count =
            load(text, dialect).map_or_else(|problems| problems.len(), |it| it.warnings.len());
        assert!(count <= 2 * LISTED, "{name} as {dialect:?}: {count}");
    }
    problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn entity_bombs_are_refused() {
    let mut text = String::from("<!DOCTYPE s [<!ENTITY a0 \"x\">");
    for i in 1..20 {
        write!(text, "<!ENTITY a{i} \"&a{};&a{};\">", i - 1, i - 1).expect("a String");
    }
    text.push_str("]><script><e en=\"T\" t=\"00100010\">&a19;</e></script>");
    assert_eq!(finishes("bomb", &text), [Code::NotXml]);
    let external = "<!DOCTYPE s [<!ENTITY a SYSTEM \"file:///etc/hostname\">]><script><e t=\"00100010\">&a;</e></script>";
    assert_eq!(finishes("external entity", external), [Code::NotXml]);
}

#[test]
fn deep_nesting_does_not_crash() {
    let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    finishes("nested elements", &deep);
    finishes(
        "nested elements in a script",
        &format!("<script>{deep}</script>"),
    );
    finishes(
        "nested elements in a row",
        &format!("<script><e t=\"00100010\">{deep}</e></script>"),
    );
    finishes("never closed", &"<a>".repeat(400_000));
    for (open, close) in [
        ("@append(){", "}"),
        ("@if(a,exists){", "}{}"),
        ("@f(", ")"),
        ("@f([", "])"),
        ("{", "}"),
        ("@f(\"", "\")"),
    ] {
        let rule = format!("{}{}", open.repeat(50_000), close.repeat(50_000));
        let codes = finishes(
            open,
            &format!("<script><e t=\"00100010\">{rule}</e></script>"),
        );
        let has_clauses = open.starts_with('@') && close.starts_with('}');
        assert_eq!(
            codes.contains(&Code::TooDeep),
            has_clauses,
            "{open}: {codes:?}"
        );
        finishes(
            open,
            &format!(
                "<script><e t=\"00100010\">{}</e></script>",
                open.repeat(50_000)
            ),
        );
    }
}

#[test]
fn long_scripts_do_not_hang() {
    let rows = |row: &str| format!("<script>{}</script>", row.repeat(1_000_000 / row.len()));
    for row in [
        "<e/>",
        "<x/>\n",
        "<e t=\"00100010\"/>\n",
        "<e t=\"zz\"/>\n",
        "<e t=\"00100010\">@UID</e>\n",
        "<e t=\"00091001\">@uid</e>\n",
        "<k en=\"T\" t=\"18\"/>\n",
        "<r en=\"F\" t=\"curves\"/>\n",
        "<p t=\"A\">1</p>\n",
        "<p t=\"A\">1</p><e t=\"00100010\">@param(@B)</e>\n",
    ] {
        finishes(row, &rows(row));
    }
    finishes(
        "calls",
        &format!(
            "<script><e t=\"00100010\">{}</e></script>",
            "@UID ".repeat(200_000)
        ),
    );
    finishes(
        "arguments",
        &format!(
            "<script><e t=\"00100010\">@f({})</e></script>",
            "a,".repeat(400_000)
        ),
    );
    finishes(
        "entities",
        &format!(
            "<script><e t=\"00100010\">{}</e></script>",
            "&amp;".repeat(200_000)
        ),
    );
    finishes(
        "CDATA",
        &format!(
            "<script><e t=\"00100010\">{}</e></script>",
            "<![CDATA[]]>".repeat(100_000)
        ),
    );
    finishes(
        "comments",
        &format!(
            "<script><e t=\"00100010\">{}</e></script>",
            "a<!---->".repeat(100_000)
        ),
    );
    finishes("lines", &"set.[0010,0010]=@x\n".repeat(60_000));
    finishes("bad lines", &"x\n".repeat(500_000));
    finishes("joined lines", &"x\\\n".repeat(400_000));
}

#[test]
fn a_script_over_the_size_limit_is_refused() {
    let text = format!("<script>{}</script>", " ".repeat(64 << 20));
    assert_eq!(finishes("64 MiB", &text), [Code::TooLarge]);
}

#[test]
fn texts_that_are_no_script_are_refused() {
    for text in [
        "",
        " ",
        "\u{feff}",
        "\0",
        "<",
        "<script",
        "<script/>",
        "<script></script>",
        "&",
        "\u{feff}<script/>",
        "#",
        "\\",
        "=",
        "set.[",
        "\r",
        "<e t=\"00100010\">@uid</e>",
    ] {
        assert!(load(text, Some(Dialect::Rsna)).is_err(), "{text:?}");
    }
}
