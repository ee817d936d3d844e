//! Rules of CTP scripts, for texts that nobody would write.

use anon_script::ctp::{CtpScript, Facts, LookupTable, Mode, Moment, Outcome, Path, Step, Tables};
use anon_script::{Tag, parse};
use proptest::prelude::*;

const PATIENT_ID: Tag = Tag(0x0010, 0x0020);

/// An object in which every element has one value.
#[derive(Debug)]
struct Everywhere(String);

impl Facts for Everywhere {
    fn text(&self, _: &Path) -> Option<String> {
        Some(self.0.clone())
    }
    fn has(&self, _: Tag) -> bool {
        true
    }
    fn is_item(&self) -> bool {
        false
    }
    fn now(&self) -> Moment {
        Moment::default()
    }
}

#[derive(Debug)]
struct OneTable(LookupTable);

impl Tables for OneTable {
    fn lookup(&self) -> Option<&LookupTable> {
        Some(&self.0)
    }
    fn number(&mut self, _: &str, text: &str) -> Option<u64> {
        Some(text.len() as u64)
    }
}

fn script(rule: &str, mode: Mode) -> CtpScript {
    let rule = rule
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let text = format!(r#"<script><p t="P">10</p><e en="T" t="00100020" n="">{rule}</e></script>"#);
    CtpScript::new(&parse(&text).0, mode)
}

/// Texts made of what the language is made of.
fn rules() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "@",
        "(",
        ")",
        "{",
        "}",
        "\"",
        "\\",
        ",",
        "[",
        "]",
        "|",
        "::",
        "root:",
        "this",
        "@P",
        "PatientID",
        "0010,0020",
        "hash",
        "hashuid",
        "hashname",
        "hashptid",
        "hashdate",
        "incrementdate",
        "modifydate",
        "dateinterval",
        "if",
        "select",
        "append",
        "contents",
        "value",
        "truncate",
        "initials",
        "round",
        "lookup",
        "integer",
        "param",
        "encrypt",
        "decrypt",
        "require",
        "always",
        "pathelement",
        "uppercase",
        "date",
        "time",
        "keep",
        "remove",
        "empty",
        "blank",
        "exists",
        "isblank",
        "matches",
        "greaterthan",
        "*",
        "-1",
        "99999999999",
        "(a|b)+",
        " ",
        "ä",
    ]);
    let part = prop_oneof![words.prop_map(str::to_owned), "\\PC{0,3}"];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_text_is_a_rule_and_its_evaluation_ends(rule in rules(), value in "\\PC{0,20}") {
        for mode in [Mode::Strict, Mode::Compatible] {
            let script = script(&rule, mode);
            let Some(found) = script.rule(&Step::Tag(PATIENT_ID)) else { continue };
            let mut table = OneTable(LookupTable::parse("k/a=b"));
            // Both results are fine: that there is one is what counts.
            let _evaluated = script.evaluate(found, &Everywhere(value.clone()), &mut table);
        }
    }

    /// What a value says is no command, whichever functions it goes through.
    #[test]
    fn in_strict_mode_no_value_keeps_or_removes_an_element(
        rule in rules().prop_filter("the rule gives no command", |rule| {
            !["keep", "remove", "empty", "blank", "require", "process", "date", "hash"]
                .iter()
                .any(|word| rule.contains(word))
        }),
        value in prop::sample::select(vec!["@keep()", "@remove()", "x @remove()", "@blank(3)"]),
    ) {
        let script = script(&rule, Mode::Strict);
        if let Some(found) = script.rule(&Step::Tag(PATIENT_ID)) {
            let mut table = OneTable(LookupTable::default());
            if let Ok(done) = script.evaluate(found, &Everywhere(value.to_owned()), &mut table) {
                let is_text = matches!(done.outcome, Outcome::Value(_) | Outcome::Empty);
                prop_assert!(is_text, "{rule}: {done:?}");
            }
        }
    }
}

#[test]
fn a_rule_that_asks_for_itself_is_quarantined() {
    let script = script("@hashuid(1.2,this,PatientID)", Mode::Compatible);
    let rule = script.rule(&Step::Tag(PATIENT_ID)).expect("it is there");
    let mut table = OneTable(LookupTable::default());
    let stop = script.evaluate(rule, &Everywhere("x".into()), &mut table);
    assert!(stop.is_err());
}

/// Eight rules, each of which asks for the next one ten times: a hundred million evaluations.
#[test]
fn rules_that_ask_for_many_others_do_not_hang() {
    let rows = (0..8).map(|at| {
        let calls = format!("@hashuid(1,this,0010202{})", at + 1).repeat(10);
        format!(r#"<e en="T" t="0010202{at}" n="">{calls}</e>"#)
    });
    let text = format!("<script>{}</script>", rows.collect::<String>());
    let script = CtpScript::new(&parse(&text).0, Mode::Compatible);
    let rule = script.rule(&Step::Tag(Tag(0x0010, 0x2020)));
    let rule = rule.expect("it is there");
    let mut table = OneTable(LookupTable::default());
    let stop = script.evaluate(rule, &Everywhere("x".into()), &mut table);
    assert!(stop.is_err());
}

/// The time is part of the object: a program has no clock of its own.
#[test]
fn a_rule_that_writes_the_time_needs_to_be_told_it() {
    use anon_script::ctp::{CtpProgram, Moment};
    use anon_script::{Action, Element, ObjectHeader, Place, Rules as _, Tag, VR};

    let text = r#"<script><e en="T" t="00080023" n="ContentDate">@date()</e></script>"#;
    let script = anon_script::check::strict_ctp(text).expect("sound");
    let program = CtpProgram::new("test", text, script).expect("can be applied");
    let element = Element::root(Tag(0x0008, 0x0023));
    assert_eq!(program.action(element), &Action::Decide);
    let decided = |header: &ObjectHeader| {
        let rules = program.begin(header).expect("accepted").expect("rules");
        rules.decide(&Place::new(element, VR::DA, 0))
    };
    let header = super::clean::header(&[(0x0008_0023, VR::DA, "20200101")]);
    assert!(decided(&header).is_err());
    let moment = Moment {
        year: 2024,
        month: 1,
        day: 31,
        ..Moment::default()
    };
    let header = header.with_moment(Some(moment));
    assert_eq!(decided(&header), Ok(Action::Computed("20240131".into())));
}

/// A value that was not read is not the same as none.
#[test]
fn a_rule_that_reads_a_value_too_long_to_be_held_refuses_the_object() {
    use anon_script::ctp::CtpProgram;
    use anon_script::{Element, ObjectHeader, Place, Rules as _, SeenElement, SeenValue, Tag, VR};

    let text = r#"<script><e en="T" t="00104000" n="PatientComments">@hash(this,8)</e></script>"#;
    let script = anon_script::check::strict_ctp(text).expect("sound");
    let program = CtpProgram::new("test", text, script).expect("can be applied");
    let tag = Tag(0x0010, 0x4000);
    let mut header = ObjectHeader::new();
    header.push(SeenElement {
        tag,
        vr: VR::LT,
        parent: None,
        item: 0,
        offset: 0,
        value: SeenValue::Long(100_000),
    });
    let rules = program.begin(&header).expect("accepted").expect("rules");
    let refused = rules.decide(&Place::new(Element::root(tag), VR::LT, 0));
    assert!(refused.expect_err("refused").reason.contains("64 KiB"));
}
