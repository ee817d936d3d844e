//! The operations of the rsna dialect in every notation, and the detection of the dialect.

use anon_script::{Action, Code, Diagnostic, Dialect, Element, Rules as _, Tag, load};

const REQUIRED: &str = r#"<e en="T" t="00080016">@keep</e>"#;

fn row(tag: Tag, text: &str) -> String {
    let Tag(group, element) = tag;
    format!("<script>{REQUIRED}<e en=\"T\" t=\"{group:04X}{element:04X}\">{text}</e></script>")
}

#[test]
fn every_notation_of_an_operation_gives_its_action() {
    let shift = Action::ShiftDate;
    let width = |width| Action::RoundAge { width };
    let constant = |text: &str| Action::Replace(text.into());
    for (tag, text, expect) in [
        (Tag(0x0008, 0x1030), "", Action::Keep),
        (Tag(0x0008, 0x1030), "  \n ", Action::Keep),
        (Tag(0x0008, 0x1030), "@keep", Action::Keep),
        (Tag(0x0008, 0x1030), "@keep()", Action::Keep),
        (Tag(0x0008, 0x1030), " @keep ( ) ", Action::Keep),
        (Tag(0x0008, 0x1030), "@remove", Action::Remove),
        (Tag(0x0008, 0x1030), "@remove()", Action::Remove),
        (Tag(0x0008, 0x1030), "@empty", Action::Empty),
        (Tag(0x0008, 0x1030), "@empty()", Action::Empty),
        (Tag(0x0008, 0x1140), "@empty()", Action::Empty),
        (Tag(0x0020, 0x0052), "@uid", Action::Uid),
        (Tag(0x0020, 0x0052), "@uid()", Action::Uid),
        (Tag(0x0010, 0x0020), "@ptid", Action::Patient),
        (Tag(0x0010, 0x0010), "@ptid()", Action::Patient),
        (Tag(0x0008, 0x0050), "@acc", Action::Accession),
        (Tag(0x0008, 0x0050), "@acc()", Action::Accession),
        (Tag(0x0008, 0x0020), "@hashdate", shift.clone()),
        (Tag(0x0008, 0x0020), "@hashdate()", shift.clone()),
        (Tag(0x0008, 0x0020), "@hashdate(this)", shift.clone()),
        (
            Tag(0x0008, 0x0020),
            "@hashdate(this,PatientID)",
            shift.clone(),
        ),
        (
            Tag(0x0008, 0x002A),
            "@hashdate( this , PatientID )",
            shift.clone(),
        ),
        (
            Tag(0x0008, 0x0020),
            "@hashdate(this,[0010,0020])",
            shift.clone(),
        ),
        (Tag(0x0008, 0x0020), "@hashdate(this,00100020)", shift),
        (Tag(0x0010, 0x1010), "@round(5)", width(5)),
        (Tag(0x0010, 0x1010), "@round(this,5)", width(5)),
        (Tag(0x0010, 0x1010), "@round(this, 15 )", width(15)),
        (Tag(0x0010, 0x1010), "@round(this,999)", width(999)),
        (Tag(0x0012, 0x0062), "YES", constant("YES")),
        (Tag(0x0008, 0x0080), "a &amp; b", constant("a & b")),
        (Tag(0x0008, 0x0080), r"a\@b", constant("a@b")),
        (Tag(0x0010, 0x4000), r"C:\\x", constant(r"C:\x")),
        (Tag(0x0010, 0x1010), "045Y", constant("045Y")),
        (Tag(0x0008, 0x0020), "20000101", constant("20000101")),
    ] {
        let compiled =
            load(&row(tag, text), Some(Dialect::Rsna)).map_err(|p| format!("{text}: {p:?}"));
        let rules = compiled.expect("an operation").rules;
        for depth in [0, 5] {
            assert_eq!(
                rules.action(Element::nested(tag, depth)),
                &expect,
                "{tag} {text}"
            );
        }
        let again = load(rules.text(), Some(Dialect::Rsna))
            .expect("our own text")
            .rules;
        assert_eq!(again.digest(), rules.digest(), "{tag} {text}");
    }
}

/// An element that PS3.6 does not list may have any operation, but no constant.
#[test]
fn unlisted_elements_take_operations_but_no_constants() {
    let unknown = Tag(0x0008, 0x7FFE);
    for (text, expect) in [
        ("@uid", Action::Uid),
        ("@hashdate", Action::ShiftDate),
        ("@acc", Action::Accession),
    ] {
        let rules = load(&row(unknown, text), Some(Dialect::Rsna))
            .expect(text)
            .rules;
        assert_eq!(rules.action(Element::root(unknown)), &expect, "{text}");
    }
    let problems = load(&row(unknown, "x"), Some(Dialect::Rsna)).expect_err("a constant");
    assert!(
        problems
            .iter()
            .any(|problem| problem.code == Code::Constant)
    );
}

#[derive(Debug, PartialEq, Eq)]
enum Detected {
    Rsna,
    Ctp,
    Both,
    Neither,
}

fn detected(text: &str) -> Detected {
    let problems = match load(text, None) {
        Ok(compiled) => compiled.warnings,
        Err(problems) => problems,
    };
    let says = |code| {
        problems
            .iter()
            .any(|problem: &Diagnostic| problem.code == code)
    };
    match (
        says(Code::BothDialects),
        says(Code::NoDialect),
        says(Code::NotExecuted),
    ) {
        (true, ..) => Detected::Both,
        (_, true, _) => Detected::Neither,
        (.., true) => Detected::Ctp,
        _ => Detected::Rsna,
    }
}

/// Detection never guesses: a feature that both tools have does not count.
#[test]
fn the_dialect_is_detected_by_features_that_only_one_has() {
    let wrapped = |rows: &str| format!("<script>{rows}</script>");
    let rule = |tag: &str, text: &str| format!("<e en=\"T\" t=\"{tag}\">{text}</e>");
    for text in ["@uid", "@ptid", "@acc", "@hashdate"] {
        assert_eq!(
            detected(&wrapped(&rule("00081030", text))),
            Detected::Rsna,
            "{text}"
        );
        let both = rule("00081030", text) + &rule("00100040", "@hash(this)");
        assert_eq!(detected(&wrapped(&both)), Detected::Both, "{text}");
        let both = rule("00081030", text) + &rule("0009[ACME]01", "@remove()");
        assert_eq!(detected(&wrapped(&both)), Detected::Both, "{text}");
    }
    for text in [
        "",
        "@keep()",
        "@keep",
        "@remove()",
        "@empty()",
        "@hashdate(this,PatientID)",
        "@round(this,5)",
        "text",
        "@uid()",
        "@UID",
        "\\@uid",
    ] {
        assert_eq!(
            detected(&wrapped(&rule("00081030", text))),
            Detected::Neither,
            "{text}"
        );
    }
    for text in [
        "@hashuid(@UIDROOT,this)",
        "@hash(this)",
        "@round(this,@N)",
        "@always()x",
        "x @param(@A)",
        "@lookup(this,ptid)",
        "@if(this,isblank){@remove()}{@keep()}",
        "@round(this,$N)",
    ] {
        assert_eq!(
            detected(&wrapped(&rule("00081030", text))),
            Detected::Ctp,
            "{text}"
        );
    }
    assert_eq!(
        detected(&wrapped(&rule("0009[ACME]01", "@remove()"))),
        Detected::Ctp
    );
    // A parameter that no rule refers to does not count.
    let unused = format!("<p t=\"A\">1</p>{}", rule("00081030", "@keep()"));
    assert_eq!(detected(&wrapped(&unused)), Detected::Neither);
}
