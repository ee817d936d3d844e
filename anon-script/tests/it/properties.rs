//! Properties that hold for every text.

use anon_script::syntax::{Expression, Part};
use anon_script::{
    Action, Diagnostic, Dialect, Element, Method, Row, RuleSet, Rules as _, Script, Span, Tag,
    load, parse,
};
use proptest::prelude::*;

/// Parts of scripts, so that random texts resemble scripts.
const PIECES: &[&str] = &[
    "<script>",
    "</script>",
    "<e en=\"T\" t=\"00100010\">",
    "<e en=\"F\" t=\"0008103e\">",
    "<e>",
    "</e>",
    "<e t=\"0009[A]01\">",
    "<p t=\"A\">",
    "</p>",
    "<k en=\"T\" t=\"0018\">x</k>",
    "<r en='F' t='overlays'/>",
    "@uid",
    "@UID",
    "@keep()",
    "@remove()",
    "@round(this,5)",
    "@hashdate(this,PatientID)",
    "@if(",
    ",exists){",
    "}{",
    "}",
    "{",
    "@append(){",
    "@param(@A)",
    "(",
    ")",
    ",",
    "[",
    "]",
    "\"",
    "\\",
    "@",
    "&amp;",
    "&#64;",
    "&#x10FFFF;",
    "&lt;",
    "&",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<b>",
    "</b>",
    "ä",
    "\u{1F480}",
    "\u{a0}",
    "\u{2028}",
    "\r\n",
    "\n",
    "\r",
    "\t",
    " ",
    "\u{feff}",
    "set.[0010,0010]PatientName=",
    "param.A=",
    "#",
    "!",
    "keep.group18=",
    "remove.overlays=",
    "\\u00e9",
    "\\uD800",
    "x",
    "=",
    ":",
    "\u{0}",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE x>",
];

fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..40)
        .prop_map(|pieces| pieces.concat());
    let in_a_row = prop::collection::vec(prop::sample::select(PIECES), 0..20).prop_map(|pieces| {
        format!(
            "<script><e en=\"T\" t=\"00081030\">{}</e></script>",
            pieces.concat()
        )
    });
    prop_oneof![
        pieces,
        in_a_row,
        any::<String>(),
        prop::collection::vec(any::<u8>(), 0..200)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    ]
}

fn holds(text: &str, span: Span) -> Result<(), TestCaseError> {
    prop_assert!(
        span.start <= span.end && span.end <= text.len(),
        "{span:?} in {} bytes",
        text.len()
    );
    prop_assert!(
        text.is_char_boundary(span.start) && text.is_char_boundary(span.end),
        "{span:?}"
    );
    Ok(())
}

fn all_hold(text: &str, problems: &[Diagnostic]) -> Result<(), TestCaseError> {
    for problem in problems {
        holds(text, problem.span)?;
        let before = &text[..problem.span.start];
        let line = before.matches('\n').count() + 1;
        prop_assert_eq!(
            usize::try_from(problem.position.line).expect("a line"),
            line
        );
        prop_assert!(problem.position.column >= 1);
        prop_assert!(
            problem.span.of(text).starts_with(&problem.text)
                || problem.text.is_empty()
                || problem.text.ends_with('…')
        );
    }
    Ok(())
}

fn expression_holds(text: &str, expression: &Expression) -> Result<(), TestCaseError> {
    for part in &expression.parts {
        match part {
            Part::Literal { span, .. } | Part::Word { span, .. } => holds(text, *span)?,
            Part::Call(call) => {
                holds(text, call.span)?;
                holds(text, call.name_span)?;
                for argument in &call.arguments {
                    holds(text, argument.span)?;
                }
                for clause in &call.clauses {
                    holds(text, clause.span)?;
                    expression_holds(text, &clause.body)?;
                }
            }
        }
    }
    Ok(())
}

fn tree_holds(text: &str, script: &Script) -> Result<(), TestCaseError> {
    for rule in &script.elements {
        holds(text, rule.span)?;
        holds(text, rule.tag_span)?;
        holds(text, rule.text.whole())?;
        expression_holds(text, &rule.expression)?;
    }
    for param in &script.params {
        holds(text, param.span)?;
    }
    for switch in script.keeps.iter().chain(&script.removes) {
        holds(text, switch.span)?;
    }
    Ok(())
}

/// Elements of every kind, with actions that a script may give them.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = prop_oneof![
        (
            0..=0xFFu16,
            prop_oneof![
                Just(Action::Keep),
                Just(Action::Remove),
                Just(Action::Empty)
            ]
        )
            .prop_map(|(element, action)| Row::new(Tag(0x0028, element | 1), action)),
        (1..=999u16).prop_map(|width| Row::new(Tag(0x0010, 0x1010), Action::RoundAge { width })),
        " {0,2}[ -~]{0,30}"
            .prop_map(|text| Row::new(Tag(0x0008, 0x1030), Action::Replace(text.into()))),
        "[!-~]([ -~]{0,30}[!-~])?"
            .prop_map(|text| Row::new(Tag(0x0010, 0x4000), Action::Replace(text.into()))),
        prop_oneof![Just(Action::ShiftDate), Just(Action::Empty)]
            .prop_map(|action| Row::new(Tag(0x0008, 0x0020), action)),
        Just(Row::new(Tag(0x0010, 0x0020), Action::Patient)),
        Just(Row::new(Tag(0x0008, 0x0050), Action::Accession)),
    ];
    prop::collection::vec(row, 0..30).prop_map(|mut rows| {
        rows.push(Row::new(Tag(0x0008, 0x0016), Action::Keep));
        rows.extend(
            [
                Tag(0x0008, 0x0018),
                Tag(0x0020, 0x000D),
                Tag(0x0020, 0x000E),
            ]
            .map(|tag| Row::new(tag, Action::Uid)),
        );
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Parsing ends for every text, and every span is inside the text.
    #[test]
    fn every_span_is_inside_the_text(text in texts()) {
        let (script, problems) = parse(&text);
        all_hold(&text, &problems)?;
        tree_holds(&text, &script)?;
        for dialect in [None, Some(Dialect::Rsna), Some(Dialect::Ctp)] {
            match load(&text, dialect) {
                Ok(compiled) => all_hold(&text, &compiled.warnings)?,
                Err(problems) => {
                    prop_assert!(!problems.is_empty());
                    all_hold(&text, &problems)?;
                }
            }
        }
    }

    /// The text of accepted rules compiles to the same rules.
    #[test]
    fn the_text_of_compiled_rules_compiles_to_the_same_rules(text in texts()) {
        let text = format!("<script><e t='00080016'>@keep</e><e t='00080018'>@uid</e><e t='0020000D'>@uid</e><e t='0020000E'>@uid</e>{}</script>", text.replace("<script>", "").replace("</script>", ""));
        if let Ok(compiled) = load(&text, Some(Dialect::Rsna)) {
            let again = load(compiled.rules.text(), Some(Dialect::Rsna)).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            prop_assert_eq!(again.rules.digest(), compiled.rules.digest());
            prop_assert_eq!(again.rules.text(), compiled.rules.text());
        }
    }

    /// Rules have the same digest exactly if they have the same actions.
    #[test]
    fn digests_are_equal_exactly_if_the_actions_are(one in rows(), other in rows(), swap in any::<bool>()) {
        let set = |rows: &[Row]| RuleSet::new("rows", Method::new("M"), rows.to_vec()).expect("few groups");
        // The order of rows with different tags does not count. Nor does a row that removes its
        // element.
        let mut again = set(&one).rows().to_vec();
        if swap {
            again.reverse();
        }
        again.push(Row::new(Tag(0x0040, 0xA730), Action::Remove).at_line(7));
        prop_assert_eq!(set(&one).digest(), set(&again).digest());
        let (one, other) = (set(&one), set(&other));
        let rows = one.rows().iter().chain(other.rows());
        let is_same = rows.map(|row| Element::root(row.tag)).all(|element| one.action(element) == other.action(element));
        prop_assert_eq!(one.digest() == other.digest(), is_same);
        let other_method = RuleSet::new("rows", Method::new("N"), one.rows().to_vec()).expect("few groups");
        prop_assert_ne!(other_method.digest(), one.digest());
    }

    /// The text of rules that were made without a script compiles to the same rules, or is refused.
    #[test]
    fn the_text_of_rules_never_means_other_rules(rows in rows()) {
        let rules = RuleSet::new("rows", Method::new("RSNA DICOM ANONYMIZER"), rows).expect("few groups");
        if let Ok(again) = load(rules.text(), Some(Dialect::Rsna)) {
            prop_assert_eq!(again.rules.digest(), rules.digest());
        }
    }
}

#[track_caller]
fn check_spans(row: &str, expect: &[&str]) {
    let text = format!("<script><e en=\"T\" t=\"00081030\">{row}</e></script>");
    let (script, _) = parse(&text);
    let rule = script.elements.first().expect("a row");
    let spans = rule.expression.parts.iter().map(|part| match part {
        Part::Literal { span, .. } | Part::Word { span, .. } => span.of(&text),
        Part::Call(call) => call.span.of(&text),
    });
    assert_eq!(spans.collect::<Vec<_>>(), expect, "{row}");
}

/// Spans include the escapes, comments and tags of XML as they are written.
#[test]
fn spans_include_the_escapes_as_written() {
    check_spans("@uid", &["@uid"]);
    check_spans("  a&amp;b @uid ", &["a&amp;b ", "@uid"]);
    check_spans("&#64;uid", &["&#64;uid"]);
    check_spans("<![CDATA[a@uid]]>", &["a", "@uid"]);
    check_spans("x<![CDATA[<@]]>uid", &["x<![CDATA[<", "@]]>uid"]);
    check_spans("@f(<![CDATA[a]]>)&lt;", &["@f(<![CDATA[a]]>)", "&lt;"]);
    check_spans("a<!-- no -->@uid", &["a", "@uid"]);
    check_spans("@<b>uid</b>", &["@<b>uid"]);
    check_spans("ä\r\nb@uid", &["ä\r\nb", "@uid"]);
}
